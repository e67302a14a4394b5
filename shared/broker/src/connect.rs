//! One connection per function, with the function's own user and inbox.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;
use tokio::time::Instant;
use wire::{Function, subjects};

use crate::near::Near;
use crate::shared::SharedWriter;

/// How a function proves to the broker who it is.
#[derive(Clone)]
pub struct Credentials {
    /// The function whose user this is.
    pub function: Function,
    /// The seed of its nkey. Never printed.
    pub seed: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, seed hidden)", self.function)
    }
}

/// The broker could not be reached, or refused the user.
#[derive(Debug)]
pub struct ConnectError {
    /// The address that was tried.
    pub url: String,
    /// What the client said.
    pub reason: String,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection to the broker at {}: {}", self.url, self.reason)
    }
}

impl std::error::Error for ConnectError {}

/// A connection to the broker as one function. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    pub(crate) client: Client,
    pub(crate) function: Function,
    reconnects: watch::Receiver<u64>,
    closed: watch::Receiver<bool>,
    /// The writer of task records, where they share their syncs.
    pub(crate) records: Option<SharedWriter>,
    /// The functions of this process, where they hand each other their calls.
    pub(crate) near: Option<Near>,
}

/// Where the client's events are noted for those who wait for them.
struct Notes {
    reconnects: watch::Sender<u64>,
    closed: watch::Sender<bool>,
}

/// Answers wait here; the client drops messages beyond it, and every user of a subscription notices gaps.
const SUBSCRIPTION_CAPACITY: usize = 65_536;
/// How long the broker may be away when a function begins: it may just be starting, or the network be bad.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How long closing may take; a broker that is away can't say goodbye.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

impl Broker {
    /// Connects and waits until the broker has accepted the user; one that can't be reached is tried for ten
    /// seconds, one that refuses the user is not. Later breaks heal by themselves. `url` may list the nodes of a
    /// cluster with commas between; any of them will do.
    pub async fn connect(url: &str, credentials: &Credentials) -> Result<Self, ConnectError> {
        let failed = |reason: String| ConnectError { url: url.to_owned(), reason };
        let nodes: Result<Vec<ServerAddr>, _> = url.split(',').map(str::parse).collect();
        let nodes = nodes.map_err(|error| failed(error.to_string()))?;
        let function = credentials.function;
        let (reconnects_sender, reconnects) = watch::channel(0);
        let (closed_sender, closed) = watch::channel(false);
        let notes = Arc::new(Notes { reconnects: reconnects_sender, closed: closed_sender });
        let options = ConnectOptions::with_nkey(credentials.seed.clone())
            .name(format!("tasklane-{function}"))
            .custom_inbox_prefix(subjects::inbox(function))
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .ping_interval(Duration::from_secs(5))
            .reconnect_delay_callback(|attempt| Duration::from_millis((attempt as u64 * 20).min(500)))
            .event_callback(move |event| {
                let notes = Arc::clone(&notes);
                async move { note(function, &event, &notes) }
            });
        let began = Instant::now();
        let client = loop {
            match options.clone().connect(nodes.as_slice()).await {
                Ok(client) => break client,
                Err(error) if may_heal(error.kind()) && began.elapsed() < FIRST_PATIENCE => {
                    tracing::debug!(%function, %error, "the broker can't be reached yet; trying again");
                    tokio::time::sleep(FIRST_PAUSE).await;
                }
                Err(error) => return Err(failed(error.to_string())),
            }
        };
        Ok(Self { client, function, reconnects, closed, records: None, near: None })
    }

    /// From here on concurrent writes of task records go together. Worth it only where the broker syncs each
    /// message before it acknowledges, and keeps one copy: with more it gathers them by itself.
    #[must_use]
    pub fn sharing_syncs(self) -> Self {
        let records = Some(SharedWriter::begin(self.clone()));
        Self { records, ..self }
    }

    /// From here on calls to functions of this process are handed over in memory.
    #[must_use]
    pub fn beside(self, near: Near) -> Self {
        Self { near: Some(near), ..self }
    }

    /// The function whose connection this is.
    pub fn function(&self) -> Function {
        self.function
    }

    /// Counts reconnections: whoever follows something looks again after each.
    pub(crate) fn reconnects(&self) -> watch::Receiver<u64> {
        self.reconnects.clone()
    }

    /// Whether the connection stands at this moment.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// The version of the broker.
    pub fn server_version(&self) -> String {
        self.client.server_info().version
    }

    /// The most bytes of one message.
    pub fn max_payload(&self) -> usize {
        self.client.server_info().max_payload
    }

    /// Sends what is still buffered, so that nothing is lost when the process ends.
    pub async fn flush(&self) {
        match tokio::time::timeout(CLOSE_PATIENCE, self.client.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last messages to the broker could not be flushed"),
            Err(_) => tracing::warn!("the broker is away; the last messages to it could not be flushed"),
        }
    }

    /// Sends what is still buffered, ends every subscription and closes the connection, for all clones. What
    /// still uses it ends then, and a broker that stops after this breaks nothing.
    pub async fn close(&self) {
        // Both failures mean that the connection is closed already.
        let _ = self.client.drain().await;
        let mut closed = self.closed.clone();
        if tokio::time::timeout(CLOSE_PATIENCE, closed.wait_for(|closed| *closed)).await.is_err() {
            tracing::debug!(function = %self.function, "the connection to the broker was not closed in order");
        }
    }

    /// Whether `close` was called and has ended.
    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }
}

fn may_heal(error: ConnectErrorKind) -> bool {
    match error {
        ConnectErrorKind::Dns | ConnectErrorKind::TimedOut | ConnectErrorKind::Io => true,
        ConnectErrorKind::ServerParse
        | ConnectErrorKind::Authentication
        | ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::Tls
        | ConnectErrorKind::MaxReconnects => false,
    }
}

fn note(function: Function, event: &Event, notes: &Notes) {
    match event {
        Event::Connected => notes.reconnects.send_modify(|count| *count += 1),
        Event::Disconnected => tracing::warn!(%function, "the connection to the broker broke; trying again"),
        Event::SlowConsumer(_) => tracing::warn!(%function, "messages came faster than they were taken"),
        Event::ServerError(error) => tracing::warn!(%function, %error, "the broker refused something"),
        Event::ClientError(error) => tracing::debug!(%function, %error, "the broker's client met an error"),
        Event::Closed => {
            notes.closed.send_replace(true);
        }
        Event::LameDuckMode | Event::Draining => {
            tracing::debug!(%function, ?event, "the connection to the broker changes");
        }
    }
}
