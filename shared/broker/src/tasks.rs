//! The one place that writes task records: read, ask the pure transition, compare-and-set, return effects.

use std::collections::HashMap;
use std::sync::Arc;

use domain::task::input::{Change, Effect, Input, Refusal};
use domain::task::transition::transition;
use domain::{Task, TaskKey, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use wire::door::events::Event;
use wire::door::names;
use wire::topology::{TASKS, task_key};
use wire::{Error, Function, subjects};

use crate::bucket::{Bucket, CONFLICT_TRIES};
use crate::connect::Broker;
use crate::write::WriteError;

/// Records that one question asks for; the broker refuses more than 1,024.
const READ_AT_ONCE: usize = 256;

/// The bucket of task records.
#[derive(Clone)]
pub struct Tasks {
    bucket: Bucket<Task>,
}

/// What the caller of `apply` already knows, which saves a read. It may be old: the compare-and-set tells.
#[derive(Debug, Clone)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// There is probably no record.
    Absent,
    /// The record had this revision.
    Record(u64, Arc<Task>),
}

/// What `apply` did.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The revision of the record.
    pub revision: u64,
    /// The record as it stands, which those who follow it in this process may share.
    pub task: Arc<Task>,
    /// What has to be done now; empty if nothing was written.
    pub effects: Vec<Effect>,
    /// This call wrote it.
    pub written: bool,
}

impl Applied {
    /// The record with its number.
    pub fn into_task(self) -> Task {
        numbered(Arc::unwrap_or_clone(self.task), self.revision)
    }
}

/// Why nothing was applied.
#[derive(Debug, Clone, PartialEq)]
pub enum ApplyError {
    /// The rules refuse it.
    Refused(Refusal),
    /// The broker did not take it, or its answer is unknown.
    Broker(Error),
}

impl From<ApplyError> for Error {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Refused(refusal) => refusal.into(),
            ApplyError::Broker(error) => error,
        }
    }
}

impl Tasks {
    /// The records as this connection's function may use them.
    pub fn new(broker: &Broker) -> Self {
        Self { bucket: Bucket::new(broker, TASKS) }
    }

    /// The bucket, to follow it.
    pub fn bucket(&self) -> &Bucket<Task> {
        &self.bucket
    }

    /// A record with its revision.
    pub async fn get(&self, key: &TaskKey) -> Result<Option<(u64, Task)>, Error> {
        let found = self.bucket.get(&task_key(key)).await?;
        Ok(found.map(|(revision, task)| (revision, numbered(task, revision))))
    }

    /// Several records at once, with their revisions. One that is missing here may be there all the same.
    pub async fn get_many(&self, keys: &[TaskKey]) -> Result<HashMap<TaskKey, (u64, Task)>, Error> {
        let subjects: Vec<String> =
            keys.iter().map(|key| subjects::bucket_key(TASKS, &task_key(key))).collect();
        let mut found = HashMap::with_capacity(keys.len());
        for part in subjects.chunks(READ_AT_ONCE) {
            let answers = self.bucket.broker.direct_last(&subjects::bucket_stream(TASKS), part).await?;
            for (revision, payload) in answers {
                if let Ok(task) = serde_json::from_slice::<Task>(&payload) {
                    found.insert(task.key(), (revision, numbered(task, revision)));
                }
            }
        }
        Ok(found)
    }

    /// The record that this process wrote last, where it is still held: an active task that was claimed here. It may
    /// be old.
    pub fn written(&self, key: &TaskKey) -> Option<(u64, Arc<Task>)> {
        self.bucket.written(&task_key(key))
    }

    /// Lets something happen to a task. After an unknown outcome the record is read again: if it is what
    /// was to be written, the write was done.
    pub async fn apply(
        &self,
        key: &TaskKey,
        input: &Input,
        now: Timestamp,
        known: Known,
    ) -> Result<Applied, ApplyError> {
        let mut known = known;
        let mut hoped: Option<(Arc<Task>, Vec<Effect>)> = None;
        let mut unknowns = 0;
        for _ in 0..CONFLICT_TRIES {
            let (revision, current) = match known {
                Known::Nothing => match self.get(key).await.map_err(ApplyError::Broker)? {
                    Some((revision, task)) => (revision, Some(Arc::new(task))),
                    None => (0, None),
                },
                Known::Absent => (0, None),
                Known::Record(revision, task) => (revision, Some(task)),
            };
            known = Known::Nothing;
            if let (Some((hoped, effects)), Some(task)) = (hoped.take(), &current)
                && **task == numbered(Arc::unwrap_or_clone(hoped), revision)
            {
                self.tell(task, revision).await;
                return Ok(Applied { revision, task: Arc::clone(task), effects, written: true });
            }
            let (next, effects) = match transition(current.as_deref(), input, now) {
                Ok(Change::Write(mut next, effects)) => {
                    if current.is_some() {
                        next.number.get_or_insert(revision);
                    }
                    (Arc::<Task>::from(next), effects)
                }
                Ok(Change::Nothing) => match current {
                    Some(task) => return Ok(Applied { revision, task, effects: Vec::new(), written: false }),
                    None => return Err(ApplyError::Refused(Refusal::NotFound)),
                },
                Err(refusal) => return Err(ApplyError::Refused(refusal)),
            };
            let before = current.as_ref().map(|task| (task.state, task.phase));
            // What becomes of an active task is written by `report`, which has it from here.
            let is_kept = next.state.is_active();
            match self.bucket.write_shared(&task_key(key), revision, &next, is_kept).await {
                Ok(revision) => {
                    if Event::is_due(before, &next) {
                        self.tell(&next, revision).await;
                    }
                    return Ok(Applied { revision, task: next, effects, written: true });
                }
                Err(WriteError::Conflict | WriteError::Unsettled) => {}
                Err(WriteError::Unknown(reason)) if unknowns == 0 => {
                    tracing::debug!(%key, reason, "an unknown outcome; reading what became of it");
                    unknowns += 1;
                    hoped = Some((next, effects));
                }
                Err(error) => return Err(ApplyError::Broker(error.into())),
            }
        }
        Err(ApplyError::Broker(Error::unavailable(format!("task {key} was changed by others all the time"))))
    }

    /// Tells programs of a change. Nothing waits for it, and nothing depends on it.
    async fn tell(&self, task: &Task, revision: u64) {
        self.bucket.broker.tell(names::event(task), &Event::of(task, revision)).await;
    }

    /// The function on whose behalf this writes.
    pub fn function(&self) -> Function {
        self.bucket.broker.function()
    }
}

/// A record that does not hold its number has been written once, and its revision is the number.
pub fn numbered(mut task: Task, revision: u64) -> Task {
    task.number.get_or_insert(revision);
    task
}

/// Whether a stored record names somebody to be told. Most do not, and then nothing else of it is read.
pub fn has_hooks(record: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Glance {
        #[serde(default)]
        hooks: Vec<IgnoredAny>,
    }
    // One that can't be read is reported by whoever reads all of it.
    serde_json::from_slice::<Glance>(record).map_or(true, |glance| !glance.hooks.is_empty())
}
