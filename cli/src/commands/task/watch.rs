//! `task watch`, and waiting for the end of a task in general.

use std::time::{Duration, Instant};

use domain::TaskId;
use http::Method;

use crate::client::{Ask, Client};
use crate::commands::Context;
use crate::error::CliError;
use crate::progress::Progress;
use crate::task_view::{Seen, TaskView};
use crate::url::{path, with_query};

/// A service that restarts is back within this, so waiting goes on for so long without an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two attempts while the service is away.
const PAUSE: Duration = Duration::from_secs(1);

/// Between two answers at least, for a service that does not hold them back.
const LEAST_INTERVAL: Duration = Duration::from_millis(200);

/// Runs `task watch`.
pub(super) async fn run(context: &Context, id: TaskId) -> Result<(), CliError> {
    // A wrong id or a service that is down is told at once; later, patience is better.
    let first = look(&context.client, id, 0).await?;
    let seen = follow(context, id, Some(first), Progress::as_result(context.console)).await?;
    if !context.console.is_json() {
        context.console.line(&seen.ending())?;
    }
    if !seen.task.is_completed() {
        context.console.note(&format!("its log: tasklane task logs {id}"));
        return Err(CliError::TaskFailed);
    }
    context.console.note(&format!("its response: tasklane task response {id}"));
    Ok(())
}

/// The task as it is after its end, or after so many seconds.
pub(super) async fn look(client: &Client, id: TaskId, hold_seconds: u64) -> Result<Seen, CliError> {
    let path = path(["tasklane", "v1", "tasks", &id.to_string()]);
    let pairs = if hold_seconds > 0 { vec![("wait", hold_seconds.to_string())] } else { Vec::new() };
    let ask = Ask::new(Method::GET, with_query(&path, &pairs)).held(hold_seconds);
    let document = client.document(ask).await?;
    let task = TaskView::read(&document, &format!("the question for task {id}"))?;
    Ok(Seen { task, document })
}

/// Shows a task until its end. Ctrl-C ends the showing, never the task.
pub(crate) async fn follow(
    context: &Context,
    id: TaskId,
    first: Option<Seen>,
    mut progress: Progress,
) -> Result<Seen, CliError> {
    let ended = tokio::select! {
        ended = to_the_end(&context.client, id, first, &mut progress) => ended,
        pressed = tokio::signal::ctrl_c() => match pressed {
            Ok(()) => Err(CliError::Stopped),
            Err(error) => Err(CliError::Stack(format!("Ctrl-C can't be noticed here: {error}"))),
        },
    };
    progress.finish();
    if matches!(ended, Err(CliError::Stopped)) {
        context.console.note(&format!(
            "\nthe task goes on; watch it again: tasklane task watch {id}\nend it early: tasklane task interrupt {id}"
        ));
    }
    ended
}

async fn to_the_end(
    client: &Client,
    id: TaskId,
    first: Option<Seen>,
    progress: &mut Progress,
) -> Result<Seen, CliError> {
    if let Some(seen) = first {
        progress.show(&seen)?;
        if seen.task.has_ended() {
            return Ok(seen);
        }
    }
    let mut last_answer = Instant::now();
    loop {
        let asked = Instant::now();
        match look(client, id, progress.hold_seconds()).await {
            Ok(seen) => {
                last_answer = Instant::now();
                progress.show(&seen)?;
                if seen.task.has_ended() {
                    return Ok(seen);
                }
                tokio::time::sleep(LEAST_INTERVAL.saturating_sub(asked.elapsed())).await;
            }
            Err(error) if error.is_passing() && last_answer.elapsed() < PATIENCE => {
                progress.trouble("the service does not answer at the moment; trying again");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}
