//! `task logs` and `session logs`: the log so far, or with `--follow` until whose log it is has ended.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wire::calls::logs::LogsReply;
use wire::runner::LogLine;

use crate::client::Ask;
use crate::commands::Context;
use crate::error::CliError;
use crate::table::printable;
use crate::url::{path, with_query};

/// Lines of one request; the most that the service gives.
const PAGE_LINES: u64 = 1000;

/// How many seconds the service may wait for the next line.
const HOLD_SECONDS: u64 = 20;

/// A service that restarts is back within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two attempts while the service is away.
const PAUSE: Duration = Duration::from_secs(1);

/// Between two empty pages at least, for a service that does not hold them back.
const LEAST_INTERVAL: Duration = Duration::from_millis(200);

/// Whose log is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log<'l> {
    /// What it is of, as the path of the service says it.
    pub what: &'static str,
    /// Of which.
    pub id: &'l str,
    /// Only lines with this text in them.
    pub contains: Option<&'l str>,
}

/// Shows the log.
pub(super) async fn run(context: &Context, log: Log<'_>, follow: bool) -> Result<(), CliError> {
    if follow {
        return follow_to_the_end(context, log).await;
    }
    let mut offset = 0;
    let mut lines: Vec<LogLine> = Vec::new();
    let last = loop {
        let mut page = page(context, log, offset, 0).await?;
        let is_last = page.lines.is_empty() || page.end;
        offset = page.next;
        if context.console.is_json() {
            lines.append(&mut page.lines);
        } else {
            show(context, &page.lines)?;
        }
        if is_last {
            break page;
        }
    };
    if context.console.is_json() {
        let document =
            json!({ "id": log.id, "lines": lines, "dropped": last.dropped, "made_room": last.made_room });
        context.console.line(&document.to_string())?;
    }
    if offset == 0 {
        context.console.note("there are no lines so far; -f waits for them");
    }
    tell_missing(context, 0, &last);
    Ok(())
}

async fn follow_to_the_end(context: &Context, log: Log<'_>) -> Result<(), CliError> {
    let mut offset = 0;
    let mut dropped = 0;
    // A wrong id or a service that is down is told at once; later, patience is better.
    let mut last_answer: Option<Instant> = None;
    loop {
        let asked = Instant::now();
        match page(context, log, offset, HOLD_SECONDS).await {
            Ok(page) => {
                last_answer = Some(Instant::now());
                show(context, &page.lines)?;
                tell_missing(context, dropped, &page);
                (offset, dropped) = (page.next, page.dropped);
                if page.end {
                    return Ok(());
                }
                if page.lines.is_empty() {
                    tokio::time::sleep(LEAST_INTERVAL.saturating_sub(asked.elapsed())).await;
                }
            }
            Err(error) if error.is_passing() && last_answer.is_some_and(|last| last.elapsed() < PATIENCE) => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn page(
    context: &Context,
    log: Log<'_>,
    offset: u64,
    hold_seconds: u64,
) -> Result<LogsReply, CliError> {
    let mut pairs = vec![("offset", offset.to_string()), ("limit", PAGE_LINES.to_string())];
    if hold_seconds > 0 {
        pairs.push(("wait", hold_seconds.to_string()));
    }
    pairs.extend(log.contains.map(|text| ("contains", text.to_owned())));
    let path = with_query(&path(["tasklane", "v1", log.what, log.id, "logs"]), &pairs);
    let document = context.client.document(Ask::new(http::Method::GET, path).held(hold_seconds)).await?;
    serde_json::from_value(document).map_err(|error| CliError::NotUnderstood {
        asked: format!("the question for the log of {}", log.id),
        why: error.to_string(),
    })
}

/// The lines with their times, or for programs one JSON document per line.
fn show(context: &Context, lines: &[LogLine]) -> Result<(), CliError> {
    for line in lines {
        if context.console.is_json() {
            let document: Value = json!(line);
            context.console.line(&document.to_string())?;
        } else {
            let at = line.at.format("%Y-%m-%d %H:%M:%S%.3f");
            context.console.line(&format!("{at} {}", printable(&line.text)))?;
        }
    }
    Ok(())
}

fn tell_missing(context: &Context, before: u64, page: &LogsReply) {
    if let Some(missing) = page.missing(before) {
        context.console.note(&missing);
    }
}
