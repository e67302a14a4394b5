//! Reading the newest message of a subject, and how far a stream is, so that whoever has written sees at least what it
//! wrote.

use std::time::Duration;

use async_nats::{Request, StatusCode, header};
use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;
use wire::{Error, subjects};

use crate::connect::Broker;
use crate::write::REQUEST_SECONDS;

/// What the leader of a stream answers.
#[derive(Deserialize)]
struct FromLeader {
    message: Option<Stored>,
    error: Option<Refused>,
}

#[derive(Deserialize)]
struct Stored {
    seq: u64,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct Refused {
    code: u16,
    #[serde(default)]
    description: String,
}

/// What is said of a stream; of all that, how far it is.
#[derive(Deserialize)]
struct Info {
    state: Option<State>,
    error: Option<Refused>,
}

#[derive(Deserialize)]
struct State {
    last_seq: u64,
}

const NOT_FOUND: u16 = 404;

impl Broker {
    /// The newest message of a subject, or of any that match a pattern, with its sequence. In a cluster a
    /// direct read may be answered by a copy that lags behind, so there the leader is asked.
    pub(crate) async fn newest(&self, stream: &str, subject: &str) -> Result<Option<(u64, Bytes)>, Error> {
        let last = || Bytes::from(serde_json::json!({ "last_by_subj": subject }).to_string());
        if self.client.server_info().cluster.is_some() {
            self.ask_leader(stream, last()).await
        } else if subject.ends_with('>') {
            self.directly(subjects::direct_get(stream), last()).await
        } else {
            // The shorter form, for one subject alone: the broker has no JSON to read.
            self.directly(subjects::direct_get_last(stream, subject), Bytes::new()).await
        }
    }

    /// The number that a stream gave last, be the message still there or not; 0 before the first.
    pub(crate) async fn last_given(&self, stream: &str) -> Result<u64, Error> {
        let answer = self.read(subjects::stream_info(stream), Bytes::new()).await?;
        let answer: Info = serde_json::from_slice(&answer.payload).map_err(Error::internal)?;
        match answer {
            Info { state: Some(state), .. } => Ok(state.last_seq),
            Info { error, .. } => {
                let why = error.map_or_else(String::new, |refused| refused.description);
                Err(Error::unavailable(format!("the broker does not know how {stream} stands: {why}")))
            }
        }
    }

    /// Whether the message with this number is still there.
    pub(crate) async fn stands(&self, stream: &str, sequence: u64) -> Result<bool, Error> {
        let wanted = Bytes::from(serde_json::json!({ "seq": sequence }).to_string());
        let found = if self.client.server_info().cluster.is_some() {
            self.ask_leader(stream, wanted).await?
        } else {
            self.directly(subjects::direct_get(stream), wanted).await?
        };
        Ok(found.is_some())
    }

    async fn directly(&self, request: String, body: Bytes) -> Result<Option<(u64, Bytes)>, Error> {
        let answer = self.read(request, body).await?;
        if let Some(status) = answer.status {
            return if status == StatusCode::NOT_FOUND {
                Ok(None)
            } else {
                Err(Error::unavailable(format!("the broker answered a read with {status}")))
            };
        }
        let sequence = answer.headers.as_ref().and_then(|headers| headers.get(header::NATS_SEQUENCE));
        match sequence.and_then(|value| value.as_str().parse().ok()) {
            Some(sequence) => Ok(Some((sequence, answer.payload))),
            None => Err(Error::internal("the broker answered a read without a sequence")),
        }
    }

    async fn ask_leader(&self, stream: &str, body: Bytes) -> Result<Option<(u64, Bytes)>, Error> {
        let answer = self.read(subjects::leader_get(stream), body).await?;
        let answer: FromLeader = serde_json::from_slice(&answer.payload).map_err(Error::internal)?;
        match answer {
            FromLeader { message: Some(stored), .. } => {
                let data = BASE64.decode(stored.data.as_bytes()).map_err(Error::internal)?;
                Ok(Some((stored.seq, Bytes::from(data))))
            }
            FromLeader { error: Some(refused), .. } if refused.code == NOT_FOUND => Ok(None),
            FromLeader { error: Some(refused), .. } => {
                Err(Error::unavailable(format!("the broker answered a read with {}", refused.description)))
            }
            FromLeader { message: None, error: None } => {
                Err(Error::internal("the broker answered a read with nothing"))
            }
        }
    }

    async fn read(&self, subject: String, body: Bytes) -> Result<async_nats::Message, Error> {
        let request = Request::new().payload(body).timeout(Some(Duration::from_secs(REQUEST_SECONDS)));
        self.client.send_request(subject, request).await.map_err(Error::unavailable)
    }
}
