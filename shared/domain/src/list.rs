//! Lists of tasks: what a row shows, which rows a filter keeps, and in which order they come.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::id::{SessionId, TaskId, is_first};
use crate::name::Name;
use crate::task::state::{Origin, Phase, Runtime, Task, TaskState};
use crate::task::timing::Timing;
use crate::time::Timestamp;

/// The most rows that one page may ask for, and how many it has unasked.
pub const PAGE_ROWS_MAX: u64 = 1000;
/// Rows of a page whose caller named no limit.
pub const PAGE_ROWS_DEFAULT: u64 = 100;

/// What every dialect can say about a task, without its bodies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Its id.
    pub id: TaskId,
    /// Which run of a recurring task.
    #[serde(default, skip_serializing_if = "is_first")]
    pub run: u32,
    /// A whole number that rises with creation.
    #[serde(default)]
    pub number: u64,
    /// Through which door it came.
    #[serde(default)]
    pub origin: Origin,
    /// Its name, if it is known by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who created it.
    pub user: Name,
    /// The app.
    pub app: Name,
    /// The resolved version.
    pub version: Name,
    /// The procedure.
    pub service: Name,
    /// What runs it.
    #[serde(default)]
    pub runtime: Runtime,
    /// The lane it waits or waited in.
    pub lane: Name,
    /// 1 first, 10 last.
    pub priority: u8,
    /// Its place among tasks of the same priority.
    #[serde(default)]
    pub position: u32,
    /// It starts before every other of its lane.
    #[serde(default)]
    pub top_of_queue: bool,
    /// Where it stands.
    pub state: TaskState,
    /// What its process does.
    pub phase: Phase,
    /// Number of claims so far.
    pub epoch: u64,
    /// When it was taken in.
    pub created_at: Timestamp,
    /// When its record was last written.
    #[serde(default)]
    pub updated_at: Timestamp,
    /// When it may start, and how often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// The step that is next, and how many there are, for a workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<(u32, u32)>,
    /// When it was last claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_at: Option<Timestamp>,
    /// When its process last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_code: Option<i32>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The session it runs or ran in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// It was asked to end early.
    #[serde(default)]
    pub interrupted: bool,
    /// It is to be paused once its running step has ended.
    #[serde(default)]
    pub pause: bool,
    /// Its request was run anew.
    #[serde(default)]
    pub superseded: bool,
}

impl From<&Task> for Summary {
    fn from(task: &Task) -> Self {
        Self::of(task, |name| name.into())
    }
}

impl Summary {
    /// What can be said of a task; `name` gives the names that others may have in common with it.
    pub fn of(task: &Task, mut name: impl FnMut(&str) -> Name) -> Self {
        Self {
            id: task.id,
            run: task.run,
            number: task.number.unwrap_or(0),
            origin: task.origin,
            name: task.name.clone(),
            user: name(&task.user),
            app: name(&task.app),
            version: name(&task.version),
            service: name(&task.service),
            runtime: task.runtime,
            lane: name(&task.lane),
            priority: task.priority,
            position: task.position,
            top_of_queue: task.top_of_queue,
            state: task.state,
            phase: task.phase,
            epoch: task.epoch.0,
            created_at: task.created_at,
            updated_at: task.updated_at,
            timing: task.timing.clone(),
            steps: task.workflow.as_ref().map(|workflow| (workflow.done, workflow.count())),
            assigned_at: task.assigned_at,
            running_at: task.running_at,
            ended_at: task.ended_at,
            return_code: task.return_code,
            error: task.error.clone(),
            session: task.session,
            interrupted: task.interrupt.is_some(),
            pause: task.pause,
            superseded: task.superseded,
        }
    }

    /// Seconds it waited: until its claim, its end if it never was claimed, or now.
    pub fn queue_seconds(&self, now: Timestamp) -> f64 {
        self.assigned_at.or(self.ended_at).unwrap_or(now).seconds_since(self.created_at)
    }

    /// Seconds its process ran so far; 0 before it started.
    pub fn run_seconds(&self, now: Timestamp) -> f64 {
        self.running_at.map_or(0.0, |started| self.ended_at.unwrap_or(now).seconds_since(started))
    }

    /// It runs, and its process is inside a solve.
    pub fn is_solving(&self) -> bool {
        self.state == TaskState::Running && self.phase == Phase::Solving
    }
}

/// A state as a filter names it: `solving` is a running task in that phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateFilter {
    /// Waits for its time.
    Scheduled,
    /// Held back.
    Paused,
    /// A stream that does not run.
    Stopped,
    /// Given up.
    Broken,
    /// Waits.
    Queued,
    /// Claimed.
    Assigned,
    /// Runs, not solving.
    Running,
    /// Runs, solving.
    Solving,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
}

impl StateFilter {
    fn keeps(self, row: &Summary) -> bool {
        match self {
            Self::Scheduled => row.state == TaskState::Scheduled,
            Self::Paused => row.state == TaskState::Paused,
            Self::Stopped => row.state == TaskState::Stopped,
            Self::Broken => row.state == TaskState::Broken,
            Self::Queued => row.state == TaskState::Queued,
            Self::Assigned => row.state == TaskState::Assigned,
            Self::Running => row.state == TaskState::Running && !row.is_solving(),
            Self::Solving => row.is_solving(),
            Self::Completed => row.state == TaskState::Completed,
            Self::Failed => row.state == TaskState::Failed,
        }
    }
}

/// A field to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the field of a summary with the same name")]
pub enum SortField {
    Id,
    User,
    App,
    Version,
    Service,
    State,
    CreatedAt,
    AssignedAt,
    RunningAt,
    EndedAt,
    QueueTime,
    RunTime,
    ReturnCode,
    Error,
    Session,
}

/// What a list is to show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Query {
    /// Only this app.
    pub app: Option<String>,
    /// Only this version.
    pub version: Option<String>,
    /// Only tasks created before this moment.
    pub before: Option<Timestamp>,
    /// Only tasks created at or after this moment.
    pub after: Option<Timestamp>,
    /// Only these states; empty means all.
    pub states: Vec<StateFilter>,
    /// Everything the caller may see, not only the caller's own.
    pub list_all: bool,
    /// Fields to sort by, each with `true` for descending; empty means newest first.
    pub sort: Vec<(SortField, bool)>,
    /// Rows to leave out at the start.
    pub offset: u64,
    /// Rows of the page.
    pub limit: u64,
}

impl Query {
    /// Whether a row passes the filter. Who may see what is decided elsewhere.
    pub fn keeps(&self, row: &Summary) -> bool {
        row.state != TaskState::Deleted
            && self.app.as_ref().is_none_or(|app| *app == row.app)
            && self.version.as_ref().is_none_or(|version| *version == row.version)
            && self.before.is_none_or(|before| row.created_at < before)
            && self.after.is_none_or(|after| row.created_at >= after)
            && (self.states.is_empty() || self.states.iter().any(|state| state.keeps(row)))
    }

    /// The order of two rows. Ties go by creation and id, so that pages neither overlap nor skip.
    pub fn order(&self, a: &Summary, b: &Summary, now: Timestamp) -> Ordering {
        for (field, descending) in &self.sort {
            let order = by_field(*field, a, b, now);
            let order = if *descending { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id))
    }
}

fn by_field(field: SortField, a: &Summary, b: &Summary, now: Timestamp) -> Ordering {
    match field {
        SortField::Id => a.id.cmp(&b.id),
        SortField::User => a.user.cmp(&b.user),
        SortField::App => a.app.cmp(&b.app),
        SortField::Version => a.version.cmp(&b.version),
        SortField::Service => a.service.cmp(&b.service),
        SortField::State => (a.state, a.is_solving()).cmp(&(b.state, b.is_solving())),
        SortField::CreatedAt => a.created_at.cmp(&b.created_at),
        SortField::AssignedAt => a.assigned_at.cmp(&b.assigned_at),
        SortField::RunningAt => a.running_at.cmp(&b.running_at),
        SortField::EndedAt => a.ended_at.cmp(&b.ended_at),
        SortField::QueueTime => a.queue_seconds(now).total_cmp(&b.queue_seconds(now)),
        SortField::RunTime => a.run_seconds(now).total_cmp(&b.run_seconds(now)),
        SortField::ReturnCode => a.return_code.cmp(&b.return_code),
        SortField::Error => a.error.cmp(&b.error),
        SortField::Session => a.session.cmp(&b.session),
    }
}

#[cfg(test)]
mod tests;
