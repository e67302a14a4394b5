//! The record of a task and its states; per state: who moves it on, and what a crash leaves behind.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, RunnerId, SessionId, TaskId, TaskKey};
use crate::payload::Payload;
use crate::time::Timestamp;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Waits in its lane. `create` writes it; `schedule` moves it on when the lane admits it and a runner
    /// has a free place. A crash of either leaves it waiting, and the next active `schedule` takes it.
    Queued,
    /// Claimed for a runner, its process not yet started. `schedule` writes it; `report` moves it on when the
    /// runner says so. If the assignment was lost `schedule` sends it again; if the runner died or refused,
    /// `schedule` puts the task back into its lane.
    Assigned,
    /// Its process runs. `report` writes it and moves it on when the runner reports the end. If the runner
    /// dies, its heartbeat stops and `schedule` puts the task back, or fails it after too many losses.
    Running,
    /// Ended well; there is a result. Terminal: only `delete` may still act. A crash changes nothing.
    Completed,
    /// Ended badly; `error` says why. Terminal: only `delete` may still act. A crash changes nothing.
    Failed,
    /// Gone for every caller. A positive record, so that a lost or revived message can't bring the task back.
    /// `delete` writes it and then removes the bodies; if it crashed between, `schedule` asks it again.
    Deleted,
}

impl TaskState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Assigned, Self::Running, Self::Completed, Self::Failed, Self::Deleted];

    /// No state follows but `Deleted`.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Deleted => true,
            Self::Queued | Self::Assigned | Self::Running => false,
        }
    }

    /// A runner holds it, so it takes a place in its lane.
    pub fn is_active(self) -> bool {
        match self {
            Self::Assigned | Self::Running => true,
            Self::Queued | Self::Completed | Self::Failed | Self::Deleted => false,
        }
    }
}

/// What a running process says it does; an optimisation model alternates between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Executes its procedure.
    #[default]
    Running,
    /// Inside a solve.
    Solving,
}

/// How a task is to be ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InterruptKind {
    /// End the solve and keep the best result so far: the task completes.
    Solve,
    /// End the process: the task fails.
    Execution,
}

impl InterruptKind {
    /// Whether this asks for more than what was heard before. A runner that heard of `Solve` has not yet
    /// heard of `Execution`; the other way round there is nothing new.
    pub fn exceeds(self, heard: Option<Self>) -> bool {
        match heard {
            None => true,
            Some(Self::Solve) => self == Self::Execution,
            Some(Self::Execution) => false,
        }
    }
}

/// A wish to end a task early, kept in the record so that no lost message can lose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupt {
    /// How.
    pub kind: InterruptKind,
    /// When it was asked for.
    pub at: Timestamp,
}

/// What runs the tasks of an app version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// One process per task.
    Command,
    /// One warm process for many tasks of one owner, spoken to over HTTP.
    Session,
    /// No process: the input is the result. For measuring and for trying out the queue.
    Noop,
}

/// The record of a task: the truth about it, one JSON document in the `tasks` bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Who owns it; the first part of its key.
    pub tenant: String,
    /// The user that created it.
    pub user: String,
    /// The app.
    pub app: String,
    /// The version, resolved once at creation.
    pub version: String,
    /// The procedure of the app.
    pub service: String,
    /// How it is run.
    pub runtime: Runtime,
    /// SHA-256 of the app's bundle, which is also the name under which it is stored.
    pub bundle: String,
    /// The lane it waits in.
    pub lane: String,
    /// 1 starts first, 10 last.
    pub priority: u8,
    /// Starts before every other of its lane.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub top_of_queue: bool,
    /// Where it stands.
    pub state: TaskState,
    /// What its process does, while it runs.
    #[serde(default)]
    pub phase: Phase,
    /// Number of claims so far.
    pub epoch: Epoch,
    /// How many runners it has lost.
    #[serde(default)]
    pub losses: u32,
    /// How many it may lose; from the lane's limits at creation.
    pub retry_limit: u32,
    /// When it was taken in.
    pub created_at: Timestamp,
    /// When it was last claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_at: Option<Timestamp>,
    /// When its process last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The runner that holds it, or held it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<RunnerId>,
    /// The session it runs in, or ran in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The wish to end it early, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupt: Option<Interrupt>,
    /// The request body.
    pub input: Payload,
    /// The response body, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// What the process returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_code: Option<i32>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Digest of the request, to tell a repeated create from another request under the same key.
    pub request_digest: String,
}

impl Task {
    /// Its key.
    pub fn key(&self) -> TaskKey {
        TaskKey::new(self.tenant.clone(), self.id)
    }
}
