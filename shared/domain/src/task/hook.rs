//! Whom a task's changes are told, and the changes that are to be told. They lie in the record itself, so
//! that a change and the word of it are one write; `callbacks` delivers them and remembers how far it is.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::task::state::{Phase, Task, TaskState};
use crate::time::Timestamp;

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// How it is told.
    pub kind: HookKind,
    /// Where, as the caller gave it.
    pub url: String,
}

/// How a hook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookKind {
    /// AIMMS' `taskStateHook`: a PUT per state, tried once.
    TaskState,
    /// The Task Engine's `rest_endpoints`: a POST per step and for the whole, repeated until it is taken.
    RestEndpoint,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum What {
    /// The task is in this state now.
    State {
        /// The state.
        state: TaskState,
        /// What its process does, while it runs.
        phase: Phase,
    },
    /// A step of its workflow began.
    StepStarted {
        /// Which, from 0.
        step: u32,
    },
    /// A step ended well.
    StepCompleted {
        /// Which, from 0.
        step: u32,
    },
    /// A step failed for good.
    StepFailed {
        /// Which, from 0.
        step: u32,
    },
}

/// The latest changes in order. The first ones go when there are too many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Events {
    /// How many have gone.
    pub gone: u64,
    /// The others.
    pub kept: VecDeque<Event>,
}

/// Changes that a record keeps. A task that changes faster than it can be told loses the word of its oldest
/// changes, and `gone` says how many.
const KEPT_MAX: usize = 100;

impl Events {
    /// There is nothing to be told and never was.
    pub fn is_empty(&self) -> bool {
        self.gone == 0 && self.kept.is_empty()
    }

    fn push(&mut self, at: Timestamp, what: What) {
        if self.kept.len() >= KEPT_MAX {
            self.kept.pop_front();
            self.gone += 1;
        }
        self.kept.push_back(Event { at, what });
    }
}

/// Writes down what a transition changed, where there is somebody to be told.
pub(super) fn note(before: Option<&Task>, task: &mut Task, now: Timestamp) {
    if task.state == TaskState::Deleted {
        (task.hooks, task.events) = (Vec::new(), Events::default());
    }
    if task.hooks.is_empty() {
        return;
    }
    let mut changes = Vec::new();
    let done = |task: &Task| task.workflow.as_ref().map_or(0, |workflow| workflow.done);
    let ran = before.is_some_and(|before| before.state == TaskState::Running);
    if let (Some(workflow), Some(before)) = (&task.workflow, before) {
        changes.extend((done(before)..workflow.done).map(|step| What::StepCompleted { step }));
        let runs_step = task.state == TaskState::Running && workflow.done < workflow.count();
        if runs_step && (!ran || workflow.done > done(before)) {
            changes.push(What::StepStarted { step: workflow.done });
        }
        if task.state == TaskState::Failed && before.state.is_active() {
            changes.push(What::StepFailed { step: workflow.done });
        }
    }
    let phase = |task: &Task| (task.state, task.phase);
    if before.map(phase) != Some(phase(task)) {
        let state = What::State { state: task.state, phase: task.phase };
        // The start is told before the first step's, the end after the last step's.
        if task.state.is_terminal() { changes.push(state) } else { changes.insert(0, state) }
    }
    for what in changes {
        task.events.push(now, what);
    }
}
