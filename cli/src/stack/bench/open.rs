//! Open measurements: tasks come at a fixed rate, whatever becomes of those before. They find how long a task
//! waits at a given load, without the mercy that a closed loop has with a slow service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Timestamp;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{Durability, clock};

use super::doors::Doors;
use super::stats::Quantiles;
use crate::stack::StackError;

/// The rate of the measurement that does not depend on how fast this machine is.
pub const FIXED_RATE: f64 = 50.0;
/// How many tasks are asked about at once when all is over.
const ASKED_AT_ONCE: usize = 16;
/// The least number of samples, however low the rate.
const SAMPLES_LEAST: f64 = 200.0;

/// One row of the report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The durability class in force.
    pub durability: String,
    /// Tasks per second that came.
    pub tasks_per_second: f64,
    /// The same as a share of the most that REST took in the closed measurement.
    pub of_maximum: Option<f64>,
    /// How many came.
    pub samples: usize,
    /// From the moment at which the request was due to the answer that the task is taken in.
    pub create: Quantiles,
    /// From that answer to the moment at which the runner starts the task; 0 where it was earlier.
    pub pickup: Quantiles,
    /// From the moment at which the request was due to the end of the task.
    pub done: Quantiles,
}

struct Created {
    id: String,
    due: Timestamp,
    answered: Timestamp,
    create: Duration,
}

/// Creates tasks by REST at this rate for so long, then asks when each was started and ended.
pub async fn measure(
    doors: &Arc<Doors>,
    class: Durability,
    rate: f64,
    of_maximum: Option<f64>,
    seconds: f64,
) -> Result<Row, StackError> {
    let count = (rate * seconds).max(SAMPLES_LEAST) as usize;
    let began = Instant::now();
    let mut creating = Vec::with_capacity(count);
    for index in 0..count {
        let due = began + Duration::from_secs_f64(index as f64 / rate);
        tokio::time::sleep_until(due.into()).await;
        let doors = Arc::clone(doors);
        creating.push(tokio::spawn(async move {
            let late = due.elapsed();
            let due_at = earlier(clock::now(), late);
            let id = doors.create(index % doors.connections()).await?;
            Ok::<_, StackError>(Created { id, due: due_at, answered: clock::now(), create: due.elapsed() })
        }));
    }
    let mut created = Vec::with_capacity(count);
    for task in creating {
        created.push(task.await.map_err(StackError::text)??);
    }
    let (mut creates, mut pickups, mut dones) = (Vec::new(), Vec::new(), Vec::new());
    let asking = created.iter().enumerate().map(|(index, task)| async move {
        doors.ended(index % ASKED_AT_ONCE, &task.id).await.map(|shown| (task, shown))
    });
    let mut asking = futures_util::stream::iter(asking).buffer_unordered(ASKED_AT_ONCE);
    while let Some(asked) = asking.next().await {
        let (task, shown) = asked?;
        creates.push(task.create);
        pickups.push(between(task.answered, moment(&shown, "running_at")?));
        dones.push(between(task.due, moment(&shown, "ended_at")?));
    }
    Ok(Row {
        durability: class.name().to_owned(),
        tasks_per_second: rate,
        of_maximum,
        samples: created.len(),
        create: Quantiles::of(&creates),
        pickup: Quantiles::of(&pickups),
        done: Quantiles::of(&dones),
    })
}

fn moment(task: &Value, field: &str) -> Result<Timestamp, StackError> {
    let value = task.get(field).cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|_| StackError::Text(format!("the task has no {field}: {task}")))
}

fn earlier(moment: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_micros(moment.micros() - i64::try_from(by.as_micros()).unwrap_or(0))
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(to.micros() - from.micros()).unwrap_or(0))
}
