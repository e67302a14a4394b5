//! The parts of a request that need more than a look: names in the path, headers, and the body of an interrupt.

use domain::task::state::InterruptKind;
use serde_json::Value;
use wire::{Code, Error};

use crate::text::{name, shown};
use crate::{Parameters, Plan, Request, bad, body, headers};

/// The version that stands for the one tagged as latest. No app version can be published under this name.
const LATEST: &str = "latest";

/// What AIMMS has and we have not yet. Taking such a request would run the task at once, or without its hook.
const UNSUPPORTED_PARAMETERS: [&str; 3] = ["scheduleFor", "scheduleIn", "scheduleInterval"];
const UNSUPPORTED_HEADER: &str = "taskStateHook";

/// Bytes that the body of an interrupt may have; the one that is accepted has 31.
pub(super) const INTERRUPT_BYTES_MAX: usize = 64 * 1024;

/// How a version of the API names the parts of a create's path.
pub(super) struct Names {
    /// The app.
    pub app: &'static str,
    /// Its version; `None` where the path has none.
    pub version: Option<&'static str>,
    /// The procedure.
    pub service: &'static str,
}

/// The creation of a task.
pub(super) fn create(request: &Request<'_>, names: &Names) -> Result<Plan, Error> {
    let part = |part: &str| name(part, request.parameter(part));
    let version = names.version.map(part).transpose()?;
    Ok(Plan::Create {
        app: part(names.app)?,
        version: version.filter(|version| version != LATEST),
        service: part(names.service)?,
        priority: None,
        idempotency_key: headers::idempotency_key(request.headers)?,
        wait_ms: headers::preferred_wait_ms(request.headers),
    })
}

/// Refuses a create that asks for what is not there yet.
pub(super) fn check_supported(request: &Request<'_>, parameters: &Parameters) -> Result<(), Error> {
    for parameter in UNSUPPORTED_PARAMETERS {
        if parameters.has(parameter) {
            return Err(unsupported("parameter", parameter));
        }
    }
    if request.headers.contains_key(UNSUPPORTED_HEADER) {
        return Err(unsupported("header", UNSUPPORTED_HEADER));
    }
    Ok(())
}

/// Refuses the index of a run that is not there: a task that does not recur has one run, number 0.
pub(super) fn check_group_index(request: &Request<'_>, parameters: &Parameters) -> Result<(), Error> {
    let id = request.task_id("id")?;
    match parameters.unsigned("groupIndex")? {
        None | Some(0) => Ok(()),
        Some(index) => Err(Error::new(
            Code::TaskNotFound,
            format!("task {id} has no run with groupIndex {index}; it does not recur, so its only run is 0"),
        )),
    }
}

/// How the body of a PUT asks to end the task. Generated clients send no body at all.
pub(super) fn interrupt_kind(sent: &[u8]) -> Result<InterruptKind, Error> {
    if sent.is_empty() {
        return Ok(InterruptKind::Solve);
    }
    let value = body::json(sent)?;
    match value.get("setstatus").and_then(Value::as_str) {
        Some("interrupt-solve") => Ok(InterruptKind::Solve),
        Some(other) => Err(not_settable(&format!("setstatus '{}' can't be set", shown(other)))),
        None => Err(not_settable("the body is no JSON object with a text setstatus")),
    }
}

fn not_settable(reason: &str) -> Error {
    let message = format!("{reason}; send {{\"setstatus\":\"interrupt-solve\"}} or no body at all");
    Error::new(Code::WrongState, message)
}

fn unsupported(what: &str, name: &str) -> Error {
    bad(format!("{what} '{name}' is not supported by this version of Tasklane; send the request without it"))
}
