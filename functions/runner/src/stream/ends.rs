//! Both ends of a stream task, whatever they lie on: topics of the broker, or topics of Kafka. The rest of the
//! machinery knows records, answers and acknowledgements alone.

use broker::outlet::Outlet;
use broker::reader::{Lost, Reader, Record as Message};
use bytes::Bytes;
use wire::calls::topics::{TopicsReply, TopicsRequest};
use wire::{Error, subjects};

use super::{Claim, kafka};

/// A record that was read.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its number in its topic, or in its partition of one.
    pub sequence: u64,
    /// The partition, on Kafka.
    pub partition: Option<i32>,
    /// Its key, where it has one.
    pub key: Option<Bytes>,
    /// Its bytes.
    pub payload: Bytes,
    /// What the broker acknowledges it by.
    message: Option<Message>,
}

impl Record {
    /// A record of Kafka.
    pub fn of_kafka(partition: i32, offset: i64, key: Option<Bytes>, payload: Bytes) -> Self {
        let sequence = u64::try_from(offset).unwrap_or(0);
        Self { sequence, partition: Some(partition), key, payload, message: None }
    }

    /// The topic that it came from, with its partition.
    pub fn of(&self, topic: &str) -> String {
        self.partition.map_or_else(|| topic.to_owned(), |partition| format!("{topic}/{partition}"))
    }
}

impl From<Message> for Record {
    fn from(message: Message) -> Self {
        Self {
            sequence: message.sequence,
            partition: None,
            key: message.key.clone().map(Bytes::from),
            payload: message.payload.clone(),
            message: Some(message),
        }
    }
}

/// What is handed on for a record.
pub struct Answer {
    /// The key of the record.
    pub key: Option<Bytes>,
    /// The partition that the record came from, on Kafka.
    pub partition: Option<i32>,
    /// The answer.
    pub payload: Bytes,
}

/// Both ends of one claim.
pub struct Ends {
    pub source: Source,
    pub sink: Sink,
}

/// What records are read from.
pub enum Source {
    Broker(Box<Reader>),
    Kafka(Box<kafka::Source>),
}

/// What answers are written to.
pub enum Sink {
    Broker(Box<Outlet>),
    Kafka(kafka::Sink),
}

/// The ends of a claim, read from behind what is acknowledged.
pub async fn attach(claim: &Claim<'_>) -> Result<Ends, Error> {
    let Claim { runner, task, spec, .. } = claim;
    let at_once = usize::try_from(spec.poll_max).unwrap_or(usize::MAX);
    if let Some(cluster) = &spec.kafka {
        let (source, sink) = kafka::attach(claim, cluster, at_once).await?;
        return Ok(Ends { source: Source::Kafka(Box::new(source)), sink: Sink::Kafka(sink) });
    }
    let (source, sink) = (spec.source.clone(), spec.sink.clone());
    let request = TopicsRequest::Attach { key: task.key(), epoch: task.epoch, source, sink };
    let TopicsReply::Reader { stream, reader } = runner.broker.call(&request).await? else {
        return Err(Error::internal("topics answered something else where a reader was asked for"));
    };
    let outlet = Outlet::open(&runner.broker, subjects::sink(&spec.sink)).await?;
    let reader = Reader::begin(&runner.broker, &stream, &reader, at_once).await;
    let source = Source::Broker(Box::new(reader.map_err(Error::unavailable)?));
    Ok(Ends { source, sink: Sink::Broker(Box::new(outlet)) })
}

impl Source {
    /// Waits for records and gives those that have come, in order. Can be cancelled without losing any.
    pub async fn batch(&mut self) -> Result<Vec<Record>, Lost> {
        match self {
            Self::Broker(reader) => Ok(reader.batch().await?.into_iter().map(Record::from).collect()),
            Self::Kafka(source) => source.batch().await,
        }
    }

    /// These, which come next in order, are done.
    pub async fn acknowledge(&mut self, records: &[Record]) -> Result<(), Lost> {
        match self {
            Self::Broker(reader) => match records.last().and_then(|record| record.message.as_ref()) {
                Some(message) => reader.acknowledge(message).await,
                None => Ok(()),
            },
            Self::Kafka(source) => source.acknowledge(records).await,
        }
    }
}

impl Sink {
    /// Hands answers on in their order, and returns once all of them are stored.
    pub async fn hand_on(&mut self, answers: &[Answer]) -> Result<(), Lost> {
        match self {
            Self::Broker(outlet) => {
                let payloads: Vec<Bytes> = answers.iter().map(|answer| answer.payload.clone()).collect();
                outlet.hand_on(&payloads).await.map_err(|error| Lost(error.to_string()))
            }
            Self::Kafka(sink) => sink.hand_on(answers).await,
        }
    }
}
