//! What creates tasks by itself: an app's word that each message on a subject is to become a task.

use serde::{Deserialize, Serialize};

/// One trigger of an app version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// The subject whose messages each become a task.
    pub subject: String,
    /// The service, or with [`TriggerLane::Jobs`] the workflow.
    pub service: String,
    /// Where the task waits.
    #[serde(default)]
    pub lane: TriggerLane,
    /// What makes two messages the same.
    #[serde(default)]
    pub dedup: Dedup,
}

/// Where the tasks of a trigger wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerLane {
    /// The tenant's lane of tasks.
    #[default]
    Tasks,
    /// The lane of jobs, for workflows.
    Jobs,
}

/// What makes two messages the same.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dedup {
    /// Their `Nats-Msg-Id`; a message without one is like no other.
    #[default]
    MessageId,
    /// A header that each must have.
    Header(String),
    /// A field of the JSON object that each must be: names with dots between them.
    Field(String),
    /// Nothing but their place in the stream.
    Sequence,
}
