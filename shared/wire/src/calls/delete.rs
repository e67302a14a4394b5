//! Calls to `delete`.

use domain::{Caller, TaskId, TaskKey};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;

/// Calls to `delete`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteRequest {
    /// Delete a task.
    Task {
        /// Who asks.
        caller: Caller,
        /// Which.
        id: TaskId,
        /// Which run of it; `None` is the last one.
        #[serde(default)]
        run: Option<u32>,
    },
    /// Delete a stream task; one that runs is stopped first.
    Stream {
        /// Who asks.
        caller: Caller,
        /// Which.
        id: TaskId,
    },
    /// Remove the bodies of a task that is deleted; `schedule` asks when a crash left them.
    Bodies {
        /// Which.
        key: TaskKey,
    },
}

impl Call for DeleteRequest {
    const FUNCTION: Function = Function::Delete;
    type Reply = ();
}
