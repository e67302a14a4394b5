//! What programs are answered, as JSON: the words are those of our own REST API.

use domain::lane::Waiting;
use domain::list::Summary;
use domain::payload::Place;
use domain::{Payload, Timestamp};
use serde::Serialize;

use crate::calls::status::TaskStatus;
use crate::door::events::DeadLetter;

/// A task. `progress`, `message`, `waiting` and `result` are there only where one task was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// What is known of every task.
    #[serde(flatten)]
    pub summary: Summary,
    /// Seconds that it waited.
    pub queue_time: f64,
    /// Seconds that it ran.
    pub run_time: f64,
    /// It was there before: this create repeats an earlier one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
    /// How far it is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// What its process says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Its response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Body>,
}

/// The response of a task. A large one has neither text nor base64 here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Body {
    /// The media type.
    pub content_type: Option<String>,
    /// Length in bytes.
    pub size: u64,
    /// The bytes, where they are a readable text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Any other bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page {
    /// The rows, newest first.
    pub tasks: Vec<Task>,
    /// How many rows the whole list has.
    pub total: u64,
    /// The offset of the next page; none where this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One part of a response.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// The media type.
    pub content_type: Option<String>,
    /// Length of the whole in bytes.
    pub size: u64,
    /// The bytes of this part.
    pub base64: String,
    /// What to send for the next part; none where this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Submissions that can never become tasks, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeadLetters {
    /// The letters of this page.
    pub letters: Vec<DeadLetter>,
    /// What to send for the next page.
    pub cursor: u64,
}

/// It was done; there is nothing to say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Done {}

impl From<Payload> for Body {
    fn from(payload: Payload) -> Self {
        let Payload { content_type, size, place } = payload;
        let (text, base64) = match place {
            Place::Text(text) => (Some(text), None),
            Place::Base64(base64) => (None, Some(base64)),
            Place::Empty => (Some(String::new()), None),
            Place::Object(_) => (None, None),
        };
        Self { content_type, size, text, base64 }
    }
}

impl Task {
    /// A row of a list, or a new task.
    pub fn new(summary: Summary, now: Timestamp) -> Self {
        Self {
            queue_time: summary.queue_seconds(now),
            run_time: summary.run_seconds(now),
            summary,
            repeated: false,
            progress: None,
            message: None,
            waiting: None,
            result: None,
        }
    }

    /// All about one task.
    pub fn of(status: TaskStatus, now: Timestamp) -> Self {
        let epoch = status.summary.epoch;
        let said = status.progress.filter(|said| said.epoch.0 == epoch).unwrap_or_default();
        Self {
            progress: said.progress,
            message: said.message,
            waiting: status.waiting,
            result: status.result.map(Body::from),
            ..Self::new(status.summary, now)
        }
    }
}
