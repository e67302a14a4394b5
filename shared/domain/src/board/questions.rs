//! What the board is asked by others: a record, why a task waits, how full the lanes are.

use crate::board::{Board, Millis, repair};
use crate::id::TaskKey;
use crate::lane::{LaneLimits, Turn, Waiting};
use crate::task::state::{Task, TaskState};

impl Board {
    /// The record of a live task with its revision, where the board holds all of it.
    pub fn record(&self, key: &TaskKey) -> Option<(u64, &Task)> {
        self.rows.get(key).filter(|row| row.complete).map(|row| (row.revision, &row.task))
    }

    /// Why a task waits; `None` if it does not.
    pub fn waiting(&self, key: &TaskKey, now: Millis) -> Option<Waiting> {
        let row = self.rows.get(key).filter(|row| row.task.state == TaskState::Queued)?;
        let state = self.lanes.get(&row.task.lane)?;
        let turn = Turn::of(&row.task);
        // A task whose claim is under way has left the queue already.
        let position = state.lane.position(&turn).max(1);
        let (running, max_running) = (state.lane.running(), state.limits.max_running);
        let lane = row.task.lane.clone();
        let place = format!("position {position} in lane {lane}, {running} of {max_running} running");
        let reason = if max_running == 0 {
            format!("{place}; the lane's limit is 0, so nothing of it runs until the limit is raised")
        } else if row.claiming.is_some() {
            format!("{place}; it is being started")
        } else if running >= max_running {
            place
        } else if state.lane.next(&state.limits).is_none() {
            format!("{place}; the free places are kept for priority tasks")
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
}
