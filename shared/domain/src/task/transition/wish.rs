//! What callers want of a task, and what its time brings.

use super::create::waiting_state;
use super::{drop_claim, let_go, write};
use crate::task::input::{Amendment, Change, Effect, Refusal, Wish};
use crate::task::state::{Interrupt, InterruptKind, Phase, Task, TaskState};
use crate::task::timing::Timing;
use crate::time::Timestamp;

/// An accepted interrupt is final: it stays in the record until the task has ended.
pub(super) fn interrupt(task: &Task, kind: InterruptKind, now: Timestamp) -> Result<Change, Refusal> {
    match task.state {
        TaskState::Scheduled | TaskState::Queued | TaskState::Paused | TaskState::Stopped => {
            Err(Refusal::NotStarted)
        }
        TaskState::Assigned | TaskState::Running => {
            if !kind.exceeds(task.interrupt.map(|earlier| earlier.kind)) {
                return Ok(Change::Nothing);
            }
            let mut next = task.clone();
            next.interrupt = Some(Interrupt { kind, at: now });
            let effects = task.runner.map(Effect::TellInterrupt).into_iter().collect();
            Ok(Change::Write(Box::new(next), effects))
        }
        TaskState::Completed | TaskState::Failed | TaskState::Broken => Ok(Change::Nothing),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

/// Never early: whoever says that it is due is asked for the time.
pub(super) fn due(task: &Task, now: Timestamp) -> Result<Change, Refusal> {
    match task.state {
        TaskState::Scheduled if task.timing.as_ref().is_some_and(|timing| timing.run_at > now) => {
            Err(Refusal::NotDue)
        }
        TaskState::Scheduled => Ok(write(Task { state: TaskState::Queued, ..task.clone() })),
        TaskState::Queued
        | TaskState::Assigned
        | TaskState::Running
        | TaskState::Paused
        | TaskState::Stopped => Ok(Change::Nothing),
        TaskState::Completed | TaskState::Failed | TaskState::Broken => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

/// All of an amendment or nothing of it.
pub(super) fn amend(task: &Task, amendment: &Amendment, now: Timestamp) -> Result<Change, Refusal> {
    if task.state == TaskState::Broken
        && *amendment == (Amendment { wish: Some(Wish::Break), ..Default::default() })
    {
        return Ok(Change::Nothing);
    }
    if task.state.is_terminal() {
        return Err(Refusal::Ended);
    }
    let mut next = task.clone();
    next.priority = amendment.priority.unwrap_or(task.priority);
    next.position = amendment.position.unwrap_or(task.position);
    next.top_of_queue = amendment.top_of_queue.unwrap_or(task.top_of_queue);
    if amendment.run_at.is_some() || amendment.gate.is_some() {
        if task.state.is_active() {
            return Err(Refusal::StillActive);
        }
        next.timing = Some(amended(task, amendment));
        if matches!(task.state, TaskState::Queued) {
            next.state = waiting_state(&next, now);
        }
    }
    let mut effects = Vec::new();
    match amendment.wish {
        None => {}
        Some(Wish::Pause) => next = pause(&next)?,
        Some(Wish::Resume) => next = resume(&next, now)?,
        Some(Wish::Break) => {
            effects.extend(drop_claim(&next));
            next = broken(&next, now);
        }
    }
    if next == *task { Ok(Change::Nothing) } else { Ok(Change::Write(Box::new(next), effects)) }
}

fn amended(task: &Task, amendment: &Amendment) -> Timing {
    let old = task.timing.clone();
    let mut timing =
        old.unwrap_or(Timing { run_at: task.created_at, gate: None, every: None, by_tick: true });
    timing.run_at = amendment.run_at.unwrap_or(timing.run_at);
    timing.gate = amendment.gate.clone().or(timing.gate);
    timing
}

fn pause(task: &Task) -> Result<Task, Refusal> {
    match task.state {
        TaskState::Scheduled | TaskState::Queued => Ok(let_go(task, TaskState::Paused)),
        TaskState::Assigned | TaskState::Running => Ok(Task { pause: true, ..task.clone() }),
        TaskState::Paused => Ok(task.clone()),
        TaskState::Stopped => Err(Refusal::NotStarted),
        TaskState::Completed | TaskState::Failed | TaskState::Broken => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

/// A task that is still to be paused simply goes on.
fn resume(task: &Task, now: Timestamp) -> Result<Task, Refusal> {
    match task.state {
        TaskState::Paused => Ok(let_go(task, waiting_state(task, now))),
        TaskState::Assigned | TaskState::Running if task.pause => Ok(Task { pause: false, ..task.clone() }),
        TaskState::Queued => Ok(task.clone()),
        TaskState::Scheduled | TaskState::Assigned | TaskState::Running | TaskState::Stopped => {
            Err(Refusal::NotPaused)
        }
        TaskState::Completed | TaskState::Failed | TaskState::Broken => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

fn broken(task: &Task, now: Timestamp) -> Task {
    let mut next = task.clone();
    (next.state, next.phase, next.pause) = (TaskState::Broken, Phase::Running, false);
    next.ended_at = Some(now);
    next
}

/// What has ended stays ended; it is only marked. What has not is given up.
pub(super) fn supersede(task: &Task, now: Timestamp) -> Result<Change, Refusal> {
    match task.state {
        TaskState::Completed | TaskState::Failed | TaskState::Broken if task.superseded => {
            Ok(Change::Nothing)
        }
        TaskState::Completed | TaskState::Failed | TaskState::Broken => {
            Ok(write(Task { superseded: true, ..task.clone() }))
        }
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Assigned
        | TaskState::Running
        | TaskState::Paused
        | TaskState::Stopped => {
            let effects = drop_claim(task).into_iter().collect();
            let next = Task { superseded: true, ..broken(task, now) };
            Ok(Change::Write(Box::new(next), effects))
        }
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}
