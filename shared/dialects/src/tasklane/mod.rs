//! Our own API under `/tasklane/v1`, for the command line and for people: what the foreign APIs have no words
//! for, in plain JSON.

mod list;
mod model;
mod request;

use domain::session::list::SessionSummary;
use domain::{Caller, Scope};
use http::{Method, Response, StatusCode};
use serde_json::json;
use wire::Error;
use wire::calls::admin::AdminReply;
use wire::calls::logs::LogsReply;
use wire::names::page_path;

use self::model::Task;
use crate::{Access, BodyKind, Dialect, Outcome, Plan, Request, Route, answer, headers, log};

/// Bytes that a JSON body may have.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Bytes that the bundle of an app may have.
const BUNDLE_BYTES_MAX: u64 = 256 * 1024 * 1024;

const TASKS: Access = Access::Scope(Scope::Tasks);
const SESSION: Access = Access::Scope(Scope::Session);
const ADMIN: Access = Access::Scope(Scope::Admin);
const SMALL: BodyKind = BodyKind::Small(BODY_BYTES_MAX);

/// Our own API, version 1.
#[derive(Debug)]
pub struct V1;

const fn route(
    method: Method,
    path: &'static str,
    operation: &'static str,
    access: Access,
    body: BodyKind,
) -> Route {
    Route { method, path, operation, access, body }
}

static ROUTES: &[Route] = &[
    route(Method::GET, "/tasklane/v1/health", "health", Access::Open, BodyKind::None),
    route(Method::GET, "/tasklane/v1/tasks", "list_tasks", TASKS, BodyKind::None),
    route(Method::GET, "/tasklane/v1/tasks/{id}", "get_task", TASKS, BodyKind::None),
    route(Method::GET, "/tasklane/v1/tasks/{id}/logs", "get_logs", TASKS, BodyKind::None),
    route(Method::GET, "/tasklane/v1/tasks/{id}/logs/tail", "tail_logs", TASKS, BodyKind::None),
    route(Method::GET, "/tasklane/v1/sessions", "list_sessions", SESSION, BodyKind::None),
    route(Method::POST, "/tasklane/v1/sessions", "start_session", SESSION, SMALL),
    route(Method::GET, "/tasklane/v1/sessions/{session_id}", "get_session", SESSION, BodyKind::None),
    route(Method::DELETE, "/tasklane/v1/sessions/{session_id}", "terminate_session", SESSION, BodyKind::None),
    route(
        Method::GET,
        "/tasklane/v1/sessions/{session_id}/logs",
        "get_session_logs",
        SESSION,
        BodyKind::None,
    ),
    route(
        Method::GET,
        "/tasklane/v1/sessions/{session_id}/logs/tail",
        "tail_session_logs",
        SESSION,
        BodyKind::None,
    ),
    route(Method::POST, "/tasklane/v1/tenants", "create_tenant", ADMIN, SMALL),
    route(Method::GET, "/tasklane/v1/tenants", "list_tenants", ADMIN, BodyKind::None),
    route(Method::POST, "/tasklane/v1/keys", "create_key", ADMIN, SMALL),
    route(Method::GET, "/tasklane/v1/keys", "list_keys", ADMIN, BodyKind::None),
    route(Method::DELETE, "/tasklane/v1/keys/{key_id}", "revoke_key", ADMIN, BodyKind::None),
    route(Method::POST, "/tasklane/v1/apps", "publish_app", ADMIN, BodyKind::Streamed(BUNDLE_BYTES_MAX)),
    route(Method::GET, "/tasklane/v1/apps", "list_apps", Access::AnyKey, BodyKind::None),
    route(Method::PUT, "/tasklane/v1/apps/{app}/grants/{user}", "grant", ADMIN, SMALL),
    route(Method::GET, "/tasklane/v1/lanes", "list_lanes", Access::AnyKey, BodyKind::None),
    route(Method::PATCH, "/tasklane/v1/lanes/{name}", "set_lane", ADMIN, SMALL),
];

impl Dialect for V1 {
    fn name(&self) -> &'static str {
        "tasklane"
    }

    fn mount(&self) -> &'static str {
        "/tasklane/v1"
    }

    fn head_is_get(&self) -> bool {
        true
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn credential<'r>(&self, request: &Request<'r>) -> Option<&'r str> {
        headers::api_key(request.headers)
    }

    fn decode(&self, route: &Route, request: &Request<'_>, caller: Option<&Caller>) -> Result<Plan, Error> {
        request::plan(route.operation, request, caller)
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
            Outcome::Created(summary) => answer::json(ok, &Task::new(&summary, summary.created_at)),
            Outcome::Interrupted(summary) => answer::json(ok, &Task::new(&summary, request.now)),
            Outcome::Task(status) => answer::json(ok, &Task::of(&status, request.now)),
            Outcome::Page(page) => {
                let tasks: Vec<_> = page.tasks.iter().map(|row| Task::new(row, request.now)).collect();
                answer::json(ok, &json!({ "tasks": tasks, "total": page.total }))
            }
            Outcome::Logs(logs) => answer::json(ok, &logs),
            Outcome::LogTail(first) => tail(request, &first),
            Outcome::Sessions(sessions) => answer::json(ok, &sessions),
            Outcome::SessionPage(page) => {
                answer::json(ok, &json!({ "sessions": page.sessions, "total": page.total }))
            }
            Outcome::Session(session) => answer::json(ok, &session),
            Outcome::Started { session, ticket } => started(request, &session, &ticket),
            Outcome::Admin(reply) => admin(&reply),
            Outcome::Health(health) => {
                answer::json(if health.broker { ok } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
            }
            Outcome::Done => answer::json(ok, &json!({})),
            Outcome::Body(_)
            | Outcome::LogText(_)
            | Outcome::Jobs(_)
            | Outcome::Stream(_)
            | Outcome::Names(_) => answer::unexpected(route.operation),
        }
    }

    fn error(&self, error: &Error) -> Response<Vec<u8>> {
        answer::error(error)
    }
}

/// Where the page is, as the caller reaches this service.
fn started(request: &Request<'_>, session: &SessionSummary, ticket: &str) -> Response<Vec<u8>> {
    let scheme = request.header("x-forwarded-proto").filter(|scheme| *scheme == "https").unwrap_or("http");
    let base = request.header("host").map(|host| format!("{scheme}://{host}")).unwrap_or_default();
    let path = page_path(session.id);
    let started = json!({
        "session_id": session.id,
        "path": path,
        "url": format!("{base}{path}"),
        "open_url": format!("{base}{path}?{TICKET}={ticket}"),
        "session": session,
    });
    answer::json(StatusCode::CREATED, &started)
}

/// The parameter by which a browser shows its ticket, once.
pub const TICKET: &str = "ticket";

/// To a client that comes again for a log of which it has seen the end: that it need not come any more.
fn tail(request: &Request<'_>, first: &LogsReply) -> Response<Vec<u8>> {
    let is_over = first.end && first.lines.is_empty() && request.header(log::LAST_EVENT_ID).is_some();
    if is_over { answer::no_content() } else { answer::events() }
}

fn admin(reply: &AdminReply) -> Response<Vec<u8>> {
    match reply {
        AdminReply::Tenants(tenants) => answer::json(StatusCode::OK, &json!({ "tenants": tenants })),
        AdminReply::KeyCreated(created) => answer::json(StatusCode::CREATED, created),
        AdminReply::SigningKeyCreated(created) => answer::json(StatusCode::CREATED, created),
        AdminReply::Keys(keys) => answer::json(StatusCode::OK, &json!({ "keys": keys })),
        AdminReply::Apps(apps) => answer::json(StatusCode::OK, &json!({ "apps": apps })),
        AdminReply::Lanes(lanes) => answer::json(StatusCode::OK, &json!({ "lanes": lanes })),
        AdminReply::Setting { name, created } => {
            answer::json(StatusCode::OK, &json!({ "name": name, "created": created }))
        }
        AdminReply::Schedules(schedules) => answer::json(StatusCode::OK, schedules),
    }
}
