//! What a hook is told of one change: a request as the API that took the hook has it, or none where that API has
//! no word for the change. `callbacks` sends it.

mod rest_endpoint;
mod task_state;

#[cfg(test)]
mod tests;

use domain::Task;
use domain::task::hook::{Event, Hook, HookKind};
use http::Method;

/// A request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: String,
    /// The body; a JSON document, or empty.
    pub body: Vec<u8>,
}

/// HMAC-SHA256 of a message in lower hex, by a key.
pub type Sign = fn(key: &[u8], message: &[u8]) -> String;

/// What a hook is told of a change. `place` counts the changes from the task's first one.
pub fn outgoing(task: &Task, hook: &Hook, place: u64, sign: Sign) -> Option<Outgoing> {
    let index = usize::try_from(place.checked_sub(task.events.gone)?).ok()?;
    let event = task.events.kept.get(index)?;
    match hook.kind {
        HookKind::TaskState => {
            let earlier = task.events.kept.iter().take(index).rev();
            task_state::outgoing(task, hook, event, earlier, sign)
        }
        HookKind::RestEndpoint => rest_endpoint::outgoing(task, hook, event),
    }
}

/// A moment in whole seconds.
fn seconds(event: &Event) -> String {
    event.at.format("%Y-%m-%dT%H:%M:%SZ")
}
