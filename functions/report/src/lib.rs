//! `report`: takes what runners say about their claims. Every report is fenced by its epoch.

use std::collections::HashMap;
use std::sync::Arc;

use broker::{Known, Tasks};
use domain::task::input::Input;
use domain::{Task, TaskKey};
use futures_util::future::join_all;
use service::{Context, RunError, clock, serve};
use wire::Error;
use wire::calls::Answer;
use wire::calls::report::Standing;
use wire::runner::{ClaimReport, ReportRequest};

/// From so many reports on their records are read together.
const TOGETHER: usize = 3;

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let tasks = Tasks::new(&context.broker);
    serve(&context, move |request: ReportRequest| {
        let tasks = tasks.clone();
        async move { Ok(take_all(&tasks, request.reports).await) }
    })
    .await
}

async fn take_all(tasks: &Tasks, reports: Vec<ClaimReport>) -> Vec<Answer<Standing>> {
    let keys = reports.iter().map(|report| report.key.clone());
    let mut records = records(tasks, keys).await;
    let takes = reports.into_iter().map(|report| {
        let known = records.remove(&report.key);
        let known = known.map_or(Known::Nothing, |(revision, task)| Known::Record(revision, task));
        take(tasks, report, known)
    });
    join_all(takes).await
}

/// The records as this process wrote them, and those of others read together.
async fn records(tasks: &Tasks, keys: impl Iterator<Item = TaskKey>) -> HashMap<TaskKey, (u64, Arc<Task>)> {
    let mut records = HashMap::new();
    let mut missing = Vec::new();
    for key in keys {
        match tasks.written(&key) {
            Some(record) => drop(records.insert(key, record)),
            None => missing.push(key),
        }
    }
    if missing.len() >= TOGETHER {
        // Where that fails each is read alone.
        let found = tasks.get_many(&missing).await.unwrap_or_default();
        records.extend(found.into_iter().map(|(key, (revision, task))| (key, (revision, Arc::new(task)))));
    }
    records
}

async fn take(tasks: &Tasks, report: ClaimReport, known: Known) -> Answer<Standing> {
    let input = Input::Report { epoch: report.epoch, report: report.report };
    match tasks.apply(&report.key, &input, clock::now(), known).await {
        Ok(applied) => {
            let holds = applied.task.state.is_active() && applied.task.epoch == report.epoch;
            Answer::Ok(Standing { holds })
        }
        Err(error) => Answer::Err(Error::from(error)),
    }
}
