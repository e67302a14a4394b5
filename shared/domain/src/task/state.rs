//! The record of a task and its states; per state: who moves it on, and what a crash leaves behind.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, RunnerId, SessionId, TaskId, TaskKey, is_first};
use crate::name::Name;
use crate::payload::Payload;
use crate::task::hook::{Events, Hook};
use crate::task::timing::Timing;
use crate::task::workflow::Workflow;
use crate::time::Timestamp;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Waits for its time, or for its gate to open. `create` or `amend` writes it; `schedule` moves it on when
    /// both have come. A crash leaves it waiting, and the next active `schedule` moves it on, late but once.
    Scheduled,
    /// Waits in its lane. `create` or `schedule` writes it; `schedule` moves it on when the lane admits it and
    /// a runner has a free place. A crash of either leaves it waiting, and the next active `schedule` takes it.
    Queued,
    /// Claimed for a runner, its process not yet started. `schedule` writes it; `report` moves it on when the
    /// runner says so. If the assignment was lost `schedule` sends it again; if the runner died or refused,
    /// `schedule` puts the task back into its lane.
    Assigned,
    /// Its process runs. `report` writes it and moves it on when the runner reports the end. If the runner
    /// dies, its heartbeat stops and `schedule` puts the task back, or fails it after too many losses.
    Running,
    /// Held back by its owner, between two steps or before the first. `amend` writes it, or `report` when the
    /// running step of a task to be paused has ended; only `amend` moves it on. A crash changes nothing.
    Paused,
    /// A stream task that is not running. `create` or `amend` writes it; only `amend` moves it on, into its
    /// lane. A crash changes nothing.
    Stopped,
    /// Ended well; there is a result. Terminal: only `delete` may still act. A crash changes nothing.
    Completed,
    /// Ended badly; `error` says why. Terminal: only `delete` may still act. A crash changes nothing.
    Failed,
    /// Given up by its owner before it ended. `amend` writes it. Terminal: only `delete` may still act. A
    /// runner that has it still is told to drop it, again and again until it does.
    Broken,
    /// Gone for every caller. A positive record, so that a lost or revived message can't bring the task back.
    /// `delete` writes it and then removes the bodies; if it crashed between, `schedule` asks it again.
    Deleted,
}

impl TaskState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 10] = [
        Self::Scheduled,
        Self::Queued,
        Self::Assigned,
        Self::Running,
        Self::Paused,
        Self::Stopped,
        Self::Completed,
        Self::Failed,
        Self::Broken,
        Self::Deleted,
    ];

    /// No state follows but `Deleted`.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Broken | Self::Deleted => true,
            Self::Scheduled
            | Self::Queued
            | Self::Assigned
            | Self::Running
            | Self::Paused
            | Self::Stopped => false,
        }
    }

    /// A runner holds it, so it takes a place in its lane.
    pub fn is_active(self) -> bool {
        match self {
            Self::Assigned | Self::Running => true,
            Self::Scheduled
            | Self::Queued
            | Self::Paused
            | Self::Stopped
            | Self::Completed
            | Self::Failed
            | Self::Broken
            | Self::Deleted => false,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// One process per task.
    #[default]
    Command,
    /// One warm process for many tasks of one owner, spoken to over HTTP.
    Session,
    /// A long-lived process that filters a stream of records until it is stopped.
    Stream,
    /// A long-lived process that serves a page; no tasks run in it.
    Webui,
    /// No process: the input is the result. For measuring and for trying out the queue.
    Noop,
}

/// Through which door a task came. Some doors show without a key what came through them alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// AIMMS Tasks, either version, and our own API.
    #[default]
    Tasks,
    /// The Task Engine API.
    TaskEngine,
    /// The SymetryML API.
    Symetry,
    /// A NATS message.
    Nats,
    /// A message on a subject that an app declared as its trigger.
    Trigger,
}

/// The record of a task: the truth about it, one JSON document in the `tasks` bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Which run of a recurring task, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub run: u32,
    /// A whole number that rises with creation: the revision of the first write of its record. Whoever reads a
    /// record fills it in, so a record of one write need not hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Through which door it came.
    #[serde(default)]
    pub origin: Origin,
    /// Its name, for tasks that are known by one: the stream tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who owns it; the first part of its key.
    pub tenant: Name,
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
    /// Its place among tasks of the same priority, as its owner set it; what is smaller starts earlier.
    #[serde(default = "first_position")]
    pub position: u32,
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
    /// When its record was last written.
    #[serde(default)]
    pub updated_at: Timestamp,
    /// When it may start, and how often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// The steps of a workflow and how far they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Workflow>,
    /// Whom its changes are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// Its changes so far, kept where there is somebody to be told.
    #[serde(default, skip_serializing_if = "Events::is_empty")]
    pub events: Events,
    /// It is to be paused once its running step has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pause: bool,
    /// Its request was run anew, so what it made is not valid any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
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
        TaskKey { tenant: self.tenant.clone(), id: self.id, run: self.run }
    }
}

/// The position that every task has unless its owner said otherwise.
pub const POSITION_DEFAULT: u32 = 1;

fn first_position() -> u32 {
    POSITION_DEFAULT
}
