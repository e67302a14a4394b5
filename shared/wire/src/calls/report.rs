//! Calls to `report`: what runners say about their claims.

use crate::Function;
use crate::calls::Call;
use crate::runner::ReportRequest;

impl Call for ReportRequest {
    const FUNCTION: Function = Function::Report;
    /// Accepted. A stale claim is refused with the code `stale_claim`, an ended task with `wrong_state`.
    type Reply = ();
}
