//! What many tasks cost that wait for a time far away, and how late those are whose time comes.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use service::Durability;

use super::jobs::client::JobsClient;
use super::jobs::due::{self, By, Lateness};
use super::jobs::records::Records;
use super::stack::OwnStack;
use super::stats::{Quantiles, median};
use crate::console::Console;
use crate::stack::StackError;

/// Tasks that are due while we watch, and over how long.
const DUE: usize = 2_000;
const OVER_MICROS: i64 = 10_000_000;
/// Jobs that run one after the other, in so many rounds, for what the pending ones cost others.
const ROUNDS: usize = 3;
const ONE_BY_ONE: usize = 300;
/// How long the followers may take to draw all of them.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many, and how long until memory has come to rest with them.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    pending: usize,
    rest: Duration,
}

/// For the page. The broker forgets after two minutes what it holds of blocks that nobody has looked at since.
pub const WHOLE: Amount = Amount { pending: 100_000, rest: Duration::from_secs(150) };
/// For a first impression, which has the broker's caches in it.
pub const QUICK: Amount = Amount { pending: 20_000, rest: Duration::from_secs(3) };
/// The same without them.
const SETTLE: Duration = Duration::from_secs(3);

/// What was measured of schedules.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SchedulesReport {
    /// The durability class in force.
    pub durability: String,
    /// The command that gives it again.
    pub command: String,
    /// When it was measured.
    pub measured_at: String,
    /// Tasks that wait for a time far away.
    pub pending: usize,
    /// What they add to the memory of the process with every function.
    pub functions_memory_mb: f64,
    /// What they add to the memory of the broker.
    pub broker_memory_mb: f64,
    /// From a create to the end of a job, without them; medians over the rounds.
    pub before: Quantiles,
    /// The same with them.
    pub with: Quantiles,
    /// Of tasks whose time comes, with them.
    pub due: Lateness,
}

/// Measures on a stack of its own.
pub async fn measure(
    amount: Amount,
    command: String,
    console: Console,
) -> Result<SchedulesReport, StackError> {
    let folder = tempfile::tempdir().map_err(StackError::text)?;
    let class = Durability::Interval;
    let stack = OwnStack::start(folder.path(), class).await?;
    let measured = measure_on(&stack, class, amount, command, console).await;
    stack.stop().await?;
    measured
}

async fn measure_on(
    stack: &OwnStack,
    class: Durability,
    Amount { pending, rest }: Amount,
    command: String,
    console: Console,
) -> Result<SchedulesReport, StackError> {
    let client = JobsClient::open(stack).await?;
    console.note("schedules: jobs one by one, without any");
    let before = one_by_one(&client).await?;
    let empty = memory(stack, SETTLE).await?;
    console.note(&format!("schedules: {pending} pending"));
    let far = json!({
        "state": "scheduled", "origin": "tasks", "lane": "tasks.demo", "service": "run", "epoch": 0, "workflow": null,
        "timing": { "run_at": "2099-01-01T00:00:00Z" },
        "assigned_at": null, "running_at": null, "ended_at": null, "return_code": null,
    });
    Records::open(stack).await?.write(pending, |_| far.clone()).await?;
    until_drawn(&client, pending as u64).await?;
    console.note(&format!("schedules: at rest for {} s", rest.as_secs()));
    let full = memory(stack, rest).await?;
    console.note("schedules: jobs one by one, with them");
    let with = one_by_one(&client).await?;
    console.note(&format!("schedules: {DUE} due"));
    let due = due::measure(&client, By::Time, DUE, OVER_MICROS).await?;
    Ok(SchedulesReport {
        durability: class.name().to_owned(),
        command,
        measured_at: service::clock::now().format("%Y-%m-%d %H:%M UTC"),
        pending,
        functions_memory_mb: full.0 - empty.0,
        broker_memory_mb: full.1 - empty.1,
        before,
        with,
        due,
    })
}

/// Of the functions, and of the broker, once both have come to rest.
async fn memory(stack: &OwnStack, rest: Duration) -> Result<(f64, f64), StackError> {
    tokio::time::sleep(rest).await;
    Ok((stack.functions_memory_mb()?, stack.broker_memory_mb()?))
}

async fn until_drawn(client: &JobsClient, pending: u64) -> Result<(), StackError> {
    let began = Instant::now();
    while client.total("").await.unwrap_or(0) < pending {
        if began.elapsed() > PATIENCE {
            return Err(StackError::Text("the read model does not come to the end of them".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Each is created and waited for before the next.
async fn one_by_one(client: &JobsClient) -> Result<Quantiles, StackError> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let mut times = Vec::with_capacity(ONE_BY_ONE);
        for _ in 0..ONE_BY_ONE {
            let began = Instant::now();
            client.run().await?;
            times.push(began.elapsed());
        }
        rounds.push(Quantiles::of(&times));
    }
    Ok(Quantiles {
        p50_ms: median(rounds.iter().map(|round| round.p50_ms)),
        p99_ms: median(rounds.iter().map(|round| round.p99_ms)),
    })
}
