//! The record store: revisions over all records, as in a key-value bucket on one stream, and compare-and-set.

use std::collections::BTreeMap;

use domain::{Task, TaskKey};

#[derive(Default)]
pub struct Store {
    records: BTreeMap<TaskKey, (u64, Task)>,
    revision: u64,
}

impl Store {
    /// The record and its revision.
    pub fn get(&self, key: &TaskKey) -> Option<(u64, &Task)> {
        self.records.get(key).map(|(revision, task)| (*revision, task))
    }

    /// Whether the key stands at this revision; 0 is a key without a record.
    pub fn stands_at(&self, key: &TaskKey, revision: u64) -> bool {
        self.get(key).map_or(0, |(current, _)| current) == revision
    }

    /// Writes, and returns the new revision.
    pub fn put(&mut self, task: Task) -> u64 {
        self.revision += 1;
        self.records.insert(task.key(), (self.revision, task));
        self.revision
    }

    /// Every record with its revision.
    pub fn all(&self) -> impl Iterator<Item = (u64, &Task)> {
        self.records.values().map(|(revision, task)| (*revision, task))
    }
}
