//! What dashboard and health take with many jobs behind them.

use std::time::{Duration, Instant};

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::JobsClient;
use super::records::Records;
use crate::stack::StackError;
use crate::stack::bench::stack::OwnStack;
use crate::stack::bench::stats::Quantiles;

/// Jobs that wait beside those that have ended, so that the dashboard has something to show.
const WAITING: usize = 100;
const SAMPLES: usize = 2_000;
/// As a page that looks again and again, and not as a flood.
const EVERY: Duration = Duration::from_millis(5);
/// How long the read model may take to draw all of them.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Behind {
    /// Jobs that have ended.
    pub jobs: usize,
    /// Seconds in which their records were written.
    pub written_seconds: f64,
    /// `GET /dashboard`, with 100 jobs that wait.
    pub dashboard: Quantiles,
    /// `GET /health`.
    pub health: Quantiles,
    /// Memory of the process with every function.
    pub functions_memory_mb: f64,
    /// Bytes of it per job.
    pub bytes_per_job: f64,
}

/// Writes the records, waits until they are drawn, and asks.
pub async fn measure(stack: &OwnStack, client: &JobsClient, count: usize) -> Result<Behind, StackError> {
    client.set("max_jobs", 0).await?;
    client.submit_all((0..WAITING as u64).map(|number| number % 10 + 1)).await?;
    let before = (client.completed().await?, stack.functions_memory_mb()?);
    let records = Records::open(stack).await?;
    let began = Instant::now();
    records.write(count, |_| json!({})).await?;
    let written_seconds = began.elapsed().as_secs_f64();
    let began = Instant::now();
    while client.completed().await.unwrap_or(0) < before.0 + count as u64 {
        if began.elapsed() > PATIENCE {
            return Err(StackError::Text(
                "the read model does not come to the end of the records".to_owned(),
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let dashboard = times(client, "/dashboard").await?;
    let health = times(client, "/health").await?;
    let functions_memory_mb = stack.functions_memory_mb()?;
    Ok(Behind {
        jobs: count,
        written_seconds,
        dashboard,
        health,
        functions_memory_mb,
        bytes_per_job: (functions_memory_mb - before.1) * 1024.0 * 1024.0 / count as f64,
    })
}

async fn times(client: &JobsClient, path: &str) -> Result<Quantiles, StackError> {
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let began = Instant::now();
        let answer: Value = client.ask(0, Method::GET, path, None).await?;
        times.push(began.elapsed());
        if !answer.is_object() {
            return Err(StackError::Text(format!("{path}: {answer}")));
        }
        tokio::time::sleep(EVERY).await;
    }
    Ok(Quantiles::of(&times))
}
