//! Reads the records of a topic in order, by the reader that `topics` made for one claim. Whatever might have gone
//! missing on the way is noticed, and then the claim needs another reader.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use wire::subjects;

use crate::connect::Broker;

/// How long the broker keeps a question for records, and how often it says meanwhile that it has none.
const EXPIRES: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Silence for longer than this says that the question is lost.
const SILENCE: Duration = Duration::from_secs(2);
/// The most bytes that one question is answered with.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
const PENDING: &str = "Nats-Pending-Messages";
/// The header with the key of a record.
const KEY: &str = "Tasklane-Key";

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its number in its topic.
    pub sequence: u64,
    /// Its key, where its publisher gave it one.
    pub key: Option<String>,
    /// Its bytes.
    pub payload: Bytes,
    receipt: Subject,
}

/// The reader is of no use any more; what it gave and was not acknowledged comes again from the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost(pub String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lost {}

/// Reads for one claim.
pub struct Reader {
    broker: Broker,
    answers: Subscriber,
    inbox: String,
    next: String,
    at_once: usize,
    /// Records that were asked for and have not come.
    asked: usize,
    /// How many have come.
    delivered: u64,
    come: VecDeque<Record>,
    reconnects: watch::Receiver<u64>,
}

impl Reader {
    /// Begins to read by the reader of this name, up to so many records at once.
    pub async fn begin(broker: &Broker, stream: &str, reader: &str, at_once: usize) -> Result<Self, Lost> {
        let mut reconnects = broker.reconnects();
        reconnects.mark_unchanged();
        let inbox = broker.client.new_inbox();
        let answers = broker.client.subscribe(inbox.clone()).await.map_err(lost)?;
        Ok(Self {
            broker: broker.clone(),
            answers,
            inbox,
            next: subjects::next_records(stream, reader),
            at_once: at_once.max(1),
            asked: 0,
            delivered: 0,
            come: VecDeque::new(),
            reconnects,
        })
    }

    /// Waits for records and gives those that have come, in order. Can be cancelled and called again without
    /// losing any.
    pub async fn batch(&mut self) -> Result<Vec<Record>, Lost> {
        loop {
            while self.come.len() < self.at_once
                && let Some(Some(message)) = self.answers.next().now_or_never()
            {
                self.take(message)?;
            }
            self.ask().await?;
            if !self.come.is_empty() {
                let count = self.come.len().min(self.at_once);
                return Ok(self.come.drain(..count).collect());
            }
            let message = tokio::select! {
                message = tokio::time::timeout(SILENCE, self.answers.next()) => message,
                changed = self.reconnects.changed() => {
                    let why = if changed.is_ok() { "the connection to the broker broke" } else { "it was closed" };
                    return Err(Lost(why.to_owned()));
                }
            };
            match message {
                Ok(Some(message)) => self.take(message)?,
                Ok(None) => return Err(Lost("the connection to the broker was closed".to_owned())),
                Err(_) => return Err(Lost("the broker is silent".to_owned())),
            }
        }
    }

    /// Everything up to this record is done.
    pub async fn acknowledge(&self, record: &Record) -> Result<(), Lost> {
        let receipt = record.receipt.clone();
        self.broker.client.publish(receipt, Bytes::from_static(b"+ACK")).await.map_err(lost)
    }

    /// So many are asked for that the next batch is under way while this one is worked on.
    async fn ask(&mut self) -> Result<(), Lost> {
        if self.asked >= self.at_once || self.come.len() >= self.at_once {
            return Ok(());
        }
        let question = serde_json::json!({
            "batch": self.at_once,
            "max_bytes": ANSWER_BYTES_MAX,
            "expires": u64::try_from(EXPIRES.as_nanos()).unwrap_or(u64::MAX),
            "idle_heartbeat": u64::try_from(HEARTBEAT.as_nanos()).unwrap_or(u64::MAX),
        });
        let question = Bytes::from(question.to_string());
        let sent = self.broker.client.publish_with_reply(self.next.clone(), self.inbox.clone(), question);
        sent.await.map_err(lost)?;
        self.asked += self.at_once;
        Ok(())
    }

    fn take(&mut self, message: Message) -> Result<(), Lost> {
        if let Some(status) = message.status {
            return self.note(status, &message);
        }
        let receipt = message.reply.ok_or_else(|| Lost("a record came without a receipt".to_owned()))?;
        let (sequence, delivered) =
            numbers(&receipt).ok_or_else(|| Lost(format!("the receipt {receipt} can't be read")))?;
        if delivered != self.delivered + 1 {
            return Err(Lost(format!("record {delivered} came after record {}", self.delivered)));
        }
        self.delivered = delivered;
        self.asked = self.asked.saturating_sub(1);
        let key = message.headers.as_ref().and_then(|headers| headers.get(KEY)).map(ToString::to_string);
        self.come.push_back(Record { sequence, key, payload: message.payload, receipt });
        Ok(())
    }

    /// What the broker says instead of a record: that it is there, or that a question is over.
    fn note(&mut self, status: StatusCode, message: &Message) -> Result<(), Lost> {
        if status == StatusCode::IDLE_HEARTBEAT {
            return Ok(());
        }
        let pending = message.headers.as_ref().and_then(|headers| headers.get(PENDING));
        let pending = pending.and_then(|count| count.as_str().parse::<usize>().ok());
        match pending {
            Some(count) => self.asked = self.asked.saturating_sub(count),
            None if status == StatusCode::TIMEOUT || status == StatusCode::NOT_FOUND => self.asked = 0,
            None => {
                let said = message.description.clone().unwrap_or_default();
                return Err(Lost(format!("the broker says {status} {said}")));
            }
        }
        Ok(())
    }
}

fn lost(error: impl fmt::Display) -> Lost {
    Lost(error.to_string())
}

/// The number of a record in its topic, and how many the reader has been given with it. A receipt is
/// `$JS.ACK.<stream>.<reader>.<times>.<topic>.<reader's>.<time>.<left>`, or has two or three words more.
fn numbers(receipt: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = receipt.split('.').collect();
    let first = match words.len() {
        9 => 5,
        11.. => 7,
        _ => return None,
    };
    Some((words.get(first)?.parse().ok()?, words.get(first + 1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_receipt_are_read() {
        assert_eq!(numbers("$JS.ACK.S.c.1.17.3.1700000000.9"), Some((17, 3)));
        assert_eq!(numbers("$JS.ACK.hub.acc.S.c.1.17.3.1700000000.9"), Some((17, 3)));
        assert_eq!(numbers("$JS.ACK._.acc.S.c.1.17.3.1700000000.9.random"), Some((17, 3)));
        assert_eq!(numbers("$JS.ACK.S.c"), None);
    }
}
