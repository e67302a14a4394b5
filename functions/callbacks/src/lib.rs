//! `callbacks`: tells others of changes, and asks gates. The only function that dials out, and so the only one
//! that needs a way to. Every replica follows the tasks and answers calls; the one that holds the lease delivers.
//! Two that deliver at once repeat, which every receiver has to expect, and break nothing.

mod courier;
mod dial;
mod ledger;
mod notes;
mod places;
mod post;

use std::sync::Arc;

use broker::Bucket;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use service::{Context, RunError, serve};
use tokio::sync::Semaphore;
use wire::Error;
use wire::calls::callbacks::{CallbacksReply, CallbacksRequest, Delivery, Gate};
use wire::topology::{DELIVERIES, task_key};

use dial::Dialer;

/// Gates that are asked at once; further ones wait, and none of them holds up a delivery.
const GATES_AT_ONCE: usize = 1_024;

/// Open files that all gates and deliveries at once need, with some for the broker.
const FILES_WANTED: u64 = 4_096;

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    allow_files();
    let dialer = Arc::new(Dialer::new(context.settings.outbound.clone()));
    let deliveries: Bucket<Vec<Delivery>> = Bucket::new(&context.broker, DELIVERIES);
    let post = tokio::spawn(post::deliver(context.clone(), Arc::clone(&dialer), deliveries.clone()));
    let gates = Arc::new(Semaphore::new(GATES_AT_ONCE));
    let served = serve(&context, move |request| {
        let (dialer, gates) = (Arc::clone(&dialer), Arc::clone(&gates));
        let deliveries = deliveries.clone();
        async move {
            match request {
                CallbacksRequest::Gate { url } => {
                    let _place = gates.acquire().await.map_err(Error::internal)?;
                    Ok(CallbacksReply::Gate(Gate { closed: dialer.ask(&url).await.err() }))
                }
                CallbacksRequest::Deliveries { key } => {
                    let found = deliveries.get(&task_key(&key)).await?;
                    Ok(CallbacksReply::Deliveries(found.map(|(_, hooks)| hooks).unwrap_or_default()))
                }
            }
        }
    })
    .await;
    post.await.map_err(RunError::from_text)??;
    served
}

/// Most machines allow 1024 open files at first and many more to who asks. With too few of them a request fails as
/// if its receiver were away.
fn allow_files() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let wanted = hard.min(FILES_WANTED).max(soft);
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        tracing::warn!(%error, soft, "no more files may be opened than were allowed at first");
    }
}
