//! Tasks whose records are being written. A create announces its task, and where one may start at once it gets a
//! place for it: the record is then written with its claim, which saves a write and the way through the queue.

use serde::{Deserialize, Serialize};

use crate::board::{Action, Board, LaneState, Millis};
use crate::id::{RunnerId, TaskKey};
use crate::lane::{LaneLimits, admits};
use crate::session::SessionOf;
use crate::task::state::{Runtime, Task, TaskState};

/// A create that has not written its record for so long never will: every deadline of its caller is over.
const COMING_MS: Millis = 30_000;

/// What a create says of a task before it writes the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The task.
    pub key: TaskKey,
    /// The lane it will wait in.
    pub lane: String,
    /// Its priority.
    pub priority: u8,
    /// Whose warm session may run it, where one may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionOf>,
}

impl Announcement {
    /// What there is to say of a task.
    pub fn of(task: &Task) -> Self {
        let session = (task.runtime == Runtime::Session).then(|| SessionOf::task(task));
        Self { key: task.key(), lane: task.lane.clone(), priority: task.priority, session }
    }
}

/// How an announced task is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reception {
    /// A place at this runner is kept for it.
    Place(RunnerId),
    /// It has to queue.
    Queue,
    /// The same task is being created already, or is there: nothing was noted.
    Known,
}

/// A task that was announced.
pub(super) struct Coming {
    pub lane: String,
    pub priority: u8,
    /// Who keeps a place for it.
    pub runner: Option<RunnerId>,
    since: Millis,
}

/// Whether a task may start without queueing. Nobody may be overtaken, so nobody may wait and nobody may be on the way
/// who has to. What other processes create is not announced here; for that a quarter of the lane is left free.
fn may_start_at_once(state: &LaneState, priority: u8) -> bool {
    let LaneState { lane, limits, .. } = state;
    let left_free = limits.max_running.div_ceil(4);
    let narrower = LaneLimits { max_running: limits.max_running.saturating_sub(left_free), ..limits.clone() };
    let nobody_waits = lane.queued() == 0 && state.to_queue == 0;
    nobody_waits && admits(&narrower, lane.running(), lane.running_non_priority(), priority)
}

impl Board {
    /// A task is about to be created.
    pub fn announce(&mut self, announced: Announcement, now: Millis) -> Reception {
        let Announcement { key, lane: name, priority, session } = announced;
        if self.coming.contains_key(&key) || self.revision(&key).is_some() {
            return Reception::Known;
        }
        let freest = self.freest_runner(now);
        let state = self.lanes.entry(name.clone()).or_insert_with(|| LaneState::of(&name));
        let mut runner = freest.filter(|_| may_start_at_once(state, priority));
        if runner.is_some() {
            state.lane.occupy(&state.limits, priority);
            runner = session.and_then(|of| self.warm_runner(&of, now)).or(runner);
        } else {
            state.to_queue = state.to_queue.saturating_add(1);
        }
        if let Some(keeper) = runner.and_then(|id| self.runners.get_mut(&id)) {
            keeper.load = keeper.load.saturating_add(1);
        }
        self.coming.insert(key, Coming { lane: name, priority, runner, since: now });
        runner.map_or(Reception::Queue, Reception::Place)
    }

    /// An announced task will not come: its record was there, or was refused.
    pub fn withdraw(&mut self, key: &TaskKey) {
        self.let_come(key);
    }

    /// An announced task is there, or is not to be waited for. Gives who kept a place for it.
    pub(super) fn let_come(&mut self, key: &TaskKey) -> Option<RunnerId> {
        let coming = self.coming.remove(key)?;
        let state = self.lanes.get_mut(&coming.lane)?;
        let Some(id) = coming.runner else {
            state.to_queue = state.to_queue.saturating_sub(1);
            return None;
        };
        state.lane.vacate(&state.limits, coming.priority);
        self.mark_dirty(&coming.lane);
        if let Some(runner) = self.runners.get_mut(&id) {
            runner.load = runner.load.saturating_sub(1);
        }
        Some(id)
    }

    /// The runner that kept a place is to be told, unless the task is interrupted or gone already.
    pub(super) fn note_arrival(&mut self, key: &TaskKey, keeper: RunnerId, task: &Task) {
        if task.state == TaskState::Assigned && task.runner == Some(keeper) {
            self.arrived.push(Action::TellAssign(key.clone(), keeper));
        }
    }

    /// Gives up those whose record never came.
    pub(super) fn forget_coming(&mut self, now: Millis) {
        let is_over = |coming: &Coming| now.saturating_sub(coming.since) > COMING_MS;
        let over = self.coming.iter().filter(|(_, coming)| is_over(coming)).map(|(key, _)| key.clone());
        let mut over: Vec<TaskKey> = over.collect();
        over.sort_unstable();
        for key in over {
            self.let_come(&key);
        }
    }

    /// The feed was not heard for a while, so nothing is known of those that it is to show.
    pub(super) fn forgive_coming(&mut self, now: Millis) {
        for coming in self.coming.values_mut() {
            coming.since = now;
        }
    }
}
