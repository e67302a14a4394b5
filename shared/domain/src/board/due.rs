//! Tasks whose time has not come, in the order of their times: most at their very moment, the Task Engine's
//! by the ticks of its scheduler. Looking for those that are due costs the same however many are not, and of each
//! only what decides about it is held: there may be hundreds of thousands, and their records are read when they move.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use crate::board::{Action, Board, Millis};
use crate::id::{TaskId, TaskKey};
use crate::name::Name;
use crate::task::state::Task;
use crate::time::Timestamp;

/// For so long the feed is waited for after a task was said to be due, until that is said again.
const DUE_REST_MS: Millis = 1_000;
/// The same where a gate is asked, which may take its time.
const GATE_REST_MS: Millis = 10_000;

/// A gate that stays closed is asked less and less often, up to a minute apart. Under the ticks it is asked at each of
/// them: their interval is what the client wants.
const GATE_DOUBLINGS_MAX: u32 = 6;
const GATE_AGAIN_MS_MAX: Millis = 60_000;

/// What is held of a task whose time has not come.
pub(super) struct Scheduled {
    pub revision: u64,
    pub lane: Name,
    pub run_at: Timestamp,
    /// A gate is asked before it moves into its lane.
    pub gated: bool,
    by_tick: bool,
}

impl Scheduled {
    pub fn of(revision: u64, task: &Task, lane: Name) -> Self {
        let timing = task.timing.as_ref();
        Self {
            revision,
            lane,
            run_at: timing.map_or(task.created_at, |timing| timing.run_at),
            gated: timing.is_some_and(|timing| timing.gate.is_some()),
            by_tick: timing.is_some_and(|timing| timing.by_tick),
        }
    }
}

/// The tasks by their times.
#[derive(Default)]
pub(super) struct Due {
    tasks: HashMap<TaskKey, Scheduled>,
    by_time: BTreeSet<(Timestamp, TaskKey)>,
    by_tick: BTreeSet<(Timestamp, TaskKey)>,
    /// Said to be due, and until when that is trusted to act.
    said: HashMap<TaskKey, Millis>,
    /// How often the gate of a task was found closed.
    closed: HashMap<TaskKey, u32>,
}

impl Due {
    pub fn get(&self, key: &TaskKey) -> Option<&Scheduled> {
        self.tasks.get(key)
    }

    pub fn insert(&mut self, key: TaskKey, task: Scheduled) {
        self.set_of(&task).insert((task.run_at, key.clone()));
        self.tasks.insert(key, task);
    }

    pub fn remove(&mut self, key: &TaskKey) -> Option<Scheduled> {
        let task = self.tasks.remove(key)?;
        self.said.remove(key);
        self.closed.remove(key);
        self.set_of(&task).remove(&(task.run_at, key.clone()));
        Some(task)
    }

    fn set_of(&mut self, task: &Scheduled) -> &mut BTreeSet<(Timestamp, TaskKey)> {
        if task.by_tick { &mut self.by_tick } else { &mut self.by_time }
    }

    /// It was said to be due and may be said so again.
    fn put_back(&mut self, key: TaskKey) {
        if let Some(Scheduled { run_at, by_tick, .. }) = self.tasks.get(&key) {
            let set = if *by_tick { &mut self.by_tick } else { &mut self.by_time };
            set.insert((*run_at, key));
        }
    }
}

impl Board {
    /// Tasks whose moment has come. `wall` is the time of day, `now` the clock that never jumps.
    pub fn due(&mut self, wall: Timestamp, now: Millis) -> Vec<Action> {
        let later = self.due.by_time.split_off(&after(wall));
        let due = std::mem::replace(&mut self.due.by_time, later);
        self.say_due(due, now)
    }

    /// The same at a tick of the Task Engine's scheduler.
    pub fn due_by_tick(&mut self, wall: Timestamp, now: Millis) -> Vec<Action> {
        let later = self.due.by_tick.split_off(&after(wall));
        let due = std::mem::replace(&mut self.due.by_tick, later);
        self.say_due(due, now)
    }

    /// When `due` has something to say next, if the feed brings nothing new.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.by_time.first().map(|(at, _)| *at)
    }

    /// The gate of a task was found closed: it is asked again soon, and later if it stays so, or at the next tick.
    pub fn gate_closed(&mut self, key: &TaskKey, now: Millis) {
        let Some(by_tick) = self.due.get(key).map(|task| task.by_tick) else { return };
        let Some(until) = self.due.said.get_mut(key) else { return };
        let times = self.due.closed.entry(key.clone()).or_default();
        let rest = (DUE_REST_MS << (*times).min(GATE_DOUBLINGS_MAX)).min(GATE_AGAIN_MS_MAX);
        *times = times.saturating_add(1);
        *until = if by_tick { now } else { now.saturating_add(rest) };
    }

    /// What was said to be due and still stands where it stood may be said again.
    pub(super) fn rest_due(&mut self, now: Millis) {
        let mut rested = Vec::new();
        self.due.said.retain(|key, until| {
            let over = now >= *until;
            if over {
                rested.push(key.clone());
            }
            !over
        });
        for key in rested {
            self.due.put_back(key);
        }
    }

    fn say_due(&mut self, due: BTreeSet<(Timestamp, TaskKey)>, now: Millis) -> Vec<Action> {
        let mut actions = Vec::new();
        for (_, key) in due {
            let Some(gated) = self.due.get(&key).map(|task| task.gated) else { continue };
            let rest = if gated { GATE_REST_MS } else { DUE_REST_MS };
            self.due.said.insert(key.clone(), now.saturating_add(rest));
            actions.push(if gated { Action::AskGate(key) } else { Action::Due(key) });
        }
        actions
    }
}

/// Sorts after everything at this moment and before everything later.
fn after(wall: Timestamp) -> (Timestamp, TaskKey) {
    (Timestamp::from_micros(wall.micros().saturating_add(1)), TaskKey::new("", TaskId(Uuid::nil())))
}
