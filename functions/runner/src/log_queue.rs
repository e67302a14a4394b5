//! Log lines that wait for the broker, bounded. Where there are too many the oldest go and are counted: what a process
//! wrote last says most about how it ended.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::Timestamp;
use tokio::sync::Notify;
use wire::runner::LogSource;

/// Bytes that may wait; beyond, lines are dropped and counted.
const WAITING_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What a waiting line costs beside its text.
const LINE_BYTES: usize = 64;

/// A line as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// When it was read.
    pub at: Timestamp,
    /// Who wrote it.
    pub source: LogSource,
    /// The step of a workflow that it is about.
    pub step: Option<u32>,
    /// Its bytes.
    pub text: Vec<u8>,
}

impl Waiting {
    fn cost(&self) -> usize {
        self.text.len() + LINE_BYTES
    }
}

#[derive(Default)]
struct Inner {
    lines: VecDeque<Waiting>,
    bytes: usize,
    dropped: u64,
    closed: bool,
}

/// The lines of one claim between who writes them, which never waits, and who stores them.
#[derive(Default)]
pub struct LogQueue {
    inner: Mutex<Inner>,
    changed: Notify,
}

impl LogQueue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code under this lock panics, and if it did the lines would still be whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line more, in the place of the oldest where there are too many.
    pub fn put(&self, line: Waiting) {
        let mut inner = self.lock();
        // Who reads waits only where there is nothing.
        let is_first = inner.lines.is_empty();
        inner.bytes += line.cost();
        inner.lines.push_back(line);
        while inner.bytes > WAITING_BYTES_MAX
            && let Some(oldest) = inner.lines.pop_front()
        {
            inner.bytes -= oldest.cost();
            inner.dropped += 1;
        }
        drop(inner);
        if is_first {
            self.changed.notify_one();
        }
    }

    /// The line that has waited longest; `None` once no more come. For one reader, which may stop waiting and ask
    /// again without losing any.
    pub async fn next(&self) -> Option<Waiting> {
        loop {
            let changed = self.changed.notified();
            {
                let mut inner = self.lock();
                if let Some(line) = inner.lines.pop_front() {
                    inner.bytes -= line.cost();
                    return Some(line);
                }
                if inner.closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// No more lines come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Lines that had to go so far.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> Waiting {
        let text = format!("{number:0100}").into_bytes();
        Waiting { at: Timestamp::from_micros(0), source: LogSource::Worker, step: None, text }
    }

    #[tokio::test]
    async fn of_too_many_lines_the_newest_are_kept_in_order_and_the_others_counted() {
        let queue = LogQueue::default();
        let all = 3 * WAITING_BYTES_MAX / line(0).cost();
        (0..all).for_each(|number| queue.put(line(number)));
        queue.close();
        let mut kept = Vec::new();
        while let Some(line) = queue.next().await {
            kept.push(line);
        }
        assert_eq!(kept.len(), WAITING_BYTES_MAX / line(0).cost());
        assert_eq!(kept, (all - kept.len()..all).map(line).collect::<Vec<_>>());
        assert_eq!(queue.dropped(), (all - kept.len()) as u64);
    }

    #[tokio::test]
    async fn who_waits_is_given_the_next_line_and_then_the_end() {
        let queue = LogQueue::default();
        let (next, ()) = tokio::join!(queue.next(), async { queue.put(line(7)) });
        assert_eq!(next, Some(line(7)));
        let (end, ()) = tokio::join!(queue.next(), async { queue.close() });
        assert_eq!(end, None);
    }
}
