//! The floor: the least that this broker needs for a durable task with a result. Publish to a work queue, fetch,
//! publish a result, acknowledge; the caller is told by the broker's own republication of the stored result.
//! It uses the broker's client directly, since nothing of ours may be in its way.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, Republish, RetentionPolicy};
use async_nats::jetstream::{self, Message};
use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::{Mutex, mpsc};

use super::stack::OwnStack;
use super::{IN_FLIGHT, PAYLOAD_BYTES};
use crate::stack::StackError;

const TASKS: &str = "BENCH_TASKS";
const RESULTS: &str = "BENCH_RESULTS";
/// Acknowledgements lag where every message is synced, so this is generous.
const ACK_WAIT: Duration = Duration::from_secs(60);
const FETCHED_AHEAD: usize = 512;

/// The two streams with one worker on a connection of its own.
pub struct Floor {
    context: jetstream::Context,
    payload: Bytes,
    /// What tells each producer that its result is stored.
    done: Vec<Mutex<mpsc::UnboundedReceiver<()>>>,
}

impl Floor {
    /// Makes the streams and starts the worker.
    pub async fn build(stack: &OwnStack) -> Result<Arc<Self>, StackError> {
        let (client, worker) = (connect(stack).await?, connect(stack).await?);
        let context = jetstream::new(client.clone());
        let tasks = Config {
            name: TASKS.to_owned(),
            subjects: vec!["bench.task.>".to_owned()],
            retention: RetentionPolicy::WorkQueue,
            ..Config::default()
        };
        let results = Config {
            name: RESULTS.to_owned(),
            subjects: vec!["bench.result.>".to_owned()],
            republish: Some(Republish {
                source: "bench.result.>".to_owned(),
                destination: "bench.done.>".to_owned(),
                headers_only: false,
            }),
            ..Config::default()
        };
        let consumer = pull::Config {
            durable_name: Some("worker".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: 65_536,
            ..pull::Config::default()
        };
        #[expect(clippy::disallowed_methods, reason = "the floor is no part of the topology")]
        let tasks = context.create_stream(tasks).await.map_err(StackError::text)?;
        #[expect(clippy::disallowed_methods, reason = "the floor is no part of the topology")]
        context.create_stream(results).await.map_err(StackError::text)?;
        tasks.create_consumer(consumer).await.map_err(StackError::text)?;
        let most = IN_FLIGHT.into_iter().max().unwrap_or(1);
        let (tellers, done): (Vec<_>, Vec<_>) = (0..most).map(|_| mpsc::unbounded_channel()).unzip();
        let mut stored = client.subscribe("bench.done.>").await.map_err(StackError::text)?;
        client.flush().await.map_err(StackError::text)?;
        tokio::spawn(async move {
            while let Some(message) = stored.next().await {
                let producer = message.subject.rsplit('.').next().and_then(|text| text.parse::<usize>().ok());
                if let Some(teller) = producer.and_then(|producer| tellers.get(producer)) {
                    // A producer that has ended needs no word.
                    let _ = teller.send(());
                }
            }
        });
        tokio::spawn(async move {
            if let Err(error) = work(worker).await {
                tracing::error!(%error, "the floor's worker ended");
            }
        });
        let done = done.into_iter().map(Mutex::new).collect();
        Ok(Arc::new(Self { context, payload: Bytes::from(vec![b'x'; PAYLOAD_BYTES]), done }))
    }

    /// One durable task of one producer, from its creation to its result.
    pub async fn task(&self, producer: usize) -> Result<(), StackError> {
        let Some(done) = self.done.get(producer) else { return Ok(()) };
        let ack = self.context.publish(format!("bench.task.{producer}"), self.payload.clone()).await;
        ack.map_err(StackError::text)?.await.map_err(StackError::text)?;
        done.lock().await.recv().await;
        Ok(())
    }

    /// How many messages the broker has stored so far, in all streams.
    pub async fn stored(&self) -> Result<u64, StackError> {
        let streams = self.context.streams().map_ok(|info| info.state.last_sequence);
        let sequences: Vec<u64> = streams.try_collect().await.map_err(StackError::text)?;
        Ok(sequences.into_iter().sum())
    }
}

/// A connection with the rights of the floor.
pub async fn connect(stack: &OwnStack) -> Result<Client, StackError> {
    let (user, password) = stack.user.clone();
    let options = ConnectOptions::with_user_and_password(user, password).subscription_capacity(65_536);
    options.connect(&stack.nats).await.map_err(StackError::text)
}

async fn work(client: Client) -> Result<(), StackError> {
    let context = jetstream::new(client);
    let stream = context.get_stream(TASKS).await.map_err(StackError::text)?;
    let consumer: jetstream::consumer::PullConsumer =
        stream.get_consumer("worker").await.map_err(StackError::text)?;
    let messages = consumer.stream().max_messages_per_batch(FETCHED_AHEAD).messages().await;
    let mut messages = messages.map_err(StackError::text)?;
    while let Some(message) = messages.next().await {
        let message = message.map_err(StackError::text)?;
        let producer = message.subject.rsplit('.').next().unwrap_or_default();
        let stored = context.publish(format!("bench.result.{producer}"), message.payload.clone()).await;
        let stored = stored.map_err(StackError::text)?;
        tokio::spawn(async move {
            match stored.await {
                Ok(_) => acknowledge(&message).await,
                Err(error) => tracing::error!(%error, "the floor's result was not stored"),
            }
        });
    }
    Ok(())
}

async fn acknowledge(message: &Message) {
    if let Err(error) = message.ack().await {
        tracing::error!(%error, "the floor's task was not acknowledged");
    }
}
