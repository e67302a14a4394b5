//! One world: its clock, its messages and its store. Everything that happens is an event at a time, and the
//! same seed gives the same events.

use std::collections::BTreeMap;

use domain::board::Millis;
use domain::lane::LaneLimits;
use domain::task::input::{Effect, Input};
use domain::{RunnerId, Task, TaskKey, Timestamp};

use crate::check::Check;
use crate::faults::{Faults, Plant, Random};
use crate::functions::Operation;
use crate::runner::{Runner, ToRunner};
use crate::scheduler::{Scheduler, ToScheduler};
use crate::store::Store;
use crate::users::{Request, ToUser};

/// From then on there are no faults, and everything has to come to an end.
pub const HEAL_AT: Millis = 12_000;
/// By then everything must have ended.
const END_AT: Millis = HEAL_AT + 90_000;
pub const LANES: [&str; 2] = ["north", "south"];

#[derive(Debug, Clone)]
pub enum Event {
    /// For one life of a scheduler.
    Scheduler(usize, u64, ToScheduler),
    Runner(RunnerId, ToRunner),
    /// A function is asked.
    Asked(Operation),
    /// A function has read a record at a revision, and writes what follows from it.
    Commit(Operation, u64, Box<Task>, Vec<Effect>),
    User(ToUser),
    RunnerTrouble,
    SchedulerTrouble,
    LimitsTrouble,
    Heal,
}

/// What is known of a write.
pub enum Written {
    Done(u64),
    Conflict,
    Unknown,
}

pub struct World {
    pub now: Millis,
    pub random: Random,
    pub faults: Faults,
    pub plant: Plant,
    pub store: Store,
    pub check: Check,
    pub schedulers: Vec<Scheduler>,
    pub runners: Vec<Runner>,
    pub requests: Vec<Request>,
    pub limits: BTreeMap<&'static str, LaneLimits>,
    /// What happened, if somebody wants to read it.
    pub trace: Option<Vec<String>>,
    queue: BTreeMap<(Millis, u64), Event>,
    order: u64,
}

impl World {
    pub fn new(seed: u64, plant: Plant, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let one_scheduler = random.chance(400);
        let faults = Faults::draw(&mut random, one_scheduler);
        let mut world = Self {
            now: 0,
            random,
            faults,
            plant,
            store: Store::default(),
            check: Check::default(),
            schedulers: Vec::new(),
            runners: Vec::new(),
            requests: Vec::new(),
            limits: LANES.map(|lane| (lane, LaneLimits { max_running: 2, ..Default::default() })).into(),
            trace: trace.then(Vec::new),
            queue: BTreeMap::new(),
            order: 0,
        };
        world.note(|world| format!("{:?}", world.faults));
        for number in 0..if one_scheduler { 1 } else { 2 } {
            world.schedulers.push(Scheduler::new());
            world.scheduler_begins(number, 0);
        }
        for _ in 0..3 {
            world.runner_begins(0);
        }
        world.after(10, Event::User(ToUser::Act));
        world.after(0, Event::RunnerTrouble);
        world.after(0, Event::SchedulerTrouble);
        world.after(0, Event::LimitsTrouble);
        world.after(HEAL_AT, Event::Heal);
        world
    }

    /// Runs until everything has ended or a rule is broken.
    pub fn run(&mut self) {
        while self.check.violation.is_none() {
            let Some(((at, _), event)) = self.queue.pop_first() else { break };
            self.now = at;
            let may_be_over = matches!(event, Event::Scheduler(_, _, ToScheduler::Tick));
            self.happens(event);
            self.check.acknowledged_are_there(|key| self.store.get(key).is_some());
            if may_be_over && self.now > HEAL_AT {
                match self.unfinished() {
                    None => break,
                    Some(what) if self.now > END_AT => self.check.fail(format!("it never ends: {what}")),
                    Some(_) => {}
                }
            }
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Scheduler(number, life, message) => self.scheduler_hears(number, life, message),
            Event::Runner(id, message) => self.runner_hears(id, message),
            Event::Asked(operation) => self.operate(operation),
            Event::Commit(operation, revision, task, effects) => {
                self.commit(operation, revision, *task, &effects);
            }
            Event::User(message) => self.user_hears(message),
            Event::RunnerTrouble => {
                let every = self.faults.runner_every;
                self.trouble(every, Event::RunnerTrouble, Self::trouble_a_runner);
            }
            Event::SchedulerTrouble => {
                let every = self.faults.scheduler_every;
                self.trouble(every, Event::SchedulerTrouble, Self::trouble_a_scheduler);
            }
            Event::LimitsTrouble => {
                let every = self.faults.limits_every;
                self.trouble(every, Event::LimitsTrouble, Self::change_limits);
            }
            Event::Heal => self.heal(),
        }
    }

    pub fn set_limits(&mut self, lane: &'static str, limits: LaneLimits) {
        self.note(|_| format!("limits of {lane}: {limits:?}"));
        self.limits.insert(lane, limits.clone());
        for number in 0..self.schedulers.len() {
            self.tell_scheduler(number, 0, ToScheduler::Limits(lane, limits.clone()));
        }
    }

    fn heal(&mut self) {
        self.note(|_| "no more faults".to_owned());
        self.faults = Faults { delay: 5, feed_lag: 5, ..Faults::default() };
        for lane in LANES {
            self.set_limits(lane, LaneLimits { max_running: 2, ..Default::default() });
        }
        self.after(500, Event::User(ToUser::EndTheEndless));
    }

    /// What keeps the world from being over.
    fn unfinished(&self) -> Option<String> {
        if let Some((_, task)) = self.store.all().find(|(_, task)| !task.state.is_terminal()) {
            return Some(format!("{} is {:?}", task.key(), task.state));
        }
        if let Some((_, task)) = self.store.all().find(|(_, task)| left_bodies(task)) {
            return Some(format!("{} is deleted and has bodies", task.key()));
        }
        if self.requests.iter().any(|request| !request.acknowledged) {
            return Some("a create was never acknowledged".into());
        }
        if let Some(key) = self.runners.iter().find_map(|runner| runner.held.keys().next()) {
            return Some(format!("a runner still holds {key}"));
        }
        for scheduler in &self.schedulers {
            if let Some(lane) = scheduler
                .board
                .lanes()
                .iter()
                .find(|lane| lane.queued > 0 || lane.running > 0 || lane.scheduled > 0)
            {
                return Some(format!("a board believes in {lane:?}"));
            }
        }
        None
    }

    /// An event for certain, after a time.
    pub fn after(&mut self, pause: Millis, event: Event) {
        self.order += 1;
        self.queue.insert((self.now + pause, self.order), event);
    }

    /// A message, which may come late, twice or never.
    pub fn send(&mut self, event: Event) {
        if self.random.chance(self.faults.lost) {
            return self.note(|_| "a message is lost".to_owned());
        }
        if self.random.chance(self.faults.doubled) {
            let pause = self.random.between(1, 1 + 2 * self.faults.delay);
            self.after(pause, event.clone());
        }
        let pause = self.random.between(1, 1 + self.faults.delay);
        self.after(pause, event);
    }

    /// Compare-and-set. With some faults the writer does not learn whether it was done.
    pub fn write(&mut self, revision: u64, task: Task, input: &Input) -> Written {
        let unknown = self.random.chance(self.faults.unknown);
        let arrives = !unknown || self.random.chance(500);
        let current = self.store.get(&task.key());
        let stands = self.store.stands_at(&task.key(), revision) || self.plant == Plant::BlindWrites;
        if !arrives || !stands {
            return if unknown { Written::Unknown } else { Written::Conflict };
        }
        self.check.wrote(current.map(|(_, old)| old), &task, input);
        let written = self.store.put(task.clone());
        self.note(|_| format!("{written}: {} {:?} {}", short(&task.key()), task.state, said(input, &task)));
        for number in 0..self.schedulers.len() {
            let lag = self.random.between(0, self.faults.feed_lag);
            self.show(number, self.now + lag, written, &task);
        }
        if unknown { Written::Unknown } else { Written::Done(written) }
    }

    pub fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.now as i64 * 1000)
    }

    pub fn note(&mut self, line: impl Fn(&Self) -> String) {
        if self.trace.is_some() {
            let line = format!("{:6} {}", self.now, line(self));
            self.trace.get_or_insert_default().push(line);
        }
    }
}

fn left_bodies(task: &Task) -> bool {
    task.state == domain::TaskState::Deleted && (task.input.size > 0 || task.result.is_some())
}

/// The first letters of an id are enough to tell the tasks of one world apart.
pub fn short(key: &TaskKey) -> String {
    key.id.to_string().chars().take(4).collect()
}

fn said(input: &Input, task: &Task) -> String {
    let words = format!("{input:?}");
    let name = words.split([' ', '(']).next().unwrap_or_default();
    format!("epoch {} losses {} by {name}", task.epoch, task.losses)
}
