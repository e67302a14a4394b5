//! Log lines of one claim on their way into the stream: in batches, bounded. Of what comes faster than the broker
//! takes it the oldest are dropped and counted; a task is never slowed by its own talk.
//!
//! Every line of a claim is stored, or is counted as dropped, or leaves a gap in the numbering of the batches;
//! `logs` adds the gaps up. So nothing is ever lost unseen, even where it is unknown whether a batch was stored.

use std::sync::Arc;
use std::time::Duration;

use domain::{Epoch, TaskKey};
use service::clock;
use tokio::io::AsyncRead;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use wire::runner::{LogBatch, LogLine, LogSource};
use wire::{Code, subjects};

use crate::Runner;
use crate::lines::{Lines, clean};
use crate::log_queue::{LogQueue, Waiting};

/// A batch goes out when it is this old, has this many lines or this many bytes. Who follows a log waits so long.
const BATCH_AGE: Duration = Duration::from_millis(20);
const BATCH_LINES_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 64 * 1024;
/// How long one batch is tried while the broker does not answer. The broker remembers a batch for two minutes,
/// so one that was stored without an answer is not stored again.
const STORE_PATIENCE: Duration = Duration::from_secs(30);
const STORE_PAUSE: Duration = Duration::from_millis(200);
/// How long the end of a task may wait for its last lines; after that they follow.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// The most characters of an error message.
const MESSAGE_CHARS_MAX: usize = 4096;

/// Reads everything a process writes, and gives the sink back.
pub async fn collect<R>(mut sink: Sink, stderr: R) -> Sink
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let mut lines = Lines::new(stderr);
    while let Some(line) = lines.next().await {
        sink.put(line);
    }
    sink
}

/// Where the lines of one claim go. Putting one in never waits.
pub struct Sink {
    queue: Writer,
    storing: JoinHandle<()>,
    last: Vec<u8>,
    /// The step of a workflow that the lines are about.
    step: Option<u32>,
}

/// The writer's end of a queue: with it goes the last who adds a line.
struct Writer(Arc<LogQueue>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Sink {
    /// Begins to store lines under a task's key, or under a session's id in the place of one. There is one for
    /// each claim, since the broker knows its batches by the claim and their place in it.
    pub fn new(runner: &Arc<Runner>, key: &TaskKey, epoch: Epoch) -> Self {
        let queue = Arc::new(LogQueue::default());
        let batch = LogBatch { epoch, first: 0, lines: Vec::new(), dropped: 0 };
        let store = Store {
            runner: Arc::clone(runner),
            subject: subjects::logs(key),
            queue: Arc::clone(&queue),
            batch,
            bytes: 0,
            told: true,
        };
        Self { queue: Writer(queue), storing: tokio::spawn(store.run()), last: Vec::new(), step: None }
    }

    /// Takes a line.
    pub fn put(&mut self, line: Vec<u8>) {
        if !line.trim_ascii().is_empty() {
            self.last.clear();
            self.last.extend_from_slice(&line);
        }
        self.push(LogSource::Worker, line);
    }

    /// What follows is about this step of a workflow.
    pub fn begin_step(&mut self, step: u32) {
        self.step = Some(step);
    }

    /// A line of the runner's own.
    pub fn say(&mut self, source: LogSource, text: &str) {
        self.push(source, text.as_bytes().to_vec());
    }

    fn push(&mut self, source: LogSource, text: Vec<u8>) {
        self.queue.0.put(Waiting { at: clock::now(), source, step: self.step, text });
    }

    /// Waits a while until everything is stored and gives the last line that says anything.
    pub async fn close(mut self) -> Option<String> {
        let last = self.take_last();
        drop(self.queue);
        // A failed store has said so in the service's own log; the task itself goes on.
        let _ = timeout(CLOSE_PATIENCE, self.storing).await;
        last
    }

    /// The last line of a process that says anything, and none of it for the next process.
    pub fn take_last(&mut self) -> Option<String> {
        let last = clean(&std::mem::take(&mut self.last));
        (!last.is_empty()).then(|| last.chars().take(MESSAGE_CHARS_MAX).collect())
    }
}

struct Store {
    runner: Arc<Runner>,
    subject: String,
    queue: Arc<LogQueue>,
    batch: LogBatch,
    bytes: usize,
    /// Everything up to here is stored, and so is every gap.
    told: bool,
}

impl Store {
    async fn run(mut self) {
        while let Some(line) = self.queue.next().await {
            let due = Instant::now() + BATCH_AGE;
            self.add(line);
            while !self.is_full() {
                match timeout_at(due, self.queue.next()).await {
                    Ok(Some(line)) => self.add(line),
                    Ok(None) | Err(_) => break,
                }
            }
            self.send().await;
        }
        // The last count, and a gap behind which no line comes any more, are told by a batch without lines.
        if !self.told || self.queue.dropped() > self.batch.dropped {
            self.send().await;
        }
    }

    fn add(&mut self, line: Waiting) {
        let text = clean(&line.text);
        self.bytes += text.len();
        let (source, step) = (line.source, line.step);
        self.batch.lines.push(LogLine { source, step, ..LogLine::new(line.at, text) });
    }

    fn is_full(&self) -> bool {
        self.batch.lines.len() >= BATCH_LINES_MAX || self.bytes >= BATCH_BYTES_MAX
    }

    /// Sends the batch and begins the next. One that can't be stored leaves a gap.
    async fn send(&mut self) {
        self.batch.dropped = self.queue.dropped();
        let began = Instant::now();
        let stored = loop {
            // A batch is known by its place: the one without lines at the end comes behind every other.
            let id = format!("{}.{}.{}", self.subject, self.batch.epoch, self.batch.first);
            match self.runner.broker.append_once(self.subject.clone(), &id, &self.batch).await {
                Err(error) if error.code == Code::Unavailable && began.elapsed() < STORE_PATIENCE => {
                    tokio::time::sleep(STORE_PAUSE).await;
                }
                stored => break stored,
            }
        };
        self.told = stored.is_ok();
        if let Err(error) = stored {
            tracing::warn!(%error, lines = self.batch.lines.len(), "log lines could not be stored");
        }
        self.batch.first += self.batch.lines.len() as u64;
        self.batch.lines.clear();
        self.bytes = 0;
    }
}
