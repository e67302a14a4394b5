//! The sweeper: compares what the records say with what the runners hold, and mends the difference.
//! Only active tasks and runners are looked at, so a million waiting tasks cost it nothing.

use crate::board::{Action, Board, Held, Millis, Runner, row::Row};
use crate::id::RunnerId;
use crate::task::state::TaskState;

/// A runner that was not heard for this long is gone. Heartbeats come five times as often; with one sweep
/// on top a lost task waits again in well under the five seconds that are promised.
pub const RUNNER_LEASE_MS: Millis = 2_500;

/// For this long an assignment may be on its way before it is sent again.
pub const ASSIGN_GRACE_MS: Millis = 1_000;

/// Between two repairs of the same task.
const REPAIR_PAUSE_MS: Millis = 1_000;

pub(super) fn is_gone(seen_at: Millis, now: Millis) -> bool {
    now.saturating_sub(seen_at) > RUNNER_LEASE_MS
}

impl Board {
    /// What has to be mended now. Called on a tick; twice at once is harmless.
    pub fn repair(&mut self, now: Millis) -> Vec<Action> {
        let mut actions = Vec::new();
        for key in &self.active {
            let Some(row) = self.rows.get_mut(key) else { continue };
            let rested = row.repaired_at.is_none_or(|at| now.saturating_sub(at) >= REPAIR_PAUSE_MS);
            if !rested {
                continue;
            }
            let runner = row.task.runner.and_then(|id| self.runners.get(&id));
            if let Some(action) = mend(row, runner, now) {
                row.repaired_at = Some(now);
                actions.push(action);
            }
        }
        for key in &self.deleted {
            let Some(row) = self.rows.get_mut(key) else { continue };
            let last = row.repaired_at.unwrap_or(row.since);
            if now.saturating_sub(last) >= REPAIR_PAUSE_MS {
                row.repaired_at = Some(now);
                actions.push(Action::RemoveBodies(key.clone()));
            }
        }
        actions.extend(self.stale_claims(now));
        self.forget_runners(now);
        actions
    }

    /// Claims that runners hold though the records have moved on: a runner that slept through its lease.
    fn stale_claims(&self, now: Millis) -> Vec<Action> {
        let mut actions = Vec::new();
        for runner in self.runners.values().filter(|runner| !is_gone(runner.seen_at, now)) {
            for held in &runner.beat.held {
                if self.is_stale(runner.beat.runner, held, now) {
                    actions.push(Action::TellDrop(held.key.clone(), held.epoch, runner.beat.runner));
                }
            }
        }
        actions
    }

    fn is_stale(&self, runner: RunnerId, held: &Held, now: Millis) -> bool {
        let Some(row) = self.rows.get(&held.key) else {
            // Ended, deleted, or not known yet: the runner's own report will be answered with the truth.
            return false;
        };
        let moved_on = row.task.epoch > held.epoch
            || (row.task.epoch == held.epoch && row.task.runner != Some(runner) && row.claiming.is_none());
        moved_on && now.saturating_sub(row.since) >= ASSIGN_GRACE_MS
    }

    /// A runner that is long gone and holds nothing is forgotten.
    fn forget_runners(&mut self, now: Millis) {
        self.runners.retain(|_, runner| runner.load > 0 || !is_gone(runner.seen_at, now));
    }
}

fn mend(row: &Row, runner: Option<&Runner>, now: Millis) -> Option<Action> {
    let (task, key) = (&row.task, row.task.key());
    let known_for = now.saturating_sub(row.since);
    let lose = || Some(Action::Lose(task.key(), task.epoch));
    let Some(runner) = runner else {
        return if known_for > RUNNER_LEASE_MS { lose() } else { None };
    };
    if is_gone(runner.seen_at, now) {
        return lose();
    }
    // A heartbeat that left before the record changed says nothing about it.
    if known_for < ASSIGN_GRACE_MS || now.saturating_sub(runner.seen_at) >= ASSIGN_GRACE_MS {
        return None;
    }
    let held = runner.beat.held.iter().find(|held| held.key == key && held.epoch == task.epoch);
    match (held, task.state) {
        (None, TaskState::Assigned) => Some(Action::TellAssign(key, runner.beat.runner)),
        // The runner did have it and does not any more, without a report: nothing of it can be left.
        (None, TaskState::Running) => lose(),
        (Some(held), _) if task.interrupt.is_some() && !held.interrupted => {
            Some(Action::TellInterrupt(key, runner.beat.runner))
        }
        (Some(_), _) => None,
        (None, TaskState::Queued | TaskState::Completed | TaskState::Failed | TaskState::Deleted) => None,
    }
}
