//! AIMMS' `taskStateHook`: a PUT without a body, all in the query (reference/aimms.md §1.8).

use domain::Task;
use domain::task::hook::{Event, Hook, What};
use domain::task::state::Phase;
use http::Method;

use super::{Outgoing, Sign};
use crate::Parameters;
use crate::aimms_tasks::state_word;

/// The caller's own parameter, which signs and is not sent.
const KEY: &str = "key";

pub(super) fn outgoing<'a>(
    task: &Task,
    hook: &Hook,
    event: &Event,
    mut earlier: impl Iterator<Item = &'a Event>,
    sign: Sign,
) -> Option<Outgoing> {
    let word = word(&event.what)?;
    // Two states of ours may be one word there, and a word is told once.
    if earlier.find_map(|event| self::word(&event.what)) == Some(word) {
        return None;
    }
    let without_fragment = hook.url.split('#').next().unwrap_or_default();
    let (base, query) = without_fragment.split_once('?').unwrap_or((without_fragment, ""));
    let mut key = None;
    let mut parts = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match Parameters::parse(part).ok().and_then(|one| one.get(KEY).ok().flatten().map(str::to_owned)) {
            Some(value) => key = key.or(Some(value)),
            None => parts.push(part.to_owned()),
        }
    }
    let id = task.id.to_string();
    parts.push(format!("task_uuid={id}"));
    parts.push(format!("task_state={word}"));
    parts.push(format!("at={}", event.at));
    if let Some(key) = key {
        parts.push(format!("hmac={}", sign(key.as_bytes(), id.as_bytes())));
    }
    Some(Outgoing { method: Method::PUT, url: format!("{base}?{}", parts.join("&")), body: Vec::new() })
}

fn word(what: &What) -> Option<&'static str> {
    match what {
        What::State { state, phase } => Some(state_word(*state, *phase == Phase::Solving)),
        What::StepStarted { .. } | What::StepCompleted { .. } | What::StepFailed { .. } => None,
    }
}
