//! What programs hear without asking: how tasks change, and which of their submissions were refused.

use domain::list::Summary;
use domain::task::state::{Phase, TaskState};
use domain::{Task, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Code;

/// A task has another state, or another phase while it runs. Told once, after the record is written, to whoever
/// listens at that moment: a hint, as every message is; `status` tells how the task stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// The tenant of the task.
    pub tenant: String,
    /// Revision of the record: of two events of one run the higher is the later.
    pub revision: u64,
    /// When its record was written.
    pub at: Timestamp,
    /// The task as it stands since.
    #[serde(flatten)]
    pub task: Summary,
}

impl Event {
    /// Whether a change is told.
    pub fn is_due(before: Option<(TaskState, Phase)>, after: &Task) -> bool {
        before != Some((after.state, after.phase))
    }

    /// What is told of a task that was written.
    pub fn of(task: &Task, revision: u64) -> Self {
        Self { tenant: task.tenant.clone(), revision, at: task.updated_at, task: Summary::from(task) }
    }
}

/// A submission that can never become a task, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it was given up.
    pub at: Timestamp,
    /// On whose behalf it came.
    pub tenant: String,
    /// The user.
    pub user: String,
    /// Its `Nats-Msg-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Its sequence, as the broker acknowledged it.
    pub sequence: u64,
    /// The number that a request with the same text is answered with.
    pub status: u16,
    /// The word of the code.
    pub code: Code,
    /// What is wrong with it.
    pub message: String,
    /// Its beginning.
    pub request: String,
}
