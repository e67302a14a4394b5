//! A connection to a page that went on as something else than HTTP, as WebSockets do: bytes pass both ways until
//! either end has gone, the session has ended, or we stop.

use std::time::Duration;

use domain::{Caller, SessionId};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use wire::{Code, Error};

use crate::forward::Forward;
use crate::socket::InRequest;

/// How often a session is told that somebody still looks at its page, and asked whether it is still there for them.
/// A page whose idle time is not longer than this would end under its visitor.
const USE_EVERY: Duration = Duration::from_secs(2);

/// The two sides, before they are upgraded.
pub struct Relay {
    forward: Forward,
    caller: Caller,
    session: SessionId,
    visitor: OnUpgrade,
    page: OnUpgrade,
    place: OwnedSemaphorePermit,
}

impl Relay {
    /// Takes a place among all relays.
    pub fn new(
        forward: &Forward,
        caller: Caller,
        session: SessionId,
        visitor: OnUpgrade,
        page: OnUpgrade,
    ) -> Result<Self, Error> {
        let place = std::sync::Arc::clone(&forward.relays).try_acquire_owned();
        let place = place.map_err(|_| Error::unavailable("too many WebSockets are open"))?;
        Ok(Self { forward: forward.clone(), caller, session, visitor, page, place })
    }

    /// Passes bytes from now on. The request is one as long as they pass.
    pub fn begin(self, in_request: InRequest) {
        tokio::spawn(async move {
            let stop = self.forward.stop.clone();
            tokio::select! {
                () = self.pass() => {}
                () = stop.cancelled() => {}
            }
            drop(in_request);
        });
    }

    async fn pass(self) {
        let Self { forward, caller, session, visitor, page, place } = self;
        let (Ok(visitor), Ok(page)) = tokio::join!(visitor, page) else { return };
        let (mut visitor, mut page) = (TokioIo::new(visitor), TokioIo::new(page));
        tokio::select! {
            passed = tokio::io::copy_bidirectional(&mut visitor, &mut page) => {
                if let Err(error) = passed {
                    tracing::debug!(%error, "a WebSocket broke");
                }
            }
            () = until_gone(&forward, &caller, session) => {}
        }
        drop(place);
    }
}

/// Waits until the session is not there any more for this visitor; until then it counts as used.
pub async fn until_gone(forward: &Forward, caller: &Caller, session: SessionId) {
    loop {
        tokio::time::sleep(USE_EVERY).await;
        if forward.reach(caller, session).await.is_err_and(|error| error.code == Code::NotFound) {
            return;
        }
    }
}
