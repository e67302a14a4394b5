//! `task …`: the short ones here, the longer ones in a file each.

mod response;
mod submit;
pub(crate) mod watch;

use domain::TaskId;
use http::Method;
use serde_json::{Value, json};

use crate::arguments::task::{ListArguments, TaskCommand};
use crate::client::Ask;
use crate::commands::logs::{self, Log};
use crate::commands::{Context, list_in};
use crate::error::CliError;
use crate::task_view::{TaskView, task_table};
use crate::url::{path, with_query};

/// The most rows that the service puts on one page.
const PAGE_ROWS: u64 = domain::list::PAGE_ROWS_MAX;

/// Runs `task …`.
///
/// # Errors
/// What the service says, and [`CliError::TaskFailed`] for a task that was awaited and failed.
pub async fn run(context: &Context, command: TaskCommand) -> Result<(), CliError> {
    match command {
        TaskCommand::Submit(arguments) => submit::run(context, arguments).await,
        TaskCommand::Get { id } => get(context, id).await,
        TaskCommand::List(arguments) => list(context, &arguments).await,
        TaskCommand::Watch { id } => watch::run(context, id).await,
        TaskCommand::Logs { id, contains, follow } => {
            let id = id.to_string();
            let log = Log { what: "tasks", id: &id, contains: contains.as_deref() };
            logs::run(context, log, follow).await
        }
        TaskCommand::Response { id, output } => response::run(context, id, output.as_deref()).await,
        TaskCommand::Interrupt { id } => interrupt(context, id).await,
        TaskCommand::Delete { id } => delete(context, id).await,
    }
}

async fn get(context: &Context, id: TaskId) -> Result<(), CliError> {
    let seen = watch::look(&context.client, id, 0).await?;
    context.console.result(&seen.document, || seen.details())?;
    if seen.task.is_completed() {
        context.console.note(&format!("its response: tasklane task response {id}"));
    } else if !seen.task.has_ended() {
        context.console.note(&format!("watch it: tasklane task watch {id}"));
    }
    Ok(())
}

async fn list(context: &Context, arguments: &ListArguments) -> Result<(), CliError> {
    let mut rows: Vec<Value> = Vec::new();
    let total = loop {
        let wanted = arguments.limit.saturating_sub(rows.len() as u64).min(PAGE_ROWS);
        let document = context.client.get(list_path(arguments, rows.len(), wanted)).await?;
        let page: Vec<Value> = list_in(&document, "tasks")?;
        let total = document.get("total").and_then(Value::as_u64).unwrap_or_default();
        let is_last = page.is_empty();
        rows.extend(page);
        let shown = rows.len() as u64;
        if is_last || shown >= arguments.limit || shown >= total {
            break total;
        }
    };
    let document = json!({ "tasks": rows, "total": total });
    let tasks: Vec<TaskView> = list_in(&document, "tasks")?;
    context.console.result(&document, || task_table(&tasks))?;
    if total > tasks.len() as u64 {
        context.console.note(&format!("{} of {total} tasks; see more with --limit N", tasks.len()));
    } else if tasks.is_empty() && !arguments.all {
        context.console.note("no such tasks of your own; --all shows those of others too");
    }
    Ok(())
}

fn list_path(arguments: &ListArguments, offset: usize, limit: u64) -> String {
    let mut pairs = vec![("limit", limit.to_string()), ("offset", offset.to_string())];
    if arguments.all {
        pairs.push(("all", "true".to_owned()));
    }
    if !arguments.states.is_empty() {
        let words: Vec<&str> = arguments.states.iter().map(|state| state.word()).collect();
        pairs.push(("states", words.join(",")));
    }
    if let Some(app) = &arguments.app {
        pairs.push(("app", app.clone()));
    }
    with_query(&path(["tasklane", "v1", "tasks"]), &pairs)
}

async fn interrupt(context: &Context, id: TaskId) -> Result<(), CliError> {
    let ask = Ask::new(Method::PUT, task_path(id)).json(&json!({ "setstatus": "interrupt-solve" }));
    context.client.document(ask).await?;
    let document = json!({ "id": id, "interrupted": true });
    context
        .console
        .result(&document, || format!("task {id} is asked to end early and keep its best result"))?;
    context.console.note(&format!("watch it end: tasklane task watch {id}"));
    Ok(())
}

async fn delete(context: &Context, id: TaskId) -> Result<(), CliError> {
    context.client.document(Ask::new(Method::DELETE, task_path(id))).await?;
    let document = json!({ "id": id, "deleted": true });
    context.console.result(&document, || format!("task {id} is deleted"))
}

/// Where the AIMMS API has a task.
fn task_path(id: TaskId) -> String {
    path(["pro-api", "v2", "tasks", &id.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::task::State;

    #[test]
    fn lists_are_asked_for_by_their_filters() {
        let states = vec![State::Queued, State::Running];
        let arguments = ListArguments { all: true, states, app: Some("My App".into()), limit: 5 };
        let expected = "/tasklane/v1/tasks?limit=5&offset=2&all=true&states=queued%2Crunning&app=My%20App";
        assert_eq!(list_path(&arguments, 2, 5), expected);
    }
}
