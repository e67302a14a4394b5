//! Tasks through REST: one after the other and many at once in a warm session, and each in a new one.

use std::collections::BTreeSet;
use std::time::Instant;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::clock;

use super::Amount;
use super::door::{AT_ONCE, Door, FRESH, WARM};
use super::own::micros;
use crate::stack::StackError;
use crate::stack::bench::stack::{Cpu, OwnStack};
use crate::stack::bench::stats::{Quantiles, median};

/// The service; the session knows every one.
const NOW: &str = "now";
/// Places of the lane: what stands ready while the session is busy.
const PLACES: usize = 16;

/// What was measured in a warm session.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Warm {
    /// From a request to its arrival in the process.
    pub start: Quantiles,
    /// From a request to the answer that its task has ended.
    pub task: Quantiles,
    /// Tasks per second through one session, as many as it takes.
    pub tasks_per_second: f64,
    /// The same where the lane lets one task run at a time.
    pub one_place_per_second: f64,
    /// Sessions that took part, which is to be one.
    pub sessions: usize,
    /// Processor seconds per 1,000 tasks then.
    pub cpu_seconds_per_1000_tasks: Cpu,
}

/// Each round measures everything once.
pub async fn measure(stack: &OwnStack, door: &Door, amount: Amount) -> Result<Warm, StackError> {
    let mut sessions = BTreeSet::new();
    let (mut starts, mut tasks) = (Vec::new(), Vec::new());
    let (mut many, mut one, mut cpus) = (Vec::new(), Vec::new(), Vec::new());
    door.run(0, WARM, NOW, "").await?;
    for _ in 0..amount.rounds {
        door.max_running(PLACES).await?;
        for _ in 0..amount.one_by_one {
            let (asked, began) = (clock::now().micros(), Instant::now());
            let task = door.run(0, WARM, NOW, "").await?;
            tasks.push(began.elapsed());
            starts.push(micros(asked, door.came(0, &task).await?));
        }
        let before = stack.cpu()?;
        many.push(through(door, amount.through, &mut sessions).await?);
        cpus.push(spent(before, stack.cpu()?, amount.through));
        door.max_running(1).await?;
        one.push(through(door, amount.through / 4, &mut sessions).await?);
    }
    door.max_running(PLACES).await?;
    let middle = |what: fn(&Cpu) -> f64| median(cpus.iter().map(what));
    Ok(Warm {
        start: Quantiles::of(&starts),
        task: Quantiles::of(&tasks),
        tasks_per_second: median(many),
        one_place_per_second: median(one),
        sessions: sessions.len(),
        cpu_seconds_per_1000_tasks: Cpu {
            functions: middle(|cpu| cpu.functions),
            broker: middle(|cpu| cpu.broker),
            load: middle(|cpu| cpu.load),
        },
    })
}

fn spent(before: Cpu, after: Cpu, tasks: usize) -> Cpu {
    let per_thousand = |before: f64, after: f64| (after - before) * 1000.0 / tasks as f64;
    Cpu {
        functions: per_thousand(before.functions, after.functions),
        broker: per_thousand(before.broker, after.broker),
        load: per_thousand(before.load, after.load),
    }
}

/// So many tasks, as many under way as there are connections; tasks per second.
async fn through(door: &Door, count: usize, sessions: &mut BTreeSet<String>) -> Result<f64, StackError> {
    let began = Instant::now();
    let tasks = (0..count).map(|index| door.run(index % AT_ONCE, WARM, NOW, ""));
    let mut tasks = futures_util::stream::iter(tasks).buffer_unordered(AT_ONCE);
    while let Some(task) = tasks.next().await {
        sessions.extend(task?.get("sessionId").and_then(Value::as_str).map(str::to_owned));
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

/// Each task has a new process.
pub async fn first_starts(door: &Door, amount: Amount) -> Result<Quantiles, StackError> {
    let mut starts = Vec::new();
    for _ in 0..amount.rounds * amount.starts {
        let asked = clock::now().micros();
        let task = door.run(0, FRESH, NOW, "").await?;
        starts.push(micros(asked, door.came(0, &task).await?));
    }
    Ok(Quantiles::of(&starts))
}
