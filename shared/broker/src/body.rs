//! Bodies and bundles in the object stores: in and out chunk by chunk, never held whole. The layout is the
//! Object Store's own, so that the broker's tools can list and read what lies there; reading and removing
//! are done with ordinary publish and direct-get rights, which is why no function needs more.

use std::time::Duration;

use async_nats::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use data_encoding::{BASE64URL, HEXLOWER};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use wire::{Code, Error, subjects};

use crate::connect::Broker;
use crate::write::{NATS_TTL, REQUEST_SECONDS, WriteError};

const CHUNK_BYTES: usize = 128 * 1024;
/// Chunks fetched ahead; together with the chunk size this bounds what one body takes in memory to about a
/// megabyte.
const CHUNKS_AHEAD: usize = 4;
/// Chunks of one part: half a megabyte, which fits one message in base64 too.
const CHUNKS_OF_PART: usize = 4;
const NATS_ROLLUP: &str = "Nats-Rollup";
/// The status that closes a batch of direct gets; 404 says that there is nothing at or after the cursor.
const BATCH_END: u16 = 204;

/// One object store.
#[derive(Clone)]
pub struct Bodies {
    broker: Broker,
    store: &'static str,
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 in hex.
    pub digest: String,
}

/// What the store says about an object; the field names are the Object Store's.
#[derive(Serialize, Deserialize)]
struct Meta {
    name: String,
    bucket: String,
    nuid: String,
    size: u64,
    chunks: u64,
    digest: String,
    #[serde(default)]
    deleted: bool,
}

impl Bodies {
    /// The object store of this name.
    pub fn new(broker: &Broker, store: &'static str) -> Self {
        Self { broker: broker.clone(), store }
    }

    /// Stores what a reader gives under a name of ours. More than `most` bytes is `TooLarge`; whatever was
    /// stored until a failure is removed again. `head` are bytes that were read already.
    pub async fn put<R>(&self, name: &str, head: Bytes, reader: R, most: u64) -> Result<Stored, Error>
    where
        R: AsyncRead + Unpin,
    {
        let outcome = self.put_chunks(name, head, reader, most).await;
        if outcome.is_err() {
            self.remove(name).await;
        }
        outcome
    }

    async fn put_chunks<R>(&self, name: &str, head: Bytes, mut reader: R, most: u64) -> Result<Stored, Error>
    where
        R: AsyncRead + Unpin,
    {
        let mut digest = Sha256::new();
        let (mut size, mut chunks) = (0u64, 0u64);
        let mut chunk = BytesMut::from(&*head);
        loop {
            fill(&mut reader, &mut chunk).await?;
            let full = if chunk.len() > CHUNK_BYTES { chunk.split_to(CHUNK_BYTES) } else { chunk.split() };
            if full.is_empty() {
                break;
            }
            size += full.len() as u64;
            if size > most {
                return Err(too_large(most));
            }
            digest.update(&full);
            chunks += 1;
            // One at a time: the order in which chunks are stored is their order.
            let subject = subjects::object_chunks(self.store, name);
            self.broker.write(subject, HeaderMap::new(), full.freeze()).await?;
        }
        let sum = digest.finalize();
        let meta = Meta {
            name: name.to_owned(),
            bucket: self.store.to_owned(),
            nuid: name.to_owned(),
            size,
            chunks,
            digest: format!("SHA-256={}", BASE64URL.encode(&sum)),
            deleted: false,
        };
        self.write_meta(&meta).await?;
        Ok(Stored { size, digest: HEXLOWER.encode(&sum) })
    }

    async fn write_meta(&self, meta: &Meta) -> Result<(), Error> {
        let subject = subjects::object_meta(self.store, &BASE64URL.encode(meta.name.as_bytes()));
        let mut headers = HeaderMap::new();
        headers.insert(NATS_ROLLUP, "sub");
        let payload = serde_json::to_vec(meta).map_err(Error::internal)?;
        self.broker.write(subject, headers, Bytes::from(payload)).await?;
        Ok(())
    }

    /// Removes an object: each of its subjects is rolled up into one empty message that the broker drops a
    /// second later. Safe to repeat, and for objects that are not there.
    pub async fn remove(&self, name: &str) -> bool {
        let meta = subjects::object_meta(self.store, &BASE64URL.encode(name.as_bytes()));
        let mut done = true;
        for subject in [subjects::object_chunks(self.store, name), meta] {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_ROLLUP, "sub");
            headers.insert(NATS_TTL, "1s");
            if let Err(error) = self.broker.write(subject, headers, Bytes::new()).await {
                tracing::warn!(store = self.store, name, %error, "an object could not be removed");
                done = false;
            }
        }
        done
    }

    /// The bytes of an object, `size` in all, chunk by chunk and no faster than they are taken. A hole or a
    /// short end is an error, never a short body that looks whole.
    pub fn read(&self, name: &str, size: u64) -> mpsc::Receiver<Result<Bytes, Error>> {
        let (sender, receiver) = mpsc::channel(2);
        let (bodies, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            if let Err(error) = bodies.send_chunks(&name, size, &sender).await {
                // Whoever reads sees the error; if nobody reads any more there is nobody to tell.
                let _ = sender.send(Err(error)).await;
            }
        });
        receiver
    }

    async fn send_chunks(
        &self,
        name: &str,
        size: u64,
        sender: &mpsc::Sender<Result<Bytes, Error>>,
    ) -> Result<(), Error> {
        let (mut sent, mut cursor) = (0u64, 1u64);
        while sent < size {
            let batch = self.batch(name, cursor).await?;
            if batch.is_empty() {
                return Err(Error::internal(format!("object {name} ends after {sent} of {size} bytes")));
            }
            for (sequence, chunk) in batch {
                cursor = sequence + 1;
                sent += chunk.len() as u64;
                if sender.send(Ok(chunk)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The next part of an object, from a cursor on: its bytes, and the cursor of the part after it. The first
    /// cursor is 0. A part that is empty is the end.
    pub async fn part(&self, name: &str, cursor: u64) -> Result<(Bytes, u64), Error> {
        let stream = subjects::object_stream(self.store);
        let subject = subjects::object_chunks(self.store, name);
        let chunks = self.broker.direct_batch(&stream, &subject, cursor.max(1), CHUNKS_OF_PART).await?;
        let mut bytes = BytesMut::new();
        let mut next = cursor;
        for (sequence, chunk) in chunks {
            next = sequence + 1;
            bytes.extend_from_slice(&chunk);
        }
        Ok((bytes.freeze(), next))
    }

    /// The next few chunks at or after a sequence.
    async fn batch(&self, name: &str, cursor: u64) -> Result<Vec<(u64, Bytes)>, Error> {
        let stream = subjects::object_stream(self.store);
        let subject = subjects::object_chunks(self.store, name);
        self.broker.direct_batch(&stream, &subject, cursor, CHUNKS_AHEAD).await
    }
}

impl Broker {
    /// Up to `count` messages of one subject at or after a sequence, by one direct get.
    pub(crate) async fn direct_batch(
        &self,
        stream: &str,
        subject: &str,
        cursor: u64,
        count: usize,
    ) -> Result<Vec<(u64, Bytes)>, Error> {
        let body = serde_json::json!({ "batch": count, "seq": cursor, "next_by_subj": subject });
        self.direct_answers(stream, &body, count).await
    }

    /// The newest message of each of these subjects, by one direct get. The broker may end early; whoever misses
    /// one asks for it alone.
    pub(crate) async fn direct_last(
        &self,
        stream: &str,
        subjects: &[String],
    ) -> Result<Vec<(u64, Bytes)>, Error> {
        let body = serde_json::json!({ "batch": subjects.len(), "multi_last": subjects });
        self.direct_answers(stream, &body, subjects.len()).await
    }

    async fn direct_answers(
        &self,
        stream: &str,
        body: &serde_json::Value,
        count: usize,
    ) -> Result<Vec<(u64, Bytes)>, Error> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(Error::unavailable)?;
        let request = subjects::direct_get(stream);
        let sent = self.client.publish_with_reply(request, inbox, Bytes::from(body.to_string())).await;
        sent.map_err(Error::unavailable)?;
        let mut batch = Vec::with_capacity(count);
        loop {
            let answer = tokio::time::timeout(Duration::from_secs(REQUEST_SECONDS), answers.next()).await;
            let answer = answer.map_err(|_| Error::unavailable(format!("no answer reading {stream}")))?;
            let answer = answer.ok_or_else(|| Error::unavailable("the connection closed"))?;
            match answer.status {
                Some(status) if status.as_u16() == BATCH_END || status == StatusCode::NOT_FOUND => break,
                None => {}
                Some(status) => {
                    return Err(Error::unavailable(format!("the broker answered a read with {status}")));
                }
            }
            let header = answer.headers.as_ref().and_then(|h| h.get(async_nats::header::NATS_SEQUENCE));
            let sequence = header.and_then(|value| value.as_str().parse().ok());
            let sequence = sequence.ok_or_else(|| Error::internal("a message without a sequence"))?;
            batch.push((sequence, answer.payload));
            if batch.len() == count {
                break;
            }
        }
        Ok(batch)
    }
}

async fn fill<R: AsyncRead + Unpin>(reader: &mut R, chunk: &mut BytesMut) -> Result<(), Error> {
    chunk.reserve(CHUNK_BYTES);
    while chunk.len() < CHUNK_BYTES {
        let read = reader.read_buf(chunk).await;
        let read = read.map_err(|e| Error::new(Code::BadRequest, format!("the body broke off: {e}")))?;
        if read == 0 {
            break;
        }
    }
    Ok(())
}

fn too_large(most: u64) -> Error {
    Error::new(Code::TooLarge, format!("the body is larger than {} MB", most / (1024 * 1024)))
}

impl From<WriteError> for std::io::Error {
    fn from(error: WriteError) -> Self {
        Self::other(error)
    }
}

impl Bodies {
    /// The length of an object; `None` if there is none of that name.
    pub async fn size(&self, name: &str) -> Result<Option<u64>, Error> {
        let stream = subjects::object_stream(self.store);
        let subject = subjects::object_meta(self.store, &BASE64URL.encode(name.as_bytes()));
        let found = self.broker.newest(&stream, &subject).await?;
        let meta = found.filter(|(_, payload)| !payload.is_empty());
        let meta = meta.and_then(|(_, payload)| serde_json::from_slice::<Meta>(&payload).ok());
        Ok(meta.filter(|meta| !meta.deleted).map(|meta| meta.size))
    }
}

/// Chunks as a blocking reader, for libraries that read so. Only for threads that may block.
pub struct BlockingReader {
    chunks: mpsc::Receiver<Result<Bytes, Error>>,
    rest: Bytes,
}

impl BlockingReader {
    /// Reads from these chunks.
    pub fn new(chunks: mpsc::Receiver<Result<Bytes, Error>>) -> Self {
        Self { chunks, rest: Bytes::new() }
    }
}

impl std::io::Read for BlockingReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.rest = chunk.map_err(std::io::Error::other)?,
                None => return Ok(0),
            }
        }
        let count = self.rest.len().min(into.len());
        let now = self.rest.split_to(count);
        if let Some(target) = into.get_mut(..count) {
            target.copy_from_slice(&now);
        }
        Ok(count)
    }
}
