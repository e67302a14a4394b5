//! Whether jobs start as documented: every one of them is looked at.

use std::time::{Duration, Instant};

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::JobsClient;
use crate::stack::StackError;

const MAX_JOBS: usize = 5;
const PRIORITY_SLOTS: usize = 2;
const PRIORITY_THRESHOLD: u64 = 5;
/// Between two looks at how many jobs have ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Without any progress for so long something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the history of the lane says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Order {
    /// Jobs, in equal parts of the priorities 1 to 10, submitted in a mixed order.
    pub jobs: usize,
    /// Those that started at another place than the documented one.
    pub out_of_order: usize,
    /// Moments at which more ran than the limits allow.
    pub over_the_limits: usize,
    /// Jobs per second from the first start to the last end.
    pub jobs_per_second: f64,
}

struct Ran {
    priority: u64,
    created_at: Timestamp,
    started_at: Timestamp,
    ended_at: Timestamp,
}

/// Lets so many jobs wait, then lets them run, and reads the whole history.
pub async fn measure(client: &JobsClient, count: usize) -> Result<Order, StackError> {
    client.set("max_jobs", 0).await?;
    client.set("priority_slots", PRIORITY_SLOTS).await?;
    client.set("priority_threshold", usize::try_from(PRIORITY_THRESHOLD).unwrap_or(0)).await?;
    client.submit_all((0..count as u64).map(|number| number * 7 % 10 + 1)).await?;
    client.set("max_jobs", MAX_JOBS).await?;
    until_completed(client, count as u64).await?;
    let tasks = client.completed_tasks().await?;
    let ran: Vec<Ran> = tasks.iter().map(ran).collect::<Result<_, _>>()?;
    if ran.len() != count {
        return Err(StackError::Text(format!("{} of {count} jobs are there", ran.len())));
    }
    let first = ran.iter().map(|job| job.started_at.micros()).min().unwrap_or(0);
    let last = ran.iter().map(|job| job.ended_at.micros()).max().unwrap_or(0);
    Ok(Order {
        jobs: count,
        out_of_order: out_of_order(&ran),
        over_the_limits: over_the_limits(&ran),
        jobs_per_second: count as f64 / ((last - first) as f64 / 1e6),
    })
}

/// Waits until so many jobs have ended well.
pub async fn until_completed(client: &JobsClient, count: u64) -> Result<(), StackError> {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let completed = client.completed().await?;
        if completed >= count {
            return Ok(());
        }
        if completed > seen {
            (seen, since) = (completed, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            return Err(StackError::Text(format!("{completed} of {count} jobs have ended, and no more do")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn ran(task: &Value) -> Result<Ran, StackError> {
    let moment = |field: &str| {
        let value = task.get(field).cloned().unwrap_or_default();
        serde_json::from_value::<Timestamp>(value)
            .map_err(|_| StackError::Text(format!("a job has no {field}: {task}")))
    };
    Ok(Ran {
        priority: task.get("priority").and_then(Value::as_u64).unwrap_or(0),
        created_at: moment("created_at")?,
        started_at: moment("assigned_at")?,
        ended_at: moment("ended_at")?,
    })
}

/// All waited before the first one started, so the order is that of priority and creation, whatever ran beside:
/// where the kept places hold one job back, they hold back every job behind it.
fn out_of_order(ran: &[Ran]) -> usize {
    let mut documented: Vec<&Ran> = ran.iter().collect();
    documented.sort_by_key(|job| (job.priority, job.created_at));
    let mut started: Vec<&Ran> = ran.iter().collect();
    started.sort_by_key(|job| (job.started_at, job.priority, job.created_at));
    // Of two that were created in the same microsecond either may be first.
    let turn = |job: &Ran| (job.priority, job.created_at);
    documented.iter().zip(&started).filter(|(a, b)| turn(a) != turn(b)).count()
}

fn over_the_limits(ran: &[Ran]) -> usize {
    let starts = ran.iter().map(|job| (job.started_at, 1, job.priority));
    let ends = ran.iter().map(|job| (job.ended_at, -1, job.priority));
    let mut changes: Vec<(Timestamp, i64, u64)> = starts.chain(ends).collect();
    // A place that is given back and taken within one microsecond is one place.
    changes.sort_by_key(|(at, by, _)| (*at, *by));
    let (mut running, mut ordinary, mut over) = (0, 0, 0);
    for (_, by, priority) in changes {
        running += by;
        ordinary += if priority > PRIORITY_THRESHOLD { by } else { 0 };
        let allowed = running <= MAX_JOBS as i64 && ordinary <= (MAX_JOBS - PRIORITY_SLOTS) as i64;
        over += usize::from(!allowed);
    }
    over
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(priority: u64, created: i64, started: i64, ended: i64) -> Ran {
        let at = Timestamp::from_micros;
        Ran { priority, created_at: at(created), started_at: at(started), ended_at: at(ended) }
    }

    #[test]
    fn what_is_out_of_order_or_over_the_limits_is_counted() {
        let right = [job(7, 0, 30, 40), job(1, 1, 10, 20), job(1, 2, 20, 30), job(7, 3, 30, 40)];
        assert_eq!((out_of_order(&right), over_the_limits(&right)), (0, 0));
        let wrong = [job(7, 0, 10, 20), job(1, 1, 20, 30), job(1, 2, 30, 40)];
        assert_eq!(out_of_order(&wrong), 3);
        let many: Vec<Ran> = (0..4).map(|number| job(7, number, 10 + number, 50)).collect();
        assert_eq!(over_the_limits(&many), 1);
    }
}
