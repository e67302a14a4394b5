//! Room in the store of logs: no tenant's lines push out those of another. Every replica counts for itself; two that
//! remove the same do no harm, and only what was really removed is counted.

use std::time::Duration;

use broker::{Broker, Bucket};
use domain::Timestamp;
use service::Context;
use wire::records::LogCut;
use wire::topology::{self, LOG_CUTS, LOGS, Sizes};
use wire::{Error, subjects};

use crate::ledger::{Bounds, Cut, Ledger};

const RETRY: Duration = Duration::from_secs(1);

/// How much there may be: the store itself drops its oldest where it is full, whosever they are, so that it must not
/// come to that.
pub fn bounds(sizes: Sizes) -> Bounds {
    let store = topology::log_bytes(sizes);
    Bounds { tenant: store / 100 * sizes.log_tenant_percent, all: store / 10 * 9 }
}

/// Keeps room until the service stops.
pub async fn keep(context: Context) {
    let room = Room {
        bounds: bounds(context.settings.sizes),
        cuts: Bucket::new(&context.broker, LOG_CUTS),
        broker: context.broker.clone(),
    };
    loop {
        let kept = tokio::select! {
            kept = room.keep_once() => kept,
            () = context.stop.cancelled() => return,
        };
        if let Err(error) = kept {
            tracing::debug!(%error, "counting the logs anew");
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = context.stop.cancelled() => return,
        }
    }
}

struct Room {
    bounds: Bounds,
    cuts: Bucket<LogCut>,
    broker: Broker,
}

impl Room {
    /// Counts everything and goes on with what comes, until something breaks or the count is too far from the truth.
    async fn keep_once(&self) -> Result<(), Error> {
        let mut ledger = Ledger::new(self.bounds);
        let mut weights = self.broker.weights(LOGS).await?;
        // By how much we count more than the broker does, once we know everything.
        let mut bias = None;
        loop {
            let weight = weights.next().await?;
            let Some(tenant) = subjects::tenant_of_line(&weight.subject) else { continue };
            let is_over = ledger.note(tenant, weight.sequence, weight.bytes, weight.at);
            if bias.is_none() && weight.is_newest {
                let held = self.broker.held(LOGS).await?;
                ledger.forget_before(held.first);
                bias = Some(ledger.bytes().saturating_sub(held.bytes));
            }
            let Some(bias) = bias.filter(|_| is_over) else { continue };
            let held = self.broker.held(LOGS).await?;
            ledger.forget_before(held.first);
            // The broker also drops what is too much of one task, which nobody tells us.
            if ledger.bytes() > held.bytes + bias + self.bounds.tenant / 16 {
                return Ok(());
            }
            for cut in ledger.cuts() {
                self.make(cut).await?;
            }
        }
    }

    async fn make(&self, cut: Cut) -> Result<(), Error> {
        let Cut { tenant, before, bytes, at } = cut;
        let batches = self.broker.remove_before(LOGS, subjects::lines_of(&tenant), before).await?;
        if batches == 0 {
            return Ok(());
        }
        tracing::warn!(
            tenant,
            batches,
            bytes,
            "the oldest log lines of a tenant made room for its newer ones"
        );
        let noted = self.cuts.update(&tenant, |known| Ok(Some(added(known, batches, bytes, at)))).await;
        noted.map(drop)
    }
}

fn added(known: Option<LogCut>, batches: u64, bytes: u64, at: Timestamp) -> LogCut {
    let known = known.unwrap_or_default();
    LogCut { batches: known.batches + batches, bytes: known.bytes + bytes, before: known.before.max(at) }
}
