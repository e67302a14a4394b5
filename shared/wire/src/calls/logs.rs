//! Calls to `logs`.

use domain::{Caller, SessionId, SessionKind, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;
use crate::runner::LogLine;

/// One page of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogsRequest {
    /// Who asks.
    pub caller: Caller,
    /// Whose log.
    pub of: LogOf,
    /// Lines to leave out at the start, of those that pass the filter.
    pub offset: u64,
    /// Lines of the page; 1 to 1,000.
    pub limit: u64,
    /// If there is no line yet at the offset, wait up to so many milliseconds for one.
    pub wait_ms: u64,
    /// Which lines.
    #[serde(default)]
    pub filter: LineFilter,
    /// Tell how many lines there are. Without it a page costs nothing beyond its end.
    #[serde(default)]
    pub count: bool,
}

/// Whose log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogOf {
    /// That of a task.
    Task {
        /// Which.
        id: TaskId,
        /// Which run of it; `None` is the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<u32>,
    },
    /// What others than its process and its runner noted about a task. Nobody waits for notes, and they are all
    /// there: no filter is heeded.
    Notes {
        /// Which.
        id: TaskId,
        /// Which run of it; `None` is the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<u32>,
    },
    /// That of a session, with the lines of all tasks that it ran.
    Session {
        /// What it is for; `None` is any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<SessionKind>,
        /// Which.
        id: SessionId,
    },
}

/// Which lines of a log; one that names nothing keeps all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct LineFilter {
    /// Only lines from this moment on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<Timestamp>,
    /// Only lines up to this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Only lines with this text in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

impl LineFilter {
    /// It keeps all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a line passes.
    pub fn keeps(&self, line: &LogLine) -> bool {
        self.begin.is_none_or(|begin| line.at >= begin)
            && self.end.is_none_or(|end| line.at <= end)
            && self.contains.as_ref().is_none_or(|text| line.text.contains(text.as_str()))
    }
}

/// One page of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogsReply {
    /// The lines in order. Without a filter their numbers follow on each other, from `first` on.
    pub lines: Vec<LogLine>,
    /// The number of the first line.
    #[serde(default)]
    pub first: u64,
    /// The offset of the next page.
    pub next: u64,
    /// Lines that are missing: they came too fast, or made room for newer ones.
    pub dropped: u64,
    /// Whose log it is has ended, and there is nothing after this page.
    pub end: bool,
    /// How many lines there are by now that pass the filter, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Of what was written up to this moment some or all may have made room for newer lines of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_room: Option<Timestamp>,
}

impl LogsReply {
    /// What people are told of lines that are not there; `before` is what they were told of already.
    pub fn missing(&self, before: u64) -> Option<String> {
        let lines = (self.dropped > before).then(|| self.dropped - before);
        match (lines, self.made_room) {
            (Some(lines), None) => Some(format!("({lines} lines came too fast and are not kept)")),
            (Some(lines), Some(_)) => {
                Some(format!("({lines} lines are not kept: they came too fast, or made room for newer ones)"))
            }
            (None, Some(at)) if before == 0 && self.first == self.next => {
                let at = at.format("%Y-%m-%d %H:%M:%S");
                Some(format!("(what was written before {at} may have made room for newer lines)"))
            }
            (None, _) => None,
        }
    }
}

impl Call for LogsRequest {
    const FUNCTION: Function = Function::Logs;
    type Reply = LogsReply;

    fn deadline_seconds(&self) -> u64 {
        // To count or to search reads a log to its end.
        let reading = if self.count || !self.filter.is_empty() { 30 } else { 5 };
        reading + self.wait_ms / 1000
    }
}
