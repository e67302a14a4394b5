//! Requests and replies, one file per function. Every reply crosses the wire as `Answer`.

pub mod admin;
pub mod amend;
pub mod callbacks;
pub mod create;
pub mod delete;
pub mod interrupt;
pub mod logs;
pub mod report;
pub mod schedule;
pub mod sessions;
pub mod status;
pub mod topics;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, Function};

/// A request that one function takes, and what it replies.
pub trait Call: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Who takes it.
    const FUNCTION: Function;
    /// The reply.
    type Reply: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Seconds after which the caller gives up.
    fn deadline_seconds(&self) -> u64 {
        5
    }
}

/// A reply or an error, as it crosses the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<T> {
    /// It was done.
    Ok(T),
    /// It was not.
    Err(Error),
}
