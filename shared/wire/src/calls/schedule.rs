//! Calls to `schedule`: why a task waits, how full the lanes are, and whether a new task may start at once.

use domain::TaskKey;
use domain::board::{Announcement, Reception};
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
    /// A task is about to be created: may it be given to a runner in the same write? Asked within one process only, so
    /// that who creates and who keeps the place live and die together.
    Announce(Announcement),
    /// An announced task will not come.
    Withdraw {
        /// Which.
        key: TaskKey,
    },
}

/// What `schedule` replies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleReply {
    /// Why it waits; `None` if it does not.
    Waiting(Option<Waiting>),
    /// The lanes by name.
    Lanes(Vec<LaneStatus>),
    /// How the task is received.
    Announced(Reception),
    /// Its place is free again.
    Withdrawn,
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
