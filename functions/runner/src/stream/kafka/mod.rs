//! Topics on a Kafka cluster. The client has no groups of consumers, so how far a task has read lies in a bucket of
//! our own, where an older claim can't write behind the back of a newer one.

mod gate;
mod partition;
mod sink;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::kafka::Kafka;
use rskafka::BackoffConfig;
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::topic::Topic;
use wire::records::StreamPosition;
use wire::{Code, Error};

use super::Claim;
use gate::Gate;

pub use sink::Sink;
pub use source::Source;

/// How long the client tries by itself, and how long anything may take that the cluster is asked.
const TRY_FOR: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(10);
const TOPIC_PATIENCE_MS: i32 = 5_000;
/// The number of copies that the cluster gives a topic by itself.
const COPIES_BY_DEFAULT: i16 = -1;

/// Where a claim begins to read, and where it writes.
pub async fn attach(claim: &Claim<'_>, cluster: &Kafka, at_once: usize) -> Result<(Source, Sink), Error> {
    let spec = claim.spec;
    let gate = Arc::new(Gate::open(claim.runner.outbound.clone()).await.map_err(Error::unavailable)?);
    let client = in_time(&gate, connect(cluster, &gate)).await?;
    let topics = in_time(&gate, client.list_topics()).await?;
    let partitions = |name: &str| topics.iter().find(|topic| topic.name == name).map(numbers);
    let from = partitions(&spec.source)
        .ok_or_else(|| trouble(format!("topic {} is not on the cluster", spec.source)))?;
    let to = match partitions(&spec.sink) {
        Some(there) => there,
        None => {
            make(&gate, &client, &spec.sink, from.len()).await?;
            (0..).take(from.len()).collect()
        }
    };
    let (mut readers, mut writers) = (BTreeMap::new(), BTreeMap::new());
    for number in from {
        readers.insert(number, partition(&gate, &client, &spec.source, number).await?);
    }
    for number in to {
        writers.insert(number, partition(&gate, &client, &spec.sink, number).await?);
    }
    let (revision, position) = position(claim, cluster, &gate, &readers).await?;
    let place =
        source::Place { bucket: claim.runner.positions.clone(), key: claim.task.key().to_string(), revision };
    let source = Source::begin(readers, place, position, at_once, Arc::clone(&gate));
    Ok((source, Sink::new(writers, gate)))
}

/// Only the first error of a client that tries again counts; the gate knows better why it was not let through.
async fn in_time<T, E: std::fmt::Display>(
    gate: &Gate,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, Error> {
    let why = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer of Kafka for {} s", PATIENCE.as_secs()),
    };
    Err(trouble(gate.refusal().unwrap_or(why)))
}

/// What the user has to hear of.
fn trouble(why: impl std::fmt::Display) -> Error {
    Error::new(Code::BadRequest, format!("Kafka can't be used: {why}"))
}

async fn connect(cluster: &Kafka, gate: &Gate) -> rskafka::client::error::Result<Client> {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        base: 2.0,
        deadline: Some(TRY_FOR),
    };
    ClientBuilder::new(cluster.servers.clone())
        .client_id("tasklane")
        .backoff_config(backoff)
        .socks5_proxy(gate.address())
        .build()
        .await
}

fn numbers(topic: &Topic) -> Vec<i32> {
    topic.partitions.iter().copied().collect()
}

/// Makes the sink with as many partitions as the source has. Another that makes it at the same moment is no error.
async fn make(gate: &Gate, client: &Client, topic: &str, partitions: usize) -> Result<(), Error> {
    let count = i32::try_from(partitions).unwrap_or(i32::MAX);
    let controller = client.controller_client().map_err(trouble)?;
    let made = controller.create_topic(topic, count, COPIES_BY_DEFAULT, TOPIC_PATIENCE_MS);
    match in_time(gate, made).await {
        Err(error) if error.message.contains("TopicAlreadyExists") => Ok(()),
        made => made,
    }
}

async fn partition(
    gate: &Gate,
    client: &Client,
    topic: &str,
    number: i32,
) -> Result<Arc<PartitionClient>, Error> {
    // A topic that was made a moment ago is not known to every server at once.
    let client = client.partition_client(topic, number, UnknownTopicHandling::Retry);
    in_time(gate, client).await.map(Arc::new)
}

/// Where each partition is read from. It is written at once with the claim's number, so that an older claim, which
/// counts on the revision before, writes no more.
async fn position(
    claim: &Claim<'_>,
    cluster: &Kafka,
    gate: &Gate,
    readers: &BTreeMap<i32, Arc<PartitionClient>>,
) -> Result<(u64, StreamPosition), Error> {
    let Claim { runner, task, spec, .. } = claim;
    let key = task.key().to_string();
    let (revision, known) = runner.positions.get(&key).await?.unwrap_or_default();
    if known.epoch > task.epoch.0 {
        return Err(Error::new(Code::StaleClaim, "the task has been given to another runner"));
    }
    let known = if known.topic == spec.source { known.next } else { BTreeMap::new() };
    let mut next = BTreeMap::new();
    for (number, reader) in readers {
        let oldest = in_time(gate, reader.get_offset(OffsetAt::Earliest)).await?;
        let end = in_time(gate, reader.get_offset(OffsetAt::Latest)).await?;
        let without = if cluster.from_oldest { oldest } else { end };
        let from = match known.get(number) {
            Some(at) if (oldest..=end).contains(at) => *at,
            Some(at) => {
                let why = format!(
                    "record {at} of {}/{number} is not there any more; reading from {without}",
                    spec.source
                );
                claim.reports.trouble(why);
                without
            }
            // A partition that came later is read whole: what it holds came after the task had begun.
            None if known.is_empty() => without,
            None => oldest,
        };
        next.insert(*number, from);
    }
    let position = StreamPosition { epoch: task.epoch.0, topic: spec.source.clone(), next };
    let revision = runner.positions.write(&key, revision, &position).await?;
    Ok((revision, position))
}
