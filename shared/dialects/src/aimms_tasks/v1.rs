//! Version 1 of the AIMMS Tasks API under `/pro-api/v1`, for clients that never moved to v2: the same tasks
//! under older names (reference/aimms.md §2). What came with v2 (schedules, hooks, a create without a version)
//! is not here, and such parameters are ignored as any other unknown one.

use domain::list::{Query, Summary};
use domain::payload::BODY_BYTES_MAX;
use domain::task::state::TaskState;
use domain::{Caller, Scope, TaskId, Timestamp};
use http::{Method, Response, StatusCode};
use serde::Serialize;
use wire::Error;

use super::request::{self, INTERRUPT_BYTES_MAX};
use crate::{Access, BodyKind, Dialect, Outcome, Parameters, Plan, Request, Route, answer, headers, listing};

/// AIMMS Tasks v1.
#[derive(Debug)]
pub struct V1;

const fn route(method: Method, path: &'static str, operation: &'static str, body: BodyKind) -> Route {
    Route { method, path, operation, access: Access::Scope(Scope::Tasks), body }
}

static ROUTES: &[Route] = &[
    route(
        Method::POST,
        "/pro-api/v1/tasks/{projectName}/{projectVersion}/{service}",
        "create_task",
        BodyKind::Streamed(BODY_BYTES_MAX),
    ),
    route(Method::GET, "/pro-api/v1/tasks", "get_tasks", BodyKind::None),
    route(Method::GET, "/pro-api/v1/tasks/{id}", "get_task", BodyKind::None),
    route(Method::DELETE, "/pro-api/v1/tasks/{id}", "delete_task", BodyKind::None),
    route(Method::PUT, "/pro-api/v1/tasks/{id}", "interrupt_task", BodyKind::Small(INTERRUPT_BYTES_MAX)),
    route(Method::GET, "/pro-api/v1/tasks/{id}/response", "get_task_response", BodyKind::None),
];

impl Dialect for V1 {
    fn name(&self) -> &'static str {
        "aimms_tasks_v1"
    }

    fn mount(&self) -> &'static str {
        "/pro-api/v1"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn credential<'r>(&self, request: &Request<'r>) -> Option<&'r str> {
        headers::api_key(request.headers)
    }

    fn decode(&self, route: &Route, request: &Request<'_>, _caller: Option<&Caller>) -> Result<Plan, Error> {
        let parameters = Parameters::parse(request.query)?;
        let id = || request.task_id("id");
        match route.operation {
            "create_task" => request::create(request, &NAMES),
            "get_tasks" => list(&parameters).map(Plan::List),
            "get_task" => {
                let wait_ms = headers::preferred_wait_ms(request.headers);
                id().map(|id| Plan::Get { id, run: None, wait_ms })
            }
            "delete_task" => id().map(|id| Plan::Delete { id, run: None }),
            "interrupt_task" => {
                let id = id()?;
                request::interrupt_kind(request.body).map(|kind| Plan::Interrupt { id, run: None, kind })
            }
            "get_task_response" => id().map(|id| Plan::Fetch { id, run: None }),
            other => Err(Error::internal(format!("operation {other} has no decoding"))),
        }
    }

    fn encode(
        &self,
        route: &Route,
        request: &Request<'_>,
        _caller: Option<&Caller>,
        outcome: Outcome,
    ) -> Response<Vec<u8>> {
        let ok = StatusCode::OK;
        match outcome {
            Outcome::Created(summary) => answer::json(ok, &Created { id: summary.id }),
            // A create that was asked to wait answers no more than one that was not.
            Outcome::Task(status) if route.operation == "create_task" => {
                answer::json(ok, &Created { id: status.summary.id })
            }
            Outcome::Task(status) => answer::json(ok, &Task::new(&status.summary, request.now)),
            Outcome::Page(page) => {
                let statuses = page.tasks.iter().map(|row| Task::new(row, request.now)).collect();
                answer::json(ok, &Statuses { statuses, total_size: page.total })
            }
            Outcome::Body(payload) => answer::body(&payload),
            Outcome::Interrupted(_) | Outcome::Done => answer::empty(),
            Outcome::Logs(_)
            | Outcome::LogText(_)
            | Outcome::LogTail(_)
            | Outcome::Sessions(_)
            | Outcome::SessionPage(_)
            | Outcome::Session(_)
            | Outcome::Started { .. }
            | Outcome::Admin(_)
            | Outcome::Health(_)
            | Outcome::Jobs(_)
            | Outcome::Stream(_)
            | Outcome::Names(_) => answer::unexpected(route.operation),
        }
    }

    fn error(&self, error: &Error) -> Response<Vec<u8>> {
        answer::error(error)
    }
}

/// How v1 names the parts of a create's path.
const NAMES: request::Names =
    request::Names { app: "projectName", version: Some("projectVersion"), service: "service" };

/// The name that the version of a list had until AIMMS PRO 2.49.
const OLD_VERSION: &str = "projectVersionId";

fn list(parameters: &Parameters) -> Result<Query, Error> {
    let is_old = parameters.get("projectVersion")?.is_none();
    listing::page(parameters, "projectName", if is_old { OLD_VERSION } else { "projectVersion" })
}

/// What a create answers.
#[derive(Serialize)]
struct Created {
    id: TaskId,
}

/// One task.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Task<'a> {
    id: TaskId,
    project_name: &'a str,
    project_version: &'a str,
    service: &'a str,
    starttime: String,
    status: &'static str,
    /// Seconds.
    queuetime: f64,
    /// Seconds.
    runtime: f64,
    returncode: Option<i32>,
    errormessage: Option<&'a str>,
}

/// A page of a list.
#[derive(Serialize)]
struct Statuses<'a> {
    statuses: Vec<Task<'a>>,
    total_size: u64,
}

impl<'a> Task<'a> {
    fn new(summary: &'a Summary, now: Timestamp) -> Self {
        Self {
            id: summary.id,
            project_name: &summary.app,
            project_version: &summary.version,
            service: &summary.service,
            starttime: summary.created_at.format("%Y-%m-%dT%H:%M:%SZ"),
            status: status(summary),
            queuetime: summary.queue_seconds(now),
            runtime: summary.run_seconds(now),
            returncode: summary.return_code,
            errormessage: summary.error.as_deref(),
        }
    }
}

/// Clients of v1 wait for `finished`, so a failed task reads so too and its message tells the difference.
fn status(summary: &Summary) -> &'static str {
    match summary.state {
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Assigned
        | TaskState::Paused
        | TaskState::Stopped => "queued",
        TaskState::Running if summary.is_solving() => "solving",
        TaskState::Running => "executing",
        TaskState::Completed | TaskState::Failed | TaskState::Broken | TaskState::Deleted
            if summary.interrupted =>
        {
            "interrupted"
        }
        TaskState::Completed | TaskState::Failed | TaskState::Broken | TaskState::Deleted => "finished",
    }
}
