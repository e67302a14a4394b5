//! Answers of the service: JSON up to a bound, bytes piece by piece, errors in the shape that they came in.

use bytes::Bytes;
use domain::Timestamp;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName};
use http::{Response, StatusCode, response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::IDLE_PATIENCE;
use crate::error::{CliError, Refusal};
use crate::table::printable;

/// The largest JSON document that is read.
const DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// Of an error answer, more than this is not worth reading.
const ERROR_BYTES: usize = 64 * 1024;

/// The head of an answer, and its body still to come.
#[derive(Debug)]
pub struct Answer {
    asked: String,
    url: String,
    head: response::Parts,
    body: Incoming,
}

/// A body that was read up to a bound.
#[derive(Debug)]
pub enum Bounded {
    /// All of it.
    Whole(Vec<u8>),
    /// It has more bytes than the bound.
    TooLong,
}

impl Answer {
    pub(super) fn new(asked: String, url: String, response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        Self { asked, url, head, body }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The media type as the service says it.
    pub fn content_type(&self) -> Option<&str> {
        self.header(CONTENT_TYPE)
    }

    /// The length of the body in bytes, where the service says it.
    pub fn length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.parse().ok()
    }

    /// The clock of the service, to the second.
    pub fn date(&self) -> Option<Timestamp> {
        let date = jiff::fmt::rfc2822::parse(self.header(DATE)?).ok()?;
        Some(Timestamp::from_micros(date.timestamp().as_microsecond()))
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next piece of the body; `None` after the last.
    ///
    /// # Errors
    /// [`CliError::Unreachable`] if the connection breaks or nothing comes for half a minute.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, CliError> {
        loop {
            let broken = |why: String| CliError::Unreachable { url: self.url.clone(), why };
            let frame = match tokio::time::timeout(IDLE_PATIENCE, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(broken(format!("the answer broke off ({error})"))),
                Err(_) => return Err(broken("the answer stopped coming".to_owned())),
            };
            // Trailers are no part of the body.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// The body, if it has no more bytes than the bound.
    ///
    /// # Errors
    /// As [`Answer::piece`].
    pub async fn read(&mut self, bound: usize) -> Result<Bounded, CliError> {
        if self.length().is_some_and(|length| length > bound as u64) {
            return Ok(Bounded::TooLong);
        }
        let mut whole = Vec::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > bound {
                return Ok(Bounded::TooLong);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Bounded::Whole(whole))
    }

    /// The body as one JSON document; `null` for an empty one.
    ///
    /// # Errors
    /// As [`Answer::piece`], and [`CliError::NotUnderstood`] for what is no JSON or longer than 16 MiB.
    pub async fn document(mut self) -> Result<Value, CliError> {
        let not_understood = |asked: String, why: String| CliError::NotUnderstood { asked, why };
        match self.read(DOCUMENT_BYTES).await? {
            Bounded::TooLong => Err(not_understood(self.asked, "it is longer than 16 MiB".to_owned())),
            Bounded::Whole(bytes) if bytes.is_empty() => Ok(Value::Null),
            Bounded::Whole(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| not_understood(self.asked, format!("it is no JSON ({error})"))),
        }
    }

    /// What an error answer says. One without the error object, from a proxy for example, is shown as it is.
    pub(super) async fn refusal(mut self, without_key: bool) -> Refusal {
        let status = self.status();
        let body = match self.read(ERROR_BYTES).await {
            Ok(Bounded::Whole(bytes)) => bytes,
            Ok(Bounded::TooLong) | Err(_) => Vec::new(),
        };
        let document: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
        let message = text("message").unwrap_or_else(|| {
            let shown: String = printable(&String::from_utf8_lossy(&body)).chars().take(200).collect();
            format!("the answer to {} is {status}: {shown}", self.asked)
        });
        let id = text("errorId").unwrap_or_default();
        Refusal { status: status.as_u16(), id, message, without_key }
    }
}
