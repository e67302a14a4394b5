//! Calls to `create`.

use domain::task::hook::Hook;
use domain::task::state::Origin;
use domain::task::timing::Timing;
use domain::{Caller, Payload, Task, TaskId};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;

/// Take a task in. Safe to repeat: the same id or the same idempotency key gives the same task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateRequest {
    /// Who asks.
    pub caller: Caller,
    /// The id for the new task; not used where an idempotency key decides it.
    pub id: TaskId,
    /// The app.
    pub app: String,
    /// Its version; `None` asks for the one tagged as latest.
    pub version: Option<String>,
    /// The procedure, or the name of the workflow.
    pub service: String,
    /// Which of the two that is.
    #[serde(default)]
    pub target: Target,
    /// 1 first, 10 last; `None` is the default.
    pub priority: Option<u8>,
    /// When it may start, and how often; `None` is at once, and once.
    #[serde(default)]
    pub timing: Option<Timing>,
    /// Whom its changes are told.
    #[serde(default)]
    pub hooks: Vec<Hook>,
    /// Through which door it came.
    #[serde(default)]
    pub origin: Origin,
    /// The request body, already stored where it is large.
    pub input: Payload,
    /// SHA-256 of the request body in hex.
    pub input_digest: String,
    /// The caller's key for repeating the request safely.
    pub idempotency_key: Option<String>,
    /// The name of a stream task.
    #[serde(default)]
    pub name: Option<String>,
    /// A stream task takes the place of another of its name.
    #[serde(default)]
    pub force: bool,
}

/// What a new task is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One procedure of the app, in the lane of the tenant's tasks.
    #[default]
    Service,
    /// A workflow, in the lane of the jobs. Its app is found by it among the latest versions of the tenant's
    /// apps, unless the request names one; the version of the request is not looked at.
    Workflow,
    /// A stream task, known by its name. Its app is looked for when it is started, its input are its parameters,
    /// and it is not started by being created.
    Stream,
}

/// The task, as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateReply {
    /// The task.
    pub task: Task,
    /// It was there before: this request repeats an earlier one.
    pub repeated: bool,
}

impl Call for CreateRequest {
    const FUNCTION: Function = Function::Create;
    type Reply = CreateReply;
}
