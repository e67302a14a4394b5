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

/// For this long the feed is waited for after an own claim failed, until the task may be claimed again.
const CLAIM_REST_MS: Millis = 1_000;

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
        self.free_failed_claims(now);
        self.forget_coming(now);
        self.rest_due(now);
        self.forget_runners(now);
        actions
    }

    fn free_failed_claims(&mut self, now: Millis) {
        let mut rested = Vec::new();
        for (key, since) in &mut self.failed_claims {
            if now.saturating_sub(*since.get_or_insert(now)) >= CLAIM_REST_MS {
                rested.push(key.clone());
            }
        }
        rested.sort_unstable();
        for key in rested {
            self.failed_claims.remove(&key);
            self.unclaim(&key);
        }
    }

    /// Claims that runners hold though the records have moved on: a runner that slept through its lease.
    fn stale_claims(&mut self, now: Millis) -> Vec<Action> {
        let mut actions = Vec::new();
        for (id, runner) in &mut self.runners {
            let rested = runner.told_drop_at.is_none_or(|at| now.saturating_sub(at) >= REPAIR_PAUSE_MS);
            if is_gone(runner.seen_at, now) || !rested {
                continue;
            }
            let stale =
                runner.beat.held.iter().filter(|held| is_stale(self.rows.get(&held.key), *id, held, now));
            let before = actions.len();
            actions.extend(stale.map(|held| Action::TellDrop(held.key.clone(), held.epoch, *id)));
            // A claim on a task that we do not know to be live has most often just ended. One that is told of
            // twice may be on a task that was given up, and the word of that may have been lost.
            let unknown =
                |held: &&Held| !self.rows.contains_key(&held.key) && runner.held_before.contains(held);
            let unknown = runner.beat.held.iter().filter(unknown);
            actions.extend(unknown.map(|held| Action::CheckClaim(held.key.clone(), held.epoch, *id)));
            if actions.len() > before {
                runner.told_drop_at = Some(now);
            }
        }
        actions
    }

    /// A runner that is long gone and holds nothing is forgotten.
    fn forget_runners(&mut self, now: Millis) {
        self.runners.retain(|_, runner| runner.load > 0 || !is_gone(runner.seen_at, now));
    }
}

fn is_stale(row: Option<&Row>, runner: RunnerId, held: &Held, now: Millis) -> bool {
    // No row is a task that has ended, is deleted, or is not known yet: the runner's own report will be
    // answered with the truth.
    let Some(row) = row else { return false };
    let moved_on =
        row.task.epoch > held.epoch || (row.task.epoch == held.epoch && row.task.runner != Some(runner));
    moved_on && now.saturating_sub(row.since) >= ASSIGN_GRACE_MS
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
    // A heartbeat that left before the record changed says nothing about it, and it may have been under way
    // for a while.
    if runner.seen_at.saturating_sub(row.since) < ASSIGN_GRACE_MS {
        return None;
    }
    let held = runner.beat.held.iter().find(|held| held.key == key && held.epoch == task.epoch);
    match (held, task.state) {
        (None, TaskState::Assigned) => Some(Action::TellAssign(key, runner.beat.runner)),
        // The runner did have it and does not any more, without a report: nothing of it can be left.
        (None, TaskState::Running) => lose(),
        (Some(held), _) => {
            let unheard = task.interrupt.is_some_and(|wish| wish.kind.exceeds(held.interrupted));
            unheard.then_some(Action::TellInterrupt(key, runner.beat.runner))
        }
        (
            None,
            TaskState::Scheduled
            | TaskState::Queued
            | TaskState::Paused
            | TaskState::Stopped
            | TaskState::Completed
            | TaskState::Failed
            | TaskState::Broken
            | TaskState::Deleted,
        ) => None,
    }
}
