//! The Task Engine's jobs: that they start in the documented order, how soon a setting acts, how fast callbacks
//! are delivered, what gates that never answer do to others, and what dashboard and health take with a million jobs
//! behind.

mod behind;
mod callbacks;
pub mod client;
pub mod due;
mod gates;
mod order;
pub mod records;
mod settings;

use serde::{Deserialize, Serialize};
use service::Durability;

use super::stack::OwnStack;
use super::stats::Quantiles;
use crate::console::Console;
use crate::stack::StackError;
use client::JobsClient;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Jobs that start in order.
    pub ordered: usize,
    /// Changes of a setting.
    pub changes: usize,
    /// Callbacks that are delivered.
    pub events: usize,
    /// Semaphore URLs that are asked at once.
    pub gates: usize,
    /// Tasks that are due meanwhile.
    pub due: usize,
    /// Jobs behind dashboard and health.
    pub behind: usize,
}

/// What the documents promise.
pub const WHOLE: Amount =
    Amount { ordered: 10_000, changes: 100, events: 40_000, gates: 1_000, due: 500, behind: 1_000_000 };
/// For a first impression.
pub const QUICK: Amount =
    Amount { ordered: 1_000, changes: 20, events: 8_000, gates: 1_000, due: 100, behind: 50_000 };

/// What was measured of jobs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobsReport {
    /// The durability class in force.
    pub durability: String,
    /// The command that gives it again.
    pub command: String,
    /// When it was measured.
    pub measured_at: String,
    /// Mixed priorities in one lane with places kept.
    pub order: order::Order,
    /// From the request that raises a limit to the claim of the job that waited for it.
    pub setting: Quantiles,
    /// Callbacks.
    pub callbacks: callbacks::Delivered,
    /// Semaphore URLs that never answer.
    pub gates: gates::Gates,
    /// Dashboard and health.
    pub behind: behind::Behind,
}

/// Measures on stacks of its own. The gates have one to themselves, since they go on being asked.
pub async fn measure(amount: Amount, command: String, console: Console) -> Result<JobsReport, StackError> {
    let folder = tempfile::tempdir().map_err(StackError::text)?;
    let class = Durability::Interval;
    let stack = OwnStack::start(folder.path(), class).await?;
    console.note(&format!("jobs: {} gates that never answer", amount.gates));
    let gates = gates::measure(&stack, amount.gates, amount.due).await;
    stack.stop().await?;
    let gates = gates?;
    let folder = tempfile::tempdir().map_err(StackError::text)?;
    let stack = OwnStack::start(folder.path(), class).await?;
    let measured = measure_on(&stack, class, amount, gates, command, console).await;
    stack.stop().await?;
    measured
}

async fn measure_on(
    stack: &OwnStack,
    class: Durability,
    amount: Amount,
    gates: gates::Gates,
    command: String,
    console: Console,
) -> Result<JobsReport, StackError> {
    let client = JobsClient::open(stack).await?;
    console.note(&format!("jobs: {} in order", amount.ordered));
    let order = order::measure(&client, amount.ordered).await?;
    console.note(&format!("jobs: {} changes of a setting", amount.changes));
    let setting = settings::measure(&client, amount.changes).await?;
    console.note(&format!("jobs: {} callbacks", amount.events));
    let callbacks = callbacks::measure(stack, amount.events).await?;
    console.note(&format!("jobs: dashboard and health with {} jobs behind", amount.behind));
    let behind = behind::measure(stack, &client, amount.behind).await?;
    let measured_at = service::clock::now().format("%Y-%m-%d %H:%M UTC");
    let durability = class.name().to_owned();
    Ok(JobsReport { durability, command, measured_at, order, setting, callbacks, gates, behind })
}
