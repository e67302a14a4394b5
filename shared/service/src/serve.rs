//! Takes the calls to one function: one task per call, bounded, drained on stop.

use std::sync::Arc;
use std::time::Duration;

use broker::call::{Incoming, Requests};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::calls::{Answer, Call};
use wire::{Code, Error, subjects};

use crate::door::{Door, Endpoint};
use crate::{Context, RunError};

/// Calls that one replica works on at once; what comes beyond waits in the subscription.
const CALLS_AT_ONCE: u32 = 1024;
/// How long the broker may take to say that no further calls come; one that is away never says so.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// Serves one function until it is stopped, then ends what it has begun.
pub async fn serve<C, H, F>(context: &Context, handler: H) -> Result<(), RunError>
where
    C: Call,
    H: Fn(C) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<C::Reply, Error>> + Send + 'static,
{
    serve_with_door(context, Vec::new(), handler).await
}

/// The same for a function that answers programs too.
pub async fn serve_with_door<C, H, F>(
    context: &Context,
    endpoints: Vec<Endpoint>,
    handler: H,
) -> Result<(), RunError>
where
    C: Call,
    H: Fn(C) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<C::Reply, Error>> + Send + 'static,
{
    let broker = &context.broker;
    let calls = broker.near_requests(subjects::function(C::FUNCTION), true).await;
    let calls = calls.map_err(RunError::from_text)?;
    let pings = broker.requests(subjects::ping(C::FUNCTION), true).await.map_err(RunError::from_text)?;
    let door = Door::open(context, C::FUNCTION, endpoints).await?;
    tracing::debug!(function = %C::FUNCTION, "serving");
    let places = Places::new();
    let calls = take(calls, &places, &context.stop, move |mut incoming: Incoming| {
        let handler = handler.clone();
        async move {
            let answer = match incoming.read::<C>() {
                Ok(call) => handler(call).await,
                Err(error) => Err(error),
            };
            let answer = match answer {
                Ok(reply) => Answer::Ok(reply),
                Err(error) => {
                    log(C::FUNCTION, &error);
                    Answer::Err(error)
                }
            };
            incoming.answer(answer).await;
        }
    });
    let pings = take(pings, &places, &context.stop, |ping: Incoming| async move { ping.answer(()).await });
    tokio::join!(calls, pings, door.serve(&context.stop));
    places.all_free().await;
    broker.flush().await;
    Ok(())
}

/// A bound on what is worked on at once.
#[derive(Clone)]
pub(crate) struct Places(Arc<Semaphore>);

impl Places {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(CALLS_AT_ONCE as usize)))
    }

    /// Every place free again means that everything was answered.
    pub(crate) async fn all_free(&self) {
        let _ = self.0.acquire_many(CALLS_AT_ONCE).await;
    }
}

/// Takes what comes on a subscription until the stop, then what the broker had sent already.
pub(crate) async fn take<H, F>(mut requests: Requests, places: &Places, stop: &CancellationToken, handler: H)
where
    H: Fn(Incoming) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut stopping = false;
    let drained = tokio::time::sleep(STOP_PATIENCE);
    let mut drained = std::pin::pin!(drained);
    loop {
        let incoming = tokio::select! {
            incoming = requests.next() => incoming,
            () = drained.as_mut(), if stopping => break,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                requests.stop().await;
                drained.as_mut().reset(Instant::now() + STOP_PATIENCE);
                continue;
            }
        };
        let Some(incoming) = incoming else { break };
        let Ok(place) = Arc::clone(&places.0).acquire_owned().await else { break };
        // In a box, since a call's future has some kilobytes, which are copied each time that it changes hands.
        let work = Box::pin(handler(incoming));
        tokio::spawn(async move {
            work.await;
            drop(place);
        });
    }
}

/// Notes what a call met, each with the weight that it has for us.
pub(crate) fn log(function: wire::Function, error: &Error) {
    match error.code {
        Code::Internal => tracing::error!(%function, %error, "a call failed by our own fault"),
        Code::Unavailable | Code::Timeout => tracing::warn!(%function, %error, "a call could not be done"),
        Code::BadRequest
        | Code::Unauthenticated
        | Code::Forbidden
        | Code::NotFound
        | Code::AppNotFound
        | Code::LatestNotFound
        | Code::TaskNotFound
        | Code::WrongState
        | Code::Conflict
        | Code::KeyReused
        | Code::TooLarge
        | Code::LaneFull
        | Code::StorageFull
        | Code::StaleClaim => tracing::debug!(%function, %error, "a call was refused"),
    }
}
