//! Calls to `sessions`: which processes run where, the sessions that were and are, and how one is ended.

use domain::session::list::{SessionQuery, SessionSummary};
use domain::{Caller, RunnerId, SessionId, SessionKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calls::Call;
use crate::runner::Process;
use crate::{Code, Error, Function};

/// Calls to `sessions`. An admin sees all of the tenant's, another only the own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionsRequest {
    /// The live sessions and the runners.
    Live {
        /// Who asks.
        caller: Caller,
    },
    /// Many sessions, those that have ended too.
    List {
        /// Who asks.
        caller: Caller,
        /// Which, in which order, and which page.
        query: SessionQuery,
    },
    /// One session.
    Get {
        /// Who asks.
        caller: Caller,
        /// What it is for; `None` is any.
        kind: Option<SessionKind>,
        /// Which.
        id: SessionId,
    },
    /// Start one that serves a page; answered when its process is ready.
    Start {
        /// Who asks.
        caller: Caller,
        /// Of which app.
        app: String,
        /// Of which version; `None` is the one tagged as latest.
        version: Option<String>,
    },
    /// Where the page of a session is served. To ask is to use it: its idle time begins anew.
    Reach {
        /// Who asks.
        caller: Caller,
        /// Which session.
        id: SessionId,
    },
    /// End one with all its processes; answered when it has ended.
    Terminate {
        /// Who asks.
        caller: Caller,
        /// What it is for; `None` is any.
        kind: Option<SessionKind>,
        /// Which.
        id: SessionId,
    },
}

/// What `sessions` replies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionsReply {
    /// The live sessions and runners.
    Live(LiveSessions),
    /// Many sessions.
    Page(SessionPage),
    /// One session, as it is now.
    Session(Box<SessionSummary>),
    /// Where a page is served.
    Reached(PagePlace),
}

/// Where the page of a session is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PagePlace {
    /// The machine.
    pub host: String,
    /// The port of its loopback interface.
    pub port: u16,
}

/// One page of a list of sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionPage {
    /// The rows.
    pub sessions: Vec<SessionSummary>,
    /// How many rows the whole list has.
    pub total: u64,
    /// The page had to end early to fit a message; ask again from here on.
    pub cut: bool,
}

/// The live sessions and runners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveSessions {
    /// Live processes, oldest first.
    pub sessions: Vec<Session>,
    /// Live runners.
    pub runners: Vec<RunnerStatus>,
}

/// There is no such session for this caller.
pub fn session_not_found(id: impl std::fmt::Display) -> Error {
    Error::new(Code::NotFound, format!("session {id} does not exist"))
}

/// A live process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// The runner that hosts it.
    pub runner: RunnerId,
    /// The machine it is on.
    pub host: String,
}

/// A live runner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunnerStatus {
    /// Its id.
    pub runner: RunnerId,
    /// The machine it is on.
    pub host: String,
    /// Since when it is up.
    pub started_at: Timestamp,
    /// How many tasks it may hold at once.
    pub slots: u32,
    /// How many it holds, of all tenants.
    pub held: u32,
    /// It takes no more.
    pub draining: bool,
    /// What keeps its task processes to themselves on that machine, in words.
    #[serde(default)]
    pub fences: String,
}

impl Call for SessionsRequest {
    const FUNCTION: Function = Function::Sessions;
    type Reply = SessionsReply;

    fn deadline_seconds(&self) -> u64 {
        match self {
            Self::Live { .. } | Self::Reach { .. } => 5,
            Self::List { .. } | Self::Get { .. } => 10,
            Self::Terminate { .. } => TERMINATE_SECONDS + 5,
            Self::Start { .. } => START_SECONDS + 5,
        }
    }
}

/// How long a session may take until its page is there: longer than its runner waits for it.
pub const START_SECONDS: u64 = 70;

/// How long a session may take to end once it is told to: longer than the grace of its processes.
pub const TERMINATE_SECONDS: u64 = 20;
