//! The status descriptor: lines of JSON in which a process says its phase and how far it is.

use std::sync::Arc;
use std::time::Duration;

use domain::{Phase, Task, TaskKey};
use serde::Deserialize;
use tokio::process::ChildStdout;
use tokio::time::Instant;
use wire::runner::Progress;
use wire::subjects;

use crate::Runner;
use crate::lines::{Lines, clean};

/// Phases and progress are told on at most so often; the latest always is. A phase costs a durable write.
const PHASE_EVERY: Duration = Duration::from_millis(200);
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// Progress is repeated, for listeners that came later.
const PROGRESS_AGAIN: Duration = Duration::from_secs(2);
/// What may be read after the process has ended; the pipe is closed by then.
const LAST_WORDS: Duration = Duration::from_millis(500);
const MESSAGE_CHARS_MAX: usize = 512;

/// A line as a process writes it. Unknown fields are left alone: the format may grow.
#[derive(Deserialize)]
struct Line {
    phase: Option<Phase>,
    progress: Option<f64>,
    message: Option<String>,
}

/// The status of one process.
pub struct Status {
    runner: Arc<Runner>,
    key: TaskKey,
    lines: Lines<ChildStdout>,
    ended: bool,
    phase: Phase,
    wanted: Phase,
    phase_due: Instant,
    progress: Progress,
    progress_due: Option<Instant>,
    progress_told: Instant,
}

impl Status {
    /// Begins to listen.
    pub fn new(runner: Arc<Runner>, task: &Task, pipe: ChildStdout) -> Self {
        let now = Instant::now();
        Self {
            runner,
            key: task.key(),
            lines: Lines::new(pipe),
            ended: false,
            phase: Phase::Running,
            wanted: Phase::Running,
            phase_due: now,
            progress: Progress { epoch: task.epoch, ..Progress::default() },
            progress_due: None,
            progress_told: now,
        }
    }

    /// Listens until the phase has changed. Can be cancelled and called again without losing anything.
    pub async fn next_phase(&mut self) -> Option<Phase> {
        loop {
            let progress_due = self.progress_due.unwrap_or(self.progress_told + PROGRESS_AGAIN);
            tokio::select! {
                line = self.lines.next(), if !self.ended => match line {
                    Some(line) => self.take(&line),
                    None => self.ended = true,
                },
                () = tokio::time::sleep_until(self.phase_due), if self.wanted != self.phase => {
                    self.phase = self.wanted;
                    self.phase_due = Instant::now() + PHASE_EVERY;
                    return Some(self.phase);
                }
                () = tokio::time::sleep_until(progress_due) => self.tell().await,
            }
        }
    }

    /// Takes what is left in the pipe and tells it.
    pub async fn finish(&mut self) {
        // Everything that was written lies in the pipe and the pipe is closed; the bound is for a process
        // that escaped its keeper and holds it open.
        let rest = async {
            while let Some(line) = self.lines.next().await {
                self.take(&line);
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, rest).await;
        if self.progress_due.is_some() {
            self.tell().await;
        }
    }

    async fn tell(&mut self) {
        self.progress_due = None;
        self.progress_told = Instant::now();
        if self.progress.progress.is_some() || self.progress.message.is_some() {
            let what = (&self.key, &self.progress);
            self.runner.broker.tell(subjects::progress(&self.key), &what).await;
        }
    }

    /// A line that is no status is left alone: it is the app's own affair.
    fn take(&mut self, line: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { return };
        self.wanted = line.phase.unwrap_or(self.wanted);
        let progress = line.progress.filter(|progress| progress.is_finite());
        let message = line
            .message
            .map(|message| clean(message.as_bytes()).chars().take(MESSAGE_CHARS_MAX).collect::<String>());
        if progress.is_some() || message.is_some() {
            self.progress.progress = progress.map(|p| p.clamp(0.0, 1.0)).or(self.progress.progress);
            self.progress.message = message.or(self.progress.message.take());
            self.progress_due.get_or_insert(self.progress_told + PROGRESS_EVERY);
        }
    }
}
