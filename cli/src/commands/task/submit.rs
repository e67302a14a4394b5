//! `task submit`: hands a task in, and with `--wait` follows it to its response.

use bytes::Bytes;
use domain::TaskId;
use http::Method;
use http::header::HeaderName;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{response, watch};
use crate::arguments::task::SubmitArguments;
use crate::client::{Ask, Body};
use crate::commands::{Context, with_field};
use crate::error::CliError;
use crate::progress::Progress;
use crate::table::printable;
use crate::url::path;

/// Runs `task submit`.
pub(super) async fn run(context: &Context, arguments: SubmitArguments) -> Result<(), CliError> {
    let created = context.client.document(ask(&arguments).await?).await?;
    let id = id_of(&created)?;
    let console = context.console;
    if !arguments.wait {
        let state = created.get("state").and_then(Value::as_str).unwrap_or("queued");
        console.result(&in_own_words(&created), || format!("task {id} is {}", printable(state)))?;
        console.note(&format!("watch it: tasklane task watch {id}"));
        return Ok(());
    }
    console.note(&format!("task {id}"));
    let seen = watch::follow(context, id, None, Progress::beside_result(console)).await?;
    console.note(&seen.ending());
    let mut document = seen.document.clone();
    if seen.task.is_completed() {
        let shown =
            response::deliver(context, id, arguments.output.as_deref(), response::Wish::Short).await?;
        if console.is_json() {
            document = with_field(document, "response", shown);
        }
    } else {
        console.note(&format!("its log: tasklane task logs {id}"));
    }
    if console.is_json() {
        console.line(&document.to_string())?;
    }
    if seen.task.is_completed() { Ok(()) } else { Err(CliError::TaskFailed) }
}

async fn ask(arguments: &SubmitArguments) -> Result<Ask, CliError> {
    let mut parts = vec!["pro-api", "v2", "tasks", &arguments.app];
    parts.extend(arguments.app_version.as_deref());
    parts.push(&arguments.service);
    let mut ask = Ask::new(Method::POST, path(parts));
    if let Some(key) = &arguments.idempotency_key {
        ask = ask.header(HeaderName::from_static("idempotency-key"), key)?;
    }
    let (guess, body) = if let Some(text) = &arguments.input {
        (type_of_text(text), Body::Bytes(Bytes::from(text.clone())))
    } else if let Some(file) = &arguments.input_file {
        ("application/octet-stream", Body::open(file).await?)
    } else {
        return Ok(ask);
    };
    ask.body(arguments.content_type.as_deref().unwrap_or(guess), body)
}

/// What a text on the command line most likely is.
fn type_of_text(text: &str) -> &'static str {
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    if is_json { "application/json" } else { "text/plain; charset=utf-8" }
}

fn id_of(created: &Value) -> Result<TaskId, CliError> {
    let id = created.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    id.ok_or_else(|| CliError::NotUnderstood {
        asked: "the new task".to_owned(),
        why: "it has no id of a task".to_owned(),
    })
}

/// The AIMMS object under the names that every other task command uses.
fn in_own_words(created: &Value) -> Value {
    let field = |name: &str| created.get(name).cloned().unwrap_or_default();
    json!({
        "id": field("id"),
        "app": field("appName"),
        "version": field("appVersion"),
        "service": field("serviceName"),
        "user": field("username"),
        "state": field("state"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_json_where_they_are() {
        for json in [r#"{"a":1}"#, "[1]", "5", "null", "\"x\""] {
            assert_eq!(type_of_text(json), "application/json", "{json}");
        }
        for text in ["", "hello", "{a:1}", "1 2"] {
            assert_eq!(type_of_text(text), "text/plain; charset=utf-8", "{text}");
        }
    }

    #[test]
    fn an_answer_without_an_id_is_not_a_task() {
        assert!(id_of(&json!({ "id": "efa680a0-748e-43d0-9099-cf40937b13f4" })).is_ok());
        for wrong in [json!({}), json!({ "id": 5 }), json!({ "id": "../x" })] {
            assert_eq!(id_of(&wrong).unwrap_err().exit_code(), 1, "{wrong}");
        }
    }
}
