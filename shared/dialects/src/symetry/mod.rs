//! SymetryML Tasks under `/symetry/rest`: stream tasks, known by their names. Requests are signed, and what
//! describes a task is encrypted.

mod answer;
mod cipher;
mod sign;
mod task_info;

use domain::{Caller, Scope};
use http::{Method, Response};
use serde_json::{Value, json};
use wire::{Code, Error};

pub use self::cipher::encrypt;
pub use self::sign::{Signed, md5_of};
use crate::text::shown;
use crate::{
    Access, BodyKind, Dialect, Outcome, Parameters, Plan, Request, Route, Signing, StreamOrder, bad,
};

/// Bytes that the encrypted description of a task may have.
const BODY_BYTES_MAX: usize = 64 * 1024;

const STREAMS: Access = Access::Scope(Scope::Streams);

/// SymetryML Tasks.
#[derive(Debug)]
pub struct Tasks;

const fn route(method: Method, path: &'static str, operation: &'static str, body: BodyKind) -> Route {
    Route { method, path, operation, access: STREAMS, body }
}

static ROUTES: &[Route] = &[
    route(Method::POST, "/symetry/rest/{cid}/tasks/create", "create_task", BodyKind::Small(BODY_BYTES_MAX)),
    route(Method::GET, "/symetry/rest/{cid}/tasks", "list_tasks", BodyKind::None),
    route(Method::GET, "/symetry/rest/{cid}/tasks/{tid}", "task_status", BodyKind::None),
    route(Method::DELETE, "/symetry/rest/{cid}/tasks/{tid}", "delete_task", BodyKind::None),
    route(Method::GET, "/symetry/rest/{cid}/tasks/{tid}/start", "start_task", BodyKind::None),
    route(Method::GET, "/symetry/rest/{cid}/tasks/{tid}/stop", "stop_task", BodyKind::None),
];

impl Dialect for Tasks {
    fn name(&self) -> &'static str {
        "symetry"
    }

    fn mount(&self) -> &'static str {
        "/symetry/rest"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    /// No text of a request lets anybody in here; see `signing`.
    fn credential<'r>(&self, _request: &Request<'r>) -> Option<&'r str> {
        None
    }

    fn signing(&self) -> Option<&dyn Signing> {
        Some(self)
    }

    fn decode(&self, route: &Route, request: &Request<'_>, _caller: Option<&Caller>) -> Result<Plan, Error> {
        let name = || task_info::name(request.parameter("tid"));
        let order = match route.operation {
            "create_task" => {
                let parameters = Parameters::parse(request.query)?;
                // As Java reads it: anything but the word `true` is false.
                let force = parameters.get("force")?.is_some_and(|text| text.eq_ignore_ascii_case("true"));
                task_info::create(request.body, force)?
            }
            "list_tasks" => StreamOrder::List,
            "task_status" => StreamOrder::Status { name: name()? },
            "delete_task" => StreamOrder::Delete { name: name()? },
            "start_task" => StreamOrder::Start { name: name()? },
            "stop_task" => StreamOrder::Stop { name: name()? },
            other => return Err(Error::internal(format!("operation {other} has no decoding"))),
        };
        Ok(Plan::Stream(order))
    }

    fn encode(
        &self,
        route: &Route,
        request: &Request<'_>,
        _caller: Option<&Caller>,
        outcome: Outcome,
    ) -> Response<Vec<u8>> {
        let (tid, cid) = (request.parameter("tid"), request.parameter("cid"));
        let done = |what: &str| {
            answer::ok(&format!("Task {what} with name [{tid}] for customer [{cid}]"), &json!({}))
        };
        match (route.operation, outcome) {
            ("create_task", Outcome::Stream(status)) => {
                let text = format!("Task created with name [{}] for customer [{cid}]", status.name);
                answer::envelope(answer::CREATED, "CREATED", &text, &json!({}))
            }
            ("start_task", Outcome::Stream(_)) => done("started"),
            ("stop_task", Outcome::Stream(_)) => done("stopped"),
            ("delete_task", Outcome::Done) => done("deleted"),
            ("list_tasks", Outcome::Names(names)) => {
                answer::ok("OK", &json!({ "stringList": { "values": names } }))
            }
            ("task_status", Outcome::Stream(status)) => {
                let map = json!({
                    "status": if status.running { "running" } else { "stopped" },
                    "startDateTime": status.started_at.map(|at| at.to_string()).unwrap_or_default(),
                    "processIsAlive": status.alive.to_string(),
                    "lastError": status.last_error.unwrap_or_default(),
                });
                answer::ok("OK", &json!({ "KSVSMap": { "values": [map] } }))
            }
            _ => self.error(&crate::answer::unexpected_outcome(route.operation)),
        }
    }

    fn error(&self, error: &Error) -> Response<Vec<u8>> {
        answer::error(error, &json!({}))
    }

    /// Two errors are told in this API's own sentences.
    fn refuse(&self, route: &Route, request: &Request<'_>, error: &Error) -> Response<Vec<u8>> {
        let (tid, cid) = (shown(request.parameter("tid")), request.parameter("cid"));
        let message = match (error.code, route.operation) {
            (Code::TaskNotFound, _) => format!("Cannot Find Task id[{tid}] for Customer id [{cid}]"),
            _ => return self.error(error),
        };
        self.error(&Error { message, ..error.clone() })
    }
}

impl Signing for Tasks {
    fn signer(&self, request: &Request<'_>) -> Result<String, Error> {
        let header = |name: &str| request.header(name).filter(|text| !text.is_empty());
        header("authorization").ok_or_else(|| bad("Authentication header is null"))?;
        let date = header("sym-date").ok_or_else(|| bad("sym-date header is null"))?;
        sign::check_date(date, request.now)?;
        Ok(request.parameter("cid").to_owned())
    }

    fn unknown(&self) -> Error {
        Error::new(Code::Unauthenticated, "Invalid User")
    }

    fn verify(&self, request: &Request<'_>, secret: &str) -> Result<bool, Error> {
        // Some clients send the header empty where there is no body.
        if let Some(sent) = request.header("content-md5").filter(|text| !text.is_empty())
            && sent != md5_of(request.body)
        {
            return Err(bad("Md5 do not match"));
        }
        Ok(sign::matches(request, request.parameter("cid"), secret))
    }

    fn refused(&self, request: &Request<'_>) -> Response<Vec<u8>> {
        let text: Value = sign::shown(request, request.parameter("cid")).into();
        let invalid = Error::new(Code::Unauthenticated, "Invalid Signature");
        answer::error(&invalid, &json!({ "stringToSign": text }))
    }

    fn open(&self, route: &Route, request: &Request<'_>, secret: &str) -> Result<Vec<u8>, Error> {
        match route.operation {
            "create_task" => cipher::decrypt(secret, request.body),
            _ => Ok(request.body.to_vec()),
        }
    }
}
