//! Jobs, dashboard, health and schedules as JSON; the order of the names is the seed's.

use domain::Timestamp;
use domain::jobs::{Dashboard, Job, JobState, has_failed, run_at};
use domain::payload::Place;
use serde_json::{Map, Value, json};

use wire::calls::admin::Schedules;

use crate::JobsHealth;

/// How much of a job is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// One job: everything.
    All,
    /// A row of a list.
    InList,
    /// A row of the dashboard, which has no parameters.
    OnDashboard,
}

/// A job.
pub(super) fn job(job: &Job, shown: Shown) -> Value {
    let task = &job.task;
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
    put("id", task.number.into());
    put("client", (*job.tenant).into());
    put("workflow", (*task.service).into());
    put("priority", task.priority.into());
    put("position", task.position.into());
    if shown == Shown::All {
        put("top_of_queue", task.top_of_queue.into());
    }
    if shown != Shown::OnDashboard {
        put("parameters", parameters(job));
    }
    put("created_at", moment(task.created_at).into());
    put("updated_at", moment(task.updated_at).into());
    put("queue_state", JobState::of(task).name().into());
    put("failed", has_failed(task).into());
    put("run_at", moment(run_at(task)).into());
    Value::Object(object)
}

/// The parameters as they came, where they came as JSON.
pub(super) fn parameters(job: &Job) -> Value {
    match job.input.as_ref().map(|input| &input.place) {
        Some(Place::Text(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
        Some(Place::Base64(_) | Place::Object(_) | Place::Empty) | None => Value::Null,
    }
}

/// `2020-09-24T11:55:33.755Z`
pub(super) fn moment(time: Timestamp) -> String {
    time.format("%Y-%m-%dT%H:%M:%S.%3fZ")
}

/// What a created job is answered with; its number is a text here.
pub(super) fn accepted(number: u64) -> Value {
    json!({ "id": number.to_string(), "result": "accepted" })
}

/// The dashboard.
pub(super) fn dashboard(found: &Dashboard) -> Value {
    let rows = |jobs: &[Job]| -> Value { jobs.iter().map(|found| job(found, Shown::OnDashboard)).collect() };
    json!({
        "max_jobs": found.limits.max_running,
        "priority_slots": found.limits.priority_slots,
        "started": rows(&found.started),
        "queued": rows(&found.queued),
        "scheduled": rows(&found.scheduled),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// The health of the parts that the Task Engine has names for. Both databases are the broker.
pub(super) fn health(found: &JobsHealth) -> Value {
    let counts = &found.counts;
    let broker = if found.broker {
        format!("OK (nats-server {}, {})", found.broker_version, found.durability)
    } else {
        "unreachable".to_owned()
    };
    let queue = |workers: u64, working: u64, pending: u64| json!({ "workers": workers, "working": working, "pending": pending });
    let (started, queued) = (counts.of(JobState::Started), counts.of(JobState::Queued));
    let scheduled = counts.of(JobState::Scheduled);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "databases": { "redis": broker, "postgres": broker },
        "queues": {
            "windows_capture": queue(0, 0, 0),
            "scheduler": queue(found.schedulers, 0, scheduled),
            "work": queue(found.places, started, queued),
            "controller": queue(found.schedulers, 0, 0),
            "callback": queue(found.callbacks, 0, 0),
        },
        "tasks": { "failed": counts.failed, "pending": counts.steps_pending, "processed": counts.steps_done },
        "jobs": {
            "completed": counts.of(JobState::Completed),
            "failed": counts.failed,
            "pending": counts.of(JobState::Pending),
            "broken": counts.of(JobState::Broken),
            "queued": queued,
            "started": started,
            "scheduled": scheduled,
            "paused": counts.of(JobState::Paused),
            "max_jobs": found.limits.max_running,
            "priority_slots": found.limits.priority_slots,
        },
    })
}

/// The one schedule there is, under the name that clients know.
pub(super) const SCHEDULE: &str = "queue_scheduled_jobs";

/// Seconds from the start of the scheduler to its first tick.
const FIRST_IN_SECONDS: u64 = 5;

/// The names of the active schedules.
pub(super) fn names(schedules: &Schedules) -> Vec<&'static str> {
    if schedules.active { vec![SCHEDULE] } else { Vec::new() }
}

/// The active schedules.
pub(super) fn schedules(schedules: &Schedules) -> Value {
    if !schedules.active {
        return json!({});
    }
    json!({
        SCHEDULE: {
            "class": "QueueJobs",
            "every": [schedules.interval_seconds, { "first_in": FIRST_IN_SECONDS }],
            "queue": "scheduler",
            "description": "Enqueues scheduled jobs that have a run_at time in the past.",
        }
    })
}
