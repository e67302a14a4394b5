//! Closed measurements: so many tasks under way all the time, each followed by the next at once. They find the
//! most that goes through, and what one task takes then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, try_join_all};
use serde::{Deserialize, Serialize};
use service::Durability;

use super::doors::Doors;
use super::floor::Floor;
use super::stack::{Cpu, OwnStack};
use super::stats::{Quantiles, median};
use crate::stack::StackError;

/// What is not counted at the beginning of each measurement.
const WARM_UP_SECONDS: f64 = 0.5;

/// Through what the tasks go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// The broker alone.
    Floor,
    /// Calls over the broker.
    Nats,
    /// REST.
    Rest,
}

impl Door {
    /// All, in the order in which a round measures them.
    pub const ALL: [Self; 3] = [Self::Floor, Self::Nats, Self::Rest];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Nats => "NATS",
            Self::Rest => "REST",
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
struct Sample {
    door: Door,
    in_flight: usize,
    rate: f64,
    /// Against the floor of the same round.
    of_floor: f64,
    latency: Quantiles,
    writes: f64,
    cpu: Cpu,
}

/// One row of the report: medians over the rounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The durability class in force.
    pub durability: String,
    /// Through what.
    pub door: Door,
    /// Tasks under way at once.
    pub in_flight: usize,
    /// Median over the rounds.
    pub tasks_per_second: f64,
    /// The rate of every round.
    pub rounds: Vec<f64>,
    /// Tasks per second over the floor's in the same round; the median.
    pub of_floor: f64,
    /// From the creation to the result.
    pub latency: Quantiles,
    /// Messages that the broker stored per task.
    pub broker_writes_per_task: f64,
    /// Processor seconds per 1,000 tasks, by process.
    pub cpu_seconds_per_1000_tasks: Cpu,
}

/// The samples so far.
#[derive(Default)]
pub struct Measured(Vec<Sample>);

impl Measured {
    /// Measures the floor and both doors, one after the other.
    pub async fn round(
        &mut self,
        stack: &OwnStack,
        floor: &Arc<Floor>,
        doors: &Arc<Doors>,
        in_flight: usize,
        seconds: f64,
    ) -> Result<(), StackError> {
        let mut of_floor = 0.0;
        for door in Door::ALL {
            let (floor_too, doors) = (Arc::clone(floor), Arc::clone(doors));
            let task = move |worker: usize| -> BoxFuture<'static, Result<(), StackError>> {
                let (floor, doors) = (Arc::clone(&floor_too), Arc::clone(&doors));
                match door {
                    Door::Floor => Box::pin(async move { floor.task(worker).await }),
                    Door::Nats => Box::pin(async move { doors.by_nats().await }),
                    Door::Rest => Box::pin(async move { doors.by_rest(worker).await }),
                }
            };
            drive(&task, in_flight, WARM_UP_SECONDS).await?;
            let (cpu, stored) = (stack.cpu()?, floor.stored().await?);
            let (latencies, took) = drive(&task, in_flight, seconds).await?;
            let (cpu_after, stored_after) = (stack.cpu()?, floor.stored().await?);
            let count = latencies.len() as f64;
            let rate = count / took;
            if door == Door::Floor {
                of_floor = rate;
            }
            let per_thousand = |after: f64, before: f64| (after - before) * 1000.0 / count;
            self.0.push(Sample {
                door,
                in_flight,
                rate,
                of_floor: rate / of_floor,
                latency: Quantiles::of(&latencies),
                writes: (stored_after - stored) as f64 / count,
                cpu: Cpu {
                    functions: per_thousand(cpu_after.functions, cpu.functions),
                    broker: per_thousand(cpu_after.broker, cpu.broker),
                    load: per_thousand(cpu_after.load, cpu.load),
                },
            });
        }
        Ok(())
    }

    /// The medians.
    pub fn report(&self, class: Durability) -> Vec<Row> {
        let mut rows = Vec::new();
        for in_flight in super::IN_FLIGHT {
            for door in Door::ALL {
                let samples: Vec<&Sample> =
                    self.0.iter().filter(|s| s.door == door && s.in_flight == in_flight).collect();
                let middle = |what: fn(&Sample) -> f64| median(samples.iter().map(|sample| what(sample)));
                rows.push(Row {
                    durability: class.name().to_owned(),
                    door,
                    in_flight,
                    tasks_per_second: middle(|s| s.rate),
                    rounds: samples.iter().map(|sample| sample.rate).collect(),
                    of_floor: middle(|s| s.of_floor),
                    latency: Quantiles {
                        p50_ms: middle(|s| s.latency.p50_ms),
                        p99_ms: middle(|s| s.latency.p99_ms),
                    },
                    broker_writes_per_task: middle(|s| s.writes),
                    cpu_seconds_per_1000_tasks: Cpu {
                        functions: middle(|s| s.cpu.functions),
                        broker: middle(|s| s.cpu.broker),
                        load: middle(|s| s.cpu.load),
                    },
                });
            }
        }
        rows
    }
}

/// Keeps so many tasks under way for so long; gives how long each took, and the time until the last had ended.
async fn drive(
    task: &(impl Fn(usize) -> BoxFuture<'static, Result<(), StackError>> + Clone + Send + 'static),
    in_flight: usize,
    seconds: f64,
) -> Result<(Vec<Duration>, f64), StackError> {
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(seconds);
    let workers = (0..in_flight).map(|worker| {
        let task = task.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let began = Instant::now();
                task(worker).await?;
                latencies.push(began.elapsed());
            }
            Ok::<_, StackError>(latencies)
        })
    });
    let mut all = Vec::new();
    for latencies in try_join_all(workers).await.map_err(StackError::text)? {
        all.extend(latencies?);
    }
    Ok((all, began.elapsed().as_secs_f64()))
}
