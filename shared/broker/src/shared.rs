//! Writes that share their syncs. Where the broker syncs every message before it acknowledges, one stream takes a
//! few thousand a second, one after the other; an atomic batch is synced as a whole. A batch costs as much as a
//! dozen writes, so a few go alone and many go together. Each write keeps its own compare-and-set and its own
//! outcome: whoever writes sees no difference.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};

use crate::connect::Broker;
use crate::write::{REQUEST_SECONDS, WriteError, acknowledged};

/// From so many writes on a batch is cheaper than to send each alone (docs/benchmarks.md).
const BATCH_LEAST: usize = 12;
/// The most writes of one batch; the broker's own limit is 1,000.
const BATCH_MOST: usize = 500;

const BATCH_ID: &str = "Nats-Batch-Id";
const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
const BATCH_COMMIT: &str = "Nats-Batch-Commit";

/// One write that is to be acknowledged.
struct Write {
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
    done: oneshot::Sender<Result<u64, WriteError>>,
}

/// The queue of one stream's writes from one connection.
#[derive(Clone)]
pub(crate) struct SharedWriter(mpsc::UnboundedSender<Write>);

impl SharedWriter {
    /// Begins to write over a connection. Ends with the last clone.
    pub fn begin(broker: Broker) -> Self {
        // Every writer waits for its outcome, so the calls that a function takes at once are the bound.
        let (writes, waiting) = mpsc::unbounded_channel();
        tokio::spawn(write_all(broker, waiting));
        Self(writes)
    }

    /// Writes one message and waits for the acknowledgement: its sequence.
    pub async fn write(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<u64, WriteError> {
        let (done, outcome) = oneshot::channel();
        let ended = || WriteError::Unknown("the writer ended".to_owned());
        self.0.send(Write { subject, headers, payload, done }).map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }
}

/// Round after round: what has gathered while the round before was under way.
async fn write_all(broker: Broker, mut waiting: mpsc::UnboundedReceiver<Write>) {
    let mut writes = Vec::new();
    loop {
        if writes.is_empty() && waiting.recv_many(&mut writes, BATCH_MOST).await == 0 {
            return;
        }
        while writes.len() < BATCH_MOST {
            let Ok(write) = waiting.try_recv() else { break };
            writes.push(write);
        }
        let (round, rest) = apart(writes);
        writes = rest;
        if round.len() < BATCH_LEAST {
            alone(&broker, round).await;
        } else {
            together(&broker, round).await;
        }
    }
}

/// Two writes of one key can't be in one batch: the second could only follow from the outcome of the first.
fn apart(writes: Vec<Write>) -> (Vec<Write>, Vec<Write>) {
    let mut subjects = HashSet::new();
    writes.into_iter().partition(|write| subjects.insert(write.subject.clone()))
}

/// Each on its own, all at once.
async fn alone(broker: &Broker, writes: Vec<Write>) {
    join_all(writes.into_iter().map(|write| async move {
        let outcome = broker.write(write.subject, write.headers, write.payload).await;
        // Whoever gave up waiting reads later what became of it.
        let _ = write.done.send(outcome);
    }))
    .await;
}

/// As one batch. One that the broker refuses has written nothing, whatever the reason; then each write is tried
/// alone and finds its own outcome. That costs less than to look for the one that was in the way.
async fn together(broker: &Broker, writes: Vec<Write>) {
    match batch(broker, &writes).await {
        Ok(last) => {
            let first = (last + 1).saturating_sub(writes.len() as u64);
            for (sequence, write) in (first..).zip(writes) {
                let _ = write.done.send(Ok(sequence));
            }
        }
        Err(WriteError::Unknown(reason)) => {
            for write in writes {
                let _ = write.done.send(Err(WriteError::Unknown(reason.clone())));
            }
        }
        Err(
            error @ (WriteError::Conflict
            | WriteError::Unsettled
            | WriteError::Full
            | WriteError::TooLarge
            | WriteError::Refused(_)),
        ) => {
            tracing::debug!(%error, count = writes.len(), "a batch was refused; its writes go alone");
            alone(broker, writes).await;
        }
    }
}

/// The sequence of the last message of a batch that was stored.
async fn batch(broker: &Broker, writes: &[Write]) -> Result<u64, WriteError> {
    // An inbox ends with a word that is never given twice, which is what a batch needs as its name.
    let inbox = broker.client.new_inbox();
    let id = inbox.rsplit('.').next().unwrap_or(&inbox);
    let unknown = |error: String| WriteError::Unknown(error);
    let Some((last, before)) = writes.split_last() else { return Err(unknown("an empty batch".to_owned())) };
    for (index, write) in before.iter().enumerate() {
        let headers = numbered(&write.headers, id, index + 1);
        let sent =
            broker.client.publish_with_headers(write.subject.clone(), headers, write.payload.clone()).await;
        // Without its end a batch is never stored.
        sent.map_err(|error| WriteError::Refused(error.to_string()))?;
    }
    let mut headers = numbered(&last.headers, id, writes.len());
    headers.insert(BATCH_COMMIT, "1");
    let request = Request::new()
        .headers(headers)
        .payload(last.payload.clone())
        .timeout(Some(Duration::from_secs(REQUEST_SECONDS)));
    let answer = broker.client.send_request(last.subject.clone(), request).await;
    let answer = answer.map_err(|error| unknown(error.to_string()))?;
    acknowledged(&answer.payload)
}

fn numbered(headers: &HeaderMap, id: &str, sequence: usize) -> HeaderMap {
    let mut headers = headers.clone();
    headers.insert(BATCH_ID, id);
    headers.insert(BATCH_SEQUENCE, sequence.to_string());
    headers
}
