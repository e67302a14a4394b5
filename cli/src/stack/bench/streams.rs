//! Stream tasks: how many records a second go through one with a trivial filter, beside a bare loop that consumes and
//! publishes on the same broker, and how long one record takes at a moderate rate.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, Subscriber};
use bytes::Bytes;
use dialects::symetry::{Signed, encrypt};
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt};
use http::{Method, Request};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::{Durability, clock};

use super::connections::Connections;
use super::floor::connect;
use super::stack::OwnStack;
use super::stats::Quantiles;
use crate::commands::app::publish_folder;
use crate::console::Console;
use crate::stack::StackError;
use crate::stack::dev::{TENANT, client};

const MANIFEST: &str =
    "name = \"bench-stream\"\nversion = \"1.0\"\nruntime = \"stream\"\n[session]\ncommand = [\"cat\"]\n";
const TASK: &str = "bench";
const SOURCE: &str = "demo.bench.in";
const SINK: &str = "demo.bench.out";
/// The same for the bare loop.
const BARE: (&str, &str) = ("bench.in", "bench.out");
const RECORD_BYTES: usize = 100;
/// Records of one batch, of the task and of the bare loop.
const BATCH: usize = 500;
const RATE: u64 = 1_000;
/// Without any record for so long something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Records that go through, of the task and of the bare loop.
    pub records: usize,
    /// How often both are measured.
    pub rounds: usize,
    /// Seconds of the measurement at a moderate rate.
    pub seconds: u64,
}

/// What the documents promise.
pub const WHOLE: Amount = Amount { records: 100_000, rounds: 5, seconds: 20 };
/// For a first impression.
pub const QUICK: Amount = Amount { records: 20_000, rounds: 1, seconds: 5 };

/// What was measured of stream tasks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamsReport {
    /// The durability class in force.
    pub durability: String,
    /// The command that gives it again.
    pub command: String,
    /// When it was measured.
    pub measured_at: String,
    /// Records per second through a task, the median of the rounds.
    pub task_per_second: f64,
    /// The same of the bare loop.
    pub bare_per_second: f64,
    /// From the publication of a record to its answer on the sink topic, at 1,000 a second.
    pub latency: Quantiles,
}

/// Measures on a stack of its own.
pub async fn measure(amount: Amount, command: String, console: Console) -> Result<StreamsReport, StackError> {
    let folder = tempfile::tempdir().map_err(StackError::text)?;
    let class = Durability::Interval;
    let stack = OwnStack::start(folder.path(), class).await?;
    let measured = measure_on(&stack, amount, console).await;
    stack.stop().await?;
    let (task_per_second, bare_per_second, latency) = measured?;
    let (durability, measured_at) = (class.name().to_owned(), clock::now().format("%Y-%m-%d %H:%M UTC"));
    Ok(StreamsReport { durability, command, measured_at, task_per_second, bare_per_second, latency })
}

async fn measure_on(
    stack: &OwnStack,
    amount: Amount,
    console: Console,
) -> Result<(f64, f64, Quantiles), StackError> {
    let folder = tempfile::tempdir().map_err(StackError::text)?;
    super::write(&folder.path().join("app.toml"), MANIFEST)?;
    let http = client(&stack.url, &stack.api_key).map_err(StackError::text)?;
    publish_folder(&http, folder.path().to_owned(), true).await.map_err(StackError::text)?;
    let params = json!({
        "sml.kstream.source.topic": SOURCE, "sml.kstream.sink.topic": SINK,
        "sml.kstream.record.poll.max": BATCH.to_string(), "sml.kstream.schedule.ms": "0",
    });
    let task = json!({ "type": "bench-stream", "name": TASK, "params": params });
    ask(stack, Method::POST, "/tasks/create", &encrypted(stack, &task.to_string())?).await?;
    let broker = connect(stack).await?;
    let context = jetstream::new(broker.clone());
    bare_streams(&context).await?;
    let (mut task, mut bare) = (Vec::new(), Vec::new());
    for round in 1..=amount.rounds {
        console.note(&format!("streams: round {round} of {}, {} records", amount.rounds, amount.records));
        task.push(through_task(stack, &broker, amount.records).await?);
        bare.push(through_bare_loop(&context, &broker, amount.records).await?);
    }
    console.note(&format!("streams: {RATE} records a second"));
    ask(stack, Method::GET, &format!("/tasks/{TASK}/start"), "").await?;
    let latency = latency(&broker, amount.seconds).await?;
    Ok((super::stats::median(task), super::stats::median(bare), latency))
}

/// Fills the source, starts the task, and counts what comes out.
async fn through_task(stack: &OwnStack, broker: &Client, count: usize) -> Result<f64, StackError> {
    let mut answers = broker.subscribe(SINK).await.map_err(StackError::text)?;
    fill(broker, SOURCE, count).await?;
    ask(stack, Method::GET, &format!("/tasks/{TASK}/start"), "").await?;
    let rate = rate_of(&mut answers, count).await?;
    ask(stack, Method::GET, &format!("/tasks/{TASK}/stop"), "").await?;
    Ok(rate)
}

/// The same with nothing but the broker's client between source and sink.
async fn through_bare_loop(context: &Context, broker: &Client, count: usize) -> Result<f64, StackError> {
    let mut answers = broker.subscribe(BARE.1).await.map_err(StackError::text)?;
    fill(broker, BARE.0, count).await?;
    let context = context.clone();
    let work = async move {
        let stream = context.get_stream("BENCH_IN").await.map_err(StackError::text)?;
        let reader: jetstream::consumer::PullConsumer =
            stream.get_consumer("reader").await.map_err(StackError::text)?;
        let mut left = count;
        while left > 0 {
            let batch = reader.fetch().max_messages(BATCH).messages().await.map_err(StackError::text)?;
            let batch: Vec<_> =
                batch.try_collect().await.map_err(|error| StackError::Text(error.to_string()))?;
            let stored = batch.iter().map(|record| context.publish(BARE.1, record.payload.clone()));
            let stored = try_join_all(stored).await.map_err(StackError::text)?;
            try_join_all(stored.into_iter().map(IntoFuture::into_future)).await.map_err(StackError::text)?;
            if let Some(last) = batch.last() {
                last.ack().await.map_err(|error| StackError::Text(error.to_string()))?;
            }
            left = left.saturating_sub(batch.len());
        }
        Ok::<(), StackError>(())
    };
    let (worked, rate) = tokio::join!(work, rate_of(&mut answers, count));
    worked?;
    rate
}

async fn bare_streams(context: &Context) -> Result<(), StackError> {
    let source = Config {
        name: "BENCH_IN".to_owned(),
        subjects: vec![BARE.0.to_owned()],
        retention: RetentionPolicy::Interest,
        ..Config::default()
    };
    let sink =
        Config { name: "BENCH_OUT".to_owned(), subjects: vec![BARE.1.to_owned()], ..Config::default() };
    #[expect(clippy::disallowed_methods, reason = "the bare loop is no part of the topology")]
    let source = context.create_stream(source).await.map_err(StackError::text)?;
    #[expect(clippy::disallowed_methods, reason = "the bare loop is no part of the topology")]
    context.create_stream(sink).await.map_err(StackError::text)?;
    let reader = pull::Config {
        durable_name: Some("reader".to_owned()),
        ack_policy: AckPolicy::All,
        max_ack_pending: 65_536,
        ..pull::Config::default()
    };
    source.create_consumer(reader).await.map(drop).map_err(StackError::text)
}

async fn fill(broker: &Client, topic: &'static str, count: usize) -> Result<(), StackError> {
    let record = Bytes::from(vec![b'x'; RECORD_BYTES]);
    for _ in 0..count {
        broker.publish(topic, record.clone()).await.map_err(StackError::text)?;
    }
    broker.flush().await.map_err(StackError::text)
}

/// Records per second, from the first to the last.
async fn rate_of(answers: &mut Subscriber, count: usize) -> Result<f64, StackError> {
    next(answers).await?;
    let began = Instant::now();
    for _ in 1..count {
        next(answers).await?;
    }
    Ok((count - 1) as f64 / began.elapsed().as_secs_f64())
}

async fn next(answers: &mut Subscriber) -> Result<Bytes, StackError> {
    match tokio::time::timeout(PATIENCE, answers.next()).await {
        Ok(Some(message)) => Ok(message.payload),
        Ok(None) | Err(_) => Err(StackError::Text("no further record comes out".to_owned())),
    }
}

/// Every record at its time, whether those before it have come out or not.
async fn latency(broker: &Client, seconds: u64) -> Result<Quantiles, StackError> {
    let mut answers = broker.subscribe(SINK).await.map_err(StackError::text)?;
    broker.flush().await.map_err(StackError::text)?;
    let began = Instant::now();
    let due = move |number: u64| Duration::from_micros(number * 1_000_000 / RATE);
    let count = seconds * RATE;
    let publisher = broker.clone();
    let publishing = tokio::spawn(async move {
        for number in 0..count {
            tokio::time::sleep_until((began + due(number)).into()).await;
            publisher.publish(SOURCE, number.to_string().into()).await.map_err(StackError::text)?;
            publisher.flush().await.map_err(StackError::text)?;
        }
        Ok::<(), StackError>(())
    });
    let mut samples = Vec::new();
    for _ in 0..count {
        let record = next(&mut answers).await?;
        let number = std::str::from_utf8(&record).ok().and_then(|text| text.parse().ok());
        let number: u64 = number.ok_or_else(|| StackError::Text("a strange record came out".to_owned()))?;
        samples.push(began.elapsed().saturating_sub(due(number)));
    }
    publishing.await.map_err(StackError::text)??;
    Ok(Quantiles::of(&samples))
}

fn encrypted(stack: &OwnStack, text: &str) -> Result<String, StackError> {
    encrypt(&stack.secret, text)
        .ok_or_else(|| StackError::Text("the signing secret can't be used".to_owned()))
}

/// One signed request for a path below the customer's own.
async fn ask(stack: &OwnStack, method: Method, path: &str, body: &str) -> Result<(), StackError> {
    let path = format!("/symetry/rest/{TENANT}{path}");
    let date = clock::now().format("%Y-%m-%d %H:%M:%S;0");
    let body = Bytes::copy_from_slice(body.as_bytes());
    let signed = Signed { method: &method, date: &date, cid: TENANT, body: &body, path: &path, query: "" };
    let signature = signed.signature(&stack.secret);
    let signature =
        signature.ok_or_else(|| StackError::Text("the signing secret can't be used".to_owned()))?;
    let connection = Connections::to(&stack.url, 1);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, connection.host())
        .header(http::header::AUTHORIZATION, signature)
        .header("sym-date", date)
        .body(Full::new(body))
        .map_err(StackError::text)?;
    connection.send(0, request).await.map(drop)
}
