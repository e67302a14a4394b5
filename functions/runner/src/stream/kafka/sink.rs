//! Writes answers to a topic of Kafka, in their order in each partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::reader::Lost;
use futures_util::future::try_join_all;
use rskafka::chrono::{DateTime, Utc};
use rskafka::client::partition::{Compression, PartitionClient};
use rskafka::record::Record;
use service::clock;

use super::gate::Gate;
use super::{in_time, partition};
use crate::stream::ends::Answer;

/// The most bytes of one write; a cluster takes a mebibyte unless it is told otherwise.
const WRITE_BYTES_MAX: usize = 512 * 1024;
/// What Kafka puts around a record, at the most.
const AROUND: usize = 64;

/// The end that is written.
pub struct Sink {
    partitions: Vec<Arc<PartitionClient>>,
    gate: Arc<Gate>,
}

impl Sink {
    /// Of a topic with these partitions.
    pub fn new(partitions: BTreeMap<i32, Arc<PartitionClient>>, gate: Arc<Gate>) -> Self {
        Self { partitions: partitions.into_values().collect(), gate }
    }

    /// Returns once the cluster has all of them. After an error it is unknown which it has.
    pub async fn hand_on(&self, answers: &[Answer]) -> Result<(), Lost> {
        let mut shares: Vec<Vec<Record>> = self.partitions.iter().map(|_| Vec::new()).collect();
        let count = shares.len();
        for answer in answers {
            // Records without a key keep the order of the partition that they came from.
            let place = match &answer.key {
                Some(key) => partition::of_key(key, count),
                None => usize::try_from(answer.partition.unwrap_or(0))
                    .unwrap_or(0)
                    .checked_rem(count)
                    .unwrap_or(0),
            };
            if let Some(share) = shares.get_mut(place) {
                share.push(record(answer));
            }
        }
        let writes = self.partitions.iter().zip(shares).map(|(to, share)| self.write(to, share));
        try_join_all(writes).await.map(|_| ())
    }

    async fn write(&self, to: &PartitionClient, records: Vec<Record>) -> Result<(), Lost> {
        let (mut some, mut bytes) = (Vec::new(), 0);
        for record in records {
            let size = record.approximate_size() + AROUND;
            if bytes + size > WRITE_BYTES_MAX && !some.is_empty() {
                self.write_some(to, std::mem::take(&mut some)).await?;
                bytes = 0;
            }
            bytes += size;
            some.push(record);
        }
        self.write_some(to, some).await
    }

    async fn write_some(&self, to: &PartitionClient, records: Vec<Record>) -> Result<(), Lost> {
        let written = in_time(&self.gate, to.produce(records, Compression::NoCompression)).await;
        written.map(|_| ()).map_err(|error| Lost(error.message))
    }
}

fn record(answer: &Answer) -> Record {
    Record {
        key: answer.key.as_ref().map(|key| key.to_vec()),
        value: Some(answer.payload.to_vec()),
        headers: BTreeMap::new(),
        timestamp: now(),
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(clock::now().micros()).unwrap_or_default()
}
