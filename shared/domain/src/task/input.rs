//! What may happen to a task, what follows from it, and why something may be refused.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, RunnerId, SessionId};
use crate::payload::Payload;
use crate::task::state::{InterruptKind, Phase, Task};
use crate::task::workflow::StepEnding;
use crate::time::Timestamp;

/// Something that happens to a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A caller asks for a new task; the record is complete but for its state.
    Create(Box<Task>),
    /// The same, and `schedule` has kept a place for it: it is given to a runner in the same write.
    CreateClaimed {
        /// The record, complete but for its state.
        task: Box<Task>,
        /// The runner.
        runner: RunnerId,
        /// The session it will run in.
        session: SessionId,
    },
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
    /// Its time has come and its gate is open.
    Due,
    /// A caller changes what may still be changed: all of it, or nothing.
    Amend(Amendment),
    /// A caller wants a stream task to run, as its app is now.
    Start(Program),
    /// A caller wanted a stream task to run and it can't be started: this is why.
    NotStarted(String),
    /// A caller wants a stream task to stop.
    Stop,
    /// A caller describes a stream task anew; the record is complete but for its state.
    Replace(Box<Task>),
    /// A caller runs the same request anew, so what this task made is not valid any more.
    Supersede,
    /// A caller wants it gone.
    Delete,
    /// The bodies of a deleted task are removed.
    BodiesRemoved,
}

/// What a stream task is to run: its app is looked for whenever it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The version of the app.
    pub version: String,
    /// SHA-256 of its bundle.
    pub bundle: String,
}

/// What a caller changes; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Amendment {
    /// Hold it back, let it go on, or give it up.
    pub wish: Option<Wish>,
    /// 1 first, 10 last.
    pub priority: Option<u8>,
    /// Its place among those of the same priority.
    pub position: Option<u32>,
    /// Before every other of its lane.
    pub top_of_queue: Option<bool>,
    /// Not before this moment.
    pub run_at: Option<Timestamp>,
    /// The URL of its gate.
    pub gate: Option<String>,
}

/// What a caller wants of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// To be held back; a running step ends first.
    Pause,
    /// To go on, after it was paused.
    Resume,
    /// To be given up, whatever it does.
    Break,
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
    /// A step of its workflow ended; the runner has stored its output.
    Step(StepEnding),
    /// Something goes wrong with a task that runs on all the same; `None` is that all is well again.
    Trouble(Option<String>),
    /// The process ended; the runner has stored its output.
    Ended(Ending),
    /// Somebody outside ended the process: it waits again, or fails, as after the loss of a runner.
    ProcessLost {
        /// What it fails of, if it does.
        error: String,
    },
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
    /// Tell the runner that this claim is void.
    TellDrop(RunnerId, Epoch),
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
    /// It is not held back, so it can't be let go on.
    NotPaused,
    /// Its time has not come.
    NotDue,
    /// Only stream tasks are started and stopped.
    NotAStream,
    /// A runner holds it, so it can't be deleted or scheduled anew.
    StillActive,
    /// It has ended.
    Ended,
}
