//! Version 2 of the AIMMS Tasks API under `/pro-api/v2`. The operation ids are AIMMS' own; every success is a 200.

use std::sync::LazyLock;

use domain::list::Summary;
use domain::payload::BODY_BYTES_MAX;
use domain::{Caller, Scope};
use http::{Method, Response, StatusCode};
use serde::Serialize;
use wire::Error;

use super::model::{CurrentUser, Task, TaskLogs, Tasks, Version, write};
use super::request::{self, INTERRUPT_BYTES_MAX};
use super::{document, list, schedule};
use crate::openapi::{Document, Form};
use crate::{Access, BodyKind, Dialect, Outcome, Parameters, Plan, Request, Route, answer, headers, log};

/// AIMMS Tasks v2.
#[derive(Debug)]
pub struct V2;

const TASKS: Access = Access::Scope(Scope::Tasks);

static ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/pro-api/v2/tasks/{appName}/{appVersion}/{serviceName}",
        operation: "create_task",
        access: TASKS,
        body: BodyKind::Streamed(BODY_BYTES_MAX),
    },
    Route {
        method: Method::POST,
        path: "/pro-api/v2/tasks/{appName}/{serviceName}",
        operation: "create_task_latest_version",
        access: TASKS,
        body: BodyKind::Streamed(BODY_BYTES_MAX),
    },
    Route {
        method: Method::GET,
        path: "/pro-api/v2/tasks",
        operation: "get_tasks",
        access: TASKS,
        body: BodyKind::None,
    },
    Route {
        method: Method::GET,
        path: "/pro-api/v2/tasks/{id}",
        operation: "get_task",
        access: TASKS,
        body: BodyKind::None,
    },
    Route {
        method: Method::DELETE,
        path: "/pro-api/v2/tasks/{id}",
        operation: "delete_task",
        access: TASKS,
        body: BodyKind::None,
    },
    Route {
        method: Method::PUT,
        path: "/pro-api/v2/tasks/{id}",
        operation: "interrupt_task",
        access: TASKS,
        body: BodyKind::Small(INTERRUPT_BYTES_MAX),
    },
    Route {
        method: Method::GET,
        path: "/pro-api/v2/tasks/{id}/response",
        operation: "get_task_response",
        access: TASKS,
        body: BodyKind::None,
    },
    Route {
        method: Method::GET,
        path: "/pro-api/v2/tasks/{id}/logs",
        operation: "get_task_logs",
        access: TASKS,
        body: BodyKind::None,
    },
    Route {
        method: Method::GET,
        path: "/pro-api/v2/tasks/{id}/logs/download",
        operation: "download_task_logs",
        access: TASKS,
        body: BodyKind::None,
    },
    Route {
        method: Method::GET,
        path: "/pro-api/v2",
        operation: "get_openapi_specification",
        access: Access::AnyKey,
        body: BodyKind::None,
    },
    Route {
        method: Method::GET,
        path: "/pro-api/v2/version",
        operation: "get_version",
        access: Access::AnyKey,
        body: BodyKind::None,
    },
    Route {
        method: Method::GET,
        path: "/pro-api/v2/users/current",
        operation: "get_current_user",
        access: Access::AnyKey,
        body: BodyKind::None,
    },
];

impl Dialect for V2 {
    fn name(&self) -> &'static str {
        "aimms_tasks_v2"
    }

    fn mount(&self) -> &'static str {
        "/pro-api/v2"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn credential<'r>(&self, request: &Request<'r>) -> Option<&'r str> {
        headers::api_key(request.headers)
    }

    fn decode(&self, route: &Route, request: &Request<'_>, _caller: Option<&Caller>) -> Result<Plan, Error> {
        let parameters = Parameters::parse(request.query)?;
        // Read here and again while encoding, so that a wrong value is refused before anything is done.
        let check_form = || parameters.boolean(PRETTY).map(drop);
        let create = |version| {
            check_form()?;
            let names = request::Names { app: "appName", version, service: "serviceName" };
            let mut plan = request::create(request, &names)?;
            if let Plan::Create { timing, hooks, .. } = &mut plan {
                *timing = schedule::timing(&parameters, request.now)?;
                *hooks = schedule::hooks(request)?;
            }
            Ok(plan)
        };
        let existing = || {
            let run = request::group_index(&parameters)?;
            request.task_id("id").map(|id| (id, run))
        };
        match route.operation {
            "create_task" => create(Some("appVersion")),
            "create_task_latest_version" => create(None),
            "get_tasks" => {
                check_form()?;
                list::query(&parameters).map(Plan::List)
            }
            "get_task" => {
                check_form()?;
                let wait_ms = headers::preferred_wait_ms(request.headers);
                existing().map(|(id, run)| Plan::Get { id, run, wait_ms })
            }
            "delete_task" => existing().map(|(id, run)| Plan::Delete { id, run }),
            "interrupt_task" => {
                let (id, run) = existing()?;
                request::interrupt_kind(request.body).map(|kind| Plan::Interrupt { id, run, kind })
            }
            "get_task_response" => existing().map(|(id, run)| Plan::Fetch { id, run }),
            "get_task_logs" => {
                check_form()?;
                let wait_ms = headers::preferred_wait_ms(request.headers);
                let (offset, limit) = log::page(&parameters)?;
                let filter = log::filter(&parameters)?;
                existing().map(|(id, run)| Plan::Logs { id, run, offset, limit, wait_ms, filter })
            }
            "download_task_logs" => existing().map(|(id, run)| Plan::LogText { id, run }),
            "get_openapi_specification" => Form::asked(&parameters).map(|_| Plan::Nothing),
            "get_version" | "get_current_user" => Ok(Plan::Nothing),
            other => Err(Error::internal(format!("operation {other} has no decoding"))),
        }
    }

    fn encode(
        &self,
        route: &Route,
        request: &Request<'_>,
        caller: Option<&Caller>,
        outcome: Outcome,
    ) -> Response<Vec<u8>> {
        let tenant = caller.map_or("", |caller| caller.tenant.as_str());
        let task = |summary: &Summary, now| json(request, &Task::new(summary, tenant, now));
        match outcome {
            Outcome::Created(summary) => task(&summary, summary.created_at),
            Outcome::Task(status) => task(&status.summary, request.now),
            Outcome::Page(page) => {
                let rows = page.tasks.iter().map(|row| Task::new(row, tenant, request.now));
                json(request, &Tasks { current_batch: rows.collect(), total_tasks: page.total })
            }
            Outcome::Body(payload) => answer::body(&payload),
            Outcome::Interrupted(_) => answer::empty(),
            Outcome::Done => match (route.operation, caller) {
                ("get_openapi_specification", _) => DOCUMENT.answer(request),
                ("get_version", _) => {
                    answer::json(StatusCode::OK, &Version { version: env!("CARGO_PKG_VERSION") })
                }
                ("get_current_user", Some(caller)) => answer::json(StatusCode::OK, &current_user(caller)),
                _ => answer::empty(),
            },
            Outcome::Logs(page) => json(request, &TaskLogs::from(&page)),
            Outcome::LogText(_) => answer::log(),
            Outcome::LogTail(_)
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

/// The parameter that asks for indented JSON.
const PRETTY: &str = "prettyFormat";

fn json(request: &Request<'_>, value: &impl Serialize) -> Response<Vec<u8>> {
    let pretty = Parameters::parse(request.query).and_then(|parameters| parameters.boolean(PRETTY));
    match write(value, pretty.ok().flatten().unwrap_or(false)) {
        Ok(text) => answer::json_text(StatusCode::OK, text),
        Err(failed) => answer::error(&Error::internal(failed)),
    }
}

/// The OpenAPI document of this API. It is the same in every answer, so it is made once.
static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new(&V2, &document::V2));

/// Publishing needs an Admin key here, so the two flags are one.
fn current_user(caller: &Caller) -> CurrentUser<'_> {
    CurrentUser {
        environment_name: &caller.tenant,
        is_admin: caller.admin,
        is_app_publisher: caller.admin,
        name: &caller.user,
    }
}
