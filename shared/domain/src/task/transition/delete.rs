//! How a task goes: a positive record that it is gone, then its bodies.

use super::write;
use crate::payload::Payload;
use crate::task::input::{Change, Effect, Refusal};
use crate::task::state::{Task, TaskState};

pub(super) fn delete(task: &Task) -> Result<Change, Refusal> {
    match task.state {
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Paused
        | TaskState::Stopped
        | TaskState::Completed
        | TaskState::Failed
        | TaskState::Broken => {
            let mut next = task.clone();
            next.state = TaskState::Deleted;
            // Bodies inside the record go with this write; those in the store need a second step.
            if next.input.object().is_none() {
                next.input = Payload::default();
            }
            let is_stored = |body: &Payload| body.object().is_some();
            next.result = next.result.filter(is_stored);
            if let Some(workflow) = &mut next.workflow {
                workflow.output = workflow.output.take().filter(is_stored);
            }
            let effects = if has_bodies(&next) { vec![Effect::RemoveBodies] } else { Vec::new() };
            Ok(Change::Write(Box::new(next), effects))
        }
        TaskState::Assigned | TaskState::Running => Err(Refusal::StillActive),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

/// Whether there is anything of what its owner sent or got.
pub(crate) fn has_bodies(task: &Task) -> bool {
    let output = task.workflow.as_ref().and_then(|workflow| workflow.output.as_ref());
    task.input != Payload::default() || task.result.is_some() || output.is_some()
}

/// The tombstone forgets where the bodies were, which is how anyone sees that they are gone.
pub(super) fn bodies_removed(task: &Task) -> Result<Change, Refusal> {
    match task.state {
        TaskState::Deleted if has_bodies(task) => {
            let mut next = task.clone();
            next.input = Payload::default();
            next.result = None;
            next.workflow = None;
            Ok(write(next))
        }
        TaskState::Deleted => Ok(Change::Nothing),
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Assigned
        | TaskState::Running
        | TaskState::Paused
        | TaskState::Stopped => Err(Refusal::StillActive),
        TaskState::Completed | TaskState::Failed | TaskState::Broken => Err(Refusal::Ended),
    }
}
