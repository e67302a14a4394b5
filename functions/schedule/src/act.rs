//! Carries out what the board wants. Nothing here has to succeed: the board asks again.

use std::sync::Arc;

use broker::tasks::ApplyError;
use broker::{Broker, Known, Tasks};
use domain::board::Action;
use domain::task::input::Input;
use domain::task::state::Origin;
use domain::task::timing::successor;
use domain::{Epoch, RunnerId, SessionId, Task, TaskKey, TaskState, Timestamp};
use service::{clock, ids};
use tokio::sync::mpsc;
use wire::calls::callbacks::{CallbacksReply, CallbacksRequest};
use wire::calls::delete::DeleteRequest;
use wire::runner::{LogLine, LogSource, Told};
use wire::{Error, subjects};

/// What became of a claim.
pub enum Outcome {
    /// The record says so, at this revision.
    Claimed(u64, Arc<Task>),
    /// Another was faster, or the task was deleted.
    NotClaimed(TaskKey),
    /// The broker did not take it.
    BrokerFailed(TaskKey),
    /// Its gate is closed, or could not be asked.
    GateClosed(TaskKey),
}

/// Does the board's actions, each in a task of its own.
#[derive(Clone)]
pub struct Actor {
    broker: Broker,
    tasks: Tasks,
    outcomes: mpsc::UnboundedSender<Outcome>,
}

impl Actor {
    /// Tells the outcomes of claims to `outcomes`; there are never more of them than free places.
    pub fn new(broker: Broker, outcomes: mpsc::UnboundedSender<Outcome>) -> Self {
        Self { tasks: Tasks::new(&broker), broker, outcomes }
    }

    /// Begins an action. `known` is the record, where the board has it.
    pub fn begin(&self, action: Action, known: Option<(u64, Arc<Task>)>) {
        let actor = self.clone();
        // Taken here, so that the times of claims are in the order in which they were decided.
        let now = clock::now();
        tokio::spawn(async move {
            if let Err(error) = actor.act(action, known, now).await {
                tracing::debug!(%error, "an action failed; it will be wanted again if it is still needed");
            }
        });
    }

    async fn act(
        &self,
        action: Action,
        known: Option<(u64, Arc<Task>)>,
        now: Timestamp,
    ) -> Result<(), Error> {
        match action {
            Action::Claim(key, runner) => self.claim(key, runner, known, now).await,
            Action::TellAssign(key, _) => {
                let task = match known {
                    Some((_, task)) => task,
                    None => match self.tasks.get(&key).await? {
                        Some((_, task)) => Arc::new(task),
                        None => return Ok(()),
                    },
                };
                if task.state.is_active() {
                    self.assign(task).await;
                }
                Ok(())
            }
            Action::TellInterrupt(key, runner) => {
                if let Some((_, task)) = self.tasks.get(&key).await? {
                    self.broker.tell_one(subjects::runner(runner), &Told::Interrupt(Arc::new(task))).await;
                }
                Ok(())
            }
            Action::TellDrop(key, epoch, runner) => {
                self.broker.tell_one(subjects::runner(runner), &Told::Drop { key, epoch }).await;
                Ok(())
            }
            Action::Lose(key, epoch) => self.apply(&key, &Input::Lost { epoch }).await,
            Action::CheckClaim(key, epoch, runner) => self.check_claim(key, epoch, runner).await,
            Action::Due(key) => self.due(&key).await,
            Action::AskGate(key) => self.ask_gate(key).await,
            Action::RemoveBodies(key) => self.broker.call(&DeleteRequest::Bodies { key }).await,
        }
    }

    async fn apply(&self, key: &TaskKey, input: &Input) -> Result<(), Error> {
        self.tasks.apply(key, input, clock::now(), Known::Nothing).await?;
        Ok(())
    }

    /// A claim on a task that does not run any more is void; one that the record knows is left alone.
    async fn check_claim(&self, key: TaskKey, epoch: Epoch, runner: RunnerId) -> Result<(), Error> {
        let found = self.tasks.get(&key).await?;
        let holds = |task: &Task| task.epoch == epoch && task.state.is_active();
        if !found.is_some_and(|(_, task)| holds(&task)) {
            self.broker.tell_one(subjects::runner(runner), &Told::Drop { key, epoch }).await;
        }
        Ok(())
    }

    /// Has the gate of a task asked and moves the task on where it is open.
    async fn ask_gate(&self, key: TaskKey) -> Result<(), Error> {
        let Some((_, task)) = self.tasks.get(&key).await? else { return Ok(()) };
        let gate = task.timing.as_ref().and_then(|timing| timing.gate.clone());
        if task.state != TaskState::Scheduled {
            return Ok(());
        }
        let answer = match gate {
            Some(url) => self.answer_of(&key, url).await,
            None => Ok(()),
        };
        let Err(why) = answer else { return self.due(&key).await };
        self.note(&task, clock::now(), format!("the semaphore is closed: {why}")).await;
        // As with claims: a driver that has ended needs no outcome.
        let _ = self.outcomes.send(Outcome::GateClosed(key));
        Ok(())
    }

    /// Whether a gate is open; the error says why it is not.
    async fn answer_of(&self, key: &TaskKey, url: String) -> Result<(), String> {
        match self.broker.call(&CallbacksRequest::Gate { url }).await {
            Ok(CallbacksReply::Gate(gate)) => gate.closed.map_or(Ok(()), |why| {
                tracing::debug!(%key, why, "a gate is closed");
                Err(why)
            }),
            Ok(CallbacksReply::Deliveries(_)) => Err("callbacks answered something else".to_owned()),
            Err(error) => {
                tracing::warn!(%key, %error, "a gate could not be asked");
                Err("it could not be asked".to_owned())
            }
        }
    }

    /// Moves a task into its lane. The next run of a recurring one is created first: if we die between the
    /// two the task is still due, and its next run is found to be there.
    async fn due(&self, key: &TaskKey) -> Result<(), Error> {
        let Some((revision, task)) = self.tasks.get(key).await? else { return Ok(()) };
        let now = clock::now();
        if let Some(next) = successor(&task, now) {
            let next_key = next.key();
            let created =
                self.tasks.apply(&next_key, &Input::Create(Box::new(next)), now, Known::Absent).await;
            match created {
                // A next run that is deleted already ends the series.
                Ok(_) | Err(ApplyError::Refused(_)) => {}
                Err(ApplyError::Broker(error)) => return Err(error),
            }
        }
        let known = Known::Record(revision, Arc::new(task));
        let queued = self.tasks.apply(key, &Input::Due, now, known).await?;
        if queued.written {
            self.note(&queued.task, now, "Job is queued: its time has come".to_owned()).await;
        }
        Ok(())
    }

    /// A row in the log of a job; other tasks have no such rows. A note that can't be stored stops nothing.
    async fn note(&self, task: &Task, at: Timestamp, text: String) {
        if task.origin != Origin::TaskEngine {
            return;
        }
        let line = LogLine { source: LogSource::Scheduler, ..LogLine::new(at, text) };
        if let Err(error) = self.broker.append(subjects::notes(&task.key()), &line).await {
            tracing::warn!(key = %task.key(), %error, "a note on a job could not be stored");
        }
    }

    async fn claim(
        &self,
        key: TaskKey,
        runner: RunnerId,
        known: Option<(u64, Arc<Task>)>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let session = SessionId(ids::random()?);
        let known = known.map_or(Known::Nothing, |(revision, task)| Known::Record(revision, task));
        let input = Input::Claim { runner, session };
        let claimed = self.tasks.apply(&key, &input, now, known).await;
        let (outcome, next) = match claimed {
            Ok(applied) => {
                let task = applied.task;
                (Outcome::Claimed(applied.revision, Arc::clone(&task)), Ok(Some(task)))
            }
            Err(ApplyError::Refused(_)) => (Outcome::NotClaimed(key), Ok(None)),
            Err(ApplyError::Broker(error)) => (Outcome::BrokerFailed(key), Err(error)),
        };
        // The driver stops listening only when it ends, and then nothing depends on it.
        let _ = self.outcomes.send(outcome);
        if let Some(task) = next? {
            self.assign(task).await;
        }
        Ok(())
    }

    /// Tells the runner. No answer is waited for: one that has no place reports that it gives the claim back,
    /// and where the word was lost the board tells it again.
    async fn assign(&self, task: Arc<Task>) {
        if let Some(runner) = task.runner {
            self.broker.tell_one(subjects::runner(runner), &Told::Assign(task)).await;
        }
    }
}
