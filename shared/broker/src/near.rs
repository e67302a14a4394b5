//! Functions that share a process hear each other without the broker's help: a call between them is handed over in
//! memory, as the value that it is. Only the way is shorter; where nobody near listens, or is too busy, the call goes
//! over the broker as always. Of the buckets that they follow they share one reader.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use crate::common::CommonFeeds;

/// Calls that wait for one listener; what comes beyond goes over the broker.
const WAITING_MAX: usize = 1024;

/// What is handed over. A subject has one type of request and one of answer, which both ends know.
pub(crate) enum Body {
    /// The value itself.
    Value(Box<dyn Any + Send + Sync>),
    /// As on the wire.
    Wire(Bytes),
}

impl Body {
    /// What it says.
    pub fn read<T: DeserializeOwned + 'static>(self) -> Result<T, String> {
        match self {
            Self::Value(value) => {
                value.downcast().map(|value| *value).map_err(|_| "it is of another type".to_owned())
            }
            Self::Wire(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
        }
    }
}

/// A call, and where its answer goes; a message that wants no answer has nowhere.
pub(crate) struct Handed {
    pub subject: String,
    pub body: Body,
    pub answer: Option<oneshot::Sender<Body>>,
}

/// Who listens to a subject, in turn.
#[derive(Default)]
struct Listeners {
    senders: Vec<mpsc::Sender<Handed>>,
    turn: usize,
}

/// The functions of one process: who listens to which subject, and who follows which bucket.
#[derive(Clone, Default)]
pub struct Near {
    listeners: Arc<Mutex<HashMap<String, Listeners>>>,
    pub(crate) feeds: CommonFeeds,
}

impl Near {
    /// Listens to a subject from here on, until the receiver is closed or dropped.
    pub(crate) fn listen(&self, subject: &str) -> mpsc::Receiver<Handed> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        if let Ok(mut listeners) = self.listeners.lock() {
            // A runner's subject is its own, so those who have gone would stay for ever.
            listeners.retain(|_, of| of.senders.iter().any(|sender| !sender.is_closed()));
            listeners.entry(subject.to_owned()).or_default().senders.push(sender);
        }
        receiver
    }

    /// Hands a message to one listener. Gives it back where there is none that takes it.
    pub(crate) fn hand(&self, message: Handed) -> Result<(), Handed> {
        let Ok(mut listeners) = self.listeners.lock() else { return Err(message) };
        let Some(of) = listeners.get_mut(&message.subject) else { return Err(message) };
        of.senders.retain(|sender| !sender.is_closed());
        let mut message = message;
        for _ in 0..of.senders.len() {
            of.turn = of.turn.wrapping_add(1);
            let Some(sender) = of.senders.get(of.turn % of.senders.len()) else { break };
            match sender.try_send(message) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back)) => {
                    message = back;
                }
            }
        }
        Err(message)
    }
}
