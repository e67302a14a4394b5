//! Sessions and their logs as JSON. The names are those of reference/aimms.md §7.18.

use domain::session::list::SessionSummary;
use domain::{SessionId, SessionKind, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use wire::calls::logs::LogsReply;
use wire::runner::LogLine;

use super::list;
use crate::moment::{as_date_and_clock, date_and_clock};

/// One session. Its times are `YYYY-MM-DD hh:mm:ss.ffffff` in UTC.
#[derive(Serialize, JsonSchema)]
pub(super) struct Session<'a> {
    /// Its id, which is the `sessionId` of its tasks.
    #[schemars(with = "String", extend("format" = "uuid"))]
    session_id: SessionId,
    /// Where it stands: a session with a page is running or terminated.
    #[schemars(extend("enum" = list::states(SessionKind::Task)))]
    state: &'static str,
    /// The app.
    app_name: &'a str,
    /// The version of the app.
    app_version: &'a str,
    /// The user that owns it.
    user_name: &'a str,
    /// The environment of that user.
    environment_name: &'a str,
    /// Since when there is the session.
    #[schemars(with = "String")]
    #[serde(serialize_with = "as_date_and_clock")]
    created_at: Option<Timestamp>,
    /// When its process was up.
    #[schemars(with = "Option<String>")]
    #[serde(serialize_with = "as_date_and_clock")]
    started_at: Option<Timestamp>,
    /// When it ended; never told of a session with a page.
    #[schemars(with = "Option<String>")]
    #[serde(serialize_with = "as_date_and_clock")]
    ended_at: Option<Timestamp>,
    /// Why it ended; always empty for a session with a page.
    message: &'a str,
}

impl<'a> From<&'a SessionSummary> for Session<'a> {
    fn from(session: &'a SessionSummary) -> Self {
        let is_task = session.kind == SessionKind::Task;
        Self {
            session_id: session.id,
            state: list::state(session.kind, session.state),
            app_name: &session.of.app,
            app_version: &session.of.version,
            user_name: &session.of.user,
            environment_name: &session.of.tenant,
            created_at: Some(session.created_at),
            started_at: session.started_at,
            ended_at: session.ended_at.filter(|_| is_task),
            message: session.message.as_deref().filter(|_| is_task).unwrap_or_default(),
        }
    }
}

/// A page of a list.
#[derive(Serialize, JsonSchema)]
pub(super) struct Sessions<'a> {
    /// The sessions of the page.
    pub(super) sessions: Vec<Session<'a>>,
    /// How many sessions the whole list has.
    pub(super) total: u64,
}

/// A page of a session's log.
#[derive(Serialize, JsonSchema)]
pub(super) struct Logs<'a> {
    /// The lines in order.
    logs: Vec<Line<'a>>,
    /// How many lines the whole log has that pass the filter.
    total: u64,
    /// The offset of the next page.
    next: u64,
    /// Lines so far that are missing: they came too fast, or made room for newer ones.
    dropped: u64,
}

/// One line of a log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LogLine")]
struct Line<'a> {
    /// When it was written, as `YYYY-MM-DD hh:mm:ss.ffffff` in UTC.
    timestamp: String,
    /// Its text, without secrets of a known form.
    message: &'a str,
}

impl<'a> From<&'a LogsReply> for Logs<'a> {
    fn from(page: &'a LogsReply) -> Self {
        let line = |line: &'a LogLine| Line { timestamp: date_and_clock(line.at), message: &line.text };
        Self {
            logs: page.lines.iter().map(line).collect(),
            total: page.total.unwrap_or(page.next),
            next: page.next,
            dropped: page.dropped,
        }
    }
}
