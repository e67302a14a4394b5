//! The Task Engine's `rest_endpoints`: a POST with a JSON document when a step begins or ends and when the job
//! ends (reference/symetry_task_engine.md B9).

use domain::payload::Place;
use domain::task::hook::{Event, Hook, What};
use domain::{Payload, Task, TaskState};
use http::Method;
use serde_json::{Map, Value, json};

use super::{Outgoing, seconds};

/// The ids of a job's steps follow on its own, so that they are whole numbers and no two jobs share one.
const STEPS_PER_JOB: u64 = 1_000;

pub(super) fn outgoing(task: &Task, hook: &Hook, event: &Event) -> Option<Outgoing> {
    let document = match &event.what {
        What::StepStarted { step } => of_step(task, event, *step, "start"),
        What::StepCompleted { step } => of_step(task, event, *step, "complete"),
        What::StepFailed { step } => of_step(task, event, *step, "fail"),
        What::State { state, .. } => of_job(task, event, status(*state)?),
    };
    let body = serde_json::to_vec(&document).ok()?;
    Some(Outgoing { method: Method::POST, url: hook.url.clone(), body })
}

/// Only the end of a job is told. One that its owner gave up has ended without success too.
fn status(state: TaskState) -> Option<&'static str> {
    match state {
        TaskState::Completed => Some("completed"),
        TaskState::Failed | TaskState::Broken => Some("failed"),
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Assigned
        | TaskState::Running
        | TaskState::Paused
        | TaskState::Stopped
        | TaskState::Deleted => None,
    }
}

fn of_step(task: &Task, event: &Event, step: u32, what: &str) -> Value {
    let steps = task.workflow.as_ref().map(|workflow| workflow.steps.as_slice()).unwrap_or_default();
    let name = usize::try_from(step).ok().and_then(|step| steps.get(step)).map_or("", String::as_str);
    let message = match what {
        "start" => format!("Task '{name}' started"),
        "complete" => format!("'{name}' completed successfully"),
        _ => task.error.clone().unwrap_or_else(|| format!("'{name}' failed")),
    };
    let number = number(task);
    json!({
        "job_id": number,
        "task_id": number * STEPS_PER_JOB + u64::from(step) + 1,
        "task_name": name,
        "workflow": task.service,
        "event": what,
        "content_id": object(&task.input).remove("content_id"),
        "message": message,
        "time": seconds(event),
        "client": task.tenant,
    })
}

fn of_job(task: &Task, event: &Event, status: &str) -> Value {
    let mut parameters = object(&task.input);
    let mut result = task.result.as_ref().map(object).unwrap_or_default();
    let mut document = Map::from_iter([
        ("job_id".to_owned(), json!(number(task))),
        ("status".to_owned(), json!(status)),
        ("workflow".to_owned(), json!(task.service)),
        ("content_id".to_owned(), parameters.remove("content_id").unwrap_or_default()),
        ("time".to_owned(), json!(seconds(event))),
        ("client".to_owned(), json!(task.tenant)),
    ]);
    let files = result.remove("files").map(|files| if files.is_array() { files } else { json!([files]) });
    let message = result.remove("message").or_else(|| task.error.clone().map(Value::from));
    let metadata = result.remove("metadata");
    let custom = parameters.remove("custom_data");
    let optional = [("message", message), ("files", files), ("metadata", metadata), ("custom_data", custom)];
    for (name, value) in optional {
        if let Some(value) = value {
            document.insert(name.to_owned(), value);
        }
    }
    Value::Object(document)
}

fn number(task: &Task) -> u64 {
    task.number.unwrap_or_default()
}

/// The JSON object that a body is; none where it is another thing, or too large to lie in the record.
fn object(payload: &Payload) -> Map<String, Value> {
    let text = match &payload.place {
        Place::Text(text) => text.as_str(),
        Place::Base64(_) | Place::Object(_) | Place::Empty => "",
    };
    serde_json::from_str(text).unwrap_or_default()
}
