//! Takes the calls to one function: one task per call, bounded, drained on stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use wire::calls::{Answer, Call};
use wire::{Code, Error, subjects};

use crate::{Context, RunError};

/// Calls that one replica works on at once; what comes beyond waits in the subscription.
const CALLS_AT_ONCE: usize = 1024;
/// How long the broker may take to say that no further calls come; one that is away never says so.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// Serves one function until it is stopped, then ends what it has begun.
pub async fn serve<C, H, F>(context: &Context, handler: H) -> Result<(), RunError>
where
    C: Call,
    H: Fn(C) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<C::Reply, Error>> + Send + 'static,
{
    let broker = &context.broker;
    let mut calls =
        broker.requests(subjects::function(C::FUNCTION), true).await.map_err(RunError::from_text)?;
    let mut pings = broker.requests(subjects::ping(C::FUNCTION), true).await.map_err(RunError::from_text)?;
    let places = Arc::new(Semaphore::new(CALLS_AT_ONCE));
    tracing::debug!(function = %C::FUNCTION, "serving");
    let mut stopping = false;
    let drained = tokio::time::sleep(STOP_PATIENCE);
    let mut drained = std::pin::pin!(drained);
    loop {
        let incoming = tokio::select! {
            incoming = calls.next() => incoming,
            () = drained.as_mut(), if stopping => break,
            Some(ping) = pings.next() => {
                ping.answer(&()).await;
                continue;
            }
            () = context.stop.cancelled(), if !stopping => {
                stopping = true;
                calls.stop().await;
                drained.as_mut().reset(Instant::now() + STOP_PATIENCE);
                continue;
            }
        };
        let Some(incoming) = incoming else { break };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let handler = handler.clone();
        tokio::spawn(async move {
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
            incoming.answer(&answer).await;
            drop(place);
        });
    }
    // Every place free again means that every call was answered.
    let all = u32::try_from(CALLS_AT_ONCE).unwrap_or(u32::MAX);
    let _ = places.acquire_many(all).await;
    broker.flush().await;
    Ok(())
}

fn log(function: wire::Function, error: &Error) {
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
