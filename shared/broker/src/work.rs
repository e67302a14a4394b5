//! Work queues: streams whose messages are each given to one replica, until it says that they are done.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, AckKind, Message};
use bytes::Bytes;
use futures_util::StreamExt;
use wire::Error;

use crate::connect::Broker;

/// Messages that the broker sends ahead, so that none waits for the next question.
const AHEAD: usize = 64;
/// Messages that may be under way at all replicas together.
const UNDER_WAY_MAX: i64 = 512;
/// After so long without a word the broker gives a message to another replica.
const DONE_WITHIN: Duration = Duration::from_secs(30);
/// How often the broker says that there is nothing, so that a broken connection is noticed.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The messages of a work queue, as one replica gets them.
pub struct Work {
    messages: pull::Stream,
}

/// One message. It comes again until it is done.
pub struct Item {
    message: Message,
    /// Its place in the stream.
    pub sequence: u64,
    /// When the broker took it in, in microseconds since 1970.
    pub taken_in: i64,
    /// How often it was given out, with this time.
    pub times: i64,
}

impl Broker {
    /// Begins to take the messages of a work queue, under a name that all replicas share.
    pub async fn work(&self, stream: &str, name: &str) -> Result<Work, Error> {
        let context = jetstream::new(self.client.clone());
        let config = shared_reader(name.to_owned());
        let consumer = context.create_consumer_on_stream(config, stream).await.map_err(Error::unavailable)?;
        Work::begin(&consumer).await
    }

    /// Begins to take the messages of a reader that `topics` has made, which all replicas share.
    pub async fn share_reader(&self, stream: &str, reader: &str) -> Result<Work, Error> {
        let context = jetstream::new(self.client.clone());
        let consumer = context.get_consumer_from_stream(reader, stream).await.map_err(Error::unavailable)?;
        Work::begin(&consumer).await
    }
}

/// A reader whose messages are each given to one replica, until it says that they are done.
pub(crate) fn shared_reader(name: String) -> pull::Config {
    pull::Config {
        durable_name: Some(name),
        ack_policy: AckPolicy::Explicit,
        ack_wait: DONE_WITHIN,
        max_ack_pending: UNDER_WAY_MAX,
        ..Default::default()
    }
}

impl Work {
    async fn begin(consumer: &PullConsumer) -> Result<Self, Error> {
        let messages = consumer.stream().max_messages_per_batch(AHEAD).heartbeat(HEARTBEAT).messages();
        Ok(Self { messages: messages.await.map_err(Error::unavailable)? })
    }

    /// The next message. An error or `None` means that the queue has to be opened anew.
    pub async fn next(&mut self) -> Result<Option<Item>, Error> {
        let Some(message) = self.messages.next().await.transpose().map_err(Error::unavailable)? else {
            return Ok(None);
        };
        let info = message.info().map_err(Error::internal)?;
        let taken_in = i64::try_from(info.published.unix_timestamp_nanos() / 1000).unwrap_or(0);
        let (sequence, times) = (info.stream_sequence, info.delivered);
        Ok(Some(Item { sequence, taken_in, times, message }))
    }
}

impl Item {
    /// Its subject.
    pub fn subject(&self) -> &str {
        self.message.subject.as_str()
    }

    /// Its body.
    pub fn payload(&self) -> &Bytes {
        &self.message.payload
    }

    /// Its `Nats-Msg-Id`.
    pub fn message_id(&self) -> Option<&str> {
        self.header(async_nats::header::NATS_MESSAGE_ID.as_ref())
    }

    /// A header of it; upper and lower case differ.
    pub fn header(&self, name: &str) -> Option<&str> {
        Some(self.message.headers.as_ref()?.get(name)?.as_str())
    }

    /// Nothing is left to do. Should that get lost, it comes once more.
    pub async fn done(&self) {
        self.say(AckKind::Ack).await;
    }

    /// It can't be done now.
    pub async fn later(&self, pause: Duration) {
        self.say(AckKind::Nak(Some(pause))).await;
    }

    async fn say(&self, word: AckKind) {
        if let Err(error) = self.message.ack_with(word).await {
            tracing::debug!(%error, "a message will come once more");
        }
    }
}
