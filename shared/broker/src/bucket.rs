//! Typed key-value buckets with compare-and-set.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::topology::TASKS;
use wire::{Error, subjects};

use crate::connect::Broker;
use crate::write::{NATS_TTL, WriteError};

/// A bucket whose values are JSON documents of one type.
pub struct Bucket<T> {
    pub(crate) broker: Broker,
    pub(crate) name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Bucket<T> {
    fn clone(&self) -> Self {
        Self { broker: self.broker.clone(), name: self.name, value: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned> Bucket<T> {
    /// The bucket of this name.
    pub fn new(broker: &Broker, name: &'static str) -> Self {
        Self { broker: broker.clone(), name, value: PhantomData }
    }

    /// The value under a key with its revision; `None` where there never was one.
    pub async fn get(&self, key: &str) -> Result<Option<(u64, T)>, Error> {
        let stream = subjects::bucket_stream(self.name);
        match self.broker.newest(&stream, &subjects::bucket_key(self.name, key)).await? {
            None => Ok(None),
            Some((revision, payload)) => {
                let value = serde_json::from_slice(&payload).map_err(|e| {
                    Error::internal(format!("the record {} {key} can't be read: {e}", self.name))
                })?;
                Ok(Some((revision, value)))
            }
        }
    }

    /// Writes a value where the key still has this revision; 0 means that there is none yet.
    pub async fn write(&self, key: &str, expected: u64, value: &T) -> Result<u64, WriteError> {
        self.write_payload(key, expected, encoded(value)?).await
    }

    /// The same, and lets those who follow the bucket in this process share the value. One that `is_kept` can be
    /// asked for by `written` until its key has a newer one.
    pub(crate) async fn write_shared(
        &self,
        key: &str,
        expected: u64,
        value: &Arc<T>,
        is_kept: bool,
    ) -> Result<u64, WriteError>
    where
        T: Send + Sync + 'static,
    {
        let payload = encoded(&**value)?;
        let Some(near) = &self.broker.near else { return self.write_payload(key, expected, payload).await };
        let shared = Arc::clone(value);
        near.feeds.writing(self.name, key, &payload, shared, is_kept);
        let outcome = self.write_payload(key, expected, payload).await;
        if outcome.is_err() {
            near.feeds.not_written(self.name, key);
        }
        outcome
    }

    /// What this process wrote last under a key, with its revision, where it has that still. It may be old.
    pub(crate) fn written(&self, key: &str) -> Option<(u64, Arc<T>)>
    where
        T: Send + Sync + 'static,
    {
        self.broker.near.as_ref()?.feeds.written(self.name, key)
    }

    async fn write_payload(&self, key: &str, expected: u64, payload: Bytes) -> Result<u64, WriteError> {
        let mut headers = HeaderMap::new();
        headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
        let subject = subjects::bucket_key(self.name, key);
        for _ in 0..UNSETTLED_TRIES {
            let (subject, headers, payload) = (subject.clone(), headers.clone(), payload.clone());
            let outcome = match self.broker.records.as_ref().filter(|_| self.name == TASKS) {
                Some(shared) => shared.write(subject, headers, payload).await,
                None => self.broker.write(subject, headers, payload).await,
            };
            match outcome {
                Err(WriteError::Unsettled) => tokio::task::yield_now().await,
                outcome => return outcome,
            }
        }
        Err(WriteError::Conflict)
    }

    /// Writes a value whatever stood there, for a key that has one writer. With `keep` the key goes that long
    /// after; only for what has ended, and where the bucket allows it.
    pub async fn put(&self, key: &str, value: &T, keep: Option<Duration>) -> Result<u64, WriteError> {
        let payload = encoded(value)?;
        let mut headers = HeaderMap::new();
        if let Some(keep) = keep {
            headers.insert(NATS_TTL, format!("{}s", keep.as_secs().max(1)));
        }
        self.broker.write(subjects::bucket_key(self.name, key), headers, payload).await
    }

    /// Reads, changes and writes until nobody else was faster. `change` returns `None` to leave it alone.
    pub async fn update<F>(&self, key: &str, mut change: F) -> Result<Option<T>, Error>
    where
        F: FnMut(Option<T>) -> Result<Option<T>, Error>,
    {
        for _ in 0..CONFLICT_TRIES {
            let (revision, current) = match self.get(key).await? {
                Some((revision, value)) => (revision, Some(value)),
                None => (0, None),
            };
            let Some(next) = change(current)? else { return Ok(None) };
            match self.write(key, revision, &next).await {
                Ok(_) => return Ok(Some(next)),
                Err(WriteError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::unavailable(format!("{} {key} was changed by others all the time", self.name)))
    }

    /// How many bytes it takes, and how many it may; 0 is no bound.
    pub async fn filled(&self) -> Result<(u64, u64), Error> {
        let context = async_nats::jetstream::new(self.broker.client.clone());
        let stream = context.get_stream(subjects::bucket_stream(self.name)).await;
        let stream = stream.map_err(Error::unavailable)?;
        let info = stream.cached_info();
        Ok((info.state.bytes, u64::try_from(info.config.max_bytes).unwrap_or(0)))
    }

    /// The sequence of the newest write to any key that is still there; 0 where there is none. The broker looks
    /// through all keys for it, so this is for buckets that have few.
    pub(crate) async fn last_of_few(&self) -> Result<u64, Error> {
        let stream = subjects::bucket_stream(self.name);
        let found = self.broker.newest(&stream, &subjects::bucket_key(self.name, ">")).await?;
        Ok(found.map_or(0, |(sequence, _)| sequence))
    }

    /// The same at a cost that does not grow with the keys: the last number that the broker gave, if what it
    /// was given to is still there.
    pub async fn last_sequence(&self) -> Result<u64, Error> {
        let stream = subjects::bucket_stream(self.name);
        let mut before = None;
        loop {
            let last = self.broker.last_given(&stream).await?;
            if last == 0 || self.broker.stands(&stream, last).await? {
                return Ok(last);
            }
            // Overwritten in between, or gone for good: a marker whose time was over.
            if before.replace(last) == Some(last) {
                return self.last_of_few().await;
            }
        }
    }
}

fn encoded<T: Serialize>(value: &T) -> Result<Bytes, WriteError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| WriteError::Refused(error.to_string()))
}

/// How often a write is repeated while the broker settles the one before it.
const UNSETTLED_TRIES: usize = 20;
/// How often a change is tried again after another was faster.
pub(crate) const CONFLICT_TRIES: usize = 20;
