//! Calls to `interrupt`.

use domain::list::Summary;
use domain::task::state::InterruptKind;
use domain::{Caller, TaskId};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;

/// End a task early.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InterruptRequest {
    /// Who asks.
    pub caller: Caller,
    /// Which task.
    pub id: TaskId,
    /// Which run of it; `None` is the last one.
    #[serde(default)]
    pub run: Option<u32>,
    /// How.
    pub kind: InterruptKind,
}

impl Call for InterruptRequest {
    const FUNCTION: Function = Function::Interrupt;
    /// The task as it stands now.
    type Reply = Summary;
}
