//! What the end of a process means for its task.

use domain::payload::{INLINE_BYTES_MAX, Place};
use domain::task::input::Ending;
use domain::{Payload, Task, Timestamp};
use keeper::Exit;
use nix::sys::signal::Signal;
use service::clock;

use crate::held::Order;

/// A shell's exit code for a command that SIGINT ended.
const INTERRUPTED_CODE: i32 = 130;

/// What an author is told whose task was too large for its control group.
const OUT_OF_MEMORY: &str =
    "the process was ended: all processes of the task together used more memory than [limits] allows";

/// How a run went, as far as the process goes.
pub struct Run {
    /// When it started.
    pub started_at: Timestamp,
    /// How it ended.
    pub exit: Exit,
    /// The order in force when it ended.
    pub order: Order,
    /// Why the runner stopped it, if it did.
    pub stopped: Option<String>,
    /// Its last words.
    pub last_line: Option<String>,
}

/// A task without a process: its input is its result.
pub fn noop(task: &Task) -> Ending {
    Ending {
        started_at: Some(clock::now()),
        session: None,
        result: Some(task.input.clone()),
        return_code: Some(0),
        error: None,
    }
}

/// A task that could not even be started.
pub fn not_started(error: impl Into<String>) -> Ending {
    Ending { started_at: None, session: None, result: None, return_code: None, error: Some(error.into()) }
}

impl Run {
    /// Success is exit code 0. After an interrupt the process may also die of it: what it wrote until then
    /// counts as its result (design §8).
    pub fn error(&self) -> Option<String> {
        if let Some(stopped) = &self.stopped {
            return Some(stopped.clone());
        }
        if self.exit.keeper_lost {
            return Some("the process was lost: its keeper was killed".to_owned());
        }
        let died_of_interrupt =
            self.exit.signal == Some(Signal::SIGINT as i32) || self.exit.code == Some(INTERRUPTED_CODE);
        match (self.exit.code, self.exit.signal) {
            (Some(0), _) => None,
            _ if self.order == Order::EndSolve && died_of_interrupt => None,
            (Some(code), _) => {
                let silent =
                    || format!("the process ended with exit code {code} and wrote nothing to stderr");
                Some(self.last_line.clone().unwrap_or_else(silent))
            }
            (None, Some(_)) => Some(ended(self.exit, self.last_line.as_deref())),
            (None, None) => Some("the process ended in an unknown way".to_owned()),
        }
    }
}

/// The end of a process in words.
pub fn ended(exit: Exit, last_line: Option<&str>) -> String {
    let how = match (exit.code, exit.signal) {
        _ if exit.keeper_lost => "it was lost: its keeper was killed".to_owned(),
        (Some(code), _) => format!("it ended with exit code {code}"),
        _ if exit.out_of_memory => OUT_OF_MEMORY.to_owned(),
        (None, Some(signal)) => killed(signal),
        (None, None) => "it ended in an unknown way".to_owned(),
    };
    match last_line {
        Some(line) => format!("{how}; its last words: {line}"),
        None => how,
    }
}

/// Somebody outside ended the process, which says nothing about the task that it ran.
pub fn is_from_outside(exit: Exit) -> bool {
    let signals = [Signal::SIGKILL, Signal::SIGTERM].map(|signal| signal as i32);
    let by_signal = exit.signal.is_some_and(|signal| signals.contains(&signal));
    exit.keeper_lost || (by_signal && !exit.out_of_memory)
}

fn killed(signal: i32) -> String {
    let name = Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |s| s.to_string());
    let hint = match Signal::try_from(signal) {
        Ok(Signal::SIGXFSZ) => ": it wrote a file larger than its limit",
        Ok(Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGABRT) => {
            ": it crashed, or ran out of its memory limit"
        }
        Ok(Signal::SIGKILL) => ": something outside ended it, perhaps for want of memory",
        Ok(_) | Err(_) => "",
    };
    format!("the process was ended by {name}{hint}")
}

/// A small body for the record; `None` if it is too large for that.
pub fn inline(bytes: &[u8]) -> Option<Payload> {
    if bytes.len() > INLINE_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let place = match text {
        Some("") => Place::Empty,
        Some(text) => Place::Text(text.to_owned()),
        None => Place::Base64(data_encoding::BASE64.encode(bytes)),
    };
    Some(Payload { content_type: Some(media_type(text).to_owned()), size: bytes.len() as u64, place })
}

/// A process does not say what it wrote, so what it looks like is told.
pub fn media_type(text: Option<&str>) -> &'static str {
    match text {
        Some(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => "application/json",
        Some(_) => "text/plain; charset=utf-8",
        None => "application/octet-stream",
    }
}
