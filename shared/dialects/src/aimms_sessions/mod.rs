//! The AIMMS session-manager API, version 1, under `/pro/session-manager/v1` (reference/aimms.md §4): the paths of
//! its first release, and beside them those that took their place later.

mod document;
mod list;
mod model;

use std::sync::LazyLock;

use domain::{Caller, Scope, SessionKind};
use http::{Method, Response, StatusCode};
use serde::Serialize;
use wire::Error;

use self::model::{Logs, Session, Sessions};
use crate::openapi::{Document, Form};
use crate::{
    Access, BodyKind, Dialect, Outcome, Parameters, Plan, Request, Route, SessionOrder, answer, headers, log,
};

/// The session-manager, version 1.
#[derive(Debug)]
pub struct V1;

const fn route(method: Method, path: &'static str, operation: &'static str) -> Route {
    Route { method, path, operation, access: Access::Scope(Scope::Session), body: BodyKind::None }
}

static ROUTES: &[Route] = &[
    route(Method::GET, "/pro/session-manager/v1/sessions/webui", "get_webui_sessions"),
    route(Method::GET, "/pro/session-manager/v1/sessions/webui/{session_id}", "get_webui_session"),
    route(Method::DELETE, "/pro/session-manager/v1/sessions/webui/{session_id}", "terminate_webui_session"),
    route(Method::GET, "/pro/session-manager/v1/sessions/logs/webui/{session_id}", "get_webui_session_logs"),
    route(Method::GET, "/pro/session-manager/v1/sessions/task", "get_task_sessions"),
    route(Method::GET, "/pro/session-manager/v1/sessions/task/{session_id}", "get_task_session"),
    route(Method::DELETE, "/pro/session-manager/v1/sessions/task/{session_id}", "terminate_task_session"),
    route(Method::GET, "/pro/session-manager/v1/sessions/logs/task/{session_id}", "get_task_session_logs"),
    // The later forms.
    route(Method::GET, "/pro/session-manager/v1/sessions/webui/{session_id}/logs", "webui_session_logs"),
    route(
        Method::GET,
        "/pro/session-manager/v1/sessions/webui/{session_id}/logs/download",
        "download_webui_session_logs",
    ),
    route(
        Method::PATCH,
        "/pro/session-manager/v1/sessions/webui/{session_id}/terminate",
        "webui_session_terminate",
    ),
    route(Method::GET, "/pro/session-manager/v1/sessions/task/{session_id}/logs", "task_session_logs"),
    route(
        Method::GET,
        "/pro/session-manager/v1/sessions/task/{session_id}/logs/download",
        "download_task_session_logs",
    ),
    route(
        Method::PATCH,
        "/pro/session-manager/v1/sessions/task/{session_id}/terminate",
        "task_session_terminate",
    ),
    Route {
        method: Method::GET,
        path: "/pro/session-manager/v1/openapi.yaml",
        operation: "get_openapi_specification",
        access: Access::AnyKey,
        body: BodyKind::None,
    },
];

impl Dialect for V1 {
    fn name(&self) -> &'static str {
        "aimms_sessions_v1"
    }

    fn mount(&self) -> &'static str {
        "/pro/session-manager/v1"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn credential<'r>(&self, request: &Request<'r>) -> Option<&'r str> {
        headers::api_key(request.headers)
    }

    fn decode(&self, route: &Route, request: &Request<'_>, _caller: Option<&Caller>) -> Result<Plan, Error> {
        let parameters = Parameters::parse(request.query)?;
        let kind = kind(route);
        let existing = || request.session_id("session_id").map(|id| (Some(kind), id));
        match route.operation {
            "get_webui_sessions" | "get_task_sessions" => {
                list::query(&parameters, kind).map(SessionOrder::List).map(Plan::Session)
            }
            "get_webui_session" | "get_task_session" => {
                existing().map(|(kind, id)| Plan::Session(SessionOrder::Get { kind, id }))
            }
            "terminate_webui_session"
            | "terminate_task_session"
            | "webui_session_terminate"
            | "task_session_terminate" => {
                existing().map(|(kind, id)| Plan::Session(SessionOrder::Terminate { kind, id }))
            }
            "get_webui_session_logs"
            | "get_task_session_logs"
            | "webui_session_logs"
            | "task_session_logs" => {
                let (offset, limit) = log::page(&parameters)?;
                let filter = log::filter(&parameters)?;
                let (kind, id) = existing()?;
                let (wait_ms, count) = (0, true);
                Ok(Plan::Session(SessionOrder::Logs { kind, id, offset, limit, wait_ms, filter, count }))
            }
            "download_webui_session_logs" | "download_task_session_logs" => {
                existing().map(|(kind, id)| Plan::Session(SessionOrder::LogText { kind, id }))
            }
            "get_openapi_specification" => Form::asked(&parameters).map(|_| Plan::Nothing),
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
        match outcome {
            Outcome::SessionPage(page) => ok(&Sessions {
                sessions: page.sessions.iter().map(Session::from).collect(),
                total: page.total,
            }),
            Outcome::Session(session) => ok(&Session::from(&*session)),
            Outcome::Logs(page) => ok(&Logs::from(&page)),
            Outcome::LogText(_) => answer::log(),
            Outcome::Done => DOCUMENT.answer(request),
            Outcome::Created(_)
            | Outcome::Task(_)
            | Outcome::Page(_)
            | Outcome::Body(_)
            | Outcome::Interrupted(_)
            | Outcome::LogTail(_)
            | Outcome::Sessions(_)
            | Outcome::Started { .. }
            | Outcome::Admin(_)
            | Outcome::Health(_)
            | Outcome::Stream(_)
            | Outcome::Names(_)
            | Outcome::Jobs(_) => answer::unexpected(route.operation),
        }
    }

    fn error(&self, error: &Error) -> Response<Vec<u8>> {
        answer::error(error)
    }
}

/// The OpenAPI document of this API. It is the same in every answer, so it is made once.
static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new(&V1, &document::V1));

/// Every path names one of the two kinds.
fn kind(route: &Route) -> SessionKind {
    if route.path.contains("/webui") { SessionKind::Webui } else { SessionKind::Task }
}

fn ok(value: &impl Serialize) -> Response<Vec<u8>> {
    answer::json(StatusCode::OK, value)
}
