//! The REST APIs, each a folder: a request becomes a plan, an outcome becomes a response. Pure text and
//! bytes: no network, no clock, no broker. `ingress` carries the plans out; a fifth API is one more folder
//! and one more line in `ALL`.

use domain::jobs::{Dashboard, Job, JobCounts, JobQuery, Viewer};
use domain::lane::LaneLimits;
use domain::list::Summary;
use domain::session::list::SessionSummary;
use domain::task::hook::Hook;
use domain::task::input::Amendment;
use domain::task::state::InterruptKind;
use domain::task::timing::Timing;
use domain::{Caller, Payload, TaskId, list};
use http::Response;
use serde::{Deserialize, Serialize};
use wire::calls::admin::{AdminOrder, AdminReply, Schedules};
use wire::calls::logs::{LineFilter, LogOf, LogsReply};
use wire::calls::sessions::{LiveSessions, SessionPage};
use wire::calls::status::{Page, TaskStatus};
use wire::runner::LogLine;
use wire::{Code, Error};

pub mod aimms_sessions;
pub mod aimms_tasks;
mod answer;
mod body;
pub mod callbacks;
pub mod cases;
mod headers;
mod interval;
mod listing;
mod log;
mod moment;
mod openapi;
mod path;
mod query;
mod route;
mod router;
mod sessions;
mod signing;
mod streams;
pub mod symetry;
pub mod task_engine;
pub mod tasklane;
mod text;

#[cfg(test)]
mod tests;

pub use answer::status_of;
pub use log::{log_events, log_text};
pub use path::{normal_path, segment};
pub use query::Parameters;
pub use route::{Access, BodyKind, Request, Route};
pub use router::{Found, Router};
pub use sessions::SessionOrder;
pub use signing::Signing;
pub use streams::{StreamOrder, StreamStatus};

/// Every dialect. Routes of all of them share one listener.
pub const ALL: &[&dyn Dialect] = &[
    &aimms_tasks::V1,
    &aimms_tasks::V2,
    &aimms_sessions::V1,
    &symetry::Tasks,
    &tasklane::V1,
    &task_engine::TaskEngine,
];

/// One foreign REST API.
pub trait Dialect: Sync {
    /// Its word, for logs and settings.
    fn name(&self) -> &'static str;

    /// The path below which everything is its own, such as `/pro-api/v2`. Unknown paths below it are
    /// answered in its shape.
    fn mount(&self) -> &'static str;

    /// Its routes: the source of routing, of the authorization matrix and of its OpenAPI document.
    fn routes(&self) -> &'static [Route];

    /// The text of the caller's API key.
    fn credential<'r>(&self, request: &Request<'r>) -> Option<&'r str>;

    /// HEAD is answered as GET is, without the body. Not where a GET changes something, or where the API's own document
    /// lists its methods without it.
    fn head_is_get(&self) -> bool {
        false
    }

    /// For an API whose requests are signed: how that is checked. Its callers show no key.
    fn signing(&self) -> Option<&dyn Signing> {
        None
    }

    /// What the request asks for. The body is there only for routes that take a small one.
    fn decode(&self, route: &Route, request: &Request<'_>, caller: Option<&Caller>) -> Result<Plan, Error>;

    /// The outcome of a plan as this API says it. The caller is the one that `decode` saw: some answers name
    /// the tenant, and it is known from nowhere else. `request.now` is the moment of answering here, so that
    /// a running task's times have grown while the request waited.
    fn encode(
        &self,
        route: &Route,
        request: &Request<'_>,
        caller: Option<&Caller>,
        outcome: Outcome,
    ) -> Response<Vec<u8>>;

    /// An error as this API says it.
    fn error(&self, error: &Error) -> Response<Vec<u8>>;

    /// The same where the request is known, for an API whose messages repeat its parts.
    fn refuse(&self, _route: &Route, _request: &Request<'_>, error: &Error) -> Response<Vec<u8>> {
        self.error(error)
    }
}

/// What a request asks for, in our own words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// Take a task in; the body is its input.
    Create {
        /// The app.
        app: String,
        /// Its version; `None` is the one tagged as latest.
        version: Option<String>,
        /// The procedure.
        service: String,
        /// 1 first, 10 last; `None` is the default.
        priority: Option<u8>,
        /// When it may start, and how often; `None` is at once, and once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timing: Option<Timing>,
        /// Whom its changes are told.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hooks: Vec<Hook>,
        /// The caller's key for repeating the request safely.
        idempotency_key: Option<String>,
        /// Answer after its end, or after so many milliseconds.
        wait_ms: u64,
    },
    /// One task. Outcome: `Task`.
    Get {
        /// Which.
        id: TaskId,
        /// Which run of it; `None` is the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<u32>,
        /// Answer after its end, or after so many milliseconds.
        wait_ms: u64,
    },
    /// Many tasks. Outcome: `Page`.
    List(list::Query),
    /// The response of a task. Outcome: `Body`.
    Fetch {
        /// Which.
        id: TaskId,
        /// Which run of it; `None` is the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<u32>,
    },
    /// End a task early. Outcome: `Summary`.
    Interrupt {
        /// Which.
        id: TaskId,
        /// Which run of it; `None` is the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<u32>,
        /// How.
        kind: InterruptKind,
    },
    /// Delete a task. Outcome: `Done`.
    Delete {
        /// Which.
        id: TaskId,
        /// Which run of it; `None` is the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<u32>,
    },
    /// Log lines of a task. Outcome: `Logs`.
    Logs {
        /// Which.
        id: TaskId,
        /// Which run of it; `None` is the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<u32>,
        /// Lines to leave out.
        offset: u64,
        /// Lines of the page.
        limit: u64,
        /// Wait for a line so many milliseconds.
        wait_ms: u64,
        /// Which lines.
        #[serde(default, skip_serializing_if = "LineFilter::is_empty")]
        filter: LineFilter,
    },
    /// The whole log of a task as text, as far as it goes now. Outcome: `LogText`.
    LogText {
        /// Which.
        id: TaskId,
        /// Which run of it; `None` is the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<u32>,
    },
    /// A log as it is written, until its end. Outcome: `LogTail`.
    LogTail {
        /// Whose.
        of: LogOf,
        /// Lines to leave out.
        offset: u64,
    },
    /// Live sessions and runners. Outcome: `Sessions`.
    Sessions,
    /// Something with sessions. Outcome: `SessionPage`, `Session`, `Logs` or `LogText`, as the order says.
    Session(SessionOrder),
    /// Administration. Outcome: `Admin`.
    Admin(AdminOrder),
    /// Publish an app; the body is its bundle. Outcome: `Admin`.
    Publish {
        /// Tag the version as latest.
        latest: bool,
    },
    /// How the service is. Outcome: `Health`.
    Health,
    /// Something with stream tasks. Outcome: `Stream`, `Names` or `Done`, as the order says.
    Stream(StreamOrder),
    /// Something with jobs. Outcome: `Jobs`, or `Done`.
    Jobs(Box<JobsOrder>),
    /// Nothing has to be done: `encode` knows the answer from the route and the caller. Outcome: `Done`.
    Nothing,
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A task was taken in, now or by the same request before.
    Created(Summary),
    /// One task.
    Task(TaskStatus),
    /// Many tasks.
    Page(Page),
    /// The response of a task; `ingress` streams its bytes behind the head that `encode` gives.
    Body(Payload),
    /// A task that was asked to end early.
    Interrupted(Summary),
    /// It is done and there is nothing to say.
    Done,
    /// Log lines.
    Logs(LogsReply),
    /// A log as text begins with these lines; `ingress` streams all of it behind the head that `encode` gives.
    LogText(LogsReply),
    /// A log that is followed begins with these lines; `ingress` streams what comes behind the head that `encode`
    /// gives.
    LogTail(LogsReply),
    /// Live sessions and runners.
    Sessions(LiveSessions),
    /// Sessions, live and ended.
    SessionPage(SessionPage),
    /// One session.
    Session(Box<SessionSummary>),
    /// A session that serves a page was started.
    Started {
        /// The session.
        session: Box<SessionSummary>,
        /// What opens its page to whoever has no key at hand, as a browser.
        ticket: String,
    },
    /// Administration.
    Admin(AdminReply),
    /// How the service is.
    Health(Health),
    /// One stream task.
    Stream(StreamStatus),
    /// The names of things.
    Names(Vec<String>),
    /// What came of an order about jobs.
    Jobs(Box<JobsOutcome>),
}

/// What can be asked about jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobsOrder {
    /// Take one in. Outcome: `Accepted`.
    Create {
        /// The workflow, looked for in the latest versions of the client's apps.
        workflow: String,
        /// 1 first, 10 last; `None` is the default.
        priority: Option<u8>,
        /// When it may start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timing: Option<Timing>,
        /// Whom its changes are told.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hooks: Vec<Hook>,
        /// What its steps are given.
        parameters: serde_json::Value,
        /// The caller's key for repeating the request safely.
        idempotency_key: Option<String>,
    },
    /// One job. Outcome: `Job`.
    Get {
        /// Who looks.
        viewer: Viewer,
        /// Its number.
        number: u64,
    },
    /// Many jobs. Outcome: `Jobs`.
    List {
        /// Who looks.
        viewer: Viewer,
        /// Which.
        query: JobQuery,
    },
    /// Change one. Outcome: `Updated`.
    Update {
        /// Its number.
        number: u64,
        /// All of these changes, or none.
        amendment: Amendment,
    },
    /// Run the same request anew. Outcome: `Accepted`.
    Rerun {
        /// Its number.
        number: u64,
    },
    /// Let waiting jobs take the places that are free. Outcome: `Done`.
    Push,
    /// The log of one job. Outcome: `Logs`.
    Logs {
        /// Who looks.
        viewer: Viewer,
        /// Its number.
        number: u64,
    },
    /// What runs, waits and is scheduled. Outcome: `Dashboard`.
    Dashboard {
        /// Only this client's.
        client: Option<String>,
    },
    /// How everything is. Outcome: `Health`.
    Health,
    /// The schedules. Outcome: `Schedules`.
    Schedules,
    /// Let a schedule tick, or not. Outcome: `Schedules`.
    SetScheduler {
        /// Which.
        schedule: String,
        /// Whether it ticks.
        active: bool,
    },
    /// Set a setting. Outcome: `Setting`.
    Setting {
        /// Which.
        name: String,
        /// Its value.
        value: String,
    },
}

/// What came of an order about jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobsOutcome {
    /// A job was taken in.
    Accepted {
        /// Its number.
        number: u64,
    },
    /// One job.
    Job(Job),
    /// Many jobs.
    Jobs(Vec<Job>),
    /// A job was changed.
    Updated {
        /// Its number.
        number: u64,
    },
    /// What runs, waits and is scheduled.
    Dashboard(Dashboard),
    /// How everything is.
    Health(JobsHealth),
    /// The log of a job.
    Logs {
        /// The job.
        job: Job,
        /// What its steps wrote and its runner said.
        lines: Vec<LogLine>,
        /// What others noted about it.
        #[serde(default)]
        notes: Vec<LogLine>,
    },
    /// The schedules.
    Schedules(Schedules),
    /// A setting was set.
    Setting {
        /// Which.
        name: String,
        /// It was not there before.
        created: bool,
    },
}

/// What the health of the Task Engine is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobsHealth {
    /// The broker answers.
    pub broker: bool,
    /// Its version.
    pub broker_version: String,
    /// What an acknowledged job survives.
    pub durability: String,
    /// Live `schedule` functions, as far as they answer: 0 or 1.
    pub schedulers: u64,
    /// The same of `callbacks`.
    pub callbacks: u64,
    /// Places for tasks that live runners have.
    pub places: u64,
    /// The client's jobs by state.
    pub counts: JobCounts,
    /// The limits of the lane.
    pub limits: LaneLimits,
}

/// How the service is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// The broker answers.
    pub broker: bool,
    /// `strict` or `interval`: what an acknowledged task survives.
    pub durability: String,
    /// Our version.
    pub version: String,
    /// The broker's version.
    pub broker_version: String,
    /// The names of the functions that answered; what is missing here is down.
    pub functions: Vec<String>,
    /// Live runners.
    pub runners: u64,
}

/// A header that was sent wrong, or a parameter: always 400, always by name.
pub(crate) fn bad(message: impl Into<String>) -> Error {
    Error::new(Code::BadRequest, message)
}
