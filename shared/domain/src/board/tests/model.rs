//! Random steps on a board, compared after each with a model that keeps every task in a plain list and
//! counts everything anew. What the board keeps up to date must be what the model finds by counting.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::lane::admits;
use crate::task::state::Interrupt;
use crate::time::Timestamp;

const SEEDS: u64 = 100;
const STEPS: u32 = 120;
const LANES: [&str; 3] = ["a", "b", "c"];

/// The generator SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.below(from.len() as u64) as usize].clone())
    }
}

#[derive(Clone)]
struct Entry {
    revision: u64,
    task: Task,
    claiming: Option<RunnerId>,
}

struct Model {
    random: Random,
    now: Millis,
    revision: u64,
    board: Board,
    entries: BTreeMap<TaskKey, Entry>,
    limits: BTreeMap<String, LaneLimits>,
    beats: BTreeMap<RunnerId, (Heartbeat, Millis)>,
    next_number: u32,
    old_news: Vec<(u64, Task)>,
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            now: 0,
            revision: 0,
            board: Board::new(),
            entries: BTreeMap::new(),
            limits: BTreeMap::new(),
            beats: BTreeMap::new(),
            next_number: 1,
            old_news: Vec::new(),
        }
    }

    fn step(&mut self) {
        self.now += self.random.below(300);
        match self.random.below(28) {
            0..=5 => self.create(),
            6..=13 => self.move_a_task(),
            14..=17 => self.admit(),
            18..=19 => self.answer_a_claim(),
            20..=21 => self.hear(),
            22..=23 => self.set_limits(),
            24..=25 => self.repair(),
            26 => self.tell_old_news(),
            _ => self.tell_everything_anew(),
        }
    }

    fn show(&mut self, task: Task) {
        self.revision += 1;
        self.board.learn(self.revision, task.clone(), self.now);
        self.old_news.push((self.revision, task.clone()));
        let gone = matches!(
            task.state,
            TaskState::Completed | TaskState::Failed | TaskState::Paused | TaskState::Broken
        ) || (task.state == TaskState::Deleted && task.input == Payload::default());
        if gone {
            self.entries.remove(&task.key());
        } else {
            let entry = Entry { revision: self.revision, task, claiming: None };
            self.entries.insert(entry.task.key(), entry);
        }
    }

    fn create(&mut self) {
        let lane = self.random.pick(&LANES).unwrap().to_owned();
        let priority = 1 + self.random.below(10) as u8;
        let top_of_queue = self.random.below(8) == 0;
        let state = if self.random.below(4) == 0 { TaskState::Scheduled } else { TaskState::Queued };
        self.show(Task { lane, priority, top_of_queue, state, ..numbered(self.next_number) });
        self.next_number += 1;
    }

    fn move_a_task(&mut self) {
        let all: Vec<Task> = self.entries.values().map(|entry| entry.task.clone()).collect();
        let Some(task) = self.random.pick(&all) else { return };
        let kind = InterruptKind::Solve;
        let interrupt = Some(Interrupt { kind, at: Timestamp::from_micros(1) });
        let next = match (task.state, self.random.below(5)) {
            (TaskState::Scheduled, 0) => Task { state: TaskState::Broken, ..task },
            (TaskState::Scheduled, _) => Task { state: TaskState::Queued, ..task },
            (TaskState::Queued, 1) => Task { state: TaskState::Paused, ..task },
            (TaskState::Queued, 0) => Task { state: TaskState::Deleted, ..task },
            (TaskState::Queued, _) => assigned(&task, runner(1 + u128::from(self.random.below(4)))),
            (TaskState::Assigned, 0) => Task { state: TaskState::Running, ..task },
            (TaskState::Assigned | TaskState::Running, 1) => requeued(&task),
            (TaskState::Assigned | TaskState::Running, 2) => Task { losses: 1, ..requeued(&task) },
            (TaskState::Assigned | TaskState::Running, 3) => Task { interrupt, ..task },
            (TaskState::Assigned | TaskState::Running, _) => ended(&task),
            (TaskState::Deleted, _) => Task { input: Payload::default(), ..task },
            (
                TaskState::Completed
                | TaskState::Failed
                | TaskState::Paused
                | TaskState::Stopped
                | TaskState::Broken,
                _,
            ) => unreachable!("the model keeps no task that neither waits nor runs"),
        };
        self.show(next);
    }

    fn admit(&mut self) {
        for action in self.board.admit(self.now) {
            let Action::Claim(key, runner) = action else { panic!("admit wants {action:?}") };
            let entry = self.entries[&key].clone();
            let (running, non_priority) = self.count(&entry.task.lane);
            let limits = self.limits.get(&entry.task.lane).cloned().unwrap_or_default();
            assert!(admits(&limits, running, non_priority, entry.task.priority), "{key} breaks the limit");
            assert!(entry.task.state == TaskState::Queued && entry.claiming.is_none(), "{key} does not wait");
            let (beat, heard_at) = &self.beats[&runner];
            assert!(self.load(runner) < beat.slots && !beat.draining, "{runner} has no place");
            assert!(self.now - heard_at <= RUNNER_LEASE_MS, "{runner} is gone");
            self.entries.get_mut(&key).unwrap().claiming = Some(runner);
        }
        self.nothing_more_may_start();
    }

    /// After an admission no waiting task may start, unless every runner is full.
    fn nothing_more_may_start(&self) {
        if self.board.freest_runner(self.now).is_some() {
            for entry in self.entries.values().filter(|entry| entry.waits()) {
                let (running, non_priority) = self.count(&entry.task.lane);
                let limits = self.limits.get(&entry.task.lane).cloned().unwrap_or_default();
                let may = admits(&limits, running, non_priority, entry.task.priority);
                assert!(!may, "{} was left waiting", entry.task.key());
            }
        }
    }

    fn answer_a_claim(&mut self) {
        let claiming: Vec<Entry> =
            self.entries.values().filter(|entry| entry.claiming.is_some()).cloned().collect();
        let Some(entry) = self.random.pick(&claiming) else { return };
        if self.random.below(2) == 0 {
            return self.board.not_claimed(&entry.task.key());
        }
        self.revision += 1;
        let task = assigned(&entry.task, entry.claiming.unwrap());
        self.board.claimed(self.revision, task.clone(), self.now);
        self.old_news.push((self.revision, task.clone()));
        self.entries.insert(task.key(), Entry { revision: self.revision, task, claiming: None });
    }

    fn hear(&mut self) {
        let (number, slots) = (1 + self.random.below(4), self.random.below(6) as u32);
        let draining = self.random.below(6) == 0;
        let beat = Heartbeat { draining, ..beat(u128::from(number), slots) };
        self.beats.insert(beat.runner, (beat.clone(), self.now));
        self.board.hear(beat, self.now);
    }

    fn set_limits(&mut self) {
        let lane = self.random.pick(&LANES).unwrap();
        let limits = (self.random.below(5) > 0).then(|| LaneLimits {
            priority_slots: self.random.below(3) as u32,
            priority_threshold: self.random.below(6) as u8,
            ..limits(self.random.below(6) as u32)
        });
        self.limits.insert(lane.to_owned(), limits.clone().unwrap_or_default());
        self.board.set_limits(lane, limits);
    }

    /// The rest of a failed claim may end by a repair; which one it was is read from the board.
    fn repair(&mut self) {
        self.board.repair(self.now);
        for (key, entry) in &mut self.entries {
            let claiming = self.board.rows.get(key).and_then(|row| row.claiming);
            assert!(claiming == entry.claiming || claiming.is_none(), "{key} is claimed for another");
            entry.claiming = claiming;
        }
    }

    /// What is known of a task already, and answers to claims that are long over.
    fn tell_old_news(&mut self) {
        let Some((revision, task)) = self.random.pick(&self.old_news) else { return };
        let known = self.entries.get(&task.key()).is_some_and(|entry| entry.revision >= revision);
        if known {
            self.board.learn(revision, task.clone(), self.now);
        }
        if known || !self.entries.contains_key(&task.key()) {
            self.board.claimed(revision, task, self.now);
        }
    }

    /// The feed begins again, with the last revision of every record.
    fn tell_everything_anew(&mut self) {
        self.board.forget_tasks();
        for entry in self.entries.values_mut() {
            entry.claiming = None;
            self.board.learn(entry.revision, entry.task.clone(), self.now);
        }
    }

    fn count(&self, lane: &str) -> (u32, u32) {
        let threshold = self.limits.get(lane).cloned().unwrap_or_default().priority_threshold;
        let taken = self.entries.values().filter(|entry| entry.task.lane == lane && entry.takes_place());
        taken.fold((0, 0), |(all, open), entry| (all + 1, open + u32::from(entry.task.priority > threshold)))
    }

    fn load(&self, runner: RunnerId) -> u32 {
        let with = |entry: &&Entry| entry.takes_place() && entry.holder() == Some(runner);
        self.entries.values().filter(with).count() as u32
    }

    fn compare(&self) {
        let board = &self.board;
        let is_scheduled = |entry: &&Entry| entry.task.state == TaskState::Scheduled;
        let scheduled = self.entries.values().filter(is_scheduled).count();
        assert_eq!(board.rows.len() + scheduled, self.entries.len());
        for (name, state) in &board.lanes {
            let waiting = self.entries.values().filter(|entry| entry.waits() && entry.task.lane == *name);
            assert_eq!(state.lane.queued(), waiting.count() as u64, "waiting in {name}");
            let counted = (state.lane.running(), state.lane.running_non_priority());
            assert_eq!(counted, self.count(name), "running in {name}");
            let early = self.entries.values().filter(is_scheduled).filter(|entry| entry.task.lane == *name);
            assert_eq!(state.scheduled, early.count() as u64, "scheduled in {name}");
            assert_eq!(state.dirty, board.dirty.contains(name));
            let forgotten = !state.dirty && state.lane.next(&state.limits).is_some();
            assert!(!forgotten, "{name} could start a task and nobody will look");
        }
        for (id, runner) in &board.runners {
            assert_eq!(runner.load, self.load(*id), "load of {id}");
        }
        for (key, entry) in &self.entries {
            assert_eq!(board.revision(key), Some(entry.revision), "{key}");
            assert_eq!(board.due.get(key).is_some(), is_scheduled(&entry), "{key} scheduled");
            let Some(row) = board.rows.get(key) else { continue };
            assert_eq!(row.task.state, entry.task.state, "{key}");
            assert_eq!(board.active.contains(key), entry.task.state.is_active(), "{key} active");
            assert_eq!(board.deleted.contains(key), entry.task.state == TaskState::Deleted, "{key} deleted");
        }
        assert!(board.active.union(&board.deleted).all(|key| board.rows.contains_key(key)));
        assert!(board.failed_claims.keys().all(|key| self.entries[key].claiming.is_some()));
        let mut dirty: Vec<&String> = board.dirty.iter().collect();
        dirty.sort();
        dirty.dedup();
        assert_eq!(dirty.len(), board.dirty.len(), "a lane is queued up twice");
    }
}

impl Entry {
    fn takes_place(&self) -> bool {
        self.task.state.is_active() || self.claiming.is_some()
    }

    fn waits(&self) -> bool {
        self.task.state == TaskState::Queued && self.claiming.is_none()
    }

    fn holder(&self) -> Option<RunnerId> {
        self.claiming.or(self.task.runner)
    }
}

/// Prints the seed of a failing run, so that it can be run alone.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the failing seed is {}", self.0);
        }
    }
}

#[test]
fn what_the_board_keeps_is_what_counting_anew_finds() {
    for seed in 0..SEEDS {
        let _shown = Seed(seed);
        let mut model = Model::new(seed);
        for _ in 0..STEPS {
            model.step();
            model.compare();
        }
    }
}

#[test]
fn the_head_of_the_others_sorts_before_every_task_that_is_not_at_the_top() {
    let nil = Task { priority: 1, created_at: Timestamp::from_micros(0), tenant: "a".into(), ..numbered(0) };
    assert_eq!(nil.id.0, Uuid::nil());
    let mut lane = Lane::default();
    lane.enqueue(Turn::of(&Task { top_of_queue: true, priority: 10, ..numbered(1) }));
    lane.enqueue(Turn::of(&nil));
    let only_priority = LaneLimits { priority_slots: 1, priority_threshold: 1, ..limits(1) };
    assert_eq!(lane.next(&only_priority).unwrap().key(), &nil.key());
}
