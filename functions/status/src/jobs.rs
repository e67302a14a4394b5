//! The jobs in the picture: by number, by state, and counted, each kept up to date change by change, so that
//! dashboard and health cost the same however many jobs there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::jobs::{JobCounts, JobQuery, JobState, Viewer, run_at};
use domain::lane::Turn;
use domain::list::Summary;
use domain::payload::Place;
use domain::task::state::Origin;
use domain::{Name, Task, TaskKey, Timestamp};

/// Rows of each list of the dashboard.
const DASHBOARD_ROWS_MAX: usize = 500;
/// Characters of a job's parameters that a search looks at.
const SEARCHED_CHARS_MAX: usize = 512;

/// The index.
#[derive(Default)]
pub struct Jobs {
    by_number: BTreeMap<u64, TaskKey>,
    started: BTreeSet<(u64, TaskKey)>,
    queued: BTreeSet<Turn>,
    scheduled: BTreeSet<(Timestamp, TaskKey)>,
    counts: HashMap<Name, JobCounts>,
    searched: HashMap<TaskKey, Box<str>>,
}

/// The keys of the dashboard's lists.
pub struct Lists {
    /// Jobs that run.
    pub started: Vec<TaskKey>,
    /// Jobs that wait.
    pub queued: Vec<TaskKey>,
    /// Jobs whose time has not come.
    pub scheduled: Vec<TaskKey>,
}

impl Jobs {
    /// A task has changed.
    pub fn put(&mut self, key: &TaskKey, before: Option<&Summary>, after: Option<&Summary>, task: &Task) {
        if let Some(before) = before {
            self.by_number.remove(&before.number);
            self.take_out(key, before);
        }
        match after {
            Some(after) => {
                self.by_number.insert(after.number, key.clone());
                self.take_in(key, after, task);
            }
            None => {
                self.searched.remove(key);
            }
        }
    }

    fn take_out(&mut self, key: &TaskKey, task: &Summary) {
        if task.origin != Origin::TaskEngine {
            return;
        }
        self.counts.entry(key.tenant.clone()).or_default().remove(task);
        match JobState::of(task) {
            JobState::Started => drop(self.started.remove(&(task.number, key.clone()))),
            JobState::Queued => drop(self.queued.remove(&Turn::of_summary(key, task))),
            JobState::Scheduled => drop(self.scheduled.remove(&(run_at(task), key.clone()))),
            JobState::Completed | JobState::Pending | JobState::Broken | JobState::Paused => {}
        }
    }

    fn take_in(&mut self, key: &TaskKey, summary: &Summary, task: &Task) {
        if summary.origin != Origin::TaskEngine {
            return;
        }
        self.counts.entry(key.tenant.clone()).or_default().add(summary);
        match JobState::of(summary) {
            JobState::Started => drop(self.started.insert((summary.number, key.clone()))),
            JobState::Queued => drop(self.queued.insert(Turn::of_summary(key, summary))),
            JobState::Scheduled => drop(self.scheduled.insert((run_at(summary), key.clone()))),
            JobState::Completed | JobState::Pending | JobState::Broken | JobState::Paused => {}
        }
        if let Place::Text(text) = &task.input.place
            && !self.searched.contains_key(key)
        {
            let text: String = text.chars().take(SEARCHED_CHARS_MAX).collect();
            self.searched.insert(key.clone(), text.to_lowercase().into_boxed_str());
        }
    }

    /// The task with this number.
    pub fn by_number(&self, number: u64) -> Option<&TaskKey> {
        self.by_number.get(&number)
    }

    /// The counts of a client.
    pub fn counts(&self, client: &str) -> JobCounts {
        self.counts.get(client).cloned().unwrap_or_default()
    }

    /// The lists of the dashboard.
    pub fn lists(&self, client: Option<&str>) -> Lists {
        let of_client = |key: &&TaskKey| client.is_none_or(|client| *key.tenant == *client);
        let first = |keys: &mut dyn Iterator<Item = &TaskKey>| -> Vec<TaskKey> {
            keys.filter(of_client).take(DASHBOARD_ROWS_MAX).cloned().collect()
        };
        Lists {
            started: first(&mut self.started.iter().map(|(_, key)| key)),
            queued: first(&mut self.queued.iter().map(Turn::key)),
            scheduled: first(&mut self.scheduled.iter().map(|(_, key)| key)),
        }
    }

    /// The rows of a list. By number it ends with the last row that is asked for; any other order looks at all.
    pub fn list(
        &self,
        viewer: &Viewer,
        query: &JobQuery,
        row: &dyn Fn(&TaskKey) -> Option<Summary>,
    ) -> Vec<(TaskKey, Summary)> {
        let search = query.search.as_ref().map(|text| text.to_lowercase());
        let found = |key: &TaskKey| {
            let text = self.searched.get(key);
            search.as_ref().is_none_or(|search| text.is_some_and(|text| text.contains(search.as_str())))
        };
        let visible = |key: &TaskKey| {
            let task = row(key)?;
            let keep = viewer.sees(&key.tenant, &task) && query.keeps(&key.tenant, &task) && found(key);
            keep.then(|| (key.clone(), task))
        };
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let by_number = query.order_by.is_none_or(|field| field == domain::jobs::JobField::Id);
        let keys = self.by_number.values();
        match (by_number, query.ascending) {
            (true, true) => keys.filter_map(visible).take(limit).collect(),
            (true, false) => keys.rev().filter_map(visible).take(limit).collect(),
            (false, _) => {
                let mut all: Vec<(TaskKey, Summary)> = keys.filter_map(visible).collect();
                all.sort_by(|(a, x), (b, y)| query.order((&a.tenant, x), (&b.tenant, y)));
                all.truncate(limit);
                all
            }
        }
    }
}
