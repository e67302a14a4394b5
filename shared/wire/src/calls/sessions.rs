//! Calls to `sessions`: so far, which processes run where.

use domain::{Caller, RunnerId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;
use crate::runner::Process;

/// The live sessions that the caller may see, and the runners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionsRequest {
    /// Who asks. An admin sees all of the tenant's, another only the own.
    pub caller: Caller,
}

/// The live sessions and runners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionsReply {
    /// Live processes, oldest first.
    pub sessions: Vec<Session>,
    /// Live runners.
    pub runners: Vec<RunnerStatus>,
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
}

impl Call for SessionsRequest {
    const FUNCTION: Function = Function::Sessions;
    type Reply = SessionsReply;
}
