//! `session list`.

use domain::Activity;
use wire::calls::sessions::{RunnerStatus, Session};

use crate::arguments::SessionCommand;
use crate::commands::{Context, list_in};
use crate::error::CliError;
use crate::table::{moment, table};
use crate::url::path;

/// Runs `session …`.
///
/// # Errors
/// What the service says.
pub async fn run(context: &Context, command: SessionCommand) -> Result<(), CliError> {
    match command {
        SessionCommand::List => {
            let document = context.client.get(path(["tasklane", "v1", "sessions"])).await?;
            let sessions: Vec<Session> = list_in(&document, "sessions")?;
            let runners: Vec<RunnerStatus> = list_in(&document, "runners")?;
            context.console.result(&document, || {
                format!("{}\n\n{}", session_table(&sessions), runner_table(&runners))
            })?;
            if runners.is_empty() {
                context.console.note("no runner is up, so tasks wait; start one: tasklane serve runner");
            }
            Ok(())
        }
    }
}

fn session_table(sessions: &[Session]) -> String {
    let row = |session: &Session| {
        let process = &session.process;
        vec![
            process.session.to_string(),
            format!("{} {}", process.of.app, process.of.version),
            process.of.user.clone(),
            word(process.activity).to_owned(),
            process.tasks.to_string(),
            process.task.map(|task| task.to_string()).unwrap_or_default(),
            process.service.clone().unwrap_or_default(),
            process.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            session.host.clone(),
            moment(Some(process.created_at)),
        ]
    };
    let headings = ["session", "app", "user", "state", "tasks#", "task", "service", "pid#", "host", "since"];
    table(&headings, sessions.iter().map(row).collect())
}

fn word(activity: Activity) -> &'static str {
    match activity {
        Activity::Starting => "starting",
        Activity::Busy => "busy",
        Activity::Idle => "idle",
    }
}

fn runner_table(runners: &[RunnerStatus]) -> String {
    let row = |runner: &RunnerStatus| {
        vec![
            runner.runner.to_string(),
            runner.host.clone(),
            runner.held.to_string(),
            runner.slots.to_string(),
            if runner.draining { "draining" } else { "ready" }.to_owned(),
            moment(Some(runner.started_at)),
        ]
    };
    table(&["runner", "host", "tasks#", "places#", "state", "started"], runners.iter().map(row).collect())
}
