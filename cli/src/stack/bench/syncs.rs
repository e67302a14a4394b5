//! What the broker takes of writes that it syncs before it acknowledges: alone, and in atomic batches to one stream
//! and to several. It says how far the one stream of task records is from being what bounds us. It uses the
//! broker's client directly, as the floor does.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream::Config};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use service::Durability;

use super::floor;
use super::stack::OwnStack;
use super::stats::median;
use crate::console::Console;
use crate::stack::StackError;

/// Bytes of a write: those of a task's record.
const RECORD_BYTES: usize = 600;
/// Writers, each on a connection of its own and waiting for each of its batches.
const WRITERS: usize = 8;
/// Writes alone, which are as many at once as those in the batches are.
const ALONE: Shape = Shape { streams: 1, batch: 1 };
const TOGETHER: [Shape; 3] =
    [Shape { streams: 1, batch: 60 }, Shape { streams: 2, batch: 60 }, Shape { streams: 4, batch: 60 }];

/// How writes go to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Over so many streams.
    pub streams: usize,
    /// So many in one atomic batch.
    pub batch: usize,
}

/// What was measured of one shape.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Row {
    /// The shape.
    pub shape: Shape,
    /// Writes that were synced and acknowledged; a median over the rounds.
    pub writes_per_second: f64,
}

/// What was measured of synced writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SyncsReport {
    /// The durability class in force.
    pub durability: String,
    /// The command that gives it again.
    pub command: String,
    /// When it was measured.
    pub measured_at: String,
    /// Writes of so many writers.
    pub writers: usize,
    /// One per shape.
    pub rows: Vec<Row>,
}

/// How often, and how long each.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    rounds: usize,
    seconds: f64,
}

/// For the page.
pub const WHOLE: Amount = Amount { rounds: 5, seconds: 2.0 };
/// For a first impression.
pub const QUICK: Amount = Amount { rounds: 1, seconds: 1.0 };

/// Measures on a stack of its own.
pub async fn measure(amount: Amount, command: String, console: Console) -> Result<SyncsReport, StackError> {
    let folder = tempfile::tempdir().map_err(StackError::text)?;
    let class = Durability::Strict;
    let stack = OwnStack::start(folder.path(), class).await?;
    let measured = measure_on(&stack, amount, console).await;
    stack.stop().await?;
    Ok(SyncsReport {
        durability: class.name().to_owned(),
        command,
        measured_at: service::clock::now().format("%Y-%m-%d %H:%M UTC"),
        writers: WRITERS,
        rows: measured?,
    })
}

async fn measure_on(stack: &OwnStack, amount: Amount, console: Console) -> Result<Vec<Row>, StackError> {
    let shapes: Vec<Shape> = std::iter::once(ALONE).chain(TOGETHER).collect();
    let mut rates = vec![Vec::new(); shapes.len()];
    for round in 0..amount.rounds {
        console.note(&format!("syncs: round {} of {}", round + 1, amount.rounds));
        for (index, (shape, rates)) in shapes.iter().zip(&mut rates).enumerate() {
            let name = format!("{round}_{index}");
            rates.push(rate(stack, *shape, &name, Duration::from_secs_f64(amount.seconds)).await?);
        }
    }
    let row = |(shape, rates): (Shape, Vec<f64>)| Row { shape, writes_per_second: median(rates) };
    Ok(shapes.into_iter().zip(rates).map(row).collect())
}

/// Writes to new streams for so long.
async fn rate(stack: &OwnStack, shape: Shape, name: &str, time: Duration) -> Result<f64, StackError> {
    let context = jetstream::new(floor::connect(stack).await?);
    for stream in 0..shape.streams {
        let config = Config {
            name: format!("BENCH_SYNCS_{name}_{stream}"),
            subjects: vec![format!("bench.syncs.{name}.{stream}.>")],
            max_messages_per_subject: 1,
            allow_atomic_publish: true,
            ..Config::default()
        };
        #[expect(clippy::disallowed_methods, reason = "what is measured here is no part of the topology")]
        context.create_stream(config).await.map_err(StackError::text)?;
    }
    let began = Instant::now();
    let writer = |writer: usize| async move {
        let client = floor::connect(stack).await?;
        let subject = format!("bench.syncs.{name}.{}.{writer}", writer % shape.streams);
        let mut written = 0;
        while began.elapsed() < time {
            written += match shape.batch {
                1 => alone(&client, &subject, written).await?,
                batch => together(&client, &subject, written, batch).await?,
            };
        }
        Ok::<_, StackError>(written)
    };
    let written: usize = try_join_all((0..WRITERS).map(writer)).await?.into_iter().sum();
    Ok(written as f64 / began.elapsed().as_secs_f64())
}

/// As many writes as a batch has, each on its own.
async fn alone(client: &Client, subject: &str, before: usize) -> Result<usize, StackError> {
    let count = TOGETHER.first().map_or(1, |shape| shape.batch);
    let write = |index: usize| async move {
        let answer = client
            .request_with_headers(format!("{subject}.{}", before + index), headers(None, 0), record())
            .await;
        stored(&answer.map_err(StackError::text)?.payload)
    };
    try_join_all((0..count).map(write)).await?;
    Ok(count)
}

/// One batch, which is stored as a whole or not at all.
async fn together(client: &Client, subject: &str, before: usize, count: usize) -> Result<usize, StackError> {
    let inbox = client.new_inbox();
    for index in 1..count {
        let headers = headers(Some(&inbox), index);
        let sent = client.publish_with_headers(format!("{subject}.{}", before + index), headers, record());
        sent.await.map_err(StackError::text)?;
    }
    let mut last = headers(Some(&inbox), count);
    last.insert("Nats-Batch-Commit", "1");
    let answer = client.request_with_headers(format!("{subject}.{}", before + count), last, record()).await;
    stored(&answer.map_err(StackError::text)?.payload)?;
    Ok(count)
}

/// What a record is written with: the compare-and-set, and its place in a batch.
fn headers(batch: Option<&str>, place: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
    if let Some(name) = batch.and_then(|inbox| inbox.rsplit('.').next()) {
        headers.insert("Nats-Batch-Id", name);
        headers.insert("Nats-Batch-Sequence", place.to_string());
    }
    headers
}

fn record() -> Bytes {
    Bytes::from_static(&[b'x'; RECORD_BYTES])
}

fn stored(answer: &[u8]) -> Result<(), StackError> {
    let answer: serde_json::Value = serde_json::from_slice(answer).map_err(StackError::text)?;
    match answer.get("error") {
        None => Ok(()),
        Some(error) => Err(StackError::Text(format!("a synced write was refused: {error}"))),
    }
}
