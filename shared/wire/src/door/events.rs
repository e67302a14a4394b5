//! What programs hear without asking: how tasks change, and which of their submissions were refused.

use domain::task::state::{Phase, TaskState};
use domain::{Task, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Code;
use crate::calls::topics::TriggerOf;

/// A task has another state, or another phase while it runs. Told once, after the record is written, to whoever
/// listens at that moment: a hint, as every message is; `status` tells how the task stands. It is told of every
/// change of every task, so it is short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event<'t> {
    /// Its id.
    pub id: TaskId,
    /// Which run of a recurring task; 0 is the first.
    pub run: u32,
    /// The tenant.
    pub tenant: &'t str,
    /// Who created it.
    pub user: &'t str,
    /// The app.
    pub app: &'t str,
    /// Its version.
    pub version: &'t str,
    /// The procedure.
    pub service: &'t str,
    /// Where it stands since.
    pub state: TaskState,
    /// What its process does.
    pub phase: Phase,
    /// Number of claims so far.
    pub epoch: u64,
    /// When its record was written.
    pub at: Timestamp,
    /// Revision of the record: of two events of one run the higher is the later.
    pub revision: u64,
    /// What it returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_code: Option<i32>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'t str>,
}

impl<'t> Event<'t> {
    /// Whether a change is told.
    pub fn is_due(before: Option<(TaskState, Phase)>, after: &Task) -> bool {
        before != Some((after.state, after.phase))
    }

    /// What is told of a task that was written.
    pub fn of(task: &'t Task, revision: u64) -> Self {
        Self {
            id: task.id,
            run: task.run,
            tenant: &task.tenant,
            user: &task.user,
            app: &task.app,
            version: &task.version,
            service: &task.service,
            state: task.state,
            phase: task.phase,
            epoch: task.epoch.0,
            at: task.updated_at,
            revision,
            return_code: task.return_code,
            error: task.error.as_deref(),
        }
    }
}

/// A submission, or a message on the subject of a trigger, that can never become a task, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it was given up.
    pub at: Timestamp,
    /// On whose behalf it came.
    pub tenant: String,
    /// The user.
    pub user: String,
    /// The trigger that took it; a submission has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerOf>,
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
