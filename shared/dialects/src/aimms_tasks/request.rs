//! The parts of a request that need more than a look: names in the path, headers, and the body of an interrupt.

use domain::task::state::InterruptKind;
use serde_json::Value;
use wire::{Code, Error};

use crate::text::{name, shown};
use crate::{Parameters, Plan, Request, body, headers};

/// The version that stands for the one tagged as latest. No app version can be published under this name.
const LATEST: &str = "latest";

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
        timing: None,
        hooks: Vec::new(),
        idempotency_key: headers::idempotency_key(request.headers)?,
        wait_ms: headers::preferred_wait_ms(request.headers),
    })
}

/// Which run of a recurring task is meant; without it the last one.
pub(super) fn group_index(parameters: &Parameters) -> Result<Option<u32>, Error> {
    let Some(index) = parameters.unsigned("groupIndex")? else { return Ok(None) };
    // No series has so many runs, so the answer is that of any other run that is not there.
    Ok(Some(u32::try_from(index).unwrap_or(u32::MAX)))
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
