//! The chassis of every function: settings, serving, keys, clock, shutdown, telemetry. The only reader of
//! the environment and of the clock.

pub mod apps;
pub mod body;
pub mod clock;
pub mod config;
pub mod door;
pub mod ids;
pub mod keys;
pub mod lease;
pub mod machine;
pub mod master_key;
pub mod outbound;
pub mod runs;
mod start;
pub use start::stop_on_signal;
mod serve;
pub mod telemetry;

use std::fmt;
use std::sync::Arc;

use broker::Broker;
/// Notes an error whose work another will finish later.
pub fn log_later(error: &wire::Error) {
    tracing::warn!(%error, "left to be done later");
}

pub use config::{Durability, Settings};
pub use serve::{serve, serve_with_door};
pub use start::{connect, main};
pub use tokio_util::sync::CancellationToken;

/// Records and messages are many small pieces made on one thread and freed on another, which costs the
/// system's allocator a third of all time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a function runs with.
#[derive(Clone)]
pub struct Context {
    /// Its connection, as its own user.
    pub broker: Broker,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Cancelled when it is to stop: it takes nothing new, ends what it has, and returns.
    pub stop: CancellationToken,
}

/// A function that could not run.
#[derive(Debug)]
pub struct RunError(pub String);

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RunError {}

impl RunError {
    /// From any error, by its text.
    pub fn from_text(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}
