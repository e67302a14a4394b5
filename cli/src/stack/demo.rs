//! `demo`: from nothing to the checked result of a real task, over REST like any client.

mod tour;

use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};
use service::{CancellationToken, Settings};

use super::boot::{Stack, StackOptions};
use super::{StackError, dev, examples};
use crate::client::Ask;
use crate::commands::Context;
use crate::commands::task::watch;
use crate::console::Console;
use crate::error::CliError;
use crate::progress::Progress;
use crate::url::path;

/// The instance that is solved, and for how long: long enough to be watched, short enough for a first try.
const INSTANCE: &str = "pcb442";
const SECONDS: u64 = 8;

/// Starts a stack, runs the task, checks the tour. Status 0 only if the tour is right.
pub async fn demo(mut settings: Settings, exit: bool, json: bool) -> Result<ExitCode, CliError> {
    settings.outbound = settings.outbound.with_loopback();
    let console = Console::new(json);
    let folder = tempfile::tempdir().map_err(StackError::text)?;
    let stop = CancellationToken::new();
    tokio::spawn(service::stop_on_signal(stop.clone()));
    console.note("starting the broker and every function …");
    let stack = Stack::start(StackOptions {
        data: folder.path().join("data"),
        http: dev::free_or(8080).await,
        broker_listen: "127.0.0.1:-1".to_owned(),
        near: true,
        replicas: 1,
        broker_apart: false,
        settings,
        users: Vec::new(),
    })
    .await?;
    let api_key = stack.api_key()?;
    let outcome = tokio::select! {
        outcome = run(&stack, &api_key, console) => outcome,
        () = stop.cancelled() => Err(CliError::Stopped),
    };
    let right = match outcome {
        Ok(right) => right,
        Err(error) => {
            stack.stop().await;
            return Err(error);
        }
    };
    if !exit {
        next_steps(&stack, &api_key, console)?;
        stop.cancelled().await;
    }
    stack.stop().await;
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(stack: &Stack, api_key: &str, console: Console) -> Result<bool, CliError> {
    let client = dev::client(&stack.url, api_key)?;
    examples::publish(&client).await?;
    console.note(&format!(
        "Tasklane is up at {}: durability {}, example apps published",
        stack.url,
        stack.settings.durability.name()
    ));
    let input = json!({ "instance": INSTANCE, "seconds": SECONDS });
    console.note(&format!("POST {}/pro-api/v2/tasks/routing/solve   {input}", stack.url));
    let ask = Ask::new(Method::POST, path(["pro-api", "v2", "tasks", "routing", "solve"])).json(&input);
    let created = client.document(ask).await?;
    let id = created.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| StackError::Text("the new task has no id".to_owned()))?;
    let context = Context { client, console };
    let seen = watch::follow(&context, id, None, Progress::beside_result(console)).await?;
    if !seen.task.is_completed() {
        console.note(&seen.ending());
        return Ok(false);
    }
    let response = context.client.get(path(["pro-api", "v2", "tasks", &id.to_string(), "response"])).await?;
    report(&response, &seen.ending(), console)
}

/// Says what came out, checked against the instance itself and not against the solver's own word.
fn report(response: &Value, ending: &str, console: Console) -> Result<bool, CliError> {
    let checked = tour::check(INSTANCE, response);
    let document = match &checked {
        Ok(tour) => json!({ "right": true, "instance": INSTANCE, "nodes": tour.nodes, "length": tour.length,
            "optimum": tour.optimum, "gap_percent": tour.gap_percent() }),
        Err(problem) => json!({ "right": false, "instance": INSTANCE, "problem": problem }),
    };
    console.result(&document, || match &checked {
        Ok(tour) => format!(
            "{ending}\nchecked: a tour through all {} nodes of {INSTANCE}, length {}, {:.2} % over the optimum of {}",
            tour.nodes,
            tour.length,
            tour.gap_percent(),
            tour.optimum
        ),
        Err(problem) => format!("{ending}\nthe tour is wrong: {problem}"),
    })?;
    Ok(checked.is_ok())
}

fn next_steps(stack: &Stack, api_key: &str, console: Console) -> Result<(), CliError> {
    console.line(&format!(
        "\nIt goes on running. In another terminal:\n\n  export TASKLANE_URL={}\n  export TASKLANE_API_KEY={api_key}\n  \
         tasklane task submit routing solve --input '{{\"instance\":\"berlin52\"}}' --wait\n  tasklane task list\n  \
         tasklane app publish examples/hello --latest\n  tasklane doctor\n\n(tasklane is target/release/tasklane.) \
         `tasklane dev --data DIR` keeps everything.\nCtrl-C stops it.",
        stack.url
    ))
}
