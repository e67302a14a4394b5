//! Carries out what the board wants. Nothing here has to succeed: the board asks again.

use std::time::Duration;

use broker::{Broker, Known, Tasks};
use domain::board::Action;
use domain::task::input::Input;
use domain::{RunnerId, SessionId, Task, TaskKey};
use service::{clock, ids};
use tokio::sync::mpsc;
use wire::calls::delete::DeleteRequest;
use wire::runner::{Taken, Told};
use wire::{Error, subjects};

/// A runner answers at once or is in trouble.
const ASSIGN_DEADLINE: Duration = Duration::from_secs(1);

/// What became of a claim.
pub enum Outcome {
    /// The record says so, at this revision.
    Claimed(u64, Box<Task>),
    /// Another was faster, or the task was deleted.
    NotClaimed(TaskKey),
    /// The broker did not take it.
    BrokerFailed(TaskKey),
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
    pub fn begin(&self, action: Action, known: Option<(u64, Task)>) {
        let actor = self.clone();
        tokio::spawn(async move {
            if let Err(error) = actor.act(action, known).await {
                tracing::debug!(%error, "an action failed; it will be wanted again if it is still needed");
            }
        });
    }

    async fn act(&self, action: Action, known: Option<(u64, Task)>) -> Result<(), Error> {
        match action {
            Action::Claim(key, runner) => self.claim(key, runner, known).await,
            Action::TellAssign(key, _) => {
                let Some((_, task)) = self.tasks.get(&key).await? else { return Ok(()) };
                if task.state.is_active() { self.assign(task).await } else { Ok(()) }
            }
            Action::TellInterrupt(key, runner) => {
                if let Some((_, task)) = self.tasks.get(&key).await? {
                    self.broker.tell(subjects::runner(runner), &Told::Interrupt(task)).await;
                }
                Ok(())
            }
            Action::TellDrop(key, epoch, runner) => {
                self.broker.tell(subjects::runner(runner), &Told::Drop { key, epoch }).await;
                Ok(())
            }
            Action::Lose(key, epoch) => self.apply(&key, &Input::Lost { epoch }).await,
            Action::RemoveBodies(key) => self.broker.call(&DeleteRequest::Bodies { key }).await,
        }
    }

    async fn apply(&self, key: &TaskKey, input: &Input) -> Result<(), Error> {
        self.tasks.apply(key, input, clock::now(), Known::Nothing).await?;
        Ok(())
    }

    async fn claim(&self, key: TaskKey, runner: RunnerId, known: Option<(u64, Task)>) -> Result<(), Error> {
        let session = SessionId(ids::random()?);
        let known = known.map_or(Known::Nothing, |(revision, task)| Known::Record(revision, Box::new(task)));
        let input = Input::Claim { runner, session };
        let claimed = self.tasks.apply(&key, &input, clock::now(), known).await;
        let (outcome, next) = match claimed {
            Ok(applied) => {
                let task = applied.task;
                (Outcome::Claimed(applied.revision, Box::new(task.clone())), Ok(Some(task)))
            }
            Err(broker::tasks::ApplyError::Refused(_)) => (Outcome::NotClaimed(key), Ok(None)),
            Err(broker::tasks::ApplyError::Broker(error)) => (Outcome::BrokerFailed(key), Err(error)),
        };
        // The driver stops listening only when it ends, and then nothing depends on it.
        let _ = self.outcomes.send(outcome);
        match next? {
            Some(task) => self.assign(task).await,
            None => Ok(()),
        }
    }

    /// Tells the runner; one that has no place gives the task back.
    async fn assign(&self, task: Task) -> Result<(), Error> {
        let Some(runner) = task.runner else { return Ok(()) };
        let (key, epoch) = (task.key(), task.epoch);
        let told = Told::Assign(task);
        match self.broker.ask(subjects::runner(runner), &told, ASSIGN_DEADLINE).await? {
            Taken::Yes => Ok(()),
            Taken::No => self.apply(&key, &Input::Release { epoch }).await,
        }
    }
}
