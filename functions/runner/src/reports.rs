//! Reports about one claim: sent in order, repeated until they are accepted or refused. A refused report means
//! that the claim is another's, and the process is ended.

use std::sync::Arc;
use std::time::Duration;

use domain::task::input::{Ending, Report};
use domain::task::state::Phase;
use domain::task::workflow::StepEnding;
use domain::{Epoch, SessionId, Task, TaskKey, Timestamp};
use tokio::sync::{mpsc, oneshot};
use wire::Code;
use wire::calls::report::Standing;
use wire::runner::ClaimReport;

use crate::Runner;

/// Between two tries while the broker or `report` is away.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);

/// A report, and who waits for what becomes of it.
struct Item {
    report: Report,
    taken: Option<oneshot::Sender<Standing>>,
}

/// The way of one claim's reports.
pub struct Reports {
    queue: mpsc::UnboundedSender<Item>,
    sender: tokio::task::JoinHandle<bool>,
    runner: Arc<Runner>,
}

impl Reports {
    /// Begins to send the reports of a claim. There are few per task, and phases are joined before they come
    /// here, so the queue needs no bound.
    pub fn begin(runner: &Arc<Runner>, task: &Task) -> Self {
        let (queue, reports) = mpsc::unbounded_channel();
        let sender = tokio::spawn(send_all(Arc::clone(runner), task.key(), task.epoch, reports));
        Self { queue, sender, runner: Arc::clone(runner) }
    }

    /// The process runs since then. Also the way to ask whether the claim still holds.
    pub fn started(&self, at: Timestamp) {
        self.push(Report::Started { at, session: None });
    }

    /// The same, for a task that a warm session runs and not the one of its claim.
    pub fn started_in(&self, at: Timestamp, session: SessionId) {
        self.push(Report::Started { at, session: Some(session) });
    }

    /// Somebody outside ended the process.
    pub fn process_lost(&self, error: String) {
        self.push(Report::ProcessLost { error });
    }

    /// The process says what it does.
    pub fn phase(&self, phase: Phase) {
        self.push(Report::Phase(phase));
    }

    /// Something goes wrong with a task that runs on all the same.
    pub fn trouble(&self, error: String) {
        self.push(Report::Trouble(Some(error)));
    }

    fn push(&self, report: Report) {
        // The sender has ended only where the claim was refused, and then no report matters any more.
        let _ = self.queue.send(Item { report, taken: None });
    }

    /// A step ended. Says how the claim stands after that; `None` where the report was refused.
    pub async fn step(&self, ending: StepEnding) -> Option<Standing> {
        let (taken, answer) = oneshot::channel();
        self.queue.send(Item { report: Report::Step(ending), taken: Some(taken) }).ok()?;
        answer.await.ok()
    }

    /// Reports the end and waits until that is accepted or refused. A result that nobody accepted is removed.
    pub async fn end(self, ending: Ending) {
        let object = ending.result.as_ref().and_then(|result| result.object()).map(str::to_owned);
        self.push(Report::Ended(ending));
        let accepted = self.finish().await;
        if let (false, Some(object), runner) = (accepted.0, object, accepted.1) {
            runner.bodies.remove(&object).await;
        }
    }

    /// There is no end to report: the claim is another's, or goes back.
    pub async fn give_up(self) {
        self.finish().await;
    }

    /// The task goes back into its lane, at no cost.
    pub fn give_back(&self) {
        self.push(Report::GivenBack);
    }

    async fn finish(self) -> (bool, Arc<Runner>) {
        drop(self.queue);
        (self.sender.await.unwrap_or(false), self.runner)
    }
}

/// Sends one after the other; false once one was refused.
async fn send_all(
    runner: Arc<Runner>,
    key: TaskKey,
    epoch: Epoch,
    mut reports: mpsc::UnboundedReceiver<Item>,
) -> bool {
    while let Some(Item { report, taken }) = reports.recv().await {
        let mut pause = RETRY_FIRST;
        let standing = loop {
            let report = ClaimReport { key: key.clone(), epoch, report: report.clone() };
            match runner.outbox.send(report).await {
                Ok(standing) => break standing,
                Err(error) => match error.code {
                    Code::StaleClaim | Code::TaskNotFound | Code::WrongState => {
                        tracing::info!(%key, %epoch, %error, "the claim does not hold any more");
                        runner.held.drop_claim(&key, epoch);
                        return false;
                    }
                    Code::BadRequest
                    | Code::Unauthenticated
                    | Code::Forbidden
                    | Code::NotFound
                    | Code::AppNotFound
                    | Code::LatestNotFound
                    | Code::Conflict
                    | Code::KeyReused
                    | Code::TooLarge
                    | Code::LaneFull
                    | Code::StorageFull
                    | Code::Unavailable
                    | Code::Timeout
                    | Code::Internal => {
                        tracing::warn!(%key, %error, "a report was not taken; trying again");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(RETRY_LAST);
                    }
                },
            }
        };
        if let Some(taken) = taken {
            // Who asked waits for it unless it has ended with its runner.
            let _ = taken.send(standing);
        }
    }
    true
}
