//! How a task comes to a runner, and how it comes back.

use super::{fail, requeue, write};
use crate::id::{Epoch, RunnerId, SessionId};
use crate::task::input::{Change, Refusal};
use crate::task::state::{Phase, Runtime, Task, TaskState};
use crate::time::Timestamp;

pub(super) fn claim(
    task: &Task,
    runner: RunnerId,
    session: SessionId,
    now: Timestamp,
) -> Result<Change, Refusal> {
    match task.state {
        TaskState::Queued => {
            let mut next = task.clone();
            next.state = TaskState::Assigned;
            next.phase = Phase::Running;
            next.epoch = task.epoch.next();
            next.assigned_at = Some(now);
            next.running_at = None;
            (next.runner, next.session) = (Some(runner), Some(session));
            Ok(write(next))
        }
        TaskState::Scheduled
        | TaskState::Assigned
        | TaskState::Running
        | TaskState::Paused
        | TaskState::Stopped => Err(Refusal::NotQueued),
        TaskState::Completed | TaskState::Failed | TaskState::Broken => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

fn held(task: &Task, epoch: Epoch) -> Result<(), Refusal> {
    match task.state {
        TaskState::Assigned | TaskState::Running if task.epoch == epoch => Ok(()),
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Assigned
        | TaskState::Running
        | TaskState::Paused
        | TaskState::Stopped => Err(Refusal::StaleEpoch),
        TaskState::Completed | TaskState::Failed | TaskState::Broken => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

/// A task that was to end anyway does not wait for a second runner only to be ended by it.
pub(super) fn release(task: &Task, epoch: Epoch, now: Timestamp) -> Result<Change, Refusal> {
    held(task, epoch)?;
    if task.state == TaskState::Running {
        return Err(Refusal::NotQueued);
    }
    Ok(give_back(task, now))
}

pub(super) fn give_back(task: &Task, now: Timestamp) -> Change {
    if task.interrupt.is_some() {
        return write(fail(task, "it was interrupted, and its runner could not run it on".to_owned(), now));
    }
    write(requeue(task))
}

/// A lost task waits again, unless it was to end anyway or has cost too many runners. A stream runs until it
/// is stopped, whatever it costs.
pub(super) fn lose(task: &Task, epoch: Epoch, now: Timestamp) -> Result<Change, Refusal> {
    held(task, epoch)?;
    let losses = task.losses.saturating_add(1);
    let too_many = losses > task.retry_limit && task.runtime != Runtime::Stream;
    let error = match (task.interrupt, too_many) {
        (Some(_), _) => Some("its runner was lost while the task was being interrupted".to_owned()),
        (None, true) => Some(format!("its runner was lost {losses} times; the task may bring runners down")),
        (None, false) => None,
    };
    let mut next = match error {
        None => requeue(task),
        Some(error) => fail(task, error, now),
    };
    next.losses = losses;
    Ok(write(next))
}

/// The same for a lost process, whose end the runner has seen and can describe.
pub(super) fn lose_process(task: &Task, error: &str, now: Timestamp) -> Change {
    let losses = task.losses.saturating_add(1);
    let is_final = task.interrupt.is_some() || losses > task.retry_limit;
    let next = if is_final { fail(task, error.to_owned(), now) } else { requeue(task) };
    write(Task { losses, ..next })
}
