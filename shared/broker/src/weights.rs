//! How much each message of a stream takes, from the oldest on and then as they come. Only heads are read, so that
//! who counts costs the broker little, however large the bodies are.

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::{self, Message};
use domain::Timestamp;
use futures_util::StreamExt;
use tokio::sync::watch;
use wire::Error;

use crate::connect::Broker;

/// The header in which the broker says how long the body is that it leaves out.
const BODY_BYTES: &str = "Nats-Msg-Size";
/// What the broker's files hold beside subject, head and body.
const RECORD_BYTES: usize = 34;
/// The same of a head beside its names and values.
const HEAD_BYTES: usize = 12;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Its place in the stream.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// What it takes, as nearly as can be told from outside.
    pub bytes: u64,
    /// When it was stored.
    pub at: Timestamp,
    /// There was nothing behind it.
    pub is_newest: bool,
}

/// What a stream holds as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The place of its oldest message.
    pub first: u64,
    /// What all of them take.
    pub bytes: u64,
}

/// The messages of one stream. Whatever breaks ends it, and then the count begins anew.
pub struct Weights {
    messages: pull::Ordered,
    reconnects: watch::Receiver<u64>,
}

impl Broker {
    /// Begins to weigh a stream.
    pub async fn weights(&self, stream: &'static str) -> Result<Weights, Error> {
        let mut reconnects = self.reconnects();
        reconnects.mark_unchanged();
        let stream = jetstream::new(self.client.clone()).get_stream_no_info(stream).await;
        let config = pull::OrderedConfig {
            headers_only: true,
            deliver_policy: DeliverPolicy::All,
            ..pull::OrderedConfig::default()
        };
        let consumer = stream.map_err(Error::unavailable)?.create_consumer(config).await;
        let messages = consumer.map_err(Error::unavailable)?.messages().await.map_err(Error::unavailable)?;
        Ok(Weights { messages, reconnects })
    }

    /// What a stream holds.
    pub async fn held(&self, stream: &'static str) -> Result<Held, Error> {
        let stream = jetstream::new(self.client.clone()).get_stream(stream).await;
        let stream = stream.map_err(Error::unavailable)?;
        let state = &stream.cached_info().state;
        Ok(Held { first: state.first_sequence, bytes: state.bytes })
    }

    /// Removes the messages of some subjects before a place; how many those were.
    pub async fn remove_before(
        &self,
        stream: &'static str,
        subjects: String,
        place: u64,
    ) -> Result<u64, Error> {
        let stream = jetstream::new(self.client.clone()).get_stream_no_info(stream).await;
        let stream = stream.map_err(Error::unavailable)?;
        let removed = stream.purge().filter(subjects).sequence(place).await.map_err(Error::unavailable)?;
        Ok(removed.purged)
    }
}

impl Weights {
    /// The next message; an error where the broker was away, since nobody knows what it then forgot.
    pub async fn next(&mut self) -> Result<Weight, Error> {
        let message = tokio::select! {
            message = self.messages.next() => message.ok_or_else(|| Error::unavailable("the consumer ended"))?,
            _ = self.reconnects.changed() => return Err(Error::unavailable("the broker was away")),
        };
        weigh(&message.map_err(Error::unavailable)?)
    }
}

fn weigh(message: &Message) -> Result<Weight, Error> {
    let info = message.info().map_err(Error::unavailable)?;
    let headers = message.headers.iter().flat_map(async_nats::HeaderMap::iter);
    let (mut body, mut head) = (0, 0);
    for (name, value) in headers.flat_map(|(name, values)| values.iter().map(move |value| (name, value))) {
        let (name, value): (&str, &str) = (name.as_ref(), value.as_str());
        if name == BODY_BYTES {
            body = value.parse().unwrap_or(0);
        } else {
            head += name.len() + value.len() + 4;
        }
    }
    let head = if head == 0 { 0 } else { head + HEAD_BYTES };
    let micros = info.published.unix_timestamp_nanos() / 1_000;
    Ok(Weight {
        sequence: info.stream_sequence,
        subject: message.subject.to_string(),
        bytes: (RECORD_BYTES + message.subject.len() + head + body) as u64,
        at: Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)),
        is_newest: info.pending == 0,
    })
}
