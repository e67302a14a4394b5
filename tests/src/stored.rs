//! What lies in the broker's streams, counted by the broker itself.

use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context};
use wire::{Function, subjects};

use crate::Kit;

/// A look at the streams of a kit's broker, with the rights of `provision`.
pub struct Stored {
    context: Context,
}

impl Stored {
    /// Connects.
    pub async fn of(kit: &Kit) -> Self {
        let seed = kit.stack.settings.seed(Function::Provision).unwrap();
        let options =
            ConnectOptions::with_nkey(seed).custom_inbox_prefix(subjects::inbox(Function::Provision));
        let client = options.connect(&kit.stack.settings.nats_url).await.unwrap();
        Self { context: jetstream::new(client) }
    }

    /// How many messages a stream holds; an object is some, one that is gone is none.
    pub async fn messages(&self, stream: &str) -> u64 {
        self.context.get_stream(stream).await.unwrap().cached_info().state.messages
    }

    /// Lets the broker forget within a moment the message ids that it remembers of a stream, as time does. A change of the
    /// window has it look at once, and that look may still go by the window before, so the window is changed twice.
    pub async fn forget_ids(&self, stream: &str) {
        let mut stream = self.context.get_stream(stream).await.unwrap();
        let mut config = stream.info().await.unwrap().config.clone();
        for window in [100, 101].map(Duration::from_millis) {
            config.duplicate_window = window;
            #[expect(clippy::disallowed_methods, reason = "a test can't wait for two minutes")]
            self.context.update_stream(&config).await.unwrap();
        }
    }

    /// The broker's stream of request and response bodies.
    pub fn bodies() -> String {
        subjects::object_stream(wire::topology::BODIES)
    }

    /// The broker's stream of task records.
    pub fn records() -> String {
        subjects::bucket_stream(wire::topology::TASKS)
    }
}
