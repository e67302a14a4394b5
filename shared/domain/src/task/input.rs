//! What may happen to a task, what follows from it, and why something may be refused.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, RunnerId, SessionId};
use crate::payload::Payload;
use crate::task::state::{InterruptKind, Phase, Task};
use crate::time::Timestamp;

/// Something that happens to a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A caller asks for a new task; the record is complete but for its state.
    Create(Box<Task>),
    /// `schedule` gives it to a runner.
    Claim {
        /// The runner.
        runner: RunnerId,
        /// The session it will run in.
        session: SessionId,
    },
    /// The runner reports about a claim.
    Report {
        /// The claim it holds.
        epoch: Epoch,
        /// What it reports.
        report: Report,
    },
    /// The runner could not take it (no place left, draining): it goes back at no cost, or ends if it was
    /// interrupted meanwhile.
    Release {
        /// The claim that is given back.
        epoch: Epoch,
    },
    /// The runner is gone.
    Lost {
        /// The claim that was lost.
        epoch: Epoch,
    },
    /// A caller wants it to end early.
    Interrupt(InterruptKind),
    /// A caller wants it gone.
    Delete,
    /// The bodies of a deleted task are removed.
    BodiesRemoved,
}

/// What a runner reports about the claim it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The process runs.
    Started {
        /// Since when.
        at: Timestamp,
        /// The session that runs it, where that is not the one of the claim: a warm one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
    },
    /// The process says what it does.
    Phase(Phase),
    /// The process ended; the runner has stored its output.
    Ended(Ending),
    /// The runner is about to stop and has ended the process: the task goes back at no cost.
    GivenBack,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When it had started, if it had: a task that ends at once needs no report of its start.
    pub started_at: Option<Timestamp>,
    /// The session that ran it, where that is not the one of the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// What it answered.
    pub result: Option<Payload>,
    /// What it returned.
    pub return_code: Option<i32>,
    /// Why it failed; `None` is success.
    pub error: Option<String>,
}

/// What is to be done after the record is written. All of it may be lost: `schedule` repairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Tell the runner to end the task early.
    TellInterrupt(RunnerId),
    /// Remove the stored bodies.
    RemoveBodies,
}

/// The outcome of a transition that was not refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The record is to be written, then the effects done.
    Write(Box<Task>, Vec<Effect>),
    /// It is already so; nothing is to be written. The record that stands is what a repeat is answered with.
    Nothing,
}

/// Why an input was refused. The record stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There is no such task, or it is deleted.
    NotFound,
    /// The id or idempotency key is taken by another request.
    KeyTaken,
    /// The claim was given to another since.
    StaleEpoch,
    /// It does not wait in its lane.
    NotQueued,
    /// It waits still, so there is nothing to interrupt.
    NotStarted,
    /// A runner holds it, so it can't be deleted.
    StillActive,
    /// It has ended.
    Ended,
}
