//! `report`: takes what runners say about their claims. Every report is fenced by its epoch.

use std::collections::HashMap;

use broker::{Known, Tasks};
use domain::TaskKey;
use domain::task::input::Input;
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
    let mut records = HashMap::new();
    if reports.len() >= TOGETHER {
        let keys: Vec<TaskKey> = reports.iter().map(|report| report.key.clone()).collect();
        // Where that fails each is read alone.
        records = tasks.get_many(&keys).await.unwrap_or_default();
    }
    let takes = reports.into_iter().map(|report| {
        let known = records.remove(&report.key);
        let known = known.map_or(Known::Nothing, |(revision, task)| Known::Record(revision, Box::new(task)));
        take(tasks, report, known)
    });
    join_all(takes).await
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
