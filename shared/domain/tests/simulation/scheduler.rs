//! The schedulers: each has a board, draws it from the change feed and the heartbeats, and does what it says.
//! All of them are active at once, and each may begin again from scratch.

use std::collections::{BTreeMap, VecDeque};

use domain::board::{Action, Board, Heartbeat, Millis};
use domain::lane::LaneLimits;
use domain::task::input::{Change, Input};
use domain::task::transition::transition;
use domain::{Epoch, RunnerId, SessionId, Task, TaskKey};

use crate::faults::Plant;
use crate::functions::{Asker, Operation};
use crate::runner::{ToRunner, Told};
use crate::world::{Event, World, Written, short};

const TICK_MS: Millis = 200;
/// A scheduler that did not tick for this long takes nobody's silence for death.
const DEAF_AFTER_MS: Millis = 1_000;

pub struct Scheduler {
    pub board: Board,
    pub life: u64,
    up: bool,
    pub asleep_until: Millis,
    ticked_at: Millis,
    /// What the feed has yet to show, in order, each with its time.
    feed: VecDeque<(Millis, u64, Task)>,
    /// The last revision that the feed showed.
    shown: u64,
    limits: BTreeMap<&'static str, LaneLimits>,
}

#[derive(Debug, Clone)]
pub enum ToScheduler {
    Begin,
    Tick,
    /// The feed broke off and begins again with the last revision of every record.
    FeedAnew,
    /// The feed has something to show.
    Feed,
    Beat(Heartbeat),
    Limits(&'static str, LaneLimits),
    /// The answer to a claim: the revision and the task, if it was written for certain.
    Claim(TaskKey, RunnerId, Option<(u64, Box<Task>)>),
    /// A runner could not take this claim.
    Refused(TaskKey, Epoch),
}

impl Scheduler {
    pub fn new() -> Self {
        Self {
            board: Board::new(),
            life: 0,
            up: false,
            asleep_until: 0,
            ticked_at: 0,
            feed: VecDeque::new(),
            shown: 0,
            limits: BTreeMap::new(),
        }
    }
}

impl World {
    /// A scheduler starts a new life after a pause.
    pub fn scheduler_begins(&mut self, number: usize, pause: Millis) {
        let scheduler = &mut self.schedulers[number];
        *scheduler = Scheduler { life: scheduler.life + 1, ..Scheduler::new() };
        self.tell_scheduler(number, pause, ToScheduler::Begin);
    }

    pub fn tell_scheduler(&mut self, number: usize, pause: Millis, message: ToScheduler) {
        let life = self.schedulers[number].life;
        self.after(pause, Event::Scheduler(number, life, message));
    }

    /// The feed will show a write at this time, or as soon as it has shown what was before.
    pub fn show(&mut self, number: usize, at: Millis, revision: u64, task: &Task) {
        let scheduler = &mut self.schedulers[number];
        if scheduler.up {
            let at = scheduler.feed.back().map_or(at, |(before, _, _)| at.max(*before));
            scheduler.feed.push_back((at, revision, task.clone()));
            self.tell_scheduler(number, at - self.now, ToScheduler::Feed);
        }
    }

    pub fn scheduler_hears(&mut self, number: usize, life: u64, message: ToScheduler) {
        let scheduler = &mut self.schedulers[number];
        if life != scheduler.life {
            return;
        }
        if self.now < scheduler.asleep_until {
            let pause = scheduler.asleep_until - self.now;
            return self.after(pause, Event::Scheduler(number, life, message));
        }
        match message {
            ToScheduler::Begin => self.draw_the_board(number),
            ToScheduler::Tick => self.tick(number),
            ToScheduler::FeedAnew => {
                self.check.saw("the feed began anew");
                scheduler.feed.clear();
                scheduler.board.forget_tasks();
                self.show_all(number);
            }
            ToScheduler::Feed => self.read_the_feed(number),
            ToScheduler::Beat(beat) => scheduler.board.hear(beat, self.now),
            ToScheduler::Limits(lane, limits) => {
                scheduler.limits.insert(lane, limits.clone());
                scheduler.board.set_limits(lane, Some(limits));
            }
            ToScheduler::Claim(key, runner, Some((revision, task))) => {
                let ended = self.store.get(&key).filter(|(_, task)| task.state.is_terminal());
                if ended.is_some_and(|(at, _)| at <= scheduler.shown) {
                    self.check.saw("the feed showed the end before the claim was answered");
                }
                self.schedulers[number].board.claimed(revision, (*task).clone(), self.now);
                self.tell_runner(runner, Told::Assign(task, number, life));
            }
            ToScheduler::Claim(key, _, None) => scheduler.board.not_claimed(&key),
            ToScheduler::Refused(key, epoch) => self.ask(key, Input::Release { epoch }),
        }
    }

    pub fn lives(&self, number: usize, life: u64) -> bool {
        self.schedulers[number].life == life
    }

    pub fn is_awake(&self, number: usize) -> bool {
        let scheduler = &self.schedulers[number];
        scheduler.up && self.now >= scheduler.asleep_until
    }

    fn draw_the_board(&mut self, number: usize) {
        let scheduler = &mut self.schedulers[number];
        scheduler.up = true;
        scheduler.ticked_at = self.now;
        scheduler.limits = self.limits.clone();
        for (lane, limits) in &self.limits {
            scheduler.board.set_limits(lane, Some(limits.clone()));
        }
        self.show_all(number);
        self.tell_scheduler(number, 0, ToScheduler::Tick);
    }

    fn show_all(&mut self, number: usize) {
        for (revision, task) in self.store.all() {
            self.schedulers[number].board.learn(revision, task.clone(), self.now);
        }
    }

    fn tick(&mut self, number: usize) {
        let scheduler = &mut self.schedulers[number];
        if self.now - scheduler.ticked_at > DEAF_AFTER_MS {
            self.check.saw("a scheduler forgave its own silence");
            scheduler.board.forgive_silence(self.now);
        }
        scheduler.ticked_at = self.now;
        let mut actions = Vec::new();
        if self.plant != Plant::NoRepair {
            actions = scheduler.board.repair(self.now);
            // The board keeps its rows in hash maps, whose order differs from run to run.
            actions.sort_by_cached_key(|action| format!("{action:?}"));
        }
        let time = self.time();
        actions.extend(self.schedulers[number].board.due(time, self.now));
        for action in actions {
            self.act_on(number, action);
        }
        self.admit(number);
        self.tell_scheduler(number, TICK_MS, ToScheduler::Tick);
    }

    fn read_the_feed(&mut self, number: usize) {
        loop {
            let feed = &mut self.schedulers[number].feed;
            let Some((_, revision, task)) = feed.pop_front_if(|(at, _, _)| *at <= self.now) else { break };
            let overwritten = !self.store.stands_at(&task.key(), revision);
            if overwritten && self.random.chance(self.faults.feed_skips) {
                self.check.saw("the feed left out a revision");
                continue;
            }
            self.schedulers[number].shown = revision;
            self.schedulers[number].board.learn(revision, task, self.now);
        }
        self.admit(number);
    }

    fn admit(&mut self, number: usize) {
        for action in self.schedulers[number].board.admit(self.now) {
            if let Action::TellAssign(key, runner) = action {
                self.check.saw("a task that came with its claim was assigned");
                self.assign(number, &key, runner);
                continue;
            }
            self.act_on(number, action);
        }
    }

    fn act_on(&mut self, number: usize, action: Action) {
        match action {
            Action::Claim(key, runner) => self.claim_for(number, key, runner),
            Action::TellAssign(key, runner) => {
                self.check.saw("an assignment was sent again");
                self.assign(number, &key, runner);
            }
            Action::TellInterrupt(key, runner) => {
                self.check.saw("an interrupt was sent again");
                let task = Box::new(self.record(number, &key).1);
                self.tell_runner(runner, Told::Interrupt(task));
            }
            Action::TellDrop(key, epoch, runner) => self.tell_runner(runner, Told::Drop(key, epoch)),
            Action::Lose(key, epoch) => self.ask(key, Input::Lost { epoch }),
            Action::CheckClaim(key, epoch, runner) => {
                let holds = |task: &Task| task.epoch == epoch && task.state.is_active();
                let stands = self.store.get(&key).is_some_and(|(_, task)| holds(task));
                if !stands && self.plant != Plant::NoClaimCheck {
                    self.check.saw("a claim on a task that was given up was found");
                    self.tell_runner(runner, Told::Drop(key, epoch));
                }
            }
            Action::Due(key) => self.ask(key, Input::Due),
            Action::AskGate(key) => panic!("{key} has no gate"),
            Action::RemoveBodies(key) => {
                self.check.saw("a sweeper had bodies removed");
                self.ask(key, Input::BodiesRemoved);
            }
        }
    }

    fn assign(&mut self, number: usize, key: &TaskKey, runner: RunnerId) {
        let task = Box::new(self.record(number, key).1);
        let life = self.schedulers[number].life;
        self.tell_runner(runner, Told::Assign(task, number, life));
    }

    /// The record as the board has it, or from the store if the board has it without its body.
    fn record(&self, number: usize, key: &TaskKey) -> (u64, Task) {
        let board = &self.schedulers[number].board;
        let known =
            board.record(key).map(|(revision, task)| (revision, &**task)).or_else(|| self.store.get(key));
        let (revision, task) = known.expect("what the board acts on has a record");
        (revision, task.clone())
    }

    fn claim_for(&mut self, number: usize, key: TaskKey, runner: RunnerId) {
        let (revision, task) = self.record(number, &key);
        let input = Input::Claim { runner, session: SessionId(self.random.id()) };
        let latency = self.random.between(1, 1 + self.faults.delay);
        let (pause, claimed) = match transition(Some(&task), &input, self.time()) {
            Ok(Change::Write(next, _)) => {
                self.note(|_| format!("scheduler {number} claims {} for {runner}", short(&key)));
                match self.write(revision, (*next).clone(), &input) {
                    Written::Done(written) => (latency, Some((written, next))),
                    Written::Conflict => {
                        self.check.saw("a claim met a conflict");
                        (latency, None)
                    }
                    Written::Unknown => {
                        self.check.saw(match self.store.stands_at(&key, revision) {
                            true => "a claim of unknown fate was not written",
                            false => "a claim of unknown fate was written",
                        });
                        // A broken connection is noticed at once, a silent one after a timeout.
                        let noticed = self.random.pick(&[1, 3_000]);
                        (self.random.between(1, noticed), None)
                    }
                }
            }
            Ok(Change::Nothing) | Err(_) => (latency, None),
        };
        self.limit_holds(number, &task);
        self.tell_scheduler(number, pause, ToScheduler::Claim(key, runner, claimed));
    }

    /// With one scheduler no claim goes beyond the limits that it knows.
    fn limit_holds(&mut self, number: usize, claimed: &Task) {
        if self.schedulers.len() > 1 {
            return;
        }
        let limits = &self.schedulers[number].limits[claimed.lane.as_str()];
        let taken = |task: &&Task| task.lane == claimed.lane && task.state.is_active();
        let taken: Vec<&Task> = self.store.all().map(|(_, task)| task).filter(taken).collect();
        let open = taken.iter().filter(|task| task.priority > limits.priority_threshold).count() as u32;
        let open_to_all = limits.max_running.saturating_sub(limits.priority_slots);
        let too_many_open = claimed.priority > limits.priority_threshold && open > open_to_all;
        if taken.len() as u32 > limits.max_running || too_many_open {
            let (running, lane) = (taken.len(), &claimed.lane);
            let what = format!("lane {lane} exceeds its limit: {running} of them {open} open, {limits:?}");
            self.check.fail(what);
        }
    }

    fn tell_runner(&mut self, runner: RunnerId, told: Told) {
        self.send(Event::Runner(runner, ToRunner::Told(told)));
    }

    fn ask(&mut self, key: TaskKey, input: Input) {
        self.send(Event::Asked(Operation::new(key, input, Asker::Nobody)));
    }
}
