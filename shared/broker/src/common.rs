//! Followers that share a process share one reader per bucket: the broker sends each change once, and every follower
//! gets it in memory. A follower begins alone, from what it has seen, and joins the others once it has caught up
//! with them; one that can't keep pace, or whose reader breaks, goes on alone from there. So the reader never
//! waits for anybody, and nothing depends on it. A change is read from its JSON once for all of them, and not at all
//! where this process wrote it.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use async_nats::jetstream::kv::{Entry, Watch};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

/// Changes that wait for one follower; one that is further behind goes on alone.
const WAITING_MAX: usize = 16_384;

/// Values that this process wrote and keeps for its followers; a bound for what nobody came back for.
const WRITTEN_MAX: usize = 4_096;

/// Changes as the reader passes them on.
pub(crate) type Changes = mpsc::Receiver<Arc<Change>>;

/// A value whose type only its reader knows.
type AnyValue = Arc<dyn Any + Send + Sync>;

/// A change of a bucket, which its followers share.
pub(crate) struct Change {
    pub entry: Entry,
    value: OnceLock<AnyValue>,
}

impl Change {
    pub fn of(entry: Entry) -> Self {
        Self { entry, value: OnceLock::new() }
    }

    /// The value, read by the first who asks.
    pub fn value<T: DeserializeOwned + Send + Sync + 'static>(&self) -> serde_json::Result<Arc<T>> {
        if let Some(Ok(value)) = self.value.get().map(|value| Arc::clone(value).downcast::<T>()) {
            return Ok(value);
        }
        let value = Arc::new(serde_json::from_slice::<T>(&self.entry.value)?);
        // Where another was faster, or reads another type, both have what they need.
        let _ = self.value.set(Arc::clone(&value) as AnyValue);
        Ok(value)
    }
}

/// A value that this process writes.
struct Written {
    /// As it goes to the broker: what comes back with the same bytes is this value.
    payload: Bytes,
    value: AnyValue,
    /// Its revision, once it has come back.
    revision: Option<u64>,
    /// It will be asked for after that.
    is_kept: bool,
}

/// Who follows a bucket together.
struct Followers {
    /// Everything up to this revision has been passed on.
    passed: u64,
    senders: Vec<mpsc::Sender<Arc<Change>>>,
    /// By key, what this process wrote there last.
    written: HashMap<String, Written>,
}

impl Followers {
    fn new(passed: u64, first: mpsc::Sender<Arc<Change>>) -> Self {
        Self { passed, senders: vec![first], written: HashMap::new() }
    }

    /// A change with its value, if this process wrote it.
    fn change(&mut self, entry: Entry) -> Change {
        let change = Change::of(entry);
        let entry = &change.entry;
        let Some(written) = self.written.get_mut(&entry.key) else { return change };
        let is_this = written.payload == entry.value;
        if is_this {
            written.revision = Some(entry.revision);
            let _ = change.value.set(Arc::clone(&written.value));
        }
        // Another's newer value ends what we knew.
        if !(is_this && written.is_kept) {
            self.written.remove(&entry.key);
        }
        change
    }
}

/// The buckets that are read in common, by name.
#[derive(Clone, Default)]
pub(crate) struct CommonFeeds(Arc<Mutex<HashMap<&'static str, Followers>>>);

/// How a follower has joined.
pub(crate) enum Joined {
    /// There is no reader yet: it has to begin after what this follower has seen.
    First(Changes),
    /// The changes after this revision come.
    After(Changes, u64),
}

impl CommonFeeds {
    /// Joins the followers of a bucket, having seen everything up to a revision. `None` never happens but where a
    /// thread died with the lock; then everybody follows alone.
    pub(crate) fn join(&self, bucket: &'static str, seen: u64) -> Option<Joined> {
        let (sender, changes) = mpsc::channel(WAITING_MAX);
        let mut feeds = self.0.lock().ok()?;
        if let Some(followers) = feeds.get_mut(bucket) {
            followers.senders.push(sender);
            return Some(Joined::After(changes, followers.passed));
        }
        feeds.insert(bucket, Followers::new(seen, sender));
        Some(Joined::First(changes))
    }

    /// This process is about to write a value, and asks for it again later if it `is_kept`.
    pub(crate) fn writing(
        &self,
        bucket: &'static str,
        key: &str,
        payload: &Bytes,
        value: AnyValue,
        is_kept: bool,
    ) {
        let Ok(mut feeds) = self.0.lock() else { return };
        let Some(followers) = feeds.get_mut(bucket) else { return };
        if followers.written.len() >= WRITTEN_MAX {
            followers.written.clear();
        }
        let written = Written { payload: payload.clone(), value, revision: None, is_kept };
        followers.written.insert(key.to_owned(), written);
    }

    /// What was to be written was not, or nobody knows.
    pub(crate) fn not_written(&self, bucket: &'static str, key: &str) {
        if let Ok(mut feeds) = self.0.lock()
            && let Some(followers) = feeds.get_mut(bucket)
        {
            followers.written.remove(key);
        }
    }

    /// What this process wrote under a key and has come back, with its revision. It may be old.
    pub(crate) fn written<T: Send + Sync + 'static>(
        &self,
        bucket: &'static str,
        key: &str,
    ) -> Option<(u64, Arc<T>)> {
        let feeds = self.0.lock().ok()?;
        let written = feeds.get(bucket)?.written.get(key)?;
        Some((written.revision?, Arc::clone(&written.value).downcast().ok()?))
    }

    /// Reads a bucket for all who follow it, until its watch breaks or nobody follows.
    pub(crate) async fn read(
        self,
        bucket: &'static str,
        mut changes: Watch,
        mut reconnects: watch::Receiver<u64>,
    ) {
        loop {
            let entry = tokio::select! {
                entry = changes.next() => entry,
                // As for a follower alone: the broker may have lost the consumer.
                _ = reconnects.changed() => None,
            };
            let Some(Ok(entry)) = entry else { break };
            if !self.pass(bucket, entry) {
                return;
            }
        }
        // Whoever waits here finds the end of it, and goes on alone.
        if let Ok(mut feeds) = self.0.lock() {
            feeds.remove(bucket);
        }
    }

    /// Passes a change on. Whether anybody follows still; otherwise the next follower is the first again.
    fn pass(&self, bucket: &'static str, entry: Entry) -> bool {
        let Ok(mut feeds) = self.0.lock() else { return false };
        let Some(followers) = feeds.get_mut(bucket) else { return false };
        followers.passed = entry.revision;
        let change = Arc::new(followers.change(entry));
        followers.senders.retain(|sender| sender.try_send(Arc::clone(&change)).is_ok());
        let followed = !followers.senders.is_empty();
        if !followed {
            feeds.remove(bucket);
        }
        followed
    }
}
