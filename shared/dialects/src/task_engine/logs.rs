//! The log of a job as rows: what came in, when it is to run, and what its steps wrote.

use domain::jobs::{Job, JobState, run_at};
use serde_json::{Value, json};
use wire::runner::LogLine;

use super::model::{moment, parameters};

/// Room for the rows of one job, so that ids of two jobs never meet.
const ROWS_PER_JOB: u64 = 10_000_000;
/// The same for the steps of one job.
pub(super) const STEPS_PER_JOB: u64 = 1_000;

/// The rows in order. Lines that no step wrote are hidden unless all are asked for.
pub(super) fn rows(job: &Job, lines: &[LogLine], show_all: bool) -> Value {
    let number = job.task.number;
    let row = |index: u64, severity: u64, progname: &str, message: String, at: String, task: u64| {
        json!({
            "id": number.saturating_mul(ROWS_PER_JOB).saturating_add(index),
            "job_id": number,
            "severity": severity,
            "severity_description": if severity == 3 { "ERROR" } else { "INFO" },
            "progname": progname,
            "message": message,
            "created_at": at,
            "updated_at": at,
            "task_id": task,
            "visible": true,
        })
    };
    let created_at = moment(job.task.created_at);
    let mut rows = vec![row(0, 1, "api", created(job), created_at.clone(), 0)];
    if JobState::of(&job.task) == JobState::Scheduled || run_at(&job.task) > job.task.created_at {
        let at = run_at(&job.task).format("%Y-%m-%dT%H:%M:%S.%3f");
        rows.push(row(1, 1, "scheduler", format!("Job will run at: \"{at}\""), created_at, 0));
    }
    for (index, line) in (2..).zip(lines) {
        let step = line.step.map_or(0, |step| {
            number.saturating_mul(STEPS_PER_JOB).saturating_add(u64::from(step)).saturating_add(1)
        });
        let progname = line.source.name();
        if show_all || line.step.is_some() || progname != "worker" {
            // What the runner itself says of a failure begins so; a process's own words are INFO.
            let failed = line.text.starts_with("job has failed") || line.text.contains("' failed: ");
            let severity = if failed { 3 } else { 1 };
            rows.push(row(index, severity, progname, line.text.clone(), moment(line.at), step));
        }
    }
    Value::Array(rows)
}

/// The first row: the request, told as JSON in a text.
fn created(job: &Job) -> String {
    let request = json!({
        "path": "POST /job",
        "parameters": {
            "client": job.tenant,
            "parameters": parameters(job),
            "job": { "workflow": job.task.service },
        },
        "payload": "job_created",
    });
    request.to_string()
}
