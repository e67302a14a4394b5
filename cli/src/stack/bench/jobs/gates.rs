//! Semaphore URLs that never answer, all asked at once, and what that does to tasks that are due.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::client::JobsClient;
use super::due::{self, By, Lateness};
use super::records::Records;
use crate::stack::StackError;
use crate::stack::bench::stack::OwnStack;

/// The times of the due tasks are spread over so long.
const OVER_MICROS: i64 = 5_000_000;
/// The first tick comes within five seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Gates {
    /// Jobs whose URL is asked.
    pub gates: usize,
    /// The most URLs that were waiting for an answer at one moment.
    pub at_once: usize,
    /// Tasks due at their own times, without any gate.
    pub tasks_alone: Lateness,
    /// The same while the URLs are asked.
    pub tasks_beside: Lateness,
    /// Jobs moved on by a tick each second, without any gate.
    pub jobs_alone: Lateness,
    /// The same while the URLs are asked.
    pub jobs_beside: Lateness,
}

/// Measures the due ones alone, and then beside so many gates.
pub async fn measure(stack: &OwnStack, gates: usize, due: usize) -> Result<Gates, StackError> {
    let client = &JobsClient::open(stack).await?;
    client.set("max_jobs", due).await?;
    client.set("schedule_interval", 1).await?;
    // The ticks begin five seconds after a change of the interval.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let tasks_alone = due::measure(client, By::Time, due, OVER_MICROS).await?;
    let jobs_alone = due::measure(client, By::Tick, due, OVER_MICROS).await?;
    let silent = Silent::start().await?;
    let records = Records::open(stack).await?;
    let now = service::clock::now();
    let timing = json!({ "run_at": now, "gate": silent.url, "by_tick": true });
    let held = json!({ "state": "scheduled", "epoch": 0, "timing": timing, "assigned_at": null, "running_at": null,
        "ended_at": null, "return_code": null,
        "workflow": { "steps": ["run"], "done": 0, "failures": 0, "retry_limit": 3, "retry_delay_ms": 5000 } });
    records.write(gates, |_| held.clone()).await?;
    let began = Instant::now();
    while silent.open.load(Ordering::Relaxed) < gates && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let tasks_beside = due::measure(client, By::Time, due, OVER_MICROS).await?;
    let jobs_beside = due::measure(client, By::Tick, due, OVER_MICROS).await?;
    let at_once = silent.most.load(Ordering::Relaxed);
    Ok(Gates { gates, at_once, tasks_alone, tasks_beside, jobs_alone, jobs_beside })
}

/// Takes every connection, reads what comes and never answers.
struct Silent {
    url: String,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    _server: AbortOnDropHandle<()>,
}

impl Silent {
    async fn start() -> Result<Self, StackError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(StackError::text)?;
        let url = format!("http://{}/", listener.local_addr().map_err(StackError::text)?);
        let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, highest) = (Arc::clone(&open), Arc::clone(&most));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let now = counted.fetch_add(1, Ordering::Relaxed) + 1;
                highest.fetch_max(now, Ordering::Relaxed);
                tokio::spawn(hold(stream, Arc::clone(&counted)));
            }
        });
        Ok(Self { url, open, most, _server: AbortOnDropHandle::new(server) })
    }
}

/// Holds a connection until the other side lets it go.
async fn hold(mut stream: TcpStream, open: Arc<AtomicUsize>) {
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    open.fetch_sub(1, Ordering::Relaxed);
}
