//! How a task begins, and what a repeated create finds.

use super::write;
use crate::id::Epoch;
use crate::task::hook::Events;
use crate::task::input::{Change, Refusal};
use crate::task::state::{Phase, Runtime, Task, TaskState};
use crate::time::Timestamp;

pub(super) fn create(new: &Task, now: Timestamp) -> Change {
    write(first(new.clone(), now))
}

/// The record as it is written first.
pub(super) fn first(mut task: Task, now: Timestamp) -> Task {
    task.state = first_state(&task, now);
    task.phase = Phase::Running;
    task.epoch = Epoch(0);
    task.losses = 0;
    task.number = None;
    task.created_at = now;
    task.events = Events::default();
    (task.pause, task.superseded) = (false, false);
    (task.assigned_at, task.running_at, task.ended_at) = (None, None, None);
    (task.runner, task.session, task.interrupt) = (None, None, None);
    (task.result, task.return_code, task.error) = (None, None, None);
    if let Some(workflow) = &mut task.workflow {
        (workflow.done, workflow.failures, workflow.output) = (0, 0, None);
    }
    task
}

impl Task {
    /// The task as it was taken in. It is what a create is answered with, so a repetition gets the same answer
    /// however far the task is by then.
    #[must_use]
    pub fn taken_in(self) -> Self {
        let (number, created_at) = (self.number, self.created_at);
        Self { number, ..first(self, created_at) }
    }
}

/// Where a task stands that nobody holds back: before its time, or in its lane.
pub(super) fn waiting_state(task: &Task, now: Timestamp) -> TaskState {
    let holds_back = task.timing.as_ref().is_some_and(|timing| timing.holds_back(now));
    if holds_back { TaskState::Scheduled } else { TaskState::Queued }
}

fn first_state(task: &Task, now: Timestamp) -> TaskState {
    match task.runtime {
        Runtime::Stream => TaskState::Stopped,
        Runtime::Command | Runtime::Session | Runtime::Webui | Runtime::Noop => waiting_state(task, now),
    }
}

/// The same request again changes nothing; that is what makes a create safe to repeat after a lost answer.
pub(super) fn repeat(task: &Task, new: &Task) -> Result<Change, Refusal> {
    let same = task.request_digest == new.request_digest && task.user == new.user;
    if same { Ok(Change::Nothing) } else { Err(Refusal::KeyTaken) }
}
