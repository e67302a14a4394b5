//! Reads a topic of Kafka: each partition in its order, and keeps how far all of them are done.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::Bucket;
use broker::reader::Lost;
use bytes::Bytes;
use rskafka::client::partition::PartitionClient;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wire::records::StreamPosition;

use super::gate::Gate;
use super::in_time;
use crate::stream::ends::Record;

/// The bytes of one answer of the cluster, and how long it waits for a record before it says that there is none.
const FETCH_BYTES: std::ops::Range<i32> = 1..1024 * 1024;
const FETCH_WAIT_MS: i32 = 500;

/// Where the position lies.
pub struct Place {
    pub bucket: Bucket<StreamPosition>,
    pub key: String,
    pub revision: u64,
}

/// The end that is read.
pub struct Source {
    records: mpsc::Receiver<Result<Record, Lost>>,
    at_once: usize,
    place: Place,
    position: StreamPosition,
    _readers: JoinSet<()>,
}

impl Source {
    /// Begins to read every partition, never further ahead than a batch and what one answer brings.
    pub fn begin(
        partitions: BTreeMap<i32, Arc<PartitionClient>>,
        place: Place,
        position: StreamPosition,
        at_once: usize,
        gate: Arc<Gate>,
    ) -> Self {
        let (come, records) = mpsc::channel(at_once.max(1));
        let mut readers = JoinSet::new();
        for (number, client) in partitions {
            let from = position.next.get(&number).copied().unwrap_or(0);
            readers.spawn(read(client, number, from, come.clone(), Arc::clone(&gate)));
        }
        Self { records, at_once: at_once.max(1), place, position, _readers: readers }
    }

    /// Waits for records and gives those that have come. Can be cancelled without losing any.
    pub async fn batch(&mut self) -> Result<Vec<Record>, Lost> {
        let mut come = Vec::new();
        if self.records.recv_many(&mut come, self.at_once).await == 0 {
            return Err(Lost("nobody reads the topic any more".to_owned()));
        }
        come.into_iter().collect()
    }

    /// These are done, and so are all before them in their partitions.
    pub async fn acknowledge(&mut self, records: &[Record]) -> Result<(), Lost> {
        for record in records {
            let offset = i64::try_from(record.sequence).unwrap_or(i64::MAX);
            if let Some(partition) = record.partition {
                self.position.next.insert(partition, offset.saturating_add(1));
            }
        }
        let Place { bucket, key, revision } = &mut self.place;
        let written = bucket.write(key, *revision, &self.position).await;
        *revision = written.map_err(|error| Lost(format!("the position could not be kept: {error}")))?;
        Ok(())
    }
}

async fn read(
    client: Arc<PartitionClient>,
    number: i32,
    mut next: i64,
    come: mpsc::Sender<Result<Record, Lost>>,
    gate: Arc<Gate>,
) {
    loop {
        let fetched = in_time(&gate, client.fetch_records(next, FETCH_BYTES, FETCH_WAIT_MS)).await;
        let records = match fetched {
            Ok((records, _)) => records,
            Err(error) => {
                // Nobody listens any more where this can't be said.
                let _ = come.send(Err(Lost(error.message))).await;
                return;
            }
        };
        for record in records {
            next = record.offset.saturating_add(1);
            let (key, value) = (record.record.key.map(Bytes::from), record.record.value.unwrap_or_default());
            let record = Record::of_kafka(number, record.offset, key, value.into());
            if come.send(Ok(record)).await.is_err() {
                return;
            }
        }
    }
}
