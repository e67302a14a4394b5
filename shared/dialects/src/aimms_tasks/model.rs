//! The Task of v2 as JSON: names, order, types and formats of reference/aimms.md §1.3 and §1.5.

use domain::list::Summary;
use domain::task::state::TaskState;
use domain::{SessionId, TaskId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};
use wire::calls::logs::LogsReply;
use wire::runner::LogLine;

use crate::moment::{as_date_and_clock, date_and_clock};

/// The words for states.
pub(super) const STATES: [&str; 6] = ["queued", "assigned", "running", "solving", "completed", "failed"];

/// One task. Its times are `YYYY-MM-DD hh:mm:ss.ffffff` in UTC.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task<'a> {
    /// Its id.
    #[schemars(with = "String", extend("format" = "uuid"))]
    id: TaskId,
    /// The app.
    app_name: &'a str,
    /// The version of the app, the resolved one where it was created without.
    app_version: &'a str,
    /// The service that it runs.
    service_name: &'a str,
    /// Where it stands.
    #[schemars(extend("enum" = STATES))]
    state: &'static str,
    /// When it was taken in.
    #[schemars(with = "String")]
    #[serde(serialize_with = "as_date_and_clock")]
    created_at: Option<Timestamp>,
    /// When it got a session.
    #[schemars(with = "Option<String>")]
    #[serde(serialize_with = "as_date_and_clock")]
    assigned_at: Option<Timestamp>,
    /// When its process started.
    #[schemars(with = "Option<String>")]
    #[serde(serialize_with = "as_date_and_clock")]
    running_at: Option<Timestamp>,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    #[serde(serialize_with = "as_date_and_clock")]
    ended_at: Option<Timestamp>,
    /// Seconds that it waited.
    queue_time: f64,
    /// Seconds that it ran.
    run_time: f64,
    /// What its process returned.
    return_code: Option<i32>,
    /// Why it failed.
    error_message: Option<&'a str>,
    /// The session that it runs or ran in.
    #[schemars(with = "Option<String>", extend("format" = "uuid"))]
    session_id: Option<SessionId>,
    /// The user that owns it.
    username: &'a str,
    /// The environment of that user.
    user_environment: &'a str,
    /// When it is to run, if it was scheduled.
    #[schemars(with = "Option<String>")]
    #[serde(serialize_with = "as_date_and_clock")]
    schedule_for: Option<Timestamp>,
    /// After what time it runs again, if it recurs.
    schedule_interval: Option<&'a str>,
    /// Number of this run, if it recurs.
    group_index: Option<u32>,
}

impl<'a> Task<'a> {
    /// The task as it is now. Its tenant is the caller's, since nobody sees another tenant's tasks.
    pub(super) fn new(summary: &'a Summary, tenant: &'a str, now: Timestamp) -> Self {
        let every = summary.timing.as_ref().and_then(|timing| timing.every.as_ref());
        Self {
            id: summary.id,
            app_name: &summary.app,
            app_version: &summary.version,
            service_name: &summary.service,
            state: state(summary),
            created_at: Some(summary.created_at),
            assigned_at: summary.assigned_at,
            running_at: summary.running_at,
            ended_at: summary.ended_at,
            queue_time: summary.queue_seconds(now),
            run_time: summary.run_seconds(now),
            return_code: summary.return_code,
            error_message: summary.error.as_deref(),
            session_id: summary.session,
            username: &summary.user,
            user_environment: tenant,
            schedule_for: summary.timing.as_ref().map(|timing| timing.run_at),
            schedule_interval: every.map(|every| every.text.as_str()),
            group_index: every.map(|_| summary.run),
        }
    }
}

/// A page of a list.
#[derive(Serialize, JsonSchema)]
pub(super) struct Tasks<'a> {
    /// The tasks of the page.
    pub(super) current_batch: Vec<Task<'a>>,
    /// How many tasks the whole list has.
    pub(super) total_tasks: u64,
}

/// A page of a task's log.
#[derive(Serialize, JsonSchema)]
pub(super) struct TaskLogs<'a> {
    /// The lines in order.
    logs: Vec<TaskLogLine<'a>>,
    /// The offset of the next page.
    next: u64,
    /// Lines so far that are missing: they came too fast, or made room for newer ones.
    dropped: u64,
    /// The task has ended and nothing comes after this page.
    end: bool,
}

/// One line of a log.
#[derive(Serialize, JsonSchema)]
struct TaskLogLine<'a> {
    /// When it was written, as `YYYY-MM-DD hh:mm:ss.ffffff` in UTC.
    timestamp: String,
    /// Its text, without secrets of a known form.
    message: &'a str,
}

impl<'a> From<&'a LogsReply> for TaskLogs<'a> {
    fn from(page: &'a LogsReply) -> Self {
        let line =
            |line: &'a LogLine| TaskLogLine { timestamp: date_and_clock(line.at), message: &line.text };
        Self {
            logs: page.lines.iter().map(line).collect(),
            next: page.next,
            dropped: page.dropped,
            end: page.end,
        }
    }
}

/// The version of the service.
#[derive(Serialize, JsonSchema)]
pub(super) struct Version {
    /// Its number.
    pub(super) version: &'static str,
}

/// The caller, as `get_current_user` tells it.
#[derive(Serialize, JsonSchema)]
pub(super) struct CurrentUser<'a> {
    /// The environment of the user.
    pub(super) environment_name: &'a str,
    /// The key may administer.
    #[serde(rename = "isAdmin")]
    pub(super) is_admin: bool,
    /// The key may publish apps.
    #[serde(rename = "isAppPublisher")]
    pub(super) is_app_publisher: bool,
    /// The user.
    pub(super) name: &'a str,
}

fn state(summary: &Summary) -> &'static str {
    word(summary.state, summary.is_solving())
}

/// The word for a state; `solving` is what the process does while it runs.
pub(crate) fn word(state: TaskState, solving: bool) -> &'static str {
    match state {
        // AIMMS has no words for what waits for its time or is held back: it waits.
        TaskState::Scheduled | TaskState::Queued | TaskState::Paused | TaskState::Stopped => "queued",
        TaskState::Assigned => "assigned",
        TaskState::Running if solving => "solving",
        TaskState::Running => "running",
        TaskState::Completed => "completed",
        // A deleted task is shown to nobody. Should one ever come here, a client that waits for its end must see one.
        TaskState::Failed | TaskState::Broken | TaskState::Deleted => "failed",
    }
}

/// The JSON text, compact or, as `prettyFormat` asks, with indentation and six decimals in every time span.
pub(super) fn write(value: &impl Serialize, pretty: bool) -> Result<Vec<u8>, serde_json::Error> {
    if !pretty {
        return serde_json::to_vec(value);
    }
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, SixDecimals::default()))?;
    Ok(text)
}

/// `serde_json`'s indentation, and numbers of seconds as AIMMS' documents print them.
#[derive(Default)]
struct SixDecimals(PrettyFormatter<'static>);

type Written = std::io::Result<()>;

impl Formatter for SixDecimals {
    fn write_f64<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, value: f64) -> Written {
        write!(writer, "{value:.6}")
    }

    fn begin_array<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> Written {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> Written {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> Written {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> Written {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> Written {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> Written {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> Written {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> Written {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> Written {
        self.0.end_object_value(writer)
    }
}
