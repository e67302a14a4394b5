//! `session …`: which sessions there are, one of them, its log, and its end.

use domain::session::list::SessionSummary;
use domain::{Activity, SessionId, SessionKind};
use http::Method;
use serde_json::{Value, json};
use wire::calls::sessions::{RunnerStatus, START_SECONDS, Session};

use crate::arguments::SessionCommand;
use crate::client::Ask;
use crate::commands::logs::{self, Log};
use crate::commands::{Context, list_in, with_field};
use crate::error::CliError;
use crate::table::{fields, moment, table};
use crate::url::{path, with_query};

/// Runs `session …`.
///
/// # Errors
/// What the service says.
pub async fn run(context: &Context, command: SessionCommand) -> Result<(), CliError> {
    match command {
        SessionCommand::List { all: false, .. } => live(context).await,
        SessionCommand::List { all: true, limit } => all(context, limit).await,
        SessionCommand::Start { app, version } => start(context, &app, version.as_deref()).await,
        SessionCommand::Get { id } => {
            let document = context.client.get(path_of(id)).await?;
            show(context, &document)
        }
        SessionCommand::Logs { id, contains, follow } => {
            let id = id.to_string();
            let log = Log { what: "sessions", id: &id, contains: contains.as_deref() };
            logs::run(context, log, follow).await
        }
        SessionCommand::Terminate { id } => {
            let document = context.client.document(Ask::new(Method::DELETE, path_of(id))).await?;
            show(context, &document)
        }
    }
}

fn path_of(id: SessionId) -> String {
    path(["tasklane", "v1", "sessions", &id.to_string()])
}

/// The addresses are those by which this program reaches the service: what the service takes for its own name
/// may be that of something in between.
async fn start(context: &Context, app: &str, version: Option<&str>) -> Result<(), CliError> {
    let mut order = json!({ "app": app });
    if let Some(version) = version {
        order = with_field(order, "version", json!(version));
    }
    let ask = Ask::new(Method::POST, path(["tasklane", "v1", "sessions"])).json(&order).held(START_SECONDS);
    let mut document = context.client.document(ask).await?;
    let text = |document: &Value, name: &str| {
        document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (path, url, open) = (text(&document, "path"), text(&document, "url"), text(&document, "open_url"));
    let here = context.client.base().join(&path).map_err(CliError::Usage)?.to_string();
    document = with_field(document, "open_url", json!(open.replacen(&url, &here, 1)));
    document = with_field(document, "url", json!(here));
    let id = text(&document, "session_id");
    context
        .console
        .result(&document, || fields(vec![("session", id.clone()), ("open", text(&document, "open_url"))]))?;
    context
        .console
        .note(&format!("the link opens the page for twelve hours; end it: tasklane session terminate {id}"));
    Ok(())
}

async fn live(context: &Context) -> Result<(), CliError> {
    let document = context.client.get(path(["tasklane", "v1", "sessions"])).await?;
    let sessions: Vec<Session> = list_in(&document, "sessions")?;
    let runners: Vec<RunnerStatus> = list_in(&document, "runners")?;
    let text = || format!("{}\n\n{}", session_table(&sessions), runner_table(&runners));
    context.console.result(&document, text)?;
    if runners.is_empty() {
        context.console.note("no runner is up, so tasks wait; start one: tasklane serve runner");
    }
    Ok(())
}

async fn all(context: &Context, limit: u64) -> Result<(), CliError> {
    let query = [("all", "true".to_owned()), ("limit", limit.to_string())];
    let document = context.client.get(with_query(&path(["tasklane", "v1", "sessions"]), &query)).await?;
    let sessions: Vec<SessionSummary> = list_in(&document, "sessions")?;
    let row = |session: &SessionSummary| {
        vec![
            session.id.to_string(),
            kind(session.kind).to_owned(),
            format!("{} {}", session.of.app, session.of.version),
            session.of.user.clone(),
            session.state.name().to_owned(),
            session.tasks.to_string(),
            moment(Some(session.created_at)),
            moment(session.ended_at),
        ]
    };
    let headings = ["session", "kind", "app", "user", "state", "tasks#", "since", "ended"];
    context.console.result(&document, || table(&headings, sessions.iter().map(row).collect()))
}

fn show(context: &Context, document: &Value) -> Result<(), CliError> {
    let session: SessionSummary = serde_json::from_value(document.clone()).map_err(|error| {
        CliError::NotUnderstood { asked: "the question for a session".to_owned(), why: error.to_string() }
    })?;
    context.console.result(document, || {
        fields(vec![
            ("session", session.id.to_string()),
            ("kind", kind(session.kind).to_owned()),
            ("state", session.state.name().to_owned()),
            ("app", format!("{} {}", session.of.app, session.of.version)),
            ("user", session.of.user.clone()),
            ("task", session.task.map(|task| task.to_string()).unwrap_or_default()),
            ("tasks", session.tasks.to_string()),
            ("host", session.host.clone().unwrap_or_default()),
            ("since", moment(Some(session.created_at))),
            ("ready", moment(session.started_at)),
            ("ended", moment(session.ended_at)),
            ("why", session.message.clone().unwrap_or_default()),
        ])
    })?;
    if !session.state.has_ended() {
        context.console.note(&format!("end it: tasklane session terminate {}", session.id));
    }
    Ok(())
}

fn kind(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Task => "task",
        SessionKind::Webui => "webui",
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
