//! What lies behind the topics of stream tasks. A topic that is read has a stream which keeps what a reader has not
//! acknowledged; one that is written has a stream of its newest records, which the broker also tells on the topic
//! itself. Each claim of a task reads by a reader of its own, so that an older claim can't move it.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{self, DiscardPolicy, Republish, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context, ErrorCode};
use futures_util::TryStreamExt;
use wire::topology::{Sizes, TOPIC_RECORD_BYTES_MAX, sink_stream, source_stream, topic_bytes};
use wire::{Code, Error, names, subjects};

use crate::connect::Broker;
use crate::work::shared_reader;

/// The most characters of a topic as one token, which is part of the name of a stream.
const TOKEN_CHARS_MAX: usize = 240;
/// What a reader was given is never given again to the same reader: who lost count begins with a new one.
const ACK_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Records that a reader may have got and not acknowledged.
const UNACKNOWLEDGED_MAX: i64 = 100_000;

/// The streams and readers of topics.
#[derive(Clone)]
pub struct Topics {
    context: Context,
    sizes: Sizes,
}

/// A place in a source: the name is `<owner>_<epoch>_<nonce>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose it is.
    pub owner: String,
    /// Which claim of it; 0 is that of a task that was never claimed.
    pub epoch: u64,
    /// Tells several readers of one claim apart.
    pub nonce: String,
}

impl Place {
    fn name(&self) -> String {
        format!("{}_{}_{}", self.owner, self.epoch, self.nonce)
    }

    fn read(name: &str) -> Option<Self> {
        let (rest, nonce) = name.rsplit_once('_')?;
        let (owner, epoch) = rest.rsplit_once('_')?;
        Some(Self { owner: owner.to_owned(), epoch: epoch.parse().ok()?, nonce: nonce.to_owned() })
    }
}

impl Topics {
    /// The topics of this broker.
    pub fn new(broker: &Broker, sizes: Sizes) -> Self {
        Self { context: jetstream::new(broker.client.clone()), sizes }
    }

    /// Makes the stream of a topic that is read, where it is missing.
    pub async fn make_source(&self, topic: &str) -> Result<(), Error> {
        self.make(stream::Config {
            name: source_stream(topic),
            description: Some(format!("what was published on {topic} and not yet read by all of its tasks")),
            subjects: vec![topic.to_owned(), subjects::topic(topic)],
            retention: RetentionPolicy::Interest,
            discard: DiscardPolicy::New,
            ..self.config(topic)?
        })
        .await
    }

    /// Makes the stream of a topic that is written, where it is missing.
    pub async fn make_sink(&self, topic: &str) -> Result<(), Error> {
        let source = subjects::sink(topic);
        self.make(stream::Config {
            name: sink_stream(topic),
            description: Some(format!("the newest of what stream tasks wrote to {topic}")),
            subjects: vec![source.clone()],
            discard: DiscardPolicy::Old,
            republish: Some(Republish { source, destination: topic.to_owned(), headers_only: false }),
            ..self.config(topic)?
        })
        .await
    }

    fn config(&self, topic: &str) -> Result<stream::Config, Error> {
        if names::token(topic).len() > TOKEN_CHARS_MAX {
            let message = "the name of the topic is too long; 240 characters fit, and a dot takes three";
            return Err(Error::new(Code::BadRequest, message));
        }
        Ok(stream::Config {
            storage: StorageType::File,
            max_bytes: i64::try_from(topic_bytes(self.sizes)).unwrap_or(i64::MAX),
            max_message_size: TOPIC_RECORD_BYTES_MAX,
            max_messages: -1,
            max_messages_per_subject: -1,
            max_consumers: -1,
            num_replicas: self.sizes.replicas,
            ..Default::default()
        })
    }

    /// One that is there stays as it is.
    async fn make(&self, config: stream::Config) -> Result<(), Error> {
        if self.stream(&config.name).await?.is_some() {
            return Ok(());
        }
        #[expect(clippy::disallowed_methods, reason = "the streams of topics are made here and nowhere else")]
        let made = self.context.create_stream(config).await;
        match made.map_err(|error| error.kind()) {
            Ok(_) => Ok(()),
            Err(CreateStreamErrorKind::JetStream(error))
                if error.error_code() == ErrorCode::STREAM_NAME_EXIST =>
            {
                Ok(())
            }
            Err(CreateStreamErrorKind::JetStream(error))
                if error.error_code() == ErrorCode::INSUFFICIENT_RESOURCES
                    || error.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED =>
            {
                let message =
                    "there is no storage for another topic; ask the operator of the task service for more";
                Err(Error::new(Code::StorageFull, message))
            }
            Err(kind) => Err(Error::unavailable(kind)),
        }
    }

    /// The places of an owner in a source.
    pub async fn places(&self, topic: &str, owner: &str) -> Result<Vec<Place>, Error> {
        let stream = source_stream(topic);
        let Some(stream) = self.stream(&stream).await? else { return Ok(Vec::new()) };
        let names: Vec<String> = stream.consumer_names().try_collect().await.map_err(Error::unavailable)?;
        Ok(names.iter().filter_map(|name| Place::read(name)).filter(|place| place.owner == owner).collect())
    }

    /// Makes a place that goes on where the furthest of these has come to, and removes them.
    pub async fn succeed(&self, topic: &str, old: &[Place], new: &Place) -> Result<String, Error> {
        let stream =
            self.context.get_stream_no_info(source_stream(topic)).await.map_err(Error::unavailable)?;
        let mut acknowledged = None;
        for place in old {
            let info = stream.consumer_info(place.name()).await.map_err(Error::unavailable)?;
            acknowledged = acknowledged.max(Some(info.ack_floor.stream_sequence));
        }
        let deliver_policy = match acknowledged {
            Some(sequence) => DeliverPolicy::ByStartSequence { start_sequence: sequence.saturating_add(1) },
            None => DeliverPolicy::All,
        };
        let config = pull::Config {
            durable_name: Some(new.name()),
            deliver_policy,
            // One reader reads in order, so that one acknowledgement does for all before it.
            ack_policy: AckPolicy::All,
            ack_wait: ACK_WAIT,
            max_ack_pending: UNACKNOWLEDGED_MAX,
            num_replicas: self.sizes.replicas,
            ..Default::default()
        };
        stream.create_consumer(config).await.map_err(Error::unavailable)?;
        self.remove(topic, old).await?;
        Ok(new.name())
    }

    /// Removes places. One that is gone already is no error.
    pub async fn remove(&self, topic: &str, places: &[Place]) -> Result<(), Error> {
        let stream =
            self.context.get_stream_no_info(source_stream(topic)).await.map_err(Error::unavailable)?;
        for place in places {
            if let Err(error) = stream.delete_consumer(&place.name()).await
                && !error.to_string().contains("not found")
            {
                return Err(Error::unavailable(error));
            }
        }
        Ok(())
    }

    /// Makes the reader of a trigger where it is missing: of what is published from then on each message is given to
    /// one of those who share it.
    pub async fn make_trigger(&self, topic: &str, name: &str, description: String) -> Result<(), Error> {
        let stream = source_stream(topic);
        let stream =
            self.stream(&stream).await?.ok_or_else(|| Error::unavailable("its stream is missing"))?;
        let config = pull::Config {
            description: Some(description),
            deliver_policy: DeliverPolicy::New,
            num_replicas: self.sizes.replicas,
            ..shared_reader(name.to_owned())
        };
        // One that is there stays as it is; this asks for the same of it.
        stream.create_consumer(config).await.map(|_| ()).map_err(Error::unavailable)
    }

    /// Removes the reader of a trigger. One that is gone already is no error.
    pub async fn remove_trigger(&self, topic: &str, name: &str) -> Result<(), Error> {
        let Some(stream) = self.stream(&source_stream(topic)).await? else { return Ok(()) };
        match stream.delete_consumer(name).await {
            Err(error) if !error.to_string().contains("not found") => Err(Error::unavailable(error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn stream(&self, name: &str) -> Result<Option<stream::Stream>, Error> {
        match self.context.get_stream(name).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Ok(None)
                }
                GetStreamErrorKind::JetStream(_)
                | GetStreamErrorKind::EmptyName
                | GetStreamErrorKind::InvalidStreamName
                | GetStreamErrorKind::Request => Err(Error::unavailable(error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_known_by_its_name() {
        let place = Place { owner: "efa680a0-748e".into(), epoch: 7, nonce: "5c1e".into() };
        assert_eq!(Place::read(&place.name()), Some(place));
        for name in ["", "x", "x_1", "x_y_z", "_"] {
            assert_eq!(Place::read(name), None, "{name}");
        }
    }
}
