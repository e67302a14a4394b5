//! How a stream task is started, stopped and described anew. It never ends by itself: what goes wrong stands in
//! its error, and it is stopped or runs on.

use super::{create, drop_claim, let_go, write};
use crate::task::input::{Change, Program, Refusal};
use crate::task::state::{Runtime, Task, TaskState};
use crate::time::Timestamp;

fn check(task: &Task) -> Result<(), Refusal> {
    if task.runtime == Runtime::Stream { Ok(()) } else { Err(Refusal::NotAStream) }
}

pub(super) fn start(task: &Task, program: &Program) -> Result<Change, Refusal> {
    check(task)?;
    match task.state {
        TaskState::Stopped => Ok(write(Task {
            error: None,
            losses: 0,
            interrupt: None,
            version: program.version.clone(),
            bundle: program.bundle.clone(),
            ..let_go(task, TaskState::Queued)
        })),
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Assigned
        | TaskState::Running
        | TaskState::Paused => Ok(Change::Nothing),
        TaskState::Completed | TaskState::Failed | TaskState::Broken => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

/// Its owner learns of it from the answer, and whoever looks later from the task. One that waits in its lane waits
/// no longer; what runs already runs on.
pub(super) fn not_started(task: &Task, why: &str) -> Result<Change, Refusal> {
    check(task)?;
    match task.state {
        TaskState::Stopped if task.error.as_deref() == Some(why) => Ok(Change::Nothing),
        TaskState::Stopped | TaskState::Queued => {
            Ok(write(Task { error: Some(why.to_owned()), ..let_go(task, TaskState::Stopped) }))
        }
        TaskState::Scheduled | TaskState::Assigned | TaskState::Running | TaskState::Paused => {
            Ok(Change::Nothing)
        }
        TaskState::Completed | TaskState::Failed | TaskState::Broken => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

/// The claim is void at once: what its process has not handed on by now is handed on by the next one.
pub(super) fn stop(task: &Task) -> Result<Change, Refusal> {
    check(task)?;
    match task.state {
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Assigned
        | TaskState::Running
        | TaskState::Paused => {
            let effects = drop_claim(task).into_iter().collect();
            Ok(Change::Write(Box::new(let_go(task, TaskState::Stopped)), effects))
        }
        TaskState::Stopped => Ok(Change::Nothing),
        TaskState::Completed | TaskState::Failed | TaskState::Broken => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

/// It keeps its id, so that it goes on where it was in its source, and the count of its claims, so that an old
/// one can't pass for a new one.
pub(super) fn replace(task: &Task, new: &Task, now: Timestamp) -> Result<Change, Refusal> {
    check(task)?;
    match task.state {
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Assigned
        | TaskState::Running
        | TaskState::Paused
        | TaskState::Stopped => {
            let mut next = create::first(new.clone(), now);
            (next.id, next.run, next.number, next.epoch) = (task.id, task.run, task.number, task.epoch);
            Ok(Change::Write(Box::new(next), drop_claim(task).into_iter().collect()))
        }
        TaskState::Completed | TaskState::Failed | TaskState::Broken => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}
