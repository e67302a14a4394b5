//! What `schedule` knows: every live task, every lane, every runner. A disposable picture, drawn from the
//! change feed and the heartbeats; it decides who starts and what has to be repaired, and does no I/O.

mod coming;
mod due;
mod questions;
mod repair;
mod row;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, RunnerId, TaskKey};
use crate::lane::{Lane, LaneLimits, Turn};
use crate::name::Names;
use crate::session::SessionOf;
use crate::task::state::{InterruptKind, Runtime, Task, TaskState};
use crate::task::transition::has_bodies;

pub use coming::{Announcement, Reception};
pub use questions::LaneLoad;
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
    /// Its warm sessions: a task that one of them may run starts there without the start of a process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warm: Vec<Warm>,
}

/// Sessions of one kind that wait for a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warm {
    /// Whose tasks they may run.
    #[serde(flatten)]
    pub of: SessionOf,
    /// How many there are.
    pub sessions: u32,
}

/// One claim that a runner holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The task.
    pub key: TaskKey,
    /// The claim.
    pub epoch: Epoch,
    /// The strongest interrupt that it has heard of.
    pub interrupted: Option<InterruptKind>,
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
    /// A runner holds a claim on a task that does not run, as far as we know: look, and tell the runner.
    CheckClaim(TaskKey, Epoch, RunnerId),
    /// Its time has come: move it into its lane.
    Due(TaskKey),
    /// Its time has come: ask its gate, and move it into its lane if that is open.
    AskGate(TaskKey),
    /// The task is deleted and still has bodies.
    RemoveBodies(TaskKey),
}

struct Runner {
    beat: Heartbeat,
    /// What it held one heartbeat earlier.
    held_before: Vec<Held>,
    seen_at: Millis,
    load: u32,
    /// Warm sessions as the last heartbeat said, less those that were given a task since, and with those that
    /// have become free since.
    warm: HashMap<SessionOf, u32>,
    /// It gave a claim back since its last heartbeat, so it can't take another now.
    refused: bool,
    /// When it was last told of claims that are not its own any more.
    told_drop_at: Option<Millis>,
}

impl Runner {
    fn free(&self) -> u32 {
        self.beat.slots.saturating_sub(self.load)
    }

    /// It can be given a task.
    fn is_fit(&self, now: Millis) -> bool {
        let willing = !self.beat.draining && !self.refused;
        willing && self.free() > 0 && !repair::is_gone(self.seen_at, now)
    }
}

#[derive(Default)]
struct LaneState {
    lane: Lane,
    limits: LaneLimits,
    /// Tasks whose time has not come.
    scheduled: u64,
    /// Announced tasks that have to queue.
    to_queue: u32,
    /// It is among the dirty lanes.
    dirty: bool,
}

impl LaneState {
    fn of(name: &str) -> Self {
        Self { limits: LaneLimits::of(name), ..Self::default() }
    }
}

/// The picture.
#[derive(Default)]
pub struct Board {
    rows: HashMap<TaskKey, Row>,
    active: HashSet<TaskKey>,
    deleted: HashSet<TaskKey>,
    due: due::Due,
    names: Names,
    /// Tasks whose records are being written.
    coming: HashMap<TaskKey, coming::Coming>,
    /// Whom to tell of those that came with their claim.
    arrived: Vec<Action>,
    /// Own claims that failed, each with the time at which `repair` first saw it so.
    failed_claims: HashMap<TaskKey, Option<Millis>>,
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

    /// A record as the feed shows it. Older news than known are ignored. The answer to an own write must not
    /// come here, since the feed may have overtaken it and the board does not remember what has ended.
    pub fn learn(&mut self, revision: u64, task: impl Into<Arc<Task>>, now: Millis) {
        let task = task.into();
        let key = task.key();
        if self.revision(&key).is_some_and(|known| known >= revision) {
            return;
        }
        self.note_refusal(&key, &task);
        if let Some(keeper) = self.let_come(&key) {
            self.note_arrival(&key, keeper, &task);
        }
        self.failed_claims.remove(&key);
        self.detach(&key);
        self.unschedule(&key);
        match task.state {
            TaskState::Scheduled => {
                self.rows.remove(&key);
                let scheduled = due::Scheduled::of(revision, &task, self.names.shared(&task.lane));
                let key = TaskKey { tenant: self.names.shared(&key.tenant), ..key };
                self.schedule(key, scheduled);
            }
            TaskState::Queued | TaskState::Assigned | TaskState::Running => {
                self.rows.insert(key.clone(), Row::new(revision, task, now));
            }
            TaskState::Paused
            | TaskState::Stopped
            | TaskState::Completed
            | TaskState::Failed
            | TaskState::Broken => {
                self.rows.remove(&key);
                self.note_warm(&task);
            }
            TaskState::Deleted if has_bodies(&task) => {
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
    pub fn claimed(&mut self, revision: u64, task: impl Into<Arc<Task>>, now: Millis) {
        let task = task.into();
        if self.rows.get(&task.key()).is_some_and(|row| row.claiming.is_some()) {
            self.learn(revision, task, now);
        }
    }

    /// Our own claim failed: another one was faster, or the broker is away and nobody knows. The task keeps
    /// its place until the feed shows what became of it, or until `repair` has waited for that long enough:
    /// a place given to another one too early breaks the limit if the claim was written after all.
    pub fn not_claimed(&mut self, key: &TaskKey) {
        if self.rows.get(key).is_some_and(|row| row.claiming.is_some()) {
            self.failed_claims.entry(key.clone()).or_default();
        }
    }

    /// A runner that gives a claim back is left alone until its next heartbeat. Without this one task would
    /// go there and back as fast as the broker can write.
    fn note_refusal(&mut self, key: &TaskKey, news: &Task) {
        let Some(row) = self.rows.get(key).filter(|row| row.takes_place()) else { return };
        let given_back = news.state == TaskState::Queued && news.losses == row.task.losses;
        if let Some(runner) = row.runner().filter(|_| given_back).and_then(|id| self.runners.get_mut(&id)) {
            runner.refused = true;
        }
    }

    /// A session that has done its task is probably warm now; the next heartbeat knows. Without this a second
    /// task that follows at once would be given to whichever runner is the freest.
    fn note_warm(&mut self, ended: &Task) {
        let runner = ended.runner.filter(|_| ended.runtime == Runtime::Session && ended.error.is_none());
        if let Some(runner) = runner.and_then(|id| self.runners.get_mut(&id)) {
            *runner.warm.entry(SessionOf::task(ended)).or_default() += 1;
        }
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

    /// The records are about to be told anew from the beginning.
    pub fn forget_tasks(&mut self) {
        let mut keys: Vec<TaskKey> = self.rows.keys().cloned().collect();
        // In order, so that the lanes take their turns in the same way in every run of the simulation.
        keys.sort_unstable();
        for key in keys {
            self.detach(&key);
            self.rows.remove(&key);
        }
        self.due = due::Due::default();
        for state in self.lanes.values_mut() {
            state.scheduled = 0;
        }
        self.failed_claims.clear();
    }

    /// New limits of a lane; `None` brings the defaults back.
    pub fn set_limits(&mut self, name: &str, limits: Option<LaneLimits>) {
        let state = self.lanes.entry(name.to_owned()).or_insert_with(|| LaneState::of(name));
        state.limits = limits.unwrap_or_else(|| LaneLimits::of(name));
        let rows = &self.rows;
        let taken = rows.values().filter(|row| row.takes_place() && row.task.lane == name);
        let kept = self.coming.values().filter(|coming| coming.runner.is_some() && coming.lane == name);
        let priorities = taken.map(|row| row.task.priority).chain(kept.map(|coming| coming.priority));
        state.lane.recount(&state.limits, priorities);
        self.mark_dirty(name);
    }

    /// A heartbeat came.
    pub fn hear(&mut self, beat: Heartbeat, now: Millis) {
        let warm = beat.warm.iter().map(|warm| (warm.of.clone(), warm.sessions)).collect();
        if let Some(known) = self.runners.get_mut(&beat.runner) {
            known.held_before = std::mem::replace(&mut known.beat, beat).held;
            (known.seen_at, known.refused, known.warm) = (now, false, warm);
            return;
        }
        let held = self.rows.values().filter(|row| row.runner() == Some(beat.runner)).count();
        let kept = self.coming.values().filter(|coming| coming.runner == Some(beat.runner)).count();
        let load = (held + kept) as u32;
        let (held_before, refused, told_drop_at) = (Vec::new(), false, None);
        let runner = Runner { beat, held_before, seen_at: now, load, warm, refused, told_drop_at };
        self.runners.insert(runner.beat.runner, runner);
    }

    /// We heard nothing ourselves for a while, so silence proves nothing: every runner gets a fresh lease.
    pub fn forgive_silence(&mut self, now: Millis) {
        for runner in self.runners.values_mut() {
            runner.seen_at = now;
        }
        self.forgive_coming(now);
        for key in &self.active {
            if let Some(row) = self.rows.get_mut(key) {
                row.since = now;
            }
        }
    }

    /// Decides who starts now. Every claim returned counts as running until `claimed` or `not_claimed`.
    pub fn admit(&mut self, now: Millis) -> Vec<Action> {
        let mut actions = std::mem::take(&mut self.arrived);
        while let Some(freest) = self.freest_runner(now) {
            let Some(key) = self.next_task() else { break };
            let runner = self.warm_for(&key, now).unwrap_or(freest);
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
            let Some(state) = self.lanes.get_mut(&name) else { continue };
            state.dirty = false;
            if let Some(turn) = state.lane.next(&state.limits) {
                let key = turn.key().clone();
                self.mark_dirty(&name);
                return Some(key);
            }
        }
        None
    }

    fn freest_runner(&self, now: Millis) -> Option<RunnerId> {
        let fit = self.runners.values().filter(|runner| runner.is_fit(now));
        fit.max_by_key(|runner| (runner.free(), runner.beat.runner)).map(|runner| runner.beat.runner)
    }

    /// A runner with a free place and a warm session for this task, which is taken off its count. Nobody waits
    /// for one: where there is none, the freest runner starts a process.
    fn warm_for(&mut self, key: &TaskKey, now: Millis) -> Option<RunnerId> {
        let task = self.rows.get(key).map(|row| &row.task).filter(|task| task.runtime == Runtime::Session)?;
        let of = SessionOf::task(task);
        self.warm_runner(&of, now)
    }

    fn warm_runner(&mut self, of: &SessionOf, now: Millis) -> Option<RunnerId> {
        let has_one = |runner: &&mut Runner| runner.warm.get(of).is_some_and(|count| *count > 0);
        let fit = self.runners.values_mut().filter(|runner| runner.is_fit(now)).filter(has_one);
        let runner = fit.max_by_key(|runner| (runner.free(), runner.beat.runner))?;
        if let Some(count) = runner.warm.get_mut(of) {
            *count -= 1;
        }
        Some(runner.beat.runner)
    }

    fn mark_dirty(&mut self, lane: &str) {
        if let Some(state) = self.lanes.get_mut(lane).filter(|state| !state.dirty) {
            state.dirty = true;
            self.dirty.push_back(lane.to_owned());
        }
    }

    /// Takes what a row contributes out of lanes and runners; `attach` puts it back after a change.
    fn detach(&mut self, key: &TaskKey) {
        let Some(row) = self.rows.get(key) else { return };
        let name = row.task.lane.clone();
        let state = self.lanes.entry(name.clone()).or_insert_with(|| LaneState::of(&name));
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

    fn schedule(&mut self, key: TaskKey, task: due::Scheduled) {
        let state = self.lanes.entry(task.lane.to_string()).or_insert_with(|| LaneState::of(&task.lane));
        state.scheduled = state.scheduled.saturating_add(1);
        self.due.insert(key, task);
    }

    fn unschedule(&mut self, key: &TaskKey) {
        let lane = self.due.remove(key).and_then(|task| self.lanes.get_mut(&*task.lane));
        if let Some(state) = lane {
            state.scheduled = state.scheduled.saturating_sub(1);
        }
    }

    /// What the board knows of a task, in whichever place.
    fn revision(&self, key: &TaskKey) -> Option<u64> {
        let live = self.rows.get(key).map(|row| row.revision);
        live.or_else(|| self.due.get(key).map(|task| task.revision))
    }

    fn attach(&mut self, key: &TaskKey) {
        let Some(row) = self.rows.get(key) else { return };
        let name = row.task.lane.clone();
        let state = self.lanes.entry(name.clone()).or_insert_with(|| LaneState::of(&name));
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
