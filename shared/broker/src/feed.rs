//! Following a bucket: every change in order, from the state as it is now. Breaks heal by themselves.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv::{Operation, Watch};
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use crate::bucket::Bucket;
use crate::common::{Change, Changes, Joined};

/// What a feed tells.
#[derive(Debug, Clone, PartialEq)]
pub enum News<T> {
    /// Forget everything: what follows is the whole state anew.
    Reset,
    /// A key has this value; everything up to its revision has been told.
    Value {
        /// The key.
        key: String,
        /// Its revision.
        revision: u64,
        /// Its value, which all followers in this process may share.
        value: Arc<T>,
    },
    /// All that was there when the feed began has been told, or a key was removed.
    CaughtUp {
        /// The sequence up to which everything is known.
        sequence: u64,
    },
}

/// A bucket's changes. Ends when it is dropped.
pub struct Feed<T> {
    news: mpsc::Receiver<News<T>>,
}

const FEED_CAPACITY: usize = 1024;
const RETRY_MILLIS: u64 = 100;
/// How often a feed looks where the end is before it has caught up.
const ENDS_MAX: u32 = 8;

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Feed<T> {
    /// Begins to follow a bucket.
    pub fn follow(bucket: &Bucket<T>) -> Self {
        Self::follow_only(bucket, |_| true)
    }

    /// The same for those values alone whose bytes are wanted; nothing is read of the others, and they are not
    /// told.
    pub fn follow_only(bucket: &Bucket<T>, wanted: fn(&[u8]) -> bool) -> Self {
        let (sender, news) = mpsc::channel(FEED_CAPACITY);
        let bucket = bucket.clone();
        tokio::spawn(async move {
            let mut follower = Follower { bucket, wanted, sender, seen: 0 };
            while !follower.sender.is_closed() && !follower.bucket.broker.is_closed() {
                if let Err(reason) = follower.follow_once().await {
                    tracing::debug!(bucket = follower.bucket.name, reason, "following again");
                    tokio::time::sleep(Duration::from_millis(RETRY_MILLIS)).await;
                }
            }
        });
        Self { news }
    }

    /// The next piece of news. `None` once the connection is closed for good.
    pub async fn next(&mut self) -> Option<News<T>> {
        self.news.recv().await
    }

    /// Like `next`, for up to `limit` pieces at once.
    pub async fn next_many(&mut self, into: &mut Vec<News<T>>, limit: usize) -> usize {
        self.news.recv_many(into, limit).await
    }
}

/// Where changes come from.
enum Source {
    /// A watch of our own.
    Own(Watch),
    /// The same, until everything up to a revision has been seen.
    Joining(Watch, Changes, u64),
    /// The reader that this process has for the bucket.
    Common(Changes),
}

impl Source {
    async fn next(&mut self) -> Result<Arc<Change>, String> {
        match self {
            Self::Own(watch) | Self::Joining(watch, ..) => {
                let entry = watch.next().await.ok_or("the watch ended")?;
                entry.map(|entry| Arc::new(Change::of(entry))).map_err(|error| error.to_string())
            }
            Self::Common(changes) => Ok(changes.recv().await.ok_or("the reader in common ended")?),
        }
    }
}

struct Follower<T> {
    bucket: Bucket<T>,
    wanted: fn(&[u8]) -> bool,
    sender: mpsc::Sender<News<T>>,
    seen: u64,
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Follower<T> {
    /// Follows until something breaks. A reconnection counts as a break, since the broker may have lost
    /// the consumer and would only be noticed by its silence, many seconds later.
    async fn follow_once(&mut self) -> Result<(), String> {
        let mut reconnects = self.bucket.broker.reconnects();
        reconnects.mark_unchanged();
        let (watch, mut last) = self.open().await?;
        let mut ends = 0;
        let mut source = Source::Own(watch);
        let mut caught_up = self.seen >= last;
        if caught_up {
            self.tell(News::CaughtUp { sequence: last }).await?;
        }
        loop {
            if caught_up && !matches!(source, Source::Common(_)) {
                source = self.join(source, &reconnects);
            }
            let change = tokio::select! {
                change = source.next() => change?,
                changed = reconnects.changed() => {
                    return if changed.is_ok() { Err("reconnected".into()) } else { Err("closed".into()) };
                }
                () = self.sender.closed() => return Ok(()),
            };
            let revision = change.entry.revision;
            // What came both ways while joining.
            if revision <= self.seen {
                continue;
            }
            self.take(&change).await?;
            if !caught_up && revision >= last {
                // What was written anew since the beginning stood before this end and stands behind it now: all has
                // been told once nothing was written meanwhile, or nothing can have fled from us so often.
                last = self.bucket.last_sequence().await.map_err(|error| error.to_string())?;
                ends += 1;
                if revision >= last || ends == ENDS_MAX {
                    caught_up = true;
                    self.tell(News::CaughtUp { sequence: revision }).await?;
                }
            }
        }
    }

    async fn open(&mut self) -> Result<(Watch, u64), String> {
        let context = async_nats::jetstream::new(self.bucket.broker.client.clone());
        let store = context.get_key_value(self.bucket.name).await.map_err(|e| e.to_string())?;
        let last = self.bucket.last_sequence().await.map_err(|e| e.to_string())?;
        if self.seen == 0 || last < self.seen {
            // A broker that knows less than we do lost its newest writes with the power; so do we.
            self.seen = 0;
            self.tell(News::Reset).await?;
            let watch = store.watch_with_history(">").await.map_err(|e| e.to_string())?;
            return Ok((watch, last));
        }
        let watch = store.watch_all_from_revision(self.seen + 1).await.map_err(|e| e.to_string())?;
        Ok((watch, last))
    }

    /// Goes over to the reader in common as soon as nothing between is missed.
    fn join(&self, source: Source, reconnects: &watch::Receiver<u64>) -> Source {
        match source {
            Source::Own(watch) => {
                let Some(near) = &self.bucket.broker.near else { return Source::Own(watch) };
                match near.feeds.join(self.bucket.name, self.seen) {
                    None => Source::Own(watch),
                    Some(Joined::First(changes)) => {
                        tokio::spawn(near.feeds.clone().read(self.bucket.name, watch, reconnects.clone()));
                        Source::Common(changes)
                    }
                    Some(Joined::After(changes, revision)) => {
                        self.join(Source::Joining(watch, changes, revision), reconnects)
                    }
                }
            }
            Source::Joining(_, changes, revision) if self.seen >= revision => Source::Common(changes),
            source @ (Source::Joining(..) | Source::Common(_)) => source,
        }
    }

    async fn take(&mut self, change: &Change) -> Result<(), String> {
        let entry = &change.entry;
        self.seen = entry.revision;
        if entry.operation != Operation::Put {
            return self.tell(News::CaughtUp { sequence: entry.revision }).await;
        }
        if !(self.wanted)(&entry.value) {
            return Ok(());
        }
        match change.value() {
            Ok(value) => {
                let (key, revision) = (entry.key.clone(), entry.revision);
                self.tell(News::Value { key, revision, value }).await
            }
            Err(error) => {
                tracing::error!(bucket = self.bucket.name, key = entry.key, %error, "a record can't be read");
                Ok(())
            }
        }
    }

    async fn tell(&self, news: News<T>) -> Result<(), String> {
        self.sender.send(news).await.map_err(|_| "nobody listens any more".to_owned())
    }
}
