//! `stream …`: the records of topics as they come, straight from the broker.

use broker::{Look, Record};
use serde_json::{Value, json};

use crate::arguments::StreamCommand;
use crate::commands::Context;
use crate::error::CliError;
use crate::table::printable;

/// Runs `stream …`.
///
/// # Errors
/// What the broker says.
pub async fn run(context: &Context, command: StreamCommand) -> Result<(), CliError> {
    match command {
        StreamCommand::Tail { nats, topics, count } => tail(context, &nats, &topics, count).await,
    }
}

async fn tail(context: &Context, nats: &str, topics: &[String], count: Option<u64>) -> Result<(), CliError> {
    let unreachable = |why: String| CliError::Unreachable { url: hidden(nats), why };
    let console = context.console;
    let refused = move |why: String| console.note(&format!("the broker: {why}"));
    let mut look = Look::at(nats, topics, refused).await.map_err(unreachable)?;
    console.note(&format!("listening to {}; Ctrl-C ends it", topics.join(", ")));
    let wide = topics.iter().map(String::len).max().unwrap_or(0);
    let mut left = count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(record) = look.next().await else {
            return Err(unreachable("the connection ended".to_owned()));
        };
        let text = String::from_utf8_lossy(&record.payload);
        console.result(&document(&record), || format!("{:wide$}  {}", record.topic, printable(&text)))?;
        left -= 1;
    }
    Ok(())
}

/// A record that is JSON stays JSON; any other is text.
fn document(record: &Record) -> Value {
    let text = || json!(String::from_utf8_lossy(&record.payload));
    let value = serde_json::from_slice(&record.payload).unwrap_or_else(|_| text());
    json!({ "topic": record.topic, "record": value })
}

/// An address without its password.
fn hidden(nats: &str) -> String {
    match (nats.split_once("://"), nats.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, _) | (_, None) => nats.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(hidden("nats://demo:secret@127.0.0.1:4222"), "nats://127.0.0.1:4222");
        assert_eq!(hidden("nats://127.0.0.1:4222"), "nats://127.0.0.1:4222");
    }
}
