//! What runners are told and what they tell beside their reports.

use std::sync::Arc;

use domain::task::input::Report;
use domain::{Activity, Epoch, Payload, SessionId, SessionKind, SessionOf, Task, TaskId, TaskKey, Timestamp};
use serde::{Deserialize, Serialize};

/// What a runner is told on its own subject. Each may come twice, late or never.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// This claim is yours: run it.
    Assign(Arc<Task>),
    /// End this task early, as its record says.
    Interrupt(Arc<Task>),
    /// This claim is not yours any more.
    Drop {
        /// The task.
        key: TaskKey,
        /// The claim.
        epoch: Epoch,
    },
    /// End this session with all its processes. A task that it runs fails, and `why` is part of its error.
    EndSession {
        /// The session.
        session: SessionId,
        /// Who ended it, as `terminated by user ann`.
        why: String,
    },
    /// Start a session that serves a page, unless it was started already.
    StartSession(SessionStart),
    /// Somebody looks at the page of this session: its idle time begins anew.
    UseSession {
        /// The session.
        session: SessionId,
    },
}

/// A session that is to be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStart {
    /// The id that it gets.
    pub session: SessionId,
    /// Whose it is, and of which app version.
    pub of: SessionOf,
    /// The bundle of that version.
    pub bundle: String,
}

/// Reports about several claims, on their way to the function `report`: what a runner has to say at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportRequest {
    /// At most one per claim; they are taken in any order.
    pub reports: Vec<ClaimReport>,
}

/// A report about one claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimReport {
    /// The task.
    pub key: TaskKey,
    /// The claim.
    pub epoch: Epoch,
    /// What happened.
    pub report: Report,
}

/// One session of a runner, for people who ask what runs where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// The session.
    pub session: SessionId,
    /// What it is for.
    pub kind: SessionKind,
    /// What it does now.
    pub activity: Activity,
    /// Whose it is, and of which app version.
    #[serde(flatten)]
    pub of: SessionOf,
    /// The task it runs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The service of that task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Its process id on the runner's host; none while it starts.
    pub pid: Option<u32>,
    /// The port on the runner's host on which it serves; none for processes that serve nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How many tasks it has run to their end.
    pub tasks: u32,
    /// Since when there is the session.
    pub created_at: Timestamp,
    /// Since when its process is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
}

/// The heartbeat as it is sent: what `schedule` needs, and what people want to see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// What `schedule` decides by.
    pub heartbeat: domain::board::Heartbeat,
    /// The machine it is on.
    pub host: String,
    /// Since when the runner is up.
    pub started_at: Timestamp,
    /// What keeps its task processes to themselves, in words.
    #[serde(default)]
    pub fences: String,
    /// Its sessions.
    pub processes: Vec<Process>,
}

/// How far a task is, as its process says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Progress {
    /// 0 to 1.
    pub progress: Option<f64>,
    /// One line.
    pub message: Option<String>,
    /// The claim, so that an old process's words are not taken for a new one's.
    pub epoch: Epoch,
}

/// A record that a stream task could not be given, as it lies in the stream of those.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// When it was set aside.
    pub at: Timestamp,
    /// The topic it came from.
    pub source: String,
    /// Its number there.
    pub sequence: u64,
    /// How often it was tried.
    pub tries: u32,
    /// Why it is here.
    pub reason: String,
    /// The record.
    pub record: Payload,
}

/// A batch of log lines of one task, as it lies in the stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogBatch {
    /// The claim under which they were written.
    pub epoch: Epoch,
    /// Number of the first line of this batch within its claim, from 0.
    pub first: u64,
    /// The lines in order.
    pub lines: Vec<LogLine>,
    /// Lines of this claim that were dropped so far because they came too fast.
    pub dropped: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was read.
    pub at: Timestamp,
    /// Its text, bounded and redacted.
    pub text: String,
    /// Who says it.
    #[serde(default, skip_serializing_if = "LogSource::is_worker")]
    pub source: LogSource,
    /// The step of a workflow that it is about, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// Its place among the lines of all tasks, told by `logs`; what is stored has none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub place: u64,
}

/// Room for the lines of one message, so that a line's place follows from the sequence of its message.
const PLACES_PER_MESSAGE: u64 = 1_000;

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl LogLine {
    /// A line that a task's process wrote.
    pub fn new(at: Timestamp, text: impl Into<String>) -> Self {
        Self { at, text: text.into(), source: LogSource::Worker, step: None, place: 0 }
    }

    /// The same, stored as the line of this index in the message of this sequence.
    pub fn placed(self, sequence: u64, index: u64) -> Self {
        let index = index.min(PLACES_PER_MESSAGE - 1);
        Self { place: sequence.saturating_mul(PLACES_PER_MESSAGE).saturating_add(index), ..self }
    }
}

/// Who says a line of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// The process of the task, or the runner about one step.
    #[default]
    Worker,
    /// The runner about the job as a whole.
    Controller,
    /// Who took a request about the job in.
    Api,
    /// Who lets it wait for its time and its gate.
    Scheduler,
    /// Who tells others how it goes on.
    Callback,
}

impl LogSource {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Controller => "controller",
            Self::Api => "api",
            Self::Scheduler => "scheduler",
            Self::Callback => "callback",
        }
    }

    fn is_worker(&self) -> bool {
        *self == Self::Worker
    }
}
