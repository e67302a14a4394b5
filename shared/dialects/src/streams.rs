//! What can be done with stream tasks, and how one is.

use domain::Timestamp;
use serde::{Deserialize, Serialize};

/// What can be done with stream tasks, which are known by their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamOrder {
    /// Make one, which is not started by that. Outcome: `Stream`.
    Create {
        /// Its name.
        name: String,
        /// The app whose process it runs; looked for when it is started.
        app: String,
        /// What the process is to read and write, and more.
        params: domain::stream::Params,
        /// Take the place of another of the same name.
        force: bool,
    },
    /// Start it. Outcome: `Stream`.
    Start {
        /// Which.
        name: String,
    },
    /// Stop it. Outcome: `Stream`.
    Stop {
        /// Which.
        name: String,
    },
    /// Stop and delete it. Outcome: `Done`.
    Delete {
        /// Which.
        name: String,
    },
    /// How it is. Outcome: `Stream`.
    Status {
        /// Which.
        name: String,
    },
    /// All of the tenant. Outcome: `Names`.
    List,
}

/// How a stream task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamStatus {
    /// Its name.
    pub name: String,
    /// It is started, and not stopped since.
    pub running: bool,
    /// Since when it runs.
    pub started_at: Option<Timestamp>,
    /// There is a process at this moment.
    pub alive: bool,
    /// What went wrong last.
    pub last_error: Option<String>,
}
