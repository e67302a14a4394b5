//! Followers that share a process share one reader per bucket: the broker sends each change once, and every follower
//! gets it in memory. A follower begins alone, from what it has seen, and joins the others once it has caught up
//! with them; one that can't keep pace, or whose reader breaks, goes on alone from there. So the reader never
//! waits for anybody, and nothing depends on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_nats::jetstream::kv::{Entry, Watch};
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};

/// Changes that wait for one follower; one that is further behind goes on alone.
const WAITING_MAX: usize = 16_384;

/// Changes as the reader passes them on.
pub(crate) type Changes = mpsc::Receiver<Arc<Entry>>;

/// Who follows a bucket together.
struct Followers {
    /// Everything up to this revision has been passed on.
    passed: u64,
    senders: Vec<mpsc::Sender<Arc<Entry>>>,
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
        feeds.insert(bucket, Followers { passed: seen, senders: vec![sender] });
        Some(Joined::First(changes))
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
        let entry = Arc::new(entry);
        followers.senders.retain(|sender| sender.try_send(Arc::clone(&entry)).is_ok());
        let followed = !followers.senders.is_empty();
        if !followed {
            feeds.remove(bucket);
        }
        followed
    }
}
