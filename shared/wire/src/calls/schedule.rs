//! Calls to `schedule`: why a task waits, and how full the lanes are.

use domain::TaskKey;
use domain::lane::{LaneLimits, Waiting};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;

/// Calls to `schedule`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleRequest {
    /// Why does this task wait?
    Waiting {
        /// Which.
        key: TaskKey,
    },
    /// How full is each lane?
    Lanes,
}

/// What `schedule` replies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleReply {
    /// Why it waits; `None` if it does not.
    Waiting(Option<Waiting>),
    /// The lanes by name.
    Lanes(Vec<LaneStatus>),
}

/// One lane at a moment. Also told on the subject `tasklane.lane`, for `create` to refuse by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneStatus {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub limits: LaneLimits,
    /// Tasks whose time has not come.
    #[serde(default)]
    pub scheduled: u64,
    /// Tasks that wait.
    pub queued: u64,
    /// Tasks that run.
    pub running: u32,
}

impl Call for ScheduleRequest {
    const FUNCTION: Function = Function::Schedule;
    type Reply = ScheduleReply;
}
