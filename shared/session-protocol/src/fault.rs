//! What a session process did wrong, in words for the author of the app.

use std::fmt;
use std::time::Duration;

/// The most of a wrong answer that a message shows.
const SHOWN_CHARS_MAX: usize = 200;

/// Why an exchange with a session failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It does not know the service.
    UnknownService {
        /// The service.
        service: String,
    },
    /// Nothing listens, or the connection broke off before the answer was whole.
    Gone {
        /// The request.
        asked: String,
        /// What was seen.
        why: String,
    },
    /// It did not answer in time.
    Late {
        /// The request.
        asked: String,
        /// How long was waited.
        waited: Duration,
    },
    /// It answered, and not as the protocol says.
    Broken {
        /// The request.
        asked: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// The request itself could not be made: the input is not to be had. No fault of the session.
    NoInput {
        /// What the store said.
        why: String,
    },
}

impl Fault {
    /// An answer that is not as the protocol says.
    pub fn broken(asked: &str, why: impl Into<String>) -> Self {
        Self::Broken { asked: asked.to_owned(), why: why.into() }
    }

    pub(crate) fn gone(asked: &str, why: impl Into<String>) -> Self {
        Self::Gone { asked: asked.to_owned(), why: why.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownService { service } => {
                write!(f, "service not found: the app's session answered 403 for service {service}")
            }
            Self::Gone { asked, why } => write!(f, "the session broke off during {asked}: {why}"),
            Self::Late { asked, waited } => {
                write!(f, "the session did not answer {asked} within {} s", waited.as_secs())
            }
            Self::Broken { asked, why } => write!(f, "the session's answer to {asked} is wrong: {why}"),
            Self::NoInput { why } => write!(f, "the input could not be read: {why}"),
        }
    }
}

impl std::error::Error for Fault {}

/// The beginning of an answer, for a message: one line, bounded, without control characters.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let head = bytes.get(..SHOWN_CHARS_MAX * 4).unwrap_or(bytes);
    let text: String = String::from_utf8_lossy(head)
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.trim().is_empty() { "nothing".to_owned() } else { format!("\"{}\"", text.trim()) }
}
