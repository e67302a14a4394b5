//! What programs ask `status`.

use std::sync::Arc;
use std::time::Duration;

use domain::{Caller, TaskKey};
use service::clock;
use service::door::Endpoint;
use wire::Error;
use wire::door::{replies, requests};

use crate::Status;

/// Everything that programs can ask here.
pub fn endpoints(function: &Arc<Status>) -> Vec<Endpoint> {
    let status = Arc::clone(function);
    vec![Endpoint::new(move |caller, ask| {
        let status = Arc::clone(&status);
        async move { status.task(caller, ask).await }
    })]
}

impl Status {
    async fn task(&self, caller: Caller, ask: requests::Status) -> Result<replies::Task, Error> {
        let key = TaskKey { tenant: caller.tenant.clone(), id: ask.id, run: ask.run.unwrap_or(0) };
        let status = self.get(&caller, key, ask.run.is_none(), Duration::from_secs(ask.wait)).await?;
        Ok(replies::Task::of(status, clock::now()))
    }
}
