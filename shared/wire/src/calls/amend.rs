//! Calls to `amend`.

use domain::list::Summary;
use domain::task::input::Amendment;
use domain::{Caller, TaskId};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;

/// Change a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AmendRequest {
    /// Who asks.
    pub caller: Caller,
    /// Which task.
    pub id: TaskId,
    /// Which run of it; `None` is the last one.
    #[serde(default)]
    pub run: Option<u32>,
    /// What is wanted.
    pub change: AmendChange,
}

/// What is wanted of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmendChange {
    /// These changes, all of them or none.
    Amend(Amendment),
    /// A stream task is to run.
    Start,
    /// A stream task is to stop.
    Stop,
    /// Its request was run anew.
    Supersede,
}

impl Call for AmendRequest {
    const FUNCTION: Function = Function::Amend;
    /// The task as it stands now.
    type Reply = Summary;
}
