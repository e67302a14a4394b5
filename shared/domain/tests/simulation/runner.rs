//! The runners. A claim stays in `held` until the report of its end was accepted or refused. After a gap in
//! its own clock or connection longer than the lease, and every ten seconds in any case, a runner reports the
//! start of each held claim again and ends what is refused.

use std::collections::BTreeMap;

use domain::board::{Heartbeat, Held, Millis, RUNNER_LEASE_MS};
use domain::task::input::{Input, Refusal, Report};
use domain::task::state::InterruptKind;
use domain::{Epoch, RunnerId, Task, TaskKey};

use crate::faults::Plant;
use crate::functions::{Asker, Operation};
use crate::scheduler::ToScheduler;
use crate::users::ENDLESS;
use crate::world::{Event, World};

const BEAT_MS: Millis = 500;
const REPEAT_MS: Millis = 700;
const CLAIM_CHECK_MS: Millis = 10_000;
const SLOTS: usize = 2;

/// One life of a runner.
pub struct Runner {
    pub id: RunnerId,
    pub held: BTreeMap<TaskKey, Claim>,
    pub draining_until: Millis,
    pub asleep_until: Millis,
    pub cut_until: Millis,
    /// When it last looked at its clock.
    clock: Millis,
    checked_at: Millis,
    /// When the last heartbeat to each scheduler arrives, since one does not overtake another.
    beats: [Millis; 2],
}

pub struct Claim {
    pub epoch: Epoch,
    pub stage: Stage,
    pub interrupted: Option<InterruptKind>,
    pub endless: bool,
    /// Its process takes no notice of the wish to end the solve.
    pub stubborn: bool,
}

#[derive(PartialEq)]
pub enum Stage {
    Starting,
    Running,
    /// Nothing of it is left but this report.
    Over(Report),
}

#[derive(Debug, Clone)]
pub enum ToRunner {
    Beat,
    Told(Told),
    ProcessStarted(TaskKey, Epoch),
    ProcessEnded(TaskKey, Epoch, Option<String>),
    /// The end of this claim may have to be reported again.
    Repeat(TaskKey, Epoch),
    Answer {
        key: TaskKey,
        epoch: Epoch,
        is_end: bool,
        outcome: Result<(), Refusal>,
    },
    Reconnected,
}

#[derive(Debug, Clone)]
pub enum Told {
    /// The task, and which life of which scheduler wants to know if it can't be taken.
    Assign(Box<Task>, usize, u64),
    Interrupt(Box<Task>),
    Drop(TaskKey, Epoch),
}

impl World {
    pub fn runner_begins(&mut self, pause: Millis) {
        let id = RunnerId(self.random.id());
        let runner = Runner {
            id,
            held: BTreeMap::new(),
            draining_until: 0,
            asleep_until: 0,
            cut_until: 0,
            clock: self.now + pause,
            checked_at: self.now + pause,
            beats: [0, 0],
        };
        self.runners.push(runner);
        self.after(pause, Event::Runner(id, ToRunner::Beat));
    }

    pub fn runner_hears(&mut self, id: RunnerId, message: ToRunner) {
        let Some(number) = self.runners.iter().position(|runner| runner.id == id) else { return };
        let runner = &self.runners[number];
        if self.now < runner.asleep_until {
            let pause = runner.asleep_until - self.now;
            return self.after(pause, Event::Runner(id, message));
        }
        let cut = self.now < runner.cut_until;
        match message {
            ToRunner::Beat => self.runner_beats(number),
            ToRunner::ProcessStarted(key, epoch) => self.process_started(number, key, epoch),
            ToRunner::ProcessEnded(key, epoch, error) => self.process_ended(number, key, epoch, error),
            ToRunner::Repeat(key, epoch) => self.report_end(number, key, epoch, true),
            ToRunner::Reconnected => self.check_claims(number),
            ToRunner::Told(_) | ToRunner::Answer { .. } if cut => {}
            ToRunner::Told(Told::Assign(task, scheduler, life)) => {
                self.assigned(number, &task, scheduler, life);
            }
            ToRunner::Told(Told::Interrupt(task)) => self.interrupted(number, &task),
            ToRunner::Told(Told::Drop(key, epoch)) => {
                if self.claim(number, &key, epoch).is_some() {
                    self.check.saw("a runner was told to drop a claim");
                    self.runners[number].held.remove(&key);
                }
            }
            ToRunner::Answer { key, epoch, is_end, outcome } => {
                self.answered(number, &key, epoch, is_end, outcome);
            }
        }
    }

    pub fn claim(&mut self, number: usize, key: &TaskKey, epoch: Epoch) -> Option<&mut Claim> {
        self.runners[number].held.get_mut(key).filter(|claim| claim.epoch == epoch)
    }

    fn runner_beats(&mut self, number: usize) {
        let now = self.now;
        let runner = &mut self.runners[number];
        let gap = now - runner.clock > RUNNER_LEASE_MS;
        runner.clock = now;
        if gap || now - runner.checked_at > CLAIM_CHECK_MS {
            runner.checked_at = now;
            if gap {
                self.check.saw("a runner noticed a gap in its clock");
            }
            self.check_claims(number);
        }
        let runner = &self.runners[number];
        let held = runner.held.iter().map(|(key, claim)| Held {
            key: key.clone(),
            epoch: claim.epoch,
            interrupted: claim.interrupted,
        });
        let beat = Heartbeat {
            runner: runner.id,
            slots: SLOTS as u32,
            draining: now < runner.draining_until,
            held: held.collect(),
            warm: Vec::new(),
        };
        let cut = now < runner.cut_until;
        for scheduler in 0..self.schedulers.len() {
            if !cut && !self.random.chance(self.faults.beat_lost) {
                let at = now + self.random.between(1, 1 + self.faults.delay);
                let last = &mut self.runners[number].beats[scheduler];
                *last = at.max(*last + 1);
                let pause = *last - now;
                self.tell_scheduler(scheduler, pause, ToScheduler::Beat(beat.clone()));
            }
        }
        self.after(BEAT_MS, Event::Runner(beat.runner, ToRunner::Beat));
    }

    fn check_claims(&mut self, number: usize) {
        if self.plant == Plant::NoClaimCheck {
            return;
        }
        let held: Vec<_> =
            self.runners[number].held.iter().map(|(key, claim)| (key.clone(), claim.epoch)).collect();
        for (key, epoch) in held {
            let started = Report::Started { at: self.time(), session: None };
            self.report(number, key, epoch, started);
        }
    }

    fn assigned(&mut self, number: usize, task: &Task, scheduler: usize, life: u64) {
        let (key, epoch, draining) = (task.key(), task.epoch, self.now < self.runners[number].draining_until);
        let held = &mut self.runners[number].held;
        match held.get(&key) {
            Some(claim) if claim.epoch >= epoch => return self.check.saw("an assignment came twice"),
            Some(_) => {
                // The older process is ended first; the task comes back, here or to another.
                held.remove(&key);
                self.check.saw("a runner held an older claim of the task it got");
                return self.refuse(key, epoch, scheduler, life);
            }
            None if draining || held.len() >= SLOTS => return self.refuse(key, epoch, scheduler, life),
            None => {}
        }
        let endless = task.service == ENDLESS;
        let interrupted = task.interrupt.map(|wish| wish.kind);
        let stubborn = endless && self.random.chance(500);
        let claim = Claim { epoch, stage: Stage::Starting, interrupted, endless, stubborn };
        self.runners[number].held.insert(key.clone(), claim);
        let (id, pause) = (self.runners[number].id, self.random.between(0, 300));
        self.after(pause, Event::Runner(id, ToRunner::ProcessStarted(key, epoch)));
    }

    fn refuse(&mut self, key: TaskKey, epoch: Epoch, scheduler: usize, life: u64) {
        self.check.saw("a runner gave a claim back");
        self.send(Event::Scheduler(scheduler, life, ToScheduler::Refused(key, epoch)));
    }

    /// Reports the end, and again until there is an answer.
    pub fn report_end(&mut self, number: usize, key: TaskKey, epoch: Epoch, again: bool) {
        let Some(claim) = self.claim(number, &key, epoch) else { return };
        let Stage::Over(report) = &claim.stage else { return };
        let report = report.clone();
        if again {
            self.check.saw("an end was reported again");
        }
        if self.store.get(&key).is_some_and(|(_, task)| task.epoch > epoch) {
            self.check.saw("a zombie reported its end");
        }
        self.report(number, key.clone(), epoch, report);
        let id = self.runners[number].id;
        self.after(REPEAT_MS, Event::Runner(id, ToRunner::Repeat(key, epoch)));
    }

    pub fn report(&mut self, number: usize, key: TaskKey, epoch: Epoch, report: Report) {
        let runner = &self.runners[number];
        if self.now >= runner.cut_until {
            let is_end = matches!(report, Report::Ended(_) | Report::GivenBack);
            let asker = Asker::Runner(runner.id, epoch, is_end);
            self.send(Event::Asked(Operation::new(key, Input::Report { epoch, report }, asker)));
        }
    }

    fn answered(
        &mut self,
        number: usize,
        key: &TaskKey,
        epoch: Epoch,
        is_end: bool,
        outcome: Result<(), Refusal>,
    ) {
        if self.claim(number, key, epoch).is_none() {
            return;
        }
        if outcome.is_err() {
            self.check.saw("a runner found a claim to be void");
        }
        if outcome.is_err() || is_end {
            self.runners[number].held.remove(key);
        }
    }
}
