//! The commands that are clients of a running service, a file each.

pub mod app;
pub mod doctor;
pub mod grant;
pub mod key;
pub mod lane;
mod logs;
pub mod session;
pub mod stream;
pub mod task;
pub mod tenant;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::arguments::Command;
use crate::client::Client;
use crate::console::Console;
use crate::error::CliError;

/// What every client command gets.
#[derive(Debug)]
pub struct Context {
    /// The service.
    pub client: Client,
    /// Where to write to.
    pub console: Console,
}

/// Runs a client command. The commands that run the stack itself are no clients and do nothing here.
///
/// # Errors
/// Whatever the command meets.
pub async fn run(context: &Context, command: Command) -> Result<(), CliError> {
    match command {
        Command::Task(command) => task::run(context, command).await,
        Command::App(command) => app::run(context, command).await,
        Command::Grant(arguments) => grant::run(context, arguments).await,
        Command::Key(command) => key::run(context, command).await,
        Command::Tenant(command) => tenant::run(context, command).await,
        Command::Lane(command) => lane::run(context, command).await,
        Command::Session(command) => session::run(context, command).await,
        Command::Stream(command) => stream::run(context, command).await,
        Command::Doctor => doctor::run(context).await,
        Command::Demo(_) | Command::Dev(_) | Command::Serve(_) | Command::Bench(_) | Command::Keep(_) => {
            Ok(())
        }
        Command::Program(_) => Ok(()),
    }
}

/// The list under `name` in an answer.
pub(crate) fn list_in<T: DeserializeOwned>(document: &Value, name: &str) -> Result<Vec<T>, CliError> {
    let not_understood =
        |why: String| CliError::NotUnderstood { asked: format!("the question for {name}"), why };
    let list = document.get(name).ok_or_else(|| not_understood(format!("it has no field \"{name}\"")))?;
    serde_json::from_value(list.clone()).map_err(|error| not_understood(format!("{name}: {error}")))
}

/// The element of the list under `list` whose `field` is `value`, or else the whole document: what a command
/// that changed one thing prints about it.
pub(crate) fn one_of<'d>(document: &'d Value, list: &str, field: &str, value: &str) -> &'d Value {
    let rows = document.get(list).and_then(Value::as_array);
    let found =
        rows.and_then(|rows| rows.iter().find(|row| row.get(field).and_then(Value::as_str) == Some(value)));
    found.unwrap_or(document)
}

/// The object with one more field.
pub(crate) fn with_field(mut document: Value, name: &str, value: Value) -> Value {
    if let Some(object) = document.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
    document
}

/// A word as a shell takes it back, for commands in hints.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_changed_thing_is_found_in_a_list_or_is_the_document() {
        let document = json!({ "lanes": [{ "name": "a" }, { "name": "b", "queued": 1 }] });
        assert_eq!(one_of(&document, "lanes", "name", "b"), &json!({ "name": "b", "queued": 1 }));
        assert_eq!(one_of(&json!({ "name": "b" }), "lanes", "name", "b"), &json!({ "name": "b" }));
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("transport-1.0"), "transport-1.0");
        assert_eq!(quoted("My App"), "'My App'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn an_answer_of_another_shape_is_named() {
        let error = list_in::<String>(&json!({ "other": [] }), "tasks").unwrap_err();
        assert!(error.to_string().contains("no field \"tasks\""), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}
