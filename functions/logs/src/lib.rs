//! `logs`: serves the log lines of a task, page by page, and waits for more where the caller follows.

mod place;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::{Broker, Tasks};
use domain::{Right, TaskKey};
use service::apps::Apps;
use service::{Context, RunError, serve};
use wire::calls::logs::{LogsReply, LogsRequest};
use wire::runner::{LogBatch, LogLine};
use wire::topology::LOGS;
use wire::{Code, Error, subjects};

use place::{Place, Places};

/// Batches that are read first for a page, which most often are enough; then twice as many, up to the most.
const BATCHES_FIRST: usize = 4;
const BATCHES_AT_ONCE: usize = 64;
const LINES_MAX: u64 = 1000;
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Tasks of which it is remembered where the next page begins, so that following costs the same at any length.
const REMEMBERED_MAX: usize = 2_000;
/// The most bytes of lines in one reply, well below what one message takes.
const PAGE_BYTES_MAX: usize = 600 * 1024;

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let function = Logs {
        tasks: Tasks::new(&context.broker),
        apps: Apps::follow(&context.broker),
        broker: context.broker.clone(),
        remembered: Arc::default(),
    };
    serve(&context, move |request| {
        let function = function.clone();
        async move { function.handle(request).await }
    })
    .await
}

#[derive(Clone)]
struct Logs {
    tasks: Tasks,
    apps: Apps,
    broker: Broker,
    remembered: Arc<Mutex<HashMap<TaskKey, Places>>>,
}

impl Logs {
    async fn handle(&self, request: LogsRequest) -> Result<LogsReply, Error> {
        if request.limit == 0 || request.limit > LINES_MAX {
            return Err(Error::new(
                Code::BadRequest,
                format!("limit is a whole number from 1 to {LINES_MAX}"),
            ));
        }
        let (key, ended) = self.look(&request).await?;
        if request.notes {
            return self.notes(&key, &request).await;
        }
        let reply = self.page(&key, &request, ended).await?;
        if !reply.lines.is_empty() || ended || request.wait_ms == 0 {
            return Ok(reply);
        }
        // Subscribed first, looked again second: a line that comes between is seen by one of the two.
        let mut lines = self.broker.requests(subjects::logs(&key), false).await?;
        let reply = self.page(&key, &request, ended).await?;
        if !reply.lines.is_empty() {
            return Ok(reply);
        }
        let wait = Duration::from_millis(request.wait_ms).min(WAIT_MAX);
        // A time-out only means that there is still nothing to tell.
        let _ = tokio::time::timeout(wait, lines.next()).await;
        let (key, ended) = self.look(&request).await?;
        self.page(&key, &request, ended).await
    }

    /// The task's key and whether it has ended; refuses who may not read it.
    async fn look(&self, request: &LogsRequest) -> Result<(TaskKey, bool), Error> {
        let LogsRequest { caller, id, run, .. } = request;
        let (_, task) = service::runs::find(&self.broker, &self.tasks, caller, *id, *run).await?;
        self.apps.check(caller, &task, &[Right::Read]).await?;
        Ok((task.key(), task.state.is_terminal()))
    }

    async fn page(&self, key: &TaskKey, request: &LogsRequest, ended: bool) -> Result<LogsReply, Error> {
        let subject = subjects::logs(key);
        let mut place = self.start(key, request.offset);
        let mut reply = LogsReply { lines: Vec::new(), next: request.offset, dropped: 0, end: false };
        let (mut bytes, mut count) = (0, BATCHES_FIRST);
        loop {
            let batches: Vec<(u64, LogBatch)> =
                self.broker.stored(LOGS, &subject, place.sequence, count).await?;
            let last = batches.len() < count;
            for (sequence, batch) in batches {
                let (next, first) = place.after(sequence, &batch);
                for ((index, number), line) in (0..).zip(first..).zip(batch.lines) {
                    if number < reply.next {
                        continue;
                    }
                    bytes += line.text.len() + 64;
                    if reply.lines.len() as u64 >= request.limit || bytes > PAGE_BYTES_MAX {
                        return Ok(self.finish(key, reply, place));
                    }
                    reply.lines.push(line.placed(sequence, index));
                    reply.next = number + 1;
                }
                place = next;
            }
            if last {
                reply.next = reply.next.max(place.lines());
                reply.end = ended;
                return Ok(self.finish(key, reply, place));
            }
            count = (count * 2).min(BATCHES_AT_ONCE);
        }
    }

    /// One page of notes; each is a message of its own, and the first ones that are kept are the first ones told.
    async fn notes(&self, key: &TaskKey, request: &LogsRequest) -> Result<LogsReply, Error> {
        let subject = subjects::notes(key);
        let mut reply = LogsReply { lines: Vec::new(), next: 0, dropped: 0, end: false };
        let (mut bytes, mut sequence) = (0, 1);
        loop {
            let found: Vec<(u64, LogLine)> =
                self.broker.stored(LOGS, &subject, sequence, BATCHES_AT_ONCE).await?;
            let last = found.len() < BATCHES_AT_ONCE;
            for (at, line) in found {
                sequence = at + 1;
                reply.next += 1;
                if reply.next <= request.offset {
                    continue;
                }
                bytes += line.text.len() + 64;
                if reply.lines.len() as u64 >= request.limit || bytes > PAGE_BYTES_MAX {
                    reply.next -= 1;
                    return Ok(reply);
                }
                reply.lines.push(line.placed(at, 0));
            }
            if last {
                reply.end = true;
                return Ok(reply);
            }
        }
    }

    /// The nearest remembered place that does not lie beyond what is asked for.
    fn start(&self, key: &TaskKey, offset: u64) -> Place {
        let remembered = self.remembered.lock().ok();
        let place = remembered.as_ref().and_then(|map| map.get(key)).map(|places| places.before(offset));
        place.unwrap_or(place::BEGIN)
    }

    fn finish(&self, key: &TaskKey, mut reply: LogsReply, place: Place) -> LogsReply {
        reply.dropped = place.dropped();
        if let Ok(mut remembered) = self.remembered.lock() {
            if remembered.len() >= REMEMBERED_MAX && !remembered.contains_key(key) {
                remembered.clear();
            }
            remembered.entry(key.clone()).or_default().add(place);
        }
        reply
    }
}
