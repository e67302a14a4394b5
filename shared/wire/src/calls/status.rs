//! Calls to `status`.

use domain::jobs::{Dashboard, Job, JobCounts, JobQuery, Viewer};
use domain::lane::{LaneLimits, Waiting};
use domain::list::{Query, Summary};
use domain::session::list::SessionQuery;
use domain::{Caller, Payload, RunnerId, TaskId, TaskKey};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;
use crate::calls::callbacks::Delivery;
use crate::calls::sessions::{Session, SessionPage};
use crate::runner::Progress;

/// Calls to `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusRequest {
    /// One task.
    Get {
        /// Who asks.
        caller: Caller,
        /// Which.
        id: TaskId,
        /// Which run of it; `None` is the last one.
        #[serde(default)]
        run: Option<u32>,
        /// Wait up to so many milliseconds for its end.
        wait_ms: u64,
    },
    /// Many tasks.
    List {
        /// Who asks.
        caller: Caller,
        /// Which, in which order, and which page.
        query: Query,
    },
    /// The number of a recurring task's last run that is not deleted.
    LastRun {
        /// The task, by any of its runs.
        key: TaskKey,
    },
    /// One job by its number, with its parameters.
    Job {
        /// Who looks.
        viewer: Viewer,
        /// Its number.
        number: u64,
    },
    /// Many jobs, with their parameters.
    Jobs {
        /// Who looks.
        viewer: Viewer,
        /// Which.
        query: JobQuery,
    },
    /// What runs, waits and is scheduled of the jobs that came through the Task Engine's door.
    Dashboard {
        /// Only this client's.
        client: Option<String>,
    },
    /// One stream task by its name.
    Stream {
        /// Who asks.
        caller: Caller,
        /// Its name.
        name: String,
    },
    /// The names of the tenant's stream tasks, in order.
    Streams {
        /// Who asks.
        caller: Caller,
    },
    /// How many jobs of a client that came through the Task Engine's door are in each state.
    JobCounts {
        /// Whose.
        client: String,
    },
    /// Many sessions: those with a record, and the processes of tasks. `sessions` asks, and adds what it hears.
    Sessions {
        /// Who asks.
        caller: Caller,
        /// Which, in which order, and which page.
        query: SessionQuery,
        /// The live sessions of the tenant, as the heartbeats tell.
        live: Vec<Session>,
        /// The live runners.
        runners: Vec<RunnerId>,
    },
}

/// What `status` replies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusReply {
    /// One task.
    Task(TaskStatus),
    /// Many tasks.
    Page(Page),
    /// The number of the last run; `None` where all are deleted.
    LastRun(Option<u32>),
    /// One job; `None` where there is none that the viewer may see.
    Job(Option<Job>),
    /// Jobs in order.
    Jobs(Vec<Job>),
    /// What runs, waits and is scheduled.
    Dashboard(Dashboard),
    /// One stream task, with its parameters.
    Stream {
        /// The task.
        summary: Summary,
        /// Its parameters.
        params: Payload,
    },
    /// Names of stream tasks.
    Streams(Vec<String>),
    /// The counts, and the limits of the lane.
    JobCounts(JobCounts, LaneLimits),
    /// Many sessions.
    Sessions(SessionPage),
}

/// All about one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The task.
    pub summary: Summary,
    /// Its response, once there is one.
    pub result: Option<Payload>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// Why it waits, while it does.
    pub waiting: Option<Waiting>,
    /// How far its hooks are told, in the order in which it has them; empty where it was waited for.
    #[serde(default)]
    pub deliveries: Vec<Delivery>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The rows.
    pub tasks: Vec<Summary>,
    /// How many rows the whole list has.
    pub total: u64,
    /// The page had to end early to fit a message; ask again from here on.
    pub cut: bool,
}

impl Call for StatusRequest {
    const FUNCTION: Function = Function::Status;
    type Reply = StatusReply;

    fn deadline_seconds(&self) -> u64 {
        match self {
            Self::Get { wait_ms, .. } => 5 + wait_ms / 1000,
            Self::List { .. }
            | Self::LastRun { .. }
            | Self::Job { .. }
            | Self::Jobs { .. }
            | Self::Dashboard { .. }
            | Self::Stream { .. }
            | Self::Streams { .. }
            | Self::JobCounts { .. }
            | Self::Sessions { .. } => 10,
        }
    }
}
