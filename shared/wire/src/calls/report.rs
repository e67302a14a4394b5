//! Calls to `report`: what runners say about their claims.

use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::{Answer, Call};
use crate::runner::ReportRequest;

/// How a claim stands after a report about it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The claim goes on. Where it does not, the task has ended, or was held back between two steps.
    pub holds: bool,
}

impl Call for ReportRequest {
    const FUNCTION: Function = Function::Report;
    /// What became of each, in their order. A stale claim is refused with the code `stale_claim`, an ended task
    /// with `wrong_state`.
    type Reply = Vec<Answer<Standing>>;
}
