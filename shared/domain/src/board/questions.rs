//! What the board is asked by others: a record, why a task waits, how full the lanes are.

use std::sync::Arc;

use crate::board::due::Scheduled;
use crate::board::{Board, LaneState, Millis, repair};
use crate::id::TaskKey;
use crate::lane::{LaneLimits, Turn, Waiting};
use crate::task::state::{Task, TaskState};

/// How full one lane is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneLoad {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub limits: LaneLimits,
    /// Tasks whose time has not come.
    pub scheduled: u64,
    /// Tasks that wait.
    pub queued: u64,
    /// Tasks that run.
    pub running: u32,
}

impl Board {
    /// The record of a live task with its revision, where the board holds all of it.
    pub fn record(&self, key: &TaskKey) -> Option<(u64, &Arc<Task>)> {
        self.rows.get(key).filter(|row| row.complete).map(|row| (row.revision, &row.task))
    }

    /// Why a task waits; `None` if it does not.
    pub fn waiting(&self, key: &TaskKey, now: Millis) -> Option<Waiting> {
        if let Some(task) = self.due.get(key) {
            return Some(self.before_its_time(task));
        }
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

    fn before_its_time(&self, task: &Scheduled) -> Waiting {
        let (running, max_running) = self
            .lanes
            .get(&*task.lane)
            .map_or((0, 0), |state| (state.lane.running(), state.limits.max_running));
        let gate = if task.gated { ", and then until its semaphore URL answers" } else { "" };
        let reason = format!("scheduled for {}{gate}", task.run_at);
        Waiting { lane: task.lane.to_string(), position: 0, running, max_running, reason }
    }

    /// How full every lane is that has been seen.
    pub fn lanes(&self) -> Vec<LaneLoad> {
        let load = |(name, state): (&String, &LaneState)| LaneLoad {
            name: name.clone(),
            limits: state.limits.clone(),
            scheduled: state.scheduled,
            queued: state.lane.queued(),
            running: state.lane.running(),
        };
        let mut all: Vec<_> = self.lanes.iter().map(load).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}
