//! What the log of a job tells of its callbacks: one row for each try, written beside the deliveries, which never
//! wait for it.

use broker::Broker;
use domain::task::hook::What;
use domain::{Task, TaskKey};
use futures_util::future::join_all;
use service::clock;
use tokio::sync::mpsc;
use wire::calls::callbacks::Delivery;
use wire::runner::{LogLine, LogSource};
use wire::subjects;

/// Rows that may wait for the broker. Beyond, they are left out: how far the hooks are told stands in their record.
const WAITING_MAX: usize = 10_000;
/// Rows that are on their way at once.
const AT_ONCE: usize = 256;

/// Takes rows without waiting.
pub struct Notes {
    rows: mpsc::Sender<(TaskKey, LogLine)>,
}

impl Notes {
    /// Begins to write rows; it ends when this is dropped and all are written.
    pub fn start(broker: &Broker) -> Self {
        let (rows, mut waiting) = mpsc::channel(WAITING_MAX);
        let broker = broker.clone();
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while waiting.recv_many(&mut batch, AT_ONCE).await > 0 {
                let written = batch.iter().map(|(key, line)| broker.append(subjects::notes(key), line));
                if let Some(error) = join_all(written).await.into_iter().find_map(Result::err) {
                    tracing::warn!(%error, "rows of callbacks could not be stored");
                }
                batch.clear();
            }
        });
        Self { rows }
    }

    /// How a try ended to tell the change that is next.
    pub fn delivery(&self, task: &Task, url: &str, next: &Delivery, told: &Result<(), String>) {
        let index = next.done.checked_sub(task.events.gone).and_then(|index| usize::try_from(index).ok());
        let Some(event) = index.and_then(|index| task.events.kept.get(index)) else { return };
        let (what, step) = words(task, &event.what);
        // What follows the path may be the receiver's secret.
        let url = url.split(['?', '#']).next().unwrap_or_default();
        let text = match told {
            Ok(()) => format!("{what} was told to {url}"),
            Err(why) => format!("{what} was not told to {url} (try {}): {why}", next.attempts + 1),
        };
        let line = LogLine { source: LogSource::Callback, step, ..LogLine::new(clock::now(), text) };
        if self.rows.try_send((task.key(), line)).is_err() {
            tracing::debug!(key = %task.key(), "a row of a callback is left out");
        }
    }
}

/// A change in words, and the step it is about: the end of a job belongs to its last step.
fn words(task: &Task, what: &What) -> (String, Option<u32>) {
    let named = |step: &u32, how: &str| {
        let steps = task.workflow.as_ref().map(|workflow| workflow.steps.as_slice()).unwrap_or_default();
        let name = usize::try_from(*step).ok().and_then(|step| steps.get(step));
        (format!("that '{}' {how}", name.map_or("a step", String::as_str)), Some(*step))
    };
    match what {
        What::StepStarted { step } => named(step, "has started"),
        What::StepCompleted { step } => named(step, "is complete"),
        What::StepFailed { step } => named(step, "has failed"),
        What::State { .. } => {
            let last =
                task.workflow.as_ref().map(|workflow| workflow.done.min(workflow.count().saturating_sub(1)));
            ("the end of the job".to_owned(), last)
        }
    }
}
