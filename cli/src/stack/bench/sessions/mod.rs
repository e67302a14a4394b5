//! Sessions: what a task takes beyond its process, how many go through one warm process, how soon a new process
//! takes its first task, and logs: how many lines are taken in, what they cost other tasks, how soon they are seen.

mod door;
pub mod lines;
mod own;
mod tail;
mod warm;

use serde::{Deserialize, Serialize};
use service::Durability;

use super::stack::OwnStack;
use super::stats::Quantiles;
use crate::console::Console;
use crate::stack::StackError;
use door::Door;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Repetitions; figures are medians over them.
    pub rounds: usize,
    /// Tasks one after the other in each round.
    pub one_by_one: usize,
    /// Tasks through one session in each round.
    pub through: usize,
    /// Processes that are started in each round.
    pub starts: usize,
    /// Lines that are written as fast as they can be, in each round.
    pub lines: usize,
    /// Seconds of lines at a steady rate, in each round.
    pub seconds: u64,
}

/// What the documents promise.
pub const WHOLE: Amount =
    Amount { rounds: 5, one_by_one: 400, through: 4_000, starts: 20, lines: 500_000, seconds: 8 };
/// For a first impression.
pub const QUICK: Amount =
    Amount { rounds: 1, one_by_one: 200, through: 2_000, starts: 8, lines: 200_000, seconds: 4 };

/// What was measured of sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionsReport {
    /// The durability class in force.
    pub durability: String,
    /// The command that gives it again.
    pub command: String,
    /// When it was measured.
    pub measured_at: String,
    /// The process by itself, asked as the runner asks it.
    pub own: own::Own,
    /// Tasks through REST in a warm session.
    pub warm: warm::Warm,
    /// From a request to its arrival in a process that is started for it.
    pub first_start: Quantiles,
    /// Log lines.
    pub lines: lines::Lines,
    /// From the moment at which a line is written to the one at which a client that follows the log has it.
    pub tail: Quantiles,
}

/// Measures on a stack of its own; `search` is the `PATH` that its runner gives to processes.
pub async fn measure(
    amount: Amount,
    search: &str,
    command: String,
    console: Console,
) -> Result<SessionsReport, StackError> {
    let folder = tempfile::tempdir().map_err(StackError::text)?;
    let class = Durability::Interval;
    let stack = OwnStack::start(folder.path(), class).await?;
    let measured = measure_on(&stack, class, (amount, search), command, console).await;
    stack.stop().await?;
    measured
}

async fn measure_on(
    stack: &OwnStack,
    class: Durability,
    (amount, search): (Amount, &str),
    command: String,
    console: Console,
) -> Result<SessionsReport, StackError> {
    let door = Door::open(stack).await?;
    console.note("sessions: the process by itself, and new ones");
    let own = own::measure(amount, search).await?;
    let first_start = warm::first_starts(&door, amount).await?;
    console.note("sessions: tasks through one that is warm");
    let warm = warm::measure(stack, &door, amount).await?;
    console.note("sessions: log lines beside other tasks");
    let lines = lines::measure(&door, amount).await?;
    console.note("sessions: a log that is followed");
    let tail = tail::measure(&door, amount).await?;
    Ok(SessionsReport {
        durability: class.name().to_owned(),
        command,
        measured_at: service::clock::now().format("%Y-%m-%d %H:%M UTC"),
        own,
        warm,
        first_start,
        lines,
        tail,
    })
}
