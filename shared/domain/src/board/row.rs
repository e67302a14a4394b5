//! One live task on the board.

use std::sync::Arc;

use crate::board::Millis;
use crate::id::RunnerId;
use crate::payload::Payload;
use crate::task::state::{Task, TaskState};

/// A record whose body is larger than this is kept without it, so that a million waiting tasks fit in
/// memory; claiming such a task costs one more read.
const KEPT_BODY_BYTES_MAX: u64 = 1024;

/// A live task, or a deleted one whose bodies are still there.
pub(super) struct Row {
    pub revision: u64,
    pub task: Arc<Task>,
    /// The record is here with its body.
    pub complete: bool,
    /// Our own claim for this runner is under way.
    pub claiming: Option<RunnerId>,
    /// Since when the board knows this revision.
    pub since: Millis,
    /// When something was last done to repair it, so that repairs come at a bounded rate.
    pub repaired_at: Option<Millis>,
}

impl Row {
    pub fn new(revision: u64, mut task: Arc<Task>, now: Millis) -> Self {
        let complete = task.input.object().is_some() || task.input.size <= KEPT_BODY_BYTES_MAX;
        if !complete {
            Arc::make_mut(&mut task).input.place = Payload::default().place;
        }
        Self { revision, task, complete, claiming: None, since: now, repaired_at: None }
    }

    /// It counts against its lane's and its runner's limit.
    pub fn takes_place(&self) -> bool {
        self.task.state.is_active() || (self.task.state == TaskState::Queued && self.claiming.is_some())
    }

    /// The runner it is with, or is being given to.
    pub fn runner(&self) -> Option<RunnerId> {
        if self.task.state.is_active() { self.task.runner } else { self.claiming }
    }
}
