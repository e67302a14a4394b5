//! One acknowledged write, and what the broker's codes mean.

use std::fmt;
use std::time::Duration;

use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use serde::Deserialize;
use wire::{Code, Error};

use crate::connect::Broker;

/// How long one write or read may take before its outcome counts as unknown.
pub(crate) const REQUEST_SECONDS: u64 = 3;

/// How long the broker keeps a message, where its stream allows it.
pub(crate) const NATS_TTL: &str = "Nats-TTL";

/// Why a write was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError {
    /// The key has another revision by now.
    Conflict,
    /// The same compare-and-set must be tried again as it is: the broker had not settled the write before.
    Unsettled,
    /// The stream is full.
    Full,
    /// The value is larger than the stream takes.
    TooLarge,
    /// No answer came: it may be done or not.
    Unknown(String),
    /// The broker refused it for another reason.
    Refused(String),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("the key was changed by another"),
            Self::Unsettled => f.write_str("the broker had not settled the write before"),
            Self::Full => f.write_str("the stream is full"),
            Self::TooLarge => f.write_str("the value is too large"),
            Self::Unknown(reason) => write!(f, "no acknowledgement: {reason}"),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
        }
    }
}

impl std::error::Error for WriteError {}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Full => Self::new(
                Code::StorageFull,
                "the storage of the task service is full; delete old tasks or ask its operator for more",
            ),
            WriteError::Unknown(reason) => Self::unavailable(reason),
            WriteError::TooLarge => {
                Self::new(Code::TooLarge, "the request has too much text beside its body")
            }
            WriteError::Conflict | WriteError::Unsettled | WriteError::Refused(_) => Self::internal(error),
        }
    }
}

/// Conflict on the last sequence of a subject.
const CODE_WRONG_LAST_SEQUENCE: u64 = 10071;
/// The same on a replicated stream, and also where the previous write is not settled yet; the right answer
/// is to try again with the same revision (reference/nats.md §0, fact 12).
const CODE_WRONG_LAST_SEQUENCE_UNSETTLED: u64 = 10164;
/// A limit of the stream, of the account or of the server is reached.
const CODES_FULL: [u64; 4] = [10077, 10023, 10028, 10047];
const CODE_MESSAGE_TOO_LARGE: u64 = 10054;
/// The broker runs, but its storage does not: it is starting, or was shut down because the disk is full.
const CODES_AWAY: [u64; 3] = [10008, 10039, 10076];

#[derive(Deserialize)]
struct Ack {
    #[serde(default)]
    seq: u64,
    error: Option<AckError>,
}

#[derive(Deserialize)]
struct AckError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl Broker {
    /// Writes one message and waits for the acknowledgement: its sequence.
    pub(crate) async fn write(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<u64, WriteError> {
        let request = Request::new()
            .headers(headers)
            .payload(payload)
            .timeout(Some(Duration::from_secs(REQUEST_SECONDS)));
        let answer = self.client.send_request(subject, request).await;
        let answer = answer.map_err(|e| WriteError::Unknown(e.to_string()))?;
        acknowledged(&answer.payload)
    }
}

/// What an acknowledgement says: the sequence, or why nothing was stored.
pub(crate) fn acknowledged(payload: &[u8]) -> Result<u64, WriteError> {
    let ack: Ack = serde_json::from_slice(payload).map_err(|e| WriteError::Unknown(e.to_string()))?;
    match ack.error {
        None => Ok(ack.seq),
        Some(error) => Err(meaning(&error)),
    }
}

fn meaning(error: &AckError) -> WriteError {
    match error.err_code {
        CODE_WRONG_LAST_SEQUENCE => WriteError::Conflict,
        CODE_WRONG_LAST_SEQUENCE_UNSETTLED => WriteError::Unsettled,
        CODE_MESSAGE_TOO_LARGE => WriteError::TooLarge,
        code if CODES_AWAY.contains(&code) => WriteError::Unknown(error.description.clone()),
        code if CODES_FULL.contains(&code) => WriteError::Full,
        code => WriteError::Refused(format!("{} (code {code})", error.description)),
    }
}
