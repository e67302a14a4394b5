//! Tasks whose time comes while we watch: how late each of them was claimed.

use std::time::{Duration, Instant};

use domain::Timestamp;
use futures_util::StreamExt;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::clock;

use super::client::{AT_ONCE, JobsClient};
use crate::stack::StackError;
use crate::stack::bench::stats::Quantiles;
use crate::stack::dev::TENANT;

/// From the first create to the time of the first task: none may be due before it is there.
const AHEAD_MICROS: i64 = 3_000_000;

/// Between two looks at how many have ended, and how long that may take.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(60);

/// How late tasks were.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Lateness {
    /// How many.
    pub tasks: usize,
    /// From the time of a task to its claim.
    pub late: Quantiles,
    /// Tasks that were claimed before their time.
    pub early: usize,
}

/// Who moves the tasks on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Their own times.
    Time,
    /// The ticks of the Task Engine's scheduler.
    Tick,
}

/// Creates so many tasks with times spread evenly over so many microseconds, and waits until they have run.
pub async fn measure(
    client: &JobsClient,
    by: By,
    count: usize,
    over_micros: i64,
) -> Result<Lateness, StackError> {
    let before = client.total("completed").await?;
    // In whole milliseconds, as the requests say them.
    let first = (clock::now().micros() + AHEAD_MICROS) / 1_000 * 1_000;
    let step = over_micros / i64::try_from(count.max(1)).unwrap_or(1);
    let creates = (0..count).map(|index| {
        let at = Timestamp::from_micros(first + step * i64::try_from(index).unwrap_or(0));
        create(client, by, index, at)
    });
    let mut creates = futures_util::stream::iter(creates).buffer_unordered(AT_ONCE);
    while let Some(created) = creates.next().await {
        created?;
    }
    until_ended(client, before + count as u64).await?;
    let mut late = Vec::with_capacity(count);
    let mut early = 0;
    let rows = client.completed_tasks().await?;
    for row in rows.iter().filter(|row| time(row, "/timing/run_at").is_some_and(|at| at.micros() >= first)) {
        let at = time(row, "/timing/run_at").zip(time(row, "/assigned_at"));
        let (at, claimed) = at.ok_or_else(|| StackError::Text(format!("a task without its times: {row}")))?;
        match u64::try_from(claimed.micros() - at.micros()) {
            Ok(micros) => late.push(Duration::from_micros(micros)),
            Err(_) => early += 1,
        }
    }
    if late.len() + early != count {
        return Err(StackError::Text(format!("{} of {count} due tasks are there", late.len() + early)));
    }
    Ok(Lateness { tasks: count, late: Quantiles::of(&late), early })
}

async fn until_ended(client: &JobsClient, count: u64) -> Result<(), StackError> {
    let began = Instant::now();
    while client.total("completed").await? < count {
        if began.elapsed() > PATIENCE {
            return Err(StackError::Text("tasks that are due do not run".to_owned()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn create(client: &JobsClient, by: By, place: usize, at: Timestamp) -> Result<(), StackError> {
    let text = at.format("%Y-%m-%dT%H:%M:%S.%3fZ");
    match by {
        By::Time => {
            let path = format!("/pro-api/v2/tasks/bench-jobs/run?scheduleFor={text}");
            client.ask(place, Method::POST, &path, Some(&json!({}))).await?;
        }
        By::Tick => {
            let job = json!({ "workflow": "bench", "run_at": text });
            let job = json!({ "client": TENANT, "job": job, "parameters": {} });
            client.ask(place, Method::POST, "/job", Some(&job)).await?;
        }
    }
    Ok(())
}

fn time(row: &Value, pointer: &str) -> Option<Timestamp> {
    serde_json::from_value(row.pointer(pointer)?.clone()).ok()
}
