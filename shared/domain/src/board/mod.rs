//! What `schedule` knows: every live task, every lane, every runner. A disposable picture, drawn from the
//! change feed and the heartbeats; it decides who starts and what has to be repaired, and does no I/O.

mod repair;
mod row;

use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, RunnerId, TaskKey};
use crate::lane::{Lane, LaneLimits, Turn, Waiting};
use crate::task::state::{Task, TaskState};

pub use repair::{ASSIGN_GRACE_MS, RUNNER_LEASE_MS};
use row::Row;

/// Milliseconds of a clock that never jumps; only differences mean anything.
pub type Millis = u64;

/// What a runner says of itself, several times a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Which runner.
    pub runner: RunnerId,
    /// How many tasks it may hold at once.
    pub slots: u32,
    /// It takes no more tasks, since it is about to stop.
    pub draining: bool,
    /// The claims it holds.
    pub held: Vec<Held>,
}

/// One claim that a runner holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The task.
    pub key: TaskKey,
    /// The claim.
    pub epoch: Epoch,
    /// It has heard that the task is to be interrupted.
    pub interrupted: bool,
}

/// What the board wants done. Each is safe to do twice, and safe to lose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Claim the task for this runner, then tell the runner.
    Claim(TaskKey, RunnerId),
    /// Tell the runner again that it has this task.
    TellAssign(TaskKey, RunnerId),
    /// Tell the runner again to interrupt this task.
    TellInterrupt(TaskKey, RunnerId),
    /// Tell the runner that this claim is not its own any more.
    TellDrop(TaskKey, Epoch, RunnerId),
    /// The runner is gone: take the task back.
    Lose(TaskKey, Epoch),
    /// The task is deleted and still has bodies.
    RemoveBodies(TaskKey),
}

struct Runner {
    beat: Heartbeat,
    seen_at: Millis,
    load: u32,
}

#[derive(Default)]
struct LaneState {
    lane: Lane,
    limits: LaneLimits,
}

/// The picture.
#[derive(Default)]
pub struct Board {
    rows: HashMap<TaskKey, Row>,
    active: HashSet<TaskKey>,
    deleted: HashSet<TaskKey>,
    lanes: HashMap<String, LaneState>,
    runners: HashMap<RunnerId, Runner>,
    /// Lanes in which something may have become able to start, each once.
    dirty: VecDeque<String>,
}

impl Board {
    /// An empty board.
    pub fn new() -> Self {
        Self::default()
    }

    /// A record as the feed, or the answer to our own write, shows it. Older news than known are ignored.
    pub fn learn(&mut self, revision: u64, task: Task, now: Millis) {
        let key = task.key();
        let known = self.rows.get(&key).map(|row| row.revision);
        if known.is_some_and(|known| known >= revision) {
            return;
        }
        self.detach(&key);
        match task.state {
            TaskState::Queued | TaskState::Assigned | TaskState::Running => {
                self.rows.insert(key.clone(), Row::new(revision, task, now));
            }
            TaskState::Completed | TaskState::Failed => {
                self.rows.remove(&key);
            }
            TaskState::Deleted if Row::has_bodies(&task) => {
                self.rows.insert(key.clone(), Row::new(revision, task, now));
            }
            TaskState::Deleted => {
                self.rows.remove(&key);
            }
        }
        self.attach(&key);
    }

    /// Our own claim succeeded. The feed may have shown more by now, the end of the task even, and then
    /// this is old news.
    pub fn claimed(&mut self, revision: u64, task: Task, now: Millis) {
        let key = task.key();
        let open = self.rows.get(&key).is_some_and(|row| row.claiming.is_some());
        if open {
            self.learn(revision, task, now);
            self.unclaim(&key);
        }
    }

    /// Our own claim failed: another one was faster, and the feed will tell, or the broker is away.
    pub fn not_claimed(&mut self, key: &TaskKey) {
        self.unclaim(key);
    }

    fn unclaim(&mut self, key: &TaskKey) {
        if self.rows.get(key).is_some_and(|row| row.claiming.is_some()) {
            self.detach(key);
            if let Some(row) = self.rows.get_mut(key) {
                row.claiming = None;
            }
            self.attach(key);
        }
    }

    /// New limits of a lane; `None` brings the defaults back.
    pub fn set_limits(&mut self, name: &str, limits: Option<LaneLimits>) {
        let state = self.lanes.entry(name.to_owned()).or_default();
        state.limits = limits.unwrap_or_default();
        let rows = &self.rows;
        let taken = rows.values().filter(|row| row.takes_place() && row.task.lane == name);
        state.lane.recount(&state.limits, taken.map(|row| row.task.priority));
        self.mark_dirty(name);
    }

    /// A heartbeat came.
    pub fn hear(&mut self, beat: Heartbeat, now: Millis) {
        let load = match self.runners.get(&beat.runner) {
            Some(known) => known.load,
            None => self.rows.values().filter(|row| row.runner() == Some(beat.runner)).count() as u32,
        };
        self.runners.insert(beat.runner, Runner { beat, seen_at: now, load });
    }

    /// We heard nothing ourselves for a while, so silence proves nothing: every runner gets a fresh lease.
    pub fn forgive_silence(&mut self, now: Millis) {
        for runner in self.runners.values_mut() {
            runner.seen_at = now;
        }
        for row in self.rows.values_mut() {
            row.since = now;
        }
    }

    /// Decides who starts now. Every claim returned counts as running until `claimed` or `not_claimed`.
    pub fn admit(&mut self, now: Millis) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(runner) = self.freest_runner(now) {
            let Some(key) = self.next_task() else { break };
            self.detach(&key);
            if let Some(row) = self.rows.get_mut(&key) {
                row.claiming = Some(runner);
            }
            self.attach(&key);
            actions.push(Action::Claim(key, runner));
        }
        actions
    }

    /// The next task of the next lane that may start one. Lanes take turns.
    fn next_task(&mut self) -> Option<TaskKey> {
        while let Some(name) = self.dirty.pop_front() {
            let next = self.lanes.get(&name).and_then(|state| state.lane.next(&state.limits));
            if let Some(turn) = next {
                let key = turn.key().clone();
                self.dirty.push_back(name);
                return Some(key);
            }
        }
        None
    }

    fn freest_runner(&self, now: Millis) -> Option<RunnerId> {
        let free = |runner: &Runner| runner.beat.slots.saturating_sub(runner.load);
        let fit = self.runners.values().filter(|runner| {
            !runner.beat.draining && free(runner) > 0 && !repair::is_gone(runner.seen_at, now)
        });
        fit.max_by_key(|runner| (free(runner), runner.beat.runner)).map(|runner| runner.beat.runner)
    }

    /// The record of a live task with its revision, where the board holds all of it.
    pub fn record(&self, key: &TaskKey) -> Option<(u64, &Task)> {
        self.rows.get(key).filter(|row| row.complete).map(|row| (row.revision, &row.task))
    }

    /// Why a task waits; `None` if it does not.
    pub fn waiting(&self, key: &TaskKey, now: Millis) -> Option<Waiting> {
        let row = self.rows.get(key).filter(|row| row.task.state == TaskState::Queued)?;
        let state = self.lanes.get(&row.task.lane)?;
        let turn = Turn::of(&row.task);
        let position = state.lane.position(&turn);
        let (running, max_running) = (state.lane.running(), state.limits.max_running);
        let lane = row.task.lane.clone();
        let place = format!("position {position} in lane {lane}, {running} of {max_running} running");
        let reason = if max_running == 0 {
            format!("{place}; the lane's limit is 0, so nothing of it runs until the limit is raised")
        } else if state.lane.next(&state.limits).is_none() {
            place
        } else if self.runners.values().all(|runner| repair::is_gone(runner.seen_at, now)) {
            format!("{place}; no runner is up")
        } else if self.freest_runner(now).is_none() {
            format!("{place}; every place of every runner is taken")
        } else {
            format!("{place}; it is about to start")
        };
        Some(Waiting { lane, position, running, max_running, reason })
    }

    /// Waiting and running tasks of every lane that has been seen, with its limits.
    pub fn lanes(&self) -> Vec<(String, LaneLimits, u64, u32)> {
        let mut all: Vec<_> = self
            .lanes
            .iter()
            .map(|(name, s)| (name.clone(), s.limits.clone(), s.lane.queued(), s.lane.running()))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    fn mark_dirty(&mut self, lane: &str) {
        if !self.dirty.iter().any(|name| name == lane) {
            self.dirty.push_back(lane.to_owned());
        }
    }

    /// Takes what a row contributes out of lanes and runners; `attach` puts it back after a change.
    fn detach(&mut self, key: &TaskKey) {
        let Some(row) = self.rows.get(key) else { return };
        let name = row.task.lane.clone();
        let state = self.lanes.entry(name.clone()).or_default();
        if row.takes_place() {
            state.lane.vacate(&state.limits, row.task.priority);
            if let Some(runner) = row.runner().and_then(|id| self.runners.get_mut(&id)) {
                runner.load = runner.load.saturating_sub(1);
            }
        } else if row.task.state == TaskState::Queued {
            state.lane.dequeue(&Turn::of(&row.task));
        }
        self.active.remove(key);
        self.deleted.remove(key);
        self.mark_dirty(&name);
    }

    fn attach(&mut self, key: &TaskKey) {
        let Some(row) = self.rows.get(key) else { return };
        let name = row.task.lane.clone();
        let state = self.lanes.entry(name.clone()).or_default();
        if row.takes_place() {
            state.lane.occupy(&state.limits, row.task.priority);
            if let Some(runner) = row.runner().and_then(|id| self.runners.get_mut(&id)) {
                runner.load = runner.load.saturating_add(1);
            }
            if row.task.state.is_active() {
                self.active.insert(key.clone());
            }
        } else if row.task.state == TaskState::Queued {
            state.lane.enqueue(Turn::of(&row.task));
            self.mark_dirty(&name);
        } else {
            self.deleted.insert(key.clone());
        }
    }
}

#[cfg(test)]
mod tests;
