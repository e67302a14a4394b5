//! Log lines: how many are taken in, and what a steady talker costs other tasks.

use std::time::{Duration, Instant};

use domain::Timestamp;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Amount;
use super::door::{Door, NOOP, TALK, strange};
use crate::stack::StackError;
use crate::stack::bench::stats::{Quantiles, median};

/// Lines a second of the steady talker.
pub const STEADY: u64 = 50_000;
/// The talker is up by then.
const SETTLE: Duration = Duration::from_millis(500);

/// What was measured of log lines.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Lines {
    /// Lines of 100 bytes that are stored per second where one task writes as fast as it can.
    pub stored_per_second: f64,
    /// What share of those lines was dropped, and counted.
    pub dropped_share: f64,
    /// A task without a process, create to done, one after the other.
    pub alone: Quantiles,
    /// The same beside a task that writes steadily.
    pub beside: Quantiles,
    /// Lines of the steady talker that were dropped.
    pub steady_dropped: u64,
}

/// Each round measures everything once.
pub async fn measure(door: &Door, amount: Amount) -> Result<Lines, StackError> {
    let (mut stored, mut dropped, mut steady_dropped) = (Vec::new(), Vec::new(), 0);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let half = Duration::from_secs(amount.seconds) / 2;
    for _ in 0..amount.rounds {
        let flood = door.create(TALK, "flood", &format!("{}\n", amount.lines)).await?;
        let task = door.ended(&flood).await?;
        let lost = self::dropped(door, &flood).await?;
        let took = moment(&task, "ended_at")?.micros() - moment(&task, "running_at")?.micros();
        stored.push((amount.lines as u64 - lost) as f64 * 1e6 / took as f64);
        dropped.push(lost as f64 / amount.lines as f64);
        alone.push(others(door, half).await?);
        let steady = door.create(TALK, "steady", &format!("{STEADY} {}\n", amount.seconds)).await?;
        tokio::time::sleep(SETTLE).await;
        beside.push(others(door, half).await?);
        door.ended(&steady).await?;
        steady_dropped += self::dropped(door, &steady).await?;
    }
    Ok(Lines {
        stored_per_second: median(stored),
        dropped_share: median(dropped),
        alone: middle(&alone),
        beside: middle(&beside),
        steady_dropped,
    })
}

fn middle(rounds: &[Quantiles]) -> Quantiles {
    let of = |what: fn(&Quantiles) -> f64| median(rounds.iter().map(what));
    Quantiles { p50_ms: of(|round| round.p50_ms), p99_ms: of(|round| round.p99_ms) }
}

/// Tasks without a process, one after the other.
async fn others(door: &Door, time: Duration) -> Result<Quantiles, StackError> {
    let (until, mut times) = (Instant::now() + time, Vec::new());
    while Instant::now() < until {
        let began = Instant::now();
        door.run(0, NOOP, "run", "x").await?;
        times.push(began.elapsed());
    }
    Ok(Quantiles::of(&times))
}

/// How many lines of a task that has ended are missing.
async fn dropped(door: &Door, id: &str) -> Result<u64, StackError> {
    // Far behind the last line, so that only the counts are read.
    let path = format!("/pro-api/v2/tasks/{id}/logs?limit=1&offset=1000000000");
    let page = door.ask(0, Method::GET, &path, "").await?;
    page.get("dropped").and_then(Value::as_u64).ok_or_else(|| strange(&page))
}

fn moment(task: &Value, field: &str) -> Result<Timestamp, StackError> {
    serde_json::from_value(task.get(field).cloned().unwrap_or_default()).map_err(|_| strange(task))
}
