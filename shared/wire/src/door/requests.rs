//! What programs ask, as JSON. A field that is not known is refused, so that a mistyped one is not ignored.

use domain::list::StateFilter;
use domain::task::state::InterruptKind;
use domain::{TaskId, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::calls::logs::LogsReply;
use crate::door::{Request, replies, schema};

/// Take a task in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Whose; it can only be the program's own.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The app.
    pub app: String,
    /// Its version; without one, that which is tagged as latest.
    #[serde(default)]
    pub version: Option<String>,
    /// The procedure.
    pub service: String,
    /// The request body as JSON.
    #[serde(default, deserialize_with = "present")]
    pub input: Option<Value>,
    /// The request body as text, exactly as it is.
    #[serde(default)]
    pub text: Option<String>,
    /// The request body as any bytes, in base64.
    #[serde(default)]
    pub base64: Option<String>,
    /// The media type of the body.
    #[serde(default)]
    pub content_type: Option<String>,
    /// 1 first, 10 last.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Not before this moment.
    #[serde(default)]
    pub run_at: Option<Timestamp>,
    /// The caller's key for repeating the request safely.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// Wait up to so many seconds for its end; at most 60. A submission is never waited for.
    #[serde(default)]
    pub wait: u64,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Whose; it can only be the program's own.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Which.
    #[serde(deserialize_with = "id")]
    pub id: TaskId,
    /// Which run of a recurring one; without it, the last.
    #[serde(default)]
    pub run: Option<u32>,
    /// Wait up to so many seconds for its end; at most 60.
    #[serde(default)]
    pub wait: u64,
}

/// Many tasks.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct List {
    /// Whose; it can only be the program's own.
    pub tenant: Option<String>,
    /// Only this app.
    pub app: Option<String>,
    /// Only this version.
    pub version: Option<String>,
    /// Only these states; none means all.
    pub states: Vec<StateFilter>,
    /// Only tasks created before this moment.
    pub before: Option<Timestamp>,
    /// Only tasks created at or after this moment.
    pub after: Option<Timestamp>,
    /// Everything that the user may see, not only the user's own.
    pub all: bool,
    /// Rows to leave out at the start.
    pub offset: u64,
    /// Rows of the page, 1 to 1,000; without it, 100.
    pub limit: Option<u64>,
}

/// End a task early.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interrupt {
    /// Whose; it can only be the program's own.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Which.
    #[serde(deserialize_with = "id")]
    pub id: TaskId,
    /// Which run of a recurring one; without it, the last.
    #[serde(default)]
    pub run: Option<u32>,
    /// How; without it, the solve ends and the best result so far counts.
    #[serde(default = "solve")]
    pub kind: InterruptKind,
}

fn solve() -> InterruptKind {
    InterruptKind::Solve
}

/// Delete a task.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Whose; it can only be the program's own.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Which.
    #[serde(deserialize_with = "id")]
    pub id: TaskId,
    /// Which run of a recurring one; without it, the last.
    #[serde(default)]
    pub run: Option<u32>,
}

/// One page of a task's log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Whose; it can only be the program's own.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Which task.
    #[serde(deserialize_with = "id")]
    pub id: TaskId,
    /// Which run of a recurring one; without it, the last.
    #[serde(default)]
    pub run: Option<u32>,
    /// Lines to leave out at the start.
    #[serde(default)]
    pub offset: u64,
    /// Lines of the page, 1 to 1,000; without it, 100.
    #[serde(default)]
    pub limit: Option<u64>,
    /// If there is no line yet at the offset, wait up to so many seconds for one; at most 30.
    #[serde(default)]
    pub wait: u64,
}

/// One part of a task's response.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Whose; it can only be the program's own.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Which task.
    #[serde(deserialize_with = "id")]
    pub id: TaskId,
    /// Which run of a recurring one; without it, the last.
    #[serde(default)]
    pub run: Option<u32>,
    /// Where the part before this one ended, as its reply said.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Submissions that can never become tasks.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct DeadLetters {
    /// Whose; it can only be the program's own.
    pub tenant: Option<String>,
    /// Where the page before ended, as its reply said.
    pub cursor: u64,
    /// Letters of the page, 1 to 100; without it, 20.
    pub limit: Option<u64>,
}

/// An explicit null is a body too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// One spelling only, as everywhere.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TaskId, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

macro_rules! request {
    ($name:ident, $word:literal, $description:literal, $reply:ty, $request_schema:expr, $reply_schema:expr) => {
        impl Request for $name {
            const WORD: &'static str = $word;
            const DESCRIPTION: &'static str = $description;
            type Reply = $reply;

            fn tenant(&self) -> Option<&str> {
                self.tenant.as_deref()
            }

            fn request_schema() -> Value {
                $request_schema
            }

            fn reply_schema() -> Value {
                $reply_schema
            }
        }
    };
}

request!(Create, "create", "Takes a task in.", replies::Task, schema::create(), schema::task());
request!(
    Status,
    "status",
    "Tells how one task stands, and waits for its end.",
    replies::Task,
    schema::status(),
    schema::task()
);
request!(List, "list", "Lists tasks, newest first.", replies::Page, schema::list(), schema::page());
request!(
    Response,
    "response",
    "Gives a task's response, part by part.",
    replies::Part,
    schema::response(),
    schema::part()
);
request!(Interrupt, "interrupt", "Ends a task early.", replies::Task, schema::interrupt(), schema::task());
request!(
    DeadLetters,
    "dead_letters",
    "Lists submissions that can never become tasks, oldest first.",
    replies::DeadLetters,
    schema::dead_letters(),
    schema::dead_letter_page()
);
request!(Delete, "delete", "Deletes a task.", replies::Done, schema::one_task(), schema::done());
request!(Logs, "logs", "Gives a page of a task's log.", LogsReply, schema::logs(), schema::log_page());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_refused_and_what_is_known_is_read() {
        let read = |text: &str| serde_json::from_str::<Create>(text).map_err(|e| e.to_string());
        let created = read(r#"{"app":"a","service":"s","input":null}"#).unwrap();
        assert_eq!(created.input, Some(Value::Null));
        assert_eq!(read(r#"{"app":"a","service":"s"}"#).unwrap().input, None);
        assert!(read(r#"{"app":"a","service":"s","pririty":1}"#).unwrap_err().contains("pririty"));
        assert!(read(r#"{"app":"a"}"#).unwrap_err().contains("service"));
        let status = |text: &str| serde_json::from_str::<Status>(text);
        assert!(status(r#"{"id":"efa680a0-748e-43d0-9099-cf40937b13f4","wait":5}"#).is_ok());
        assert!(status(r#"{"id":"efa680a0748e43d09099cf40937b13f4"}"#).is_err(), "one spelling");
    }
}
