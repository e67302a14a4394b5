//! One connection per function, with the function's own user and inbox.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;
use wire::{Function, subjects};

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
}

/// Answers wait here; the client drops messages beyond it, and every user of a subscription notices gaps.
const SUBSCRIPTION_CAPACITY: usize = 65_536;

impl Broker {
    /// Connects and waits until the broker has accepted the user. Later breaks heal by themselves.
    pub async fn connect(url: &str, credentials: &Credentials) -> Result<Self, ConnectError> {
        let function = credentials.function;
        let (sender, reconnects) = watch::channel(0);
        let sender = Arc::new(sender);
        let options = ConnectOptions::with_nkey(credentials.seed.clone())
            .name(format!("tasklane-{function}"))
            .custom_inbox_prefix(subjects::inbox(function))
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .ping_interval(Duration::from_secs(5))
            .reconnect_delay_callback(|attempt| Duration::from_millis((attempt as u64 * 20).min(500)))
            .event_callback(move |event| {
                let sender = Arc::clone(&sender);
                async move { note(function, &event, &sender) }
            });
        let client = options.connect(url).await;
        let client = client.map_err(|e| ConnectError { url: url.to_owned(), reason: e.to_string() })?;
        Ok(Self { client, function, reconnects })
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
        if let Err(error) = self.client.flush().await {
            tracing::warn!(%error, "the last messages to the broker could not be flushed");
        }
    }
}

fn note(function: Function, event: &Event, reconnects: &watch::Sender<u64>) {
    match event {
        Event::Connected => reconnects.send_modify(|count| *count += 1),
        Event::Disconnected => tracing::warn!(%function, "the connection to the broker broke; trying again"),
        Event::SlowConsumer(_) => tracing::warn!(%function, "messages came faster than they were taken"),
        Event::ServerError(error) => tracing::warn!(%function, %error, "the broker refused something"),
        Event::ClientError(error) => tracing::debug!(%function, %error, "the broker's client met an error"),
        Event::LameDuckMode | Event::Draining | Event::Closed => {
            tracing::debug!(%function, ?event, "the connection to the broker changes");
        }
    }
}
