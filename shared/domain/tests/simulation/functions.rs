//! The functions that move a task: each reads the record, asks `transition`, and writes by compare-and-set.
//! Between the read and the write anything may happen.

use domain::board::{Announcement, Reception};
use domain::task::input::{Change, Effect, Input, Refusal, Report};
use domain::task::transition::transition;
use domain::{Epoch, RunnerId, SessionId, Task, TaskKey, TaskState};

use crate::faults::Plant;
use crate::runner::{ToRunner, Told};
use crate::users::ToUser;
use crate::world::{Event, World, Written};

/// One call of a function.
#[derive(Debug, Clone)]
pub struct Operation {
    pub key: TaskKey,
    pub input: Input,
    pub asker: Asker,
    /// The scheduler that keeps a place for the task that is created, in which of its lives. A create shares a process
    /// with the scheduler that it asks, so it dies with it.
    pub keeper: Option<(usize, u64)>,
}

impl Operation {
    pub fn new(key: TaskKey, input: Input, asker: Asker) -> Self {
        Self { key, input, asker, keeper: None }
    }
}

/// Who wants an answer.
#[derive(Debug, Clone)]
pub enum Asker {
    Nobody,
    /// The user with this request.
    User(usize),
    /// The user who sends another request under the id of this one.
    OtherUser,
    /// The runner about this claim; whether it reported the end.
    Runner(RunnerId, Epoch, bool),
}

impl World {
    pub fn operate(&mut self, mut operation: Operation) {
        self.announce(&mut operation);
        let current = self.store.get(&operation.key).map(|(revision, task)| (revision, task.clone()));
        if let (Plant::NoEpochCheck, Some((revision, task))) = (self.plant, &current)
            && let Some(next) = whatever_the_epoch(task, &operation.input)
        {
            return self.after(1, Event::Commit(operation, *revision, Box::new(next), Vec::new()));
        }
        let (revision, task) = current.as_ref().map_or((0, None), |(revision, task)| (*revision, Some(task)));
        match transition(task, &operation.input, self.time()) {
            Ok(Change::Write(next, effects)) => {
                let pause = self.random.between(0, 20);
                self.after(pause, Event::Commit(operation, revision, next, effects));
            }
            Ok(Change::Nothing) => {
                let operation = self.withdraw(operation);
                if matches!(operation.asker, Asker::Runner(_, _, true)) {
                    self.check.saw("an end was accepted again");
                }
                self.answer(&operation, Ok(()));
            }
            Err(refusal) => {
                let operation = self.withdraw(operation);
                self.answer(&operation, Err(refusal));
            }
        }
    }

    /// A create asks the scheduler of its process, if there is one, for a place.
    fn announce(&mut self, operation: &mut Operation) {
        let Input::Create(task) = &operation.input else { return };
        let number = self.random.below(self.schedulers.len() as u64) as usize;
        if self.random.chance(300) || !self.is_awake(number) {
            return;
        }
        let scheduler = &mut self.schedulers[number];
        match scheduler.board.announce(Announcement::of(task), self.now) {
            Reception::Place(runner) => {
                self.check.saw("a task was created with its claim");
                let session = SessionId(self.random.id());
                let task = task.clone();
                operation.input = Input::CreateClaimed { task, runner, session };
            }
            Reception::Queue => {}
            Reception::Known => return self.check.saw("a task was announced twice"),
        }
        operation.keeper = Some((number, self.schedulers[number].life));
    }

    /// What was announced does not come: it is there, or is refused.
    fn withdraw(&mut self, operation: Operation) -> Operation {
        if let Some((number, life)) = operation.keeper
            && self.lives(number, life)
        {
            self.schedulers[number].board.withdraw(&operation.key);
        }
        plain(operation)
    }

    pub fn commit(&mut self, operation: Operation, revision: u64, task: Task, effects: &[Effect]) {
        if operation.keeper.is_some_and(|(number, life)| !self.lives(number, life)) {
            return self.check.saw("a create died with its scheduler");
        }
        match self.write(revision, task.clone(), &operation.input) {
            Written::Done(_) => {
                self.do_effects(&task, effects);
                self.answer(&operation, Ok(()));
            }
            Written::Conflict => {
                self.check.saw("a function met a conflict");
                let operation = self.withdraw(operation);
                self.after(1, Event::Asked(operation));
            }
            Written::Unknown => {
                let operation = plain(operation);
                self.ask_again(operation);
            }
        }
    }

    /// Nobody knows whether it was written, so the record is read again.
    fn ask_again(&mut self, mut operation: Operation) {
        if let Input::Create(task) = &mut operation.input {
            if self.store.get(&operation.key).is_some() {
                self.check.saw("a create of unknown fate was written");
            }
            if self.plant == Plant::CreateAgain {
                task.id.0 = self.random.id();
                operation.key = task.key();
            }
        }
        self.after(50, Event::Asked(operation));
    }

    fn do_effects(&mut self, task: &Task, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::TellInterrupt(runner) => {
                    let told = Told::Interrupt(Box::new(task.clone()));
                    self.send(Event::Runner(*runner, ToRunner::Told(told)));
                }
                Effect::TellDrop(runner, epoch) => {
                    let told = Told::Drop(task.key(), *epoch);
                    self.send(Event::Runner(*runner, ToRunner::Told(told)));
                }
                Effect::RemoveBodies => {
                    let removed = Operation::new(task.key(), Input::BodiesRemoved, Asker::Nobody);
                    self.send(Event::Asked(removed));
                }
            }
        }
    }

    fn answer(&mut self, operation: &Operation, outcome: Result<(), Refusal>) {
        match operation.asker {
            Asker::Nobody => {}
            Asker::User(request) => self.send(Event::User(ToUser::Answer(request))),
            Asker::OtherUser => {
                let refused = matches!(outcome, Err(Refusal::KeyTaken | Refusal::NotFound));
                if outcome == Err(Refusal::KeyTaken) {
                    self.check.saw("another request under the same id was refused");
                }
                if !refused {
                    self.check.fail(format!("{} was given to another request", operation.key));
                }
            }
            Asker::Runner(runner, epoch, is_end) => {
                if is_end && outcome == Err(Refusal::StaleEpoch) {
                    self.check.saw("a stale end was refused");
                }
                let answer = ToRunner::Answer { key: operation.key.clone(), epoch, is_end, outcome };
                self.send(Event::Runner(runner, answer));
            }
        }
    }
}

/// As it was asked, before it was announced.
fn plain(operation: Operation) -> Operation {
    let input = match operation.input {
        Input::CreateClaimed { task, .. } => Input::Create(task),
        input => input,
    };
    Operation { input, keeper: None, ..operation }
}

/// The planted bug: what a `report` would write that does not compare epochs.
fn whatever_the_epoch(task: &Task, input: &Input) -> Option<Task> {
    let Input::Report { epoch, report: Report::Ended(ending) } = input else { return None };
    if *epoch == task.epoch || !task.state.is_active() {
        return None;
    }
    let mut next = task.clone();
    next.state = TaskState::Completed;
    next.result = ending.result.clone();
    Some(next)
}
