//! The heartbeat: what this runner holds, several times a second and when a process starts or ends. Its silence
//! is how `schedule` knows that a runner is gone.

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::board::{Heartbeat, RUNNER_LEASE_MS};
use service::{clock, machine};
use tokio::time::Instant;
use wire::runner::Beat;
use wire::subjects;

use crate::Runner;

/// A fifth of the lease: four beats may be lost.
const BEAT_EVERY: Duration = Duration::from_millis(RUNNER_LEASE_MS / 5);

/// Processes that start by the hundred don't each make a beat.
const BEATS_APART: Duration = Duration::from_millis(50);

/// What does not change while a runner lives.
#[derive(Clone)]
pub struct Origin {
    started_at: Timestamp,
    /// The name of the machine.
    pub host: String,
    fences: String,
}

impl Origin {
    /// Now, on this machine.
    pub fn here() -> Self {
        Self { started_at: clock::now(), host: machine::host(), fences: keeper::fences().to_string() }
    }
}

/// Beats until it is aborted.
pub async fn beat(runner: Arc<Runner>) {
    let mut ticks = tokio::time::interval(BEAT_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = runner.held.process_changed.notified() => tokio::time::sleep_until(heard + BEATS_APART).await,
        }
        if !runner.broker.is_connected() {
            continue;
        }
        // After a long gap others may have our tasks: every claim is reported anew, and what is refused
        // is ended.
        if heard.elapsed() > Duration::from_millis(RUNNER_LEASE_MS) {
            tracing::warn!("silent for longer than the lease; asking whether the claims still hold");
            runner.held.doubt_all();
        }
        heard = Instant::now();
        tell(&runner).await;
    }
}

/// One beat.
pub async fn tell(runner: &Runner) {
    let (slots, draining, held, mut processes) = runner.held.show();
    let (warm, sessions) = runner.pool.show();
    processes.extend(sessions);
    let heartbeat = Heartbeat { runner: runner.id, slots, draining, held, warm };
    let Origin { started_at, host, fences } = runner.origin.clone();
    let beat = Beat { heartbeat, host, started_at, fences, processes };
    runner.broker.tell(subjects::beat(runner.id), &beat).await;
}
