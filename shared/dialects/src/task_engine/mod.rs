//! The Task Engine API at the root of the listener: jobs, their logs, the scheduler and its settings (seed 003,
//! reference/symetry_task_engine.md part B).

mod answer;
mod logs;
mod model;
mod request;

use domain::{Caller, Scope};
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::json;
use wire::{Code, Error};

use self::model::{accepted, dashboard, health, job};
use crate::{Access, BodyKind, Dialect, JobsOutcome, Outcome, Parameters, Plan, Request, Route};

pub use logs::asked;
pub use request::hooks_in;

/// Bytes that a JSON body may have.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The Task Engine.
#[derive(Debug)]
pub struct TaskEngine;

const KEY: Access = Access::Scope(Scope::Jobs);
/// Open to all as the seed says; a client that shows its key sees more, and a setting may ask for the key.
const OPEN: Access = Access::Optional(Scope::Jobs);
const SMALL: BodyKind = BodyKind::Small(BODY_BYTES_MAX);

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
    route(Method::GET, "/", "alive", Access::Open, BodyKind::None),
    route(Method::GET, "/health", "health", KEY, BodyKind::None),
    route(Method::GET, "/dashboard", "dashboard", OPEN, BodyKind::None),
    route(Method::POST, "/job", "create_job", KEY, SMALL),
    route(Method::GET, "/jobs", "list_jobs", OPEN, BodyKind::None),
    route(Method::GET, "/jobs/{id}", "get_job", OPEN, BodyKind::None),
    route(Method::PUT, "/jobs/{id}", "update_job", KEY, SMALL),
    route(Method::PATCH, "/jobs/{id}", "patch_job", KEY, SMALL),
    route(Method::POST, "/jobs/{id}/rerun", "rerun_job", KEY, SMALL),
    route(Method::POST, "/push_jobs", "push_jobs", KEY, SMALL),
    route(Method::GET, "/logs/{id}", "get_logs", OPEN, BodyKind::None),
    route(Method::GET, "/schedules", "list_schedules", KEY, BodyKind::None),
    route(Method::PUT, "/scheduler", "set_scheduler", KEY, SMALL),
    route(Method::POST, "/settings", "set_setting", KEY, SMALL),
];

impl Dialect for TaskEngine {
    fn name(&self) -> &'static str {
        "task_engine"
    }

    fn mount(&self) -> &'static str {
        ""
    }

    fn head_is_get(&self) -> bool {
        true
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn credential<'r>(&self, request: &Request<'r>) -> Option<&'r str> {
        ["api-key", "x-api-key", "x-auth-key"].iter().find_map(|name| one(request.headers, name))
    }

    fn decode(&self, route: &Route, request: &Request<'_>, caller: Option<&Caller>) -> Result<Plan, Error> {
        if let Some(caller) = caller {
            check_client(route, request, caller)?;
        }
        request::plan(route.operation, request, caller)
    }

    fn encode(
        &self,
        route: &Route,
        request: &Request<'_>,
        _caller: Option<&Caller>,
        outcome: Outcome,
    ) -> Response<Vec<u8>> {
        let ok = |value: serde_json::Value| crate::answer::json(StatusCode::OK, &value);
        if outcome == Outcome::Done {
            let result = if route.operation == "alive" { "alive" } else { "ok" };
            return ok(json!({ "result": result }));
        }
        let Outcome::Jobs(outcome) = outcome else {
            return self.error(&Error::internal(format!("{} got a strange outcome", route.operation)));
        };
        match *outcome {
            JobsOutcome::Accepted { number } => ok(accepted(number)),
            JobsOutcome::Job(found) => ok(job(&found, model::Shown::All)),
            JobsOutcome::Jobs(list) => {
                ok(list.iter().map(|found| job(found, model::Shown::InList)).collect())
            }
            JobsOutcome::Updated { number } => {
                let names = request::updates(request).unwrap_or_default().join(", ");
                ok(json!({ "id": number.to_string(), "result": format!("Performed updates: {names}") }))
            }
            JobsOutcome::Dashboard(found) => ok(dashboard(&found)),
            JobsOutcome::Health(found) => ok(health(&found)),
            JobsOutcome::Logs { job, lines, notes } => ok(logs::rows(&job, lines, notes, shows_all(request))),
            JobsOutcome::Schedules(schedules) if route.operation == "set_scheduler" => {
                ok(json!({ "result": "ok", "schedules": model::names(&schedules) }))
            }
            JobsOutcome::Schedules(schedules) => {
                ok(json!({ "result": "ok", "schedules": model::schedules(&schedules) }))
            }
            JobsOutcome::Setting { name, created } => {
                let done = if created { "created" } else { "updated" };
                ok(json!({ "result": "ok", "message": format!("{name} setting {done}") }))
            }
        }
    }

    fn error(&self, error: &Error) -> Response<Vec<u8>> {
        answer::error(error)
    }

    fn refuse(&self, route: &Route, request: &Request<'_>, error: &Error) -> Response<Vec<u8>> {
        answer::refusal(route.operation, request, error)
    }
}

/// The text of the one header of this name.
fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (None, _) | (_, Some(_)) => None,
    }
}

/// The client that a request names, in its header or its body, has to be the one whose key it shows. Reads that are
/// open need no client: programs that name theirs in the body of a create send the key alone with them.
fn check_client(route: &Route, request: &Request<'_>, caller: &Caller) -> Result<(), Error> {
    let in_body = serde_json::from_slice::<serde_json::Value>(request.body).ok();
    let in_body = in_body.as_ref().and_then(|body| body.get("client")).and_then(|client| client.as_str());
    let in_header = request.header("client");
    let named = [in_header, in_body];
    let is_other = |client: &&str| *client != caller.tenant;
    let unnamed = in_header.is_none() && in_body.is_none() && route.access != OPEN;
    if unnamed || named.iter().flatten().any(is_other) {
        return Err(Error::new(Code::Unauthenticated, "the client is not the one of the API key"));
    }
    Ok(())
}

fn shows_all(request: &Request<'_>) -> bool {
    let parameters = Parameters::parse(request.query);
    let value = parameters.ok().and_then(|all| all.get("show_all").ok().flatten().map(str::to_owned));
    value.is_some_and(|value| matches!(value.as_str(), "1" | "true"))
}
