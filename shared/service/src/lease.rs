//! Which replica acts. A lease in a bucket: renewed twice a second, free after two seconds of silence
//! as another replica's own clock counts them, so no two clocks are ever compared.

use std::time::Duration;

use broker::{Broker, Bucket, WriteError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::Function;
use wire::topology::LEASES;

use crate::ids;

const RENEW_EVERY: Duration = Duration::from_millis(500);
/// A renewal lets its holder act for this long.
const ACT_FOR: Duration = Duration::from_millis(1_500);
/// A lease that did not move for this long is free. Longer than the holder may act on its last renewal.
const FREE_AFTER: Duration = Duration::from_millis(2_000);

#[derive(Serialize, Deserialize)]
struct Holder {
    /// Random per replica; empty once it was given back.
    holder: String,
}

/// The lease as its replica sees it.
pub struct Lease {
    until: watch::Receiver<Option<Instant>>,
    keeper: tokio::task::JoinHandle<()>,
}

impl Lease {
    /// Begins to compete for the lease, until `stop`; then gives it back.
    pub fn compete(broker: &Broker, stop: CancellationToken) -> Result<Self, wire::Error> {
        let (function, name) = (broker.function(), ids::random()?.to_string());
        let bucket = Bucket::new(broker, LEASES);
        let (sender, until) = watch::channel(None);
        let keeper = tokio::spawn(async move {
            let mut keeper = Keeper { function, bucket, name, revision: None, silent: None };
            let mut ticks = tokio::time::interval(RENEW_EVERY);
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = stop.cancelled() => break,
                }
                let asked = Instant::now();
                if keeper.renew().await {
                    sender.send_replace(Some(asked + ACT_FOR));
                }
            }
            sender.send_replace(None);
            keeper.give_back().await;
        });
        Ok(Self { until, keeper })
    }

    /// Whether this replica may act at this moment.
    pub fn is_held(&self) -> bool {
        self.permit().is_valid()
    }

    /// The same, for work that goes on beside.
    pub fn permit(&self) -> Permit {
        Permit(self.until.clone())
    }

    /// Ends after the lease was given back.
    pub async fn ended(self) {
        // A panic in the keeper has been reported by the runtime; the lease frees itself by silence.
        let _ = self.keeper.await;
    }
}

/// Says whether the replica may act.
#[derive(Clone)]
pub struct Permit(watch::Receiver<Option<Instant>>);

impl Permit {
    /// Whether it may at this moment.
    pub fn is_valid(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }
}

struct Keeper {
    function: Function,
    bucket: Bucket<Holder>,
    name: String,
    /// Our own last renewal.
    revision: Option<u64>,
    /// Another's last renewal, and since when we have seen it unmoved.
    silent: Option<(u64, Instant)>,
}

impl Keeper {
    async fn renew(&mut self) -> bool {
        if let Some(revision) = self.revision {
            return self.write(revision).await;
        }
        match self.bucket.get(self.function.name()).await {
            Ok(None) => self.write(0).await,
            Ok(Some((revision, holder))) => {
                let since = match self.silent {
                    Some((known, since)) if known == revision => since,
                    Some(_) | None => Instant::now(),
                };
                self.silent = Some((revision, since));
                let free = holder.holder.is_empty() || since.elapsed() >= FREE_AFTER;
                if free { self.write(revision).await } else { false }
            }
            Err(_) => false,
        }
    }

    async fn write(&mut self, revision: u64) -> bool {
        match self.bucket.write(self.function.name(), revision, &Holder { holder: self.name.clone() }).await {
            Ok(revision) => {
                self.revision = Some(revision);
                true
            }
            // After an unknown outcome we look again like anyone else; our own renewal then reads as
            // another's, and has to fall silent first. That costs two seconds and can't be wrong.
            Err(WriteError::Conflict | WriteError::Unsettled | WriteError::Unknown(_)) => {
                self.revision = None;
                false
            }
            Err(error @ (WriteError::Full | WriteError::TooLarge | WriteError::Refused(_))) => {
                tracing::error!(%error, "the lease can't be written");
                self.revision = None;
                false
            }
        }
    }

    async fn give_back(&mut self) {
        if let Some(revision) = self.revision
            && let Err(error) =
                self.bucket.write(self.function.name(), revision, &Holder { holder: String::new() }).await
        {
            tracing::debug!(%error, "the lease was not given back; it frees itself in two seconds");
        }
    }
}
