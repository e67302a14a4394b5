//! Log lines of one claim on their way into the stream: in batches, bounded. What comes faster than the broker
//! takes it is dropped and counted; a task is never slowed by its own talk.

use std::sync::Arc;
use std::time::Duration;

use domain::{Epoch, Task, TaskKey};
use service::clock;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::runner::{LogBatch, LogLine};
use wire::subjects;

use crate::Runner;
use crate::lines::{Lines, clean};

/// A batch goes out when it is this old, has this many lines or this many bytes.
const BATCH_AGE: Duration = Duration::from_millis(50);
const BATCH_LINES_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 64 * 1024;
/// Lines that may wait for the broker; beyond, lines are dropped and counted.
const LINES_WAITING_MAX: usize = 4096;
/// The most characters of an error message.
const MESSAGE_CHARS_MAX: usize = 4096;

/// Reads everything a process writes and gives back its last line that says anything.
pub async fn collect<R>(runner: Arc<Runner>, task: Task, stderr: R) -> Option<String>
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let mut sink = Sink::new(&runner, &task.key(), task.epoch);
    let mut lines = Lines::new(stderr);
    while let Some(line) = lines.next().await {
        sink.put(&line);
    }
    sink.close().await
}

/// Where the lines of one claim go. Putting one in never waits.
pub struct Sink {
    sender: mpsc::Sender<(LogLine, u64)>,
    storing: tokio::task::JoinHandle<()>,
    last: Option<String>,
    dropped: u64,
}

impl Sink {
    /// Begins to store lines under a task's key, or under a session's id in the place of one.
    pub fn new(runner: &Arc<Runner>, key: &TaskKey, epoch: Epoch) -> Self {
        let (sender, receiver) = mpsc::channel(LINES_WAITING_MAX);
        let storing = tokio::spawn(store(Arc::clone(runner), subjects::logs(key), epoch, receiver));
        Self { sender, storing, last: None, dropped: 0 }
    }

    /// Takes a line.
    pub fn put(&mut self, line: &[u8]) {
        let text = clean(line);
        if !text.trim().is_empty() {
            self.last = Some(text.chars().take(MESSAGE_CHARS_MAX).collect());
        }
        if self.sender.try_send((LogLine { at: clock::now(), text }, self.dropped)).is_err() {
            self.dropped += 1;
        }
    }

    /// Waits until everything is stored and gives the last line that says anything.
    pub async fn close(self) -> Option<String> {
        drop(self.sender);
        // A failed store has said so in the service's own log; the task itself goes on.
        let _ = self.storing.await;
        self.last
    }
}

async fn store(
    runner: Arc<Runner>,
    subject: String,
    epoch: Epoch,
    mut lines: mpsc::Receiver<(LogLine, u64)>,
) {
    let mut batch = LogBatch { epoch, first: 0, lines: Vec::new(), dropped: 0 };
    let (mut bytes, mut lost) = (0, 0u64);
    let mut due = Instant::now() + BATCH_AGE;
    loop {
        let received = tokio::select! {
            received = lines.recv() => received,
            () = tokio::time::sleep_until(due), if !batch.lines.is_empty() => {
                lost += send(&runner, &subject, &mut batch).await;
                bytes = 0;
                continue;
            }
        };
        let Some((line, dropped)) = received else { break };
        if batch.lines.is_empty() {
            due = Instant::now() + BATCH_AGE;
        }
        batch.dropped = dropped + lost;
        bytes += line.text.len();
        batch.lines.push(line);
        if batch.lines.len() >= BATCH_LINES_MAX || bytes >= BATCH_BYTES_MAX {
            lost += send(&runner, &subject, &mut batch).await;
            bytes = 0;
        }
    }
    if !batch.lines.is_empty() {
        send(&runner, &subject, &mut batch).await;
    }
}

/// Sends a batch and empties it; gives how many lines could not be stored.
async fn send(runner: &Runner, subject: &str, batch: &mut LogBatch) -> u64 {
    let count = batch.lines.len() as u64;
    let stored = runner.broker.append(subject.to_owned(), batch).await;
    batch.first += count;
    batch.lines.clear();
    match stored {
        Ok(_) => 0,
        Err(error) => {
            tracing::warn!(%error, lines = count, "log lines could not be stored");
            count
        }
    }
}
