//! Sessions: the processes that run tasks. What one is for, what it does, and for whom a warm one may be used.

pub mod list;

use serde::{Deserialize, Serialize};

use crate::task::state::Task;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// It runs tasks, without a page.
    Task,
    /// It serves a page to people.
    Webui,
}

/// What a live session does at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// Its process is not ready yet.
    Starting,
    /// It runs a task, or serves its page.
    Busy,
    /// It is warm: it waits for a task, which then starts without the start of a process.
    Idle,
}

/// Where a session stands in its record. Between the two ends there is nothing to write: what a live session
/// does is told by heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Its process is up. The runner writes it and moves it on when the process has ended. If the runner dies
    /// the record stays as it is and nobody's heartbeat names the session: then it is terminated.
    Running,
    /// It ended by itself, or because it was idle or old, or had run its number of tasks.
    Finished,
    /// It could not be started, broke off, or broke the session protocol; `message` says which.
    Failed,
    /// Somebody ended it, or its runner stopped.
    Terminated,
}

impl SessionState {
    /// Nothing follows.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Running => false,
            Self::Finished | Self::Failed | Self::Terminated => true,
        }
    }
}

/// Where a session stands as people are told it: what the record says, and what only heartbeats know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Its process is not ready yet.
    Starting,
    /// Its process is up.
    Running,
    /// It ended by itself, or because it was idle or old, or had run its number of tasks.
    Finished,
    /// It could not be started, broke off, or broke the session protocol.
    Failed,
    /// Somebody ended it, or its runner stopped or was lost.
    Terminated,
}

impl Standing {
    /// Nothing follows.
    pub fn has_ended(self) -> bool {
        match self {
            Self::Starting | Self::Running => false,
            Self::Finished | Self::Failed | Self::Terminated => true,
        }
    }

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Terminated => "terminated",
        }
    }
}

impl From<SessionState> for Standing {
    fn from(state: SessionState) -> Self {
        match state {
            SessionState::Running => Self::Running,
            SessionState::Finished => Self::Finished,
            SessionState::Failed => Self::Failed,
            SessionState::Terminated => Self::Terminated,
        }
    }
}

/// Whose tasks a warm session may run: one owner's, of one app version. Two users never share a process, since
/// what one left in its memory would be the other's to read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionOf {
    /// The tenant.
    pub tenant: String,
    /// The owner.
    pub user: String,
    /// The app.
    pub app: String,
    /// Its version.
    pub version: String,
}

impl SessionOf {
    /// The sessions that may run this task.
    pub fn task(task: &Task) -> Self {
        Self {
            tenant: task.tenant.to_string(),
            user: task.user.clone(),
            app: task.app.clone(),
            version: task.version.clone(),
        }
    }
}
