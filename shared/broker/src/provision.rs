//! Makes the broker equal the topology, and tells where it differs. The only code that creates or alters
//! streams; nothing here ever deletes one.

use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, context::GetStreamErrorKind};
use std::time::Duration;
use wire::Error;
use wire::topology::{Kind, Stream};

use crate::connect::Broker;

/// One difference between the broker and the topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The broker's stream.
    pub stream: String,
    /// What is different.
    pub what: String,
}

/// The broker's form of a stream of ours.
fn config(stream: &Stream) -> Config {
    Config {
        name: stream.stream_name(),
        description: Some(stream.holds.clone()),
        subjects: stream.subjects.clone(),
        storage: StorageType::File,
        retention: if stream.work_queue { RetentionPolicy::WorkQueue } else { RetentionPolicy::Limits },
        persist_mode: stream.unsynced.then_some(PersistenceMode::Async),
        discard: if stream.discard_old { DiscardPolicy::Old } else { DiscardPolicy::New },
        max_messages_per_subject: stream.max_per_subject,
        max_bytes: i64::try_from(stream.max_bytes).unwrap_or(i64::MAX),
        max_message_size: stream.max_message_bytes,
        max_age: Duration::from_secs(stream.max_age_seconds),
        max_messages: -1,
        max_consumers: -1,
        num_replicas: stream.replicas,
        allow_direct: true,
        allow_rollup: stream.kind != Kind::Stream,
        allow_message_ttl: stream.expiring,
        allow_atomic_publish: stream.batches,
        deny_delete: stream.kind == Kind::Bucket,
        ..Default::default()
    }
}

/// Creates what is missing and changes what differs. Safe to run twice, and while everything runs.
pub async fn provision(broker: &Broker, streams: &[Stream]) -> Result<Vec<Drift>, Error> {
    let context = jetstream::new(broker.client.clone());
    let drifts = drift(broker, streams).await?;
    for drifted in &drifts {
        let Some(stream) = streams.iter().find(|s| s.stream_name() == drifted.stream) else { continue };
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that creates and alters streams"
        )]
        let done = if drifted.what == MISSING {
            context.create_stream(config(stream)).await.map(|_| ()).map_err(|e| e.to_string())
        } else {
            context.update_stream(config(stream)).await.map(|_| ()).map_err(|e| e.to_string())
        };
        done.map_err(|e| Error::internal(format!("{}: {e}", drifted.stream)))?;
    }
    Ok(drifts)
}

const MISSING: &str = "it is missing";

/// Where the broker differs from the topology.
pub async fn drift(broker: &Broker, streams: &[Stream]) -> Result<Vec<Drift>, Error> {
    let context = jetstream::new(broker.client.clone());
    let mut drifts = Vec::new();
    for stream in streams {
        let wanted = config(stream);
        let what = match context.get_stream(&wanted.name).await {
            Ok(found) => difference(&wanted, &found.cached_info().config),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(code) if code.code() == 404 => Some(MISSING.to_owned()),
                GetStreamErrorKind::JetStream(_)
                | GetStreamErrorKind::EmptyName
                | GetStreamErrorKind::InvalidStreamName
                | GetStreamErrorKind::Request => return Err(Error::unavailable(error)),
            },
        };
        drifts.extend(what.map(|what| Drift { stream: wanted.name, what }));
    }
    Ok(drifts)
}

/// Compares what we set; what the broker adds by itself is its own affair.
fn difference(wanted: &Config, found: &Config) -> Option<String> {
    let checks = [
        ("subjects", wanted.subjects == found.subjects),
        ("retention", wanted.retention == found.retention),
        ("storage", wanted.storage == found.storage),
        ("persist_mode", unsynced(wanted) == unsynced(found)),
        ("discard", wanted.discard == found.discard),
        ("max_messages_per_subject", wanted.max_messages_per_subject == found.max_messages_per_subject),
        ("max_bytes", wanted.max_bytes == found.max_bytes),
        ("max_message_size", wanted.max_message_size == found.max_message_size),
        ("max_age", wanted.max_age == found.max_age),
        ("num_replicas", wanted.num_replicas == found.num_replicas),
        ("allow_direct", wanted.allow_direct == found.allow_direct),
        ("allow_rollup", wanted.allow_rollup == found.allow_rollup),
        ("allow_message_ttl", wanted.allow_message_ttl == found.allow_message_ttl),
        ("allow_atomic_publish", wanted.allow_atomic_publish == found.allow_atomic_publish),
        ("deny_delete", wanted.deny_delete == found.deny_delete),
    ];
    let different: Vec<&str> = checks.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect();
    if different.is_empty() { None } else { Some(format!("{} differ", different.join(", "))) }
}

fn unsynced(config: &Config) -> bool {
    matches!(config.persist_mode, Some(PersistenceMode::Async))
}
