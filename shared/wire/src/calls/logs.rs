//! Calls to `logs`.

use domain::{Caller, TaskId};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;
use crate::runner::LogLine;

/// One page of a task's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogsRequest {
    /// Who asks.
    pub caller: Caller,
    /// Which task.
    pub id: TaskId,
    /// Which run of it; `None` is the last one.
    #[serde(default)]
    pub run: Option<u32>,
    /// Lines to leave out at the start.
    pub offset: u64,
    /// Lines of the page; 1 to 1,000.
    pub limit: u64,
    /// In the place of what the task's process and its runner wrote, what others noted about the task. Nobody
    /// waits for notes.
    #[serde(default)]
    pub notes: bool,
    /// If there is no line yet at the offset, wait up to so many milliseconds for one.
    pub wait_ms: u64,
}

/// One page of a task's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogsReply {
    /// The lines in order.
    pub lines: Vec<LogLine>,
    /// The offset of the next page.
    pub next: u64,
    /// Lines that were dropped because they came too fast; they have no place in the numbering.
    pub dropped: u64,
    /// The task has ended and there is nothing after this page.
    pub end: bool,
}

impl Call for LogsRequest {
    const FUNCTION: Function = Function::Logs;
    type Reply = LogsReply;

    fn deadline_seconds(&self) -> u64 {
        5 + self.wait_ms / 1000
    }
}
