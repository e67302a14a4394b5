//! `app check`: starts the process of a session app as the runner would, goes through the session protocol with
//! it, and says check by check what is wrong. It uses the runner's own client, so both say the same.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bundle::{Bounds, Manifest};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use session_protocol::{Answer, Client, Fault, Input, State, Status, Told, base_of};
use tokio::process::{Child, Command};

use crate::arguments::CheckArguments;
use crate::commands::Context;
use crate::error::CliError;

const READY_TIME: Duration = Duration::from_secs(60);
const TASK_TIME: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What a session is told in `X-Aimms-Max-Idle-Time`.
const IDLE_SECONDS: u64 = 300;
/// A service that no app has.
const NO_SERVICE: &str = "tasklane-check-no-such-service";
/// A task that no session has.
const NO_TASK: &str = "tasklane-check-no-such-task";

/// Runs `app check`.
///
/// # Errors
/// [`CliError::Unhealthy`] if anything is wrong, and whatever keeps it from looking.
pub async fn run(context: &Context, arguments: CheckArguments) -> Result<(), CliError> {
    let manifest = manifest(&arguments)?;
    let mut checks = Checks::default();
    match start(&arguments, &manifest) {
        Ok((mut process, client)) => {
            let mut checking = Checking { client, checks: &mut checks, arguments: &arguments };
            checking.all(&mut process, &manifest).await;
            // It has nothing more to do, and ends with us in any case.
            let _ = process.kill().await;
        }
        Err(why) => checks.add("its process starts", Err(why)),
    }
    let document = json!({ "app": manifest.name, "version": manifest.version, "checks": checks.document() });
    context.console.result(&document, || checks.text())?;
    if checks.are_good() { Ok(()) } else { Err(CliError::Unhealthy) }
}

/// The folder is packed as for publishing, so that what publishing would refuse is said here already.
fn manifest(arguments: &CheckArguments) -> Result<Manifest, CliError> {
    let packed =
        bundle::pack_directory(&arguments.directory, &Bounds::default()).map_err(CliError::Bundle)?;
    if packed.manifest.runtime == bundle::manifest::Runtime::Session {
        return Ok(packed.manifest);
    }
    let runtime = packed.manifest.runtime.as_str();
    Err(CliError::Usage(format!("app check is for apps with the runtime session; this one has {runtime}")))
}

fn start(arguments: &CheckArguments, manifest: &Manifest) -> Result<(Child, Client), String> {
    let session = manifest.session.as_ref().ok_or("the app has no [session]")?;
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let port = port.map_err(|error| format!("no port is free: {error}"))?.port();
    let command: Vec<String> =
        session.command.iter().map(|part| part.replace("{port}", &port.to_string())).collect();
    let (program, rest) = command.split_first().ok_or("its command is empty")?;
    let process = Command::new(program)
        .args(rest)
        .current_dir(&arguments.directory)
        .stdin(Stdio::null())
        // Its output is shown beside the checks, where it helps most.
        .stdout(std::io::stderr())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program} can't be started: {error}"))?;
    Ok((process, Client::new(port, base_of(session.ready.as_deref()))))
}

/// What was found.
#[derive(Default)]
struct Checks(Vec<(String, Result<(), String>)>);

impl Checks {
    fn add(&mut self, what: &str, outcome: Result<(), String>) {
        self.0.push((what.to_owned(), outcome));
    }

    fn are_good(&self) -> bool {
        self.0.iter().all(|(_, outcome)| outcome.is_ok())
    }

    fn document(&self) -> Vec<Value> {
        let check = |(what, outcome): &(String, Result<(), String>)| match outcome {
            Ok(()) => json!({ "check": what, "ok": true }),
            Err(why) => json!({ "check": what, "ok": false, "problem": why }),
        };
        self.0.iter().map(check).collect()
    }

    fn text(&self) -> String {
        let line = |(what, outcome): &(String, Result<(), String>)| match outcome {
            Ok(()) => format!("ok     {what}"),
            Err(why) => format!("WRONG  {what}: {why}"),
        };
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

struct Checking<'c> {
    client: Client,
    checks: &'c mut Checks,
    arguments: &'c CheckArguments,
}

impl Checking<'_> {
    async fn all(&mut self, process: &mut Child, manifest: &Manifest) {
        let ready = manifest.session.as_ref().and_then(|session| session.ready.clone());
        let ready = self.ready(process, ready.as_deref()).await;
        let is_ready = ready.is_ok();
        self.checks.add("it is ready", ready);
        if !is_ready {
            return;
        }
        let unknown = self.create(NO_SERVICE).await.and_then(|answer| expect(&answer, StatusCode::FORBIDDEN));
        self.checks.add("an unknown service is answered with 403", unknown);
        let unknown = match self.client.status(NO_TASK).await {
            // The client takes a 404 for a fault, since it asks only for tasks that there are.
            Err(Fault::Broken { why, .. }) if why.starts_with("404") => Ok(()),
            Ok(_) => Err("it has a status for a task that does not exist".to_owned()),
            Err(fault) => Err(fault.to_string()),
        };
        self.checks.add("an unknown task is answered with 404", unknown);
        if let Some(service) = self.arguments.service.clone() {
            let first = self.task(&service, "a first task").await;
            let second = self.task(&service, "a second task in the same process").await;
            if let (Some(first), Some(second)) = (first, second) {
                let differ = if first == second { Err(format!("both have {first}")) } else { Ok(()) };
                self.checks.add("each task has an id of its own", differ);
            }
        }
        let alive = match process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("it ended meanwhile: {status}")),
            Err(error) => Err(error.to_string()),
        };
        self.checks.add("its process is still there", alive);
    }

    async fn ready(&mut self, process: &mut Child, path: Option<&str>) -> Result<(), String> {
        let begun = Instant::now();
        let mut seen = "nothing listens on its port".to_owned();
        while begun.elapsed() < READY_TIME {
            if let Ok(Some(status)) = process.try_wait() {
                return Err(format!("its process ended before it was ready: {status}"));
            }
            match path {
                None if self.client.listens().await => return Ok(()),
                None => {}
                Some(path) => match self.client.get(path).await {
                    Ok(answer) if answer.status == StatusCode::OK => return Ok(()),
                    Ok(answer) => seen = format!("{} answered {}", answer.asked, answer.status),
                    Err(fault) => seen = fault.to_string(),
                },
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(format!("not within {} s; {seen}", READY_TIME.as_secs()))
    }

    async fn create(&mut self, service: &str) -> Result<Answer, String> {
        let told = Told { task: NO_TASK.to_owned(), max_idle_seconds: IDLE_SECONDS };
        let body = Bytes::from(self.arguments.input.clone());
        let input = Input::bytes(body, Some("application/json".to_owned()));
        self.client.create_raw(service, input, &told).await.map_err(|fault| fault.to_string())
    }

    /// One task from its creation to its removal; gives its id.
    async fn task(&mut self, service: &str, what: &str) -> Option<String> {
        let created = self.create(service).await.and_then(|answer| {
            expect(&answer, StatusCode::OK)?;
            answer.status().map_err(|fault| fault.to_string())
        });
        let (status, outcome) = split(created);
        self.checks.add(&format!("{what} is created with 200 and its status"), outcome);
        let status = status?;
        let (ended, outcome) = split(self.until_ended(&status).await);
        self.checks.add(&format!("{what} ends"), outcome);
        let ended = ended?;
        if ended.state == State::Completed {
            let response = self.read_response(&ended.id).await;
            self.checks.add(&format!("{what} has a response that can be read to its end"), response);
        } else {
            let why = ended.error.clone().map_or(Err("it gives no errorMessage".to_owned()), |_| Ok(()));
            self.checks.add(&format!("{what} failed and says why"), why);
        }
        let deleted = self.client.delete(&ended.id).await.map_err(|fault| fault.to_string());
        let deleted = deleted.and_then(|answer| expect(&answer, StatusCode::OK));
        self.checks.add(&format!("{what} can be deleted"), deleted);
        Some(ended.id)
    }

    async fn until_ended(&mut self, created: &Status) -> Result<Status, String> {
        let begun = Instant::now();
        loop {
            let status = self.client.status(&created.id).await.map_err(|fault| fault.to_string())?;
            if status.state.is_terminal() {
                return Ok(status);
            }
            if begun.elapsed() > TASK_TIME {
                return Err(format!("not within {} s; give a smaller --input", TASK_TIME.as_secs()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn read_response(&mut self, id: &str) -> Result<(), String> {
        let fault = |fault: Fault| fault.to_string();
        let Some(mut body) = self.client.response(id).await.map_err(fault)? else { return Ok(()) };
        while body.next().await.map_err(fault)?.is_some() {}
        Ok(())
    }
}

fn expect(answer: &Answer, wanted: StatusCode) -> Result<(), String> {
    if answer.status == wanted {
        return Ok(());
    }
    Err(format!("{} answered {} and not {}", answer.asked, answer.status, wanted.as_u16()))
}

fn split<T>(outcome: Result<T, String>) -> (Option<T>, Result<(), String>) {
    match outcome {
        Ok(value) => (Some(value), Ok(())),
        Err(why) => (None, Err(why)),
    }
}
