//! Calls to `callbacks`: whether a gate is open, and how far the hooks of a task are told.

use domain::{TaskKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;

/// Calls to `callbacks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbacksRequest {
    /// Is this gate open?
    Gate {
        /// Its URL.
        url: String,
    },
    /// How far are the hooks of this task told?
    Deliveries {
        /// Which.
        key: TaskKey,
    },
}

/// What `callbacks` replies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbacksReply {
    /// The gate.
    Gate(Gate),
    /// The hooks, in the order in which the task has them.
    Deliveries(Vec<Delivery>),
}

/// How a gate was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Why it is closed; `None` is open.
    pub closed: Option<String>,
}

/// How far one hook of a task is told. Also what lies in the bucket `deliveries`, one list per task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Delivery {
    /// Changes that are done with, counted from the task's first one.
    pub done: u64,
    /// Of these, as many were taken by the receiver.
    pub delivered: u64,
    /// As many were given up, or had gone before they could be told.
    pub failed: u64,
    /// How often the next one was tried so far.
    pub attempts: u32,
    /// Why the last one that failed did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When the next one is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
}

impl Call for CallbacksRequest {
    const FUNCTION: Function = Function::Callbacks;
    type Reply = CallbacksReply;

    fn deadline_seconds(&self) -> u64 {
        match self {
            Self::Gate { .. } => 9,
            Self::Deliveries { .. } => 5,
        }
    }
}
