//! Tasks as the Task Engine sees them: jobs with a number, in seven states of its own, and the counts that its
//! health and dashboard show (reference/symetry_task_engine.md B3, B5).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lane::LaneLimits;
use crate::list::Summary;
use crate::name::Name;
use crate::payload::Payload;
use crate::task::state::{Origin, TaskState};
use crate::time::Timestamp;

/// The state of a job. A failed job is completed, and `failed` beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits in its lane.
    Queued,
    /// Has a place, and runs.
    Started,
    /// Has ended, well or not.
    Completed,
    /// Is being taken in. Taking in is one write here, so no job is ever found in it.
    Pending,
    /// Was given up, or its request was run anew.
    Broken,
    /// Waits for its time or its gate.
    Scheduled,
    /// Is held back.
    Paused,
}

impl JobState {
    /// Every state, each at the place of the number by which a filter names it.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Started,
        Self::Completed,
        Self::Pending,
        Self::Broken,
        Self::Scheduled,
        Self::Paused,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Pending => "pending",
            Self::Broken => "broken",
            Self::Scheduled => "scheduled",
            Self::Paused => "paused",
        }
    }

    /// The state of a task.
    pub fn of(task: &Summary) -> Self {
        if task.superseded {
            return Self::Broken;
        }
        match task.state {
            TaskState::Scheduled => Self::Scheduled,
            TaskState::Queued => Self::Queued,
            TaskState::Assigned | TaskState::Running if task.pause => Self::Paused,
            TaskState::Assigned | TaskState::Running => Self::Started,
            TaskState::Paused | TaskState::Stopped => Self::Paused,
            TaskState::Completed | TaskState::Failed => Self::Completed,
            // A deleted task is shown to nobody.
            TaskState::Broken | TaskState::Deleted => Self::Broken,
        }
    }
}

/// Whether a task failed, which is a flag beside its state here.
pub fn has_failed(task: &Summary) -> bool {
    task.state == TaskState::Failed
}

/// One job, with what was asked of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Whose.
    pub tenant: Name,
    /// The task.
    pub task: Summary,
    /// Its parameters, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
}

/// Who looks at jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Viewer {
    /// Somebody without a key, who sees what came through the Task Engine's own door and nothing else.
    Anybody,
    /// A client, who sees all tasks of its tenant.
    Client(String),
}

impl Viewer {
    /// Whether it may see this task of this tenant.
    pub fn sees(&self, tenant: &str, task: &Summary) -> bool {
        match self {
            Self::Anybody => task.origin == Origin::TaskEngine,
            Self::Client(client) => client == tenant,
        }
    }
}

/// A field to order jobs by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the field of a job with the same name")]
pub enum JobField {
    Id,
    Client,
    Workflow,
    Priority,
    Position,
    CreatedAt,
    UpdatedAt,
    QueueState,
    Failed,
    RunAt,
}

/// Which jobs are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct JobQuery {
    /// Only this client's.
    pub client: Option<String>,
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only failed ones.
    pub failed: bool,
    /// Created at or after this moment.
    pub from: Option<Timestamp>,
    /// Created at or before this moment.
    pub to: Option<Timestamp>,
    /// Only those whose parameters contain this text, in any case.
    pub search: Option<String>,
    /// Only these numbers; empty means all.
    pub numbers: Vec<u64>,
    /// The field to order by; `None` is by number.
    pub order_by: Option<JobField>,
    /// Smallest first.
    pub ascending: bool,
    /// Rows of the answer.
    pub limit: u64,
}

impl JobQuery {
    /// Whether a job passes, but for the search.
    pub fn keeps(&self, tenant: &str, task: &Summary) -> bool {
        let state = JobState::of(task);
        // Asking for completed jobs means those that did not fail, and `failed` goes with no other state.
        let as_asked = match (self.state, self.failed) {
            (None, false) => true,
            (None, true) => has_failed(task) && state == JobState::Completed,
            (Some(JobState::Completed), failed) => state == JobState::Completed && has_failed(task) == failed,
            (Some(wanted), false) => state == wanted,
            (Some(_), true) => false,
        };
        as_asked
            && self.client.as_deref().is_none_or(|client| client == tenant)
            && self.from.is_none_or(|from| task.created_at >= from)
            && self.to.is_none_or(|to| task.created_at <= to)
            && (self.numbers.is_empty() || self.numbers.contains(&task.number))
    }

    /// The order of two jobs. Ties go by number, so the answer is the same each time.
    pub fn order(&self, a: (&str, &Summary), b: (&str, &Summary)) -> Ordering {
        let ((tenant_a, a), (tenant_b, b)) = (a, b);
        let order = match self.order_by.unwrap_or(JobField::Id) {
            JobField::Id => Ordering::Equal,
            JobField::Client => tenant_a.cmp(tenant_b),
            JobField::Workflow => a.service.cmp(&b.service),
            JobField::Priority => a.priority.cmp(&b.priority),
            JobField::Position => a.position.cmp(&b.position),
            JobField::CreatedAt => a.created_at.cmp(&b.created_at),
            JobField::UpdatedAt => a.updated_at.cmp(&b.updated_at),
            JobField::QueueState => JobState::of(a).name().cmp(JobState::of(b).name()),
            JobField::Failed => has_failed(a).cmp(&has_failed(b)),
            JobField::RunAt => run_at(a).cmp(&run_at(b)),
        };
        let order = order.then_with(|| a.number.cmp(&b.number));
        if self.ascending { order } else { order.reverse() }
    }
}

/// When a job may start: its time, or else when it was created.
pub fn run_at(task: &Summary) -> Timestamp {
    task.timing.as_ref().map_or(task.created_at, |timing| timing.run_at)
}

/// How many jobs are in each state, and how many steps are done; kept up to date change by change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct JobCounts {
    /// By state; failed jobs are counted apart and not as completed.
    pub by_state: BTreeMap<JobState, u64>,
    /// Jobs that failed.
    pub failed: u64,
    /// Steps that ended well, of jobs that are kept.
    pub steps_done: u64,
    /// Steps that are to come, of jobs that have not ended.
    pub steps_pending: u64,
}

impl JobCounts {
    /// Counts a task in.
    pub fn add(&mut self, task: &Summary) {
        self.change(task, |count, by| *count = count.saturating_add(by));
    }

    /// Counts a task out.
    pub fn remove(&mut self, task: &Summary) {
        self.change(task, |count, by| *count = count.saturating_sub(by));
    }

    /// How many are in this state.
    pub fn of(&self, state: JobState) -> u64 {
        self.by_state.get(&state).copied().unwrap_or(0)
    }

    fn change(&mut self, task: &Summary, by: impl Fn(&mut u64, u64)) {
        let state = JobState::of(task);
        if state == JobState::Completed && has_failed(task) {
            by(&mut self.failed, 1);
        } else {
            by(self.by_state.entry(state).or_default(), 1);
        }
        let (done, all) = task.steps.unwrap_or((u32::from(task.state == TaskState::Completed), 1));
        by(&mut self.steps_done, u64::from(done));
        if !task.state.is_terminal() {
            by(&mut self.steps_pending, u64::from(all.saturating_sub(done)));
        }
    }
}

/// What the dashboard shows. Each list is cut at a bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dashboard {
    /// The limits of the lane.
    pub limits: LaneLimits,
    /// Jobs that run, in the order of their numbers.
    pub started: Vec<Job>,
    /// Jobs that wait, in the order in which they start.
    pub queued: Vec<Job>,
    /// Jobs whose time has not come, in the order of their times.
    pub scheduled: Vec<Job>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::fresh;
    use crate::task::state::Task;

    fn summary(state: TaskState) -> Summary {
        Summary::from(&Task { state, origin: Origin::TaskEngine, ..fresh() })
    }

    #[test]
    fn a_failed_job_is_completed_and_a_superseded_one_is_broken() {
        let failed = summary(TaskState::Failed);
        assert_eq!((JobState::of(&failed), has_failed(&failed)), (JobState::Completed, true));
        let superseded = Summary { superseded: true, ..summary(TaskState::Completed) };
        assert_eq!(JobState::of(&superseded), JobState::Broken);
        let pausing = Summary { pause: true, ..summary(TaskState::Running) };
        assert_eq!(JobState::of(&pausing), JobState::Paused);
    }

    #[test]
    fn filters_by_state_and_failure_go_together_as_documented() {
        let (well, badly) = (summary(TaskState::Completed), summary(TaskState::Failed));
        let query = |state, failed| JobQuery { state, failed, ..JobQuery::default() };
        let kept = |query: &JobQuery| (query.keeps("demo", &well), query.keeps("demo", &badly));
        assert_eq!(kept(&query(None, false)), (true, true));
        assert_eq!(kept(&query(None, true)), (false, true));
        assert_eq!(kept(&query(Some(JobState::Completed), false)), (true, false));
        assert_eq!(kept(&query(Some(JobState::Completed), true)), (false, true));
        assert_eq!(kept(&query(Some(JobState::Queued), true)), (false, false));
    }

    #[test]
    fn counts_return_to_nothing_when_everything_is_counted_out() {
        let mut counts = JobCounts::default();
        let all: Vec<Summary> = TaskState::ALL.into_iter().map(summary).collect();
        all.iter().for_each(|task| counts.add(task));
        assert_eq!((counts.failed, counts.of(JobState::Completed), counts.of(JobState::Started)), (1, 1, 2));
        all.iter().for_each(|task| counts.remove(task));
        assert!(counts.by_state.values().all(|count| *count == 0));
        assert_eq!((counts.failed, counts.steps_done, counts.steps_pending), (0, 0, 0));
    }

    #[test]
    fn nobody_without_a_key_sees_what_came_through_another_door() {
        let other = Summary { origin: Origin::Tasks, ..summary(TaskState::Queued) };
        assert!(!Viewer::Anybody.sees("demo", &other));
        assert!(Viewer::Anybody.sees("demo", &summary(TaskState::Queued)));
        assert!(Viewer::Client("demo".into()).sees("demo", &other));
        assert!(!Viewer::Client("other".into()).sees("demo", &other));
    }
}
