//! Lists of sessions: what is told of one, which a filter keeps, and in which order they come.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::id::{RunnerId, SessionId, TaskId, TaskKey};
use crate::list::Summary;
use crate::session::{SessionKind, SessionOf, Standing};
use crate::task::state::{Runtime, TaskState};
use crate::time::Timestamp;

/// Everything that is told of one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// Its id, which is also the `sessionId` of its tasks.
    pub id: SessionId,
    /// What it is for.
    pub kind: SessionKind,
    /// Where it stands.
    pub state: Standing,
    /// Whose it is, and of which app version.
    #[serde(flatten)]
    pub of: SessionOf,
    /// The task that it runs, or the only one that it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// How many tasks it has run to their end.
    #[serde(default)]
    pub tasks: u32,
    /// The runner that hosts it, as long as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<RunnerId>,
    /// The machine it is or was on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Since when there is the session.
    pub created_at: Timestamp,
    /// When its process was up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Under which key its lines lie: its own, or that of its only task.
    pub log: TaskKey,
}

/// What a list looks at, without copying it: a list passes by many sessions and shows a few.
#[derive(Debug, Clone, Copy)]
pub struct SessionRow<'r> {
    /// Its id.
    pub id: SessionId,
    /// What it is for.
    pub kind: SessionKind,
    /// Where it stands.
    pub state: Standing,
    /// Whose it is.
    pub user: &'r str,
    /// The app.
    pub app: &'r str,
    /// Its version.
    pub version: &'r str,
    /// Since when there is the session.
    pub created_at: Timestamp,
    /// When its process was up.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl SessionSummary {
    /// What a list looks at.
    pub fn row(&self) -> SessionRow<'_> {
        SessionRow {
            id: self.id,
            kind: self.kind,
            state: self.state,
            user: &self.of.user,
            app: &self.of.app,
            version: &self.of.version,
            created_at: self.created_at,
            started_at: self.started_at,
            ended_at: self.ended_at,
        }
    }

    /// The session of a task with a process of its own; `None` where the task has none.
    pub fn of_task(tenant: &str, task: &Summary) -> Option<Self> {
        let row = SessionRow::of_task(task)?;
        Some(Self {
            id: row.id,
            kind: row.kind,
            state: row.state,
            of: SessionOf {
                tenant: tenant.to_owned(),
                user: task.user.to_string(),
                app: task.app.to_string(),
                version: task.version.to_string(),
            },
            task: Some(task.id),
            tasks: u32::from(row.state.has_ended()),
            runner: None,
            host: None,
            created_at: row.created_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
            message: task.error.clone(),
            log: TaskKey { tenant: tenant.into(), id: task.id, run: task.run },
        })
    }
}

impl<'r> SessionRow<'r> {
    /// The process of a task that has one of its own is a session too: its task's record says all about it.
    pub fn of_task(task: &'r Summary) -> Option<Self> {
        let state = match task.state {
            TaskState::Assigned => Standing::Starting,
            TaskState::Running => Standing::Running,
            TaskState::Completed => Standing::Finished,
            TaskState::Failed | TaskState::Broken => Standing::Failed,
            // What waits again has lost its process, or was given back.
            TaskState::Scheduled
            | TaskState::Queued
            | TaskState::Paused
            | TaskState::Stopped
            | TaskState::Deleted => return None,
        };
        match task.runtime {
            Runtime::Command | Runtime::Stream => {}
            Runtime::Session | Runtime::Webui | Runtime::Noop => return None,
        }
        Some(Self {
            id: task.session?,
            kind: SessionKind::Task,
            state,
            user: &task.user,
            app: &task.app,
            version: &task.version,
            created_at: task.assigned_at.unwrap_or(task.created_at),
            started_at: task.running_at,
            ended_at: task.ended_at,
        })
    }
}

/// A field to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the field of a session with the same name")]
pub enum SessionField {
    Id,
    State,
    App,
    Version,
    User,
    CreatedAt,
    StartedAt,
    EndedAt,
}

/// Which sessions a list is to show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct SessionQuery {
    /// Only this one.
    pub id: Option<SessionId>,
    /// Only this kind.
    pub kind: Option<SessionKind>,
    /// Only of this app.
    pub app: Option<String>,
    /// Only of this version.
    pub version: Option<String>,
    /// Only of this user.
    pub user: Option<String>,
    /// Only where they stand so; empty means all.
    pub states: Vec<Standing>,
    /// Only those created before this moment.
    pub before: Option<Timestamp>,
    /// Only those created at or after this moment.
    pub after: Option<Timestamp>,
    /// Fields to sort by, each with `true` for descending; empty means newest first.
    pub sort: Vec<(SessionField, bool)>,
    /// Rows to leave out at the start.
    pub offset: u64,
    /// Rows of the page.
    pub limit: u64,
}

impl SessionQuery {
    /// Whether a session passes the filter. Who may see what is decided elsewhere.
    pub fn keeps(&self, row: &SessionRow<'_>) -> bool {
        let is = |wanted: &Option<String>, has: &str| wanted.as_ref().is_none_or(|wanted| wanted == has);
        self.id.is_none_or(|id| id == row.id)
            && self.kind.is_none_or(|kind| kind == row.kind)
            && is(&self.app, row.app)
            && is(&self.version, row.version)
            && is(&self.user, row.user)
            && (self.states.is_empty() || self.states.contains(&row.state))
            && self.before.is_none_or(|before| row.created_at < before)
            && self.after.is_none_or(|after| row.created_at >= after)
    }

    /// The order of two rows. Ties go by creation and id, so that pages neither overlap nor skip.
    pub fn order(&self, a: &SessionRow<'_>, b: &SessionRow<'_>) -> Ordering {
        for (field, descending) in &self.sort {
            let order = match field {
                SessionField::Id => a.id.cmp(&b.id),
                SessionField::State => a.state.cmp(&b.state),
                SessionField::App => a.app.cmp(b.app),
                SessionField::Version => a.version.cmp(b.version),
                SessionField::User => a.user.cmp(b.user),
                SessionField::CreatedAt => a.created_at.cmp(&b.created_at),
                SessionField::StartedAt => a.started_at.cmp(&b.started_at),
                SessionField::EndedAt => a.ended_at.cmp(&b.ended_at),
            };
            let order = if *descending { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::numbered;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn row(task: &Summary) -> SessionRow<'_> {
        SessionRow::of_task(task).unwrap()
    }

    fn command(number: u32, state: TaskState) -> Summary {
        let task = numbered(number);
        Summary {
            state,
            session: Some(SessionId(task.id.0)),
            assigned_at: Some(at(i64::from(number))),
            ..Summary::from(&task)
        }
    }

    #[test]
    fn a_task_with_a_process_of_its_own_is_a_session_while_it_has_one_and_afterwards() {
        let table = [
            (TaskState::Assigned, Some(Standing::Starting)),
            (TaskState::Running, Some(Standing::Running)),
            (TaskState::Completed, Some(Standing::Finished)),
            (TaskState::Failed, Some(Standing::Failed)),
            (TaskState::Queued, None),
            (TaskState::Deleted, None),
        ];
        for (state, expected) in table {
            assert_eq!(SessionRow::of_task(&command(1, state)).map(|row| row.state), expected, "{state:?}");
        }
        let warm = Summary { runtime: Runtime::Session, ..command(1, TaskState::Running) };
        assert!(SessionRow::of_task(&warm).is_none(), "it has a record of its own");
        let unclaimed = Summary { session: None, ..command(1, TaskState::Failed) };
        assert!(SessionRow::of_task(&unclaimed).is_none());
    }

    #[test]
    fn the_newest_come_first_unless_fields_are_named() {
        let (old, new) = (command(1, TaskState::Running), command(2, TaskState::Failed));
        let newest = SessionQuery::default();
        assert_eq!(newest.order(&row(&old), &row(&new)), Ordering::Greater);
        let by_state = SessionQuery { sort: vec![(SessionField::State, false)], ..SessionQuery::default() };
        assert_eq!(by_state.order(&row(&old), &row(&new)), Ordering::Less);
        let down = SessionQuery { sort: vec![(SessionField::State, true)], ..SessionQuery::default() };
        assert_eq!(down.order(&row(&old), &row(&new)), Ordering::Greater);
    }

    #[test]
    fn every_filter_leaves_out_what_it_does_not_name() {
        let task = command(5, TaskState::Running);
        let row = row(&task);
        let all = SessionQuery::default();
        assert!(all.keeps(&row));
        let filters = [
            SessionQuery { id: Some(SessionId(uuid::Uuid::nil())), ..all.clone() },
            SessionQuery { kind: Some(SessionKind::Webui), ..all.clone() },
            SessionQuery { app: Some("another".to_owned()), ..all.clone() },
            SessionQuery { version: Some("another".to_owned()), ..all.clone() },
            SessionQuery { user: Some("another".to_owned()), ..all.clone() },
            SessionQuery { states: vec![Standing::Finished], ..all.clone() },
            SessionQuery { before: Some(at(5)), ..all.clone() },
            SessionQuery { after: Some(at(6)), ..all.clone() },
        ];
        for filter in filters {
            assert!(!filter.keeps(&row), "{filter:?}");
        }
        assert!(SessionQuery { after: Some(at(5)), before: Some(at(6)), ..all }.keeps(&row));
    }
}
