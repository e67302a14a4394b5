//! A workflow: the ordered steps of one task. Each step is a process of its own; the record says how far they
//! are, so that after any crash the next one goes on and none runs twice that has ended well.

use serde::{Deserialize, Serialize};

use crate::payload::Payload;

/// The steps of a task and how far they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workflow {
    /// The services of the app, in their order.
    pub steps: Vec<String>,
    /// How many have ended well.
    #[serde(default)]
    pub done: u32,
    /// How often the step that is next has failed so far.
    #[serde(default)]
    pub failures: u32,
    /// What the last step that ended well gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Payload>,
    /// How often a step is tried again before the task fails.
    pub retry_limit: u32,
    /// How long it rests before that, in milliseconds.
    pub retry_delay_ms: u64,
}

impl Workflow {
    /// How many steps there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    /// The step that is next.
    pub fn step(&self) -> Option<&str> {
        self.steps.get(usize::try_from(self.done).ok()?).map(String::as_str)
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEnding {
    /// Which, from 0.
    pub step: u32,
    /// The how manieth failure this would be, from 1; so that a repeated report counts once.
    pub attempt: u32,
    /// When its process had started.
    pub started_at: crate::time::Timestamp,
    /// What it answered.
    pub output: Option<Payload>,
    /// What it returned.
    pub return_code: Option<i32>,
    /// Why it failed; `None` is success.
    pub error: Option<String>,
}
