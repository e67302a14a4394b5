//! What programs ask, as JSON. A field that is not known is refused, so that a mistyped one is not ignored.

use domain::{TaskId, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

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
