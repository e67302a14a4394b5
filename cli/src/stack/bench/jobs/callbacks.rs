//! How fast callbacks are delivered to a receiver that takes everything at once.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::clock;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::records::Records;
use crate::stack::StackError;
use crate::stack::bench::stack::OwnStack;

/// A job of one step tells its start, its completion and its own end.
const EVENTS_PER_JOB: usize = 3;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Without any delivery for so long something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of the callbacks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Delivered {
    /// How many were delivered, each acknowledged and written down.
    pub events: usize,
    /// Per second, from the first to the last.
    pub events_per_second: f64,
}

/// Writes jobs that have ended and whose hooks have not been told yet, and waits until all is told.
pub async fn measure(stack: &OwnStack, events: usize) -> Result<Delivered, StackError> {
    let receiver = Receiver::start().await?;
    let now = clock::now();
    let events = events / EVENTS_PER_JOB * EVENTS_PER_JOB;
    let told = json!([
        { "at": now, "what": "step_started", "step": 0 },
        { "at": now, "what": "step_completed", "step": 0 },
        { "at": now, "what": "state", "state": "completed", "phase": "running" },
    ]);
    let hooks = json!([{ "kind": "rest_endpoint", "url": receiver.url }]);
    let job = |_| json!({ "hooks": hooks, "events": { "gone": 0, "kept": told } });
    let records = Records::open(stack).await?;
    let began = Instant::now();
    records.write(events / EVENTS_PER_JOB, job).await?;
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let received = receiver.count.load(Ordering::Relaxed);
        if received >= events {
            break;
        }
        if received > seen {
            (seen, since) = (received, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            return Err(StackError::Text(format!(
                "{received} of {events} callbacks have come, and no more do"
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(Delivered { events, events_per_second: events as f64 / began.elapsed().as_secs_f64() })
}

/// Counts what comes and takes it.
struct Receiver {
    url: String,
    count: Arc<AtomicUsize>,
    _server: AbortOnDropHandle<()>,
}

impl Receiver {
    async fn start() -> Result<Self, StackError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(StackError::text)?;
        let url = format!("http://{}/", listener.local_addr().map_err(StackError::text)?);
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let count = Arc::clone(&counted);
                let service = service_fn(move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                    async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
                });
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(served);
            }
        });
        Ok(Self { url, count, _server: AbortOnDropHandle::new(server) })
    }
}
