//! The `command` runtime: one process per task (design §8).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bundle::manifest::Service;
use bytes::Bytes;
use domain::payload::{BODY_BYTES_MAX, INLINE_BYTES_MAX, Place};
use domain::task::input::Ending;
use domain::{Payload, SessionId, Task};
use keeper::{Kept, Launch, Limits};
use service::{clock, ids};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use wire::Error;

use crate::bundles::{App, NoApp};
use crate::held::{Order, Orders};
use crate::logs::Sink;
use crate::outcome::{self, Run};
use crate::reports::Reports;
use crate::status::Status;
use crate::work::{Files, MARKER};
use crate::{Runner, input, logs, work};

/// The descriptor on which a process may report its status; one digit, as plain shells need it.
const STATUS_FD: i32 = 3;
/// How long a process has after an interrupt before it is stopped.
pub const INTERRUPT_GRACE: Duration = Duration::from_secs(30);
/// How often a bundle is asked for again while the broker is away.
const FETCH_TRIES: usize = 30;
const FETCH_PAUSE: Duration = Duration::from_secs(1);
/// What an output may take of the record once it is escaped; more goes into the store.
const RECORD_SHARE_MAX: usize = 12 * 1024;
/// A file of a process, its output included, unless its app says otherwise.
const FILE_BYTES_DEFAULT: u64 = 4 * 1024 * 1024 * 1024;

/// Runs a task to its end; `None` if the claim is not ours any more or goes back.
pub async fn run(runner: &Arc<Runner>, task: &Task, orders: Orders, reports: &Reports) -> Option<Ending> {
    let app = match fetch(runner, &task.bundle).await {
        Ok(app) => app,
        Err(error) => return Some(outcome::not_started(error)),
    };
    let Some(service) = app.manifest.services.get(&task.service) else {
        let message = format!("app {} {} has no service {}", task.app, task.version, task.service);
        return Some(outcome::not_started(message));
    };
    let session = task.session.unwrap_or(SessionId(task.id.0));
    let files = match runner.work.files(session) {
        Ok(files) => files,
        Err(error) => return Some(outcome::not_started(format!("the runner has no room to work: {error}"))),
    };
    let process = Process {
        runner,
        task,
        app: &app,
        service: &task.service,
        declared: service,
        files: &files,
        orders,
        reports,
    };
    let ending = run_in(process).await;
    files.remove();
    ending
}

/// The app of a bundle, which is waited for while the broker is away.
pub async fn fetch(runner: &Runner, bundle: &str) -> Result<Arc<App>, String> {
    for _ in 0..FETCH_TRIES {
        match runner.bundles.get(bundle).await {
            Ok(app) => return Ok(app),
            Err(NoApp::Never(reason)) => return Err(reason),
            Err(NoApp::Later(error)) => tracing::warn!(%error, "a bundle could not be fetched; trying again"),
        }
        tokio::time::sleep(FETCH_PAUSE).await;
    }
    Err("the app's bundle could not be fetched".to_owned())
}

async fn run_in(process: Process<'_>) -> Option<Ending> {
    let Process { runner, task, files, .. } = process;
    let written = input::patiently(|| input::write(&runner.bodies, &task.input, &files.input)).await;
    if let Err(error) = written {
        tracing::error!(task = %task.id, %error, "an input could not be read");
        return Some(outcome::not_started("the input could not be read from the store"));
    }
    let mut sink = Some(Sink::new(runner, &task.key(), task.epoch));
    let run = match process.run(&mut sink).await {
        Ran::Ended(run) => run,
        Ran::NotStarted(error) => return Some(outcome::not_started(error)),
        Ran::Gone => return None,
    };
    if let Some(sink) = sink {
        sink.close().await;
    }
    Some(finish(runner, &run, files).await)
}

/// One process: that of a task, or of one step of it. Its input lies in its file already.
pub struct Process<'p> {
    /// Where it runs.
    pub runner: &'p Arc<Runner>,
    /// For which task.
    pub task: &'p Task,
    /// Of which app.
    pub app: &'p App,
    /// Which of the app's services.
    pub service: &'p str,
    /// What the app says about that.
    pub declared: &'p Service,
    /// Its files.
    pub files: &'p Files,
    /// What it is told.
    pub orders: Orders,
    /// Whom its start and its phases are told.
    pub reports: &'p Reports,
}

/// What became of a process.
pub enum Ran {
    /// It ended, and whatever it wrote is there.
    Ended(Run),
    /// It could not be started.
    NotStarted(String),
    /// It was ended because the claim is not ours any more or goes back; there is nothing to report.
    Gone,
}

impl Process<'_> {
    /// Runs it to its end. Its lines go into the sink, which comes back unless the process is `Gone`.
    pub async fn run(self, sink: &mut Option<Sink>) -> Ran {
        let Self { runner, task, reports, .. } = self;
        let launch = launch(&self);
        let started_at = clock::now();
        let mut kept = match keeper::start(&runner.keeper, &launch).await {
            Ok(kept) => kept,
            Err(error) => return Ran::NotStarted(error.to_string()),
        };
        runner.held.started(&task.key(), kept.pid(), started_at);
        reports.started(started_at);
        let reader = match (kept.take_stderr(), sink.take()) {
            (Some(stderr), Some(lines)) => Some(tokio::spawn(logs::collect(lines, stderr))),
            (None, lines) => {
                *sink = lines;
                None
            }
            (Some(_), None) => None,
        };
        let status = kept.take_status().map(|status| Status::new(Arc::clone(runner), task, status));
        let deadline = self.declared.timeout;
        let mut run = Supervision { kept, orders: self.orders, reports, status, deadline, stopped: None };
        let exit = run.supervise(started_at).await;
        let order = *run.orders.order.borrow();
        match order {
            Order::Drop => return Ran::Gone,
            Order::GiveBack if run.stopped.is_none() => {
                reports.give_back();
                return Ran::Gone;
            }
            Order::Run | Order::EndSolve | Order::Stop | Order::GiveBack => {}
        }
        if let Some(reader) = reader {
            // Nothing holds the pipe any more, so the reader ends by itself.
            *sink = reader.await.ok();
        }
        let last_line = sink.as_mut().and_then(Sink::take_last);
        Ran::Ended(Run { started_at, exit, order, stopped: run.stopped, last_line })
    }
}

fn launch(process: &Process<'_>) -> Launch {
    let Process { runner, task, app, service, declared, files, .. } = process;
    let scratch = files.scratch.display().to_string();
    let mut env: BTreeMap<String, String> = BTreeMap::from([
        ("PATH".to_owned(), runner.path.clone()),
        ("HOME".to_owned(), scratch.clone()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ]);
    env.extend(declared.env.clone());
    let own = [
        ("TASKLANE_TASK_ID", task.id.to_string()),
        ("TASKLANE_TENANT", task.tenant.to_string()),
        ("TASKLANE_SERVICE", (*service).to_owned()),
        ("TASKLANE_ATTEMPT", task.epoch.to_string()),
        (MARKER, scratch),
        ("TASKLANE_STATUS_FD", STATUS_FD.to_string()),
    ];
    env.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Launch {
        command: declared.command.clone(),
        env,
        working_directory: app.folder.clone(),
        stdin: files.input.clone(),
        stdout: Some(files.output.clone()),
        status_fd: Some(STATUS_FD),
        fence: Some(work::fence(&runner.hidden, &app.folder, files)),
        limits: limits(&app.manifest.limits),
        stop_grace_ms: stop_grace_ms(),
    }
}

/// The limits of every process of an app.
pub fn limits(limits: &bundle::manifest::Limits) -> Limits {
    Limits {
        memory_bytes: limits.memory,
        open_files: limits.open_files,
        file_bytes: Some(limits.file_size.unwrap_or(FILE_BYTES_DEFAULT)),
        processes: limits.processes,
    }
}

/// Milliseconds between SIGTERM and SIGKILL.
pub fn stop_grace_ms() -> u64 {
    u64::try_from(Launch::DEFAULT_STOP_GRACE.as_millis()).unwrap_or(u64::MAX)
}

/// A process while it runs.
struct Supervision<'r> {
    kept: Kept,
    orders: Orders,
    reports: &'r Reports,
    status: Option<Status>,
    deadline: Option<Duration>,
    stopped: Option<String>,
}

impl Supervision<'_> {
    /// Waits for the end of the process and carries out what it is asked meanwhile.
    async fn supervise(&mut self, started_at: domain::Timestamp) -> keeper::Exit {
        let far = Instant::now() + Duration::from_secs(100 * 365 * 24 * 3600);
        let timeout = self.deadline.map_or(far, |limit| Instant::now() + limit);
        let mut grace = far;
        let mut obeyed = Order::Run;
        loop {
            let order = *self.orders.order.borrow_and_update();
            if order > obeyed {
                obeyed = order;
                grace = self.obey(order, grace).await;
            }
            tokio::select! {
                exit = self.kept.wait() => {
                    self.last_status().await;
                    return exit;
                }
                _ = self.orders.order.changed() => {}
                Ok(()) = self.orders.doubts.changed() => self.reports.started(started_at),
                Some(phase) = next_phase(&mut self.status) => self.reports.phase(phase),
                () = tokio::time::sleep_until(grace), if grace < far => {
                    grace = far;
                    let seconds = INTERRUPT_GRACE.as_secs();
                    self.stop(format!("it did not end within {seconds} s of the interrupt and was stopped")).await;
                }
                () = tokio::time::sleep_until(timeout), if self.stopped.is_none() && timeout < far => {
                    let limit = self.deadline.map(bundle::manifest::units::format_duration).unwrap_or_default();
                    self.stop(format!("it ran longer than its timeout of {limit} and was stopped")).await;
                }
            }
        }
    }

    async fn obey(&mut self, order: Order, grace: Instant) -> Instant {
        match order {
            Order::Run => grace,
            Order::EndSolve => {
                self.kept.interrupt().await;
                Instant::now() + INTERRUPT_GRACE
            }
            Order::Stop => {
                self.stop(self.orders.why_stopped()).await;
                grace
            }
            Order::GiveBack | Order::Drop => {
                self.kept.stop().await;
                grace
            }
        }
    }

    async fn stop(&mut self, why: String) {
        self.stopped.get_or_insert(why);
        self.kept.stop().await;
    }

    /// What the process said just before its end still counts.
    async fn last_status(&mut self) {
        if let Some(status) = &mut self.status {
            status.finish().await;
        }
    }
}

async fn next_phase(status: &mut Option<Status>) -> Option<domain::Phase> {
    match status {
        Some(status) => status.next_phase().await,
        None => None,
    }
}

async fn finish(runner: &Runner, run: &Run, files: &Files) -> Ending {
    let (result, problem) = match store_output(runner, files, INLINE_BYTES_MAX, BODY_BYTES_MAX).await {
        Ok(result) => (result, None),
        Err(error) => (None, Some(error.message)),
    };
    let error = run.error().or(problem);
    // A failed task has a response only if it wrote one.
    let result = result.filter(|result| error.is_none() || result.size > 0);
    Ending { started_at: Some(run.started_at), session: None, result, return_code: run.exit.code, error }
}

/// What the process wrote: for the record up to `inline`, else stored, up to `most`.
pub async fn store_output(
    runner: &Runner,
    files: &Files,
    inline: usize,
    most: u64,
) -> Result<Option<Payload>, Error> {
    input::patiently(|| store_once(runner, files, inline, most)).await
}

async fn store_once(
    runner: &Runner,
    files: &Files,
    inline: usize,
    most: u64,
) -> Result<Option<Payload>, Error> {
    let mut file = tokio::fs::File::open(&files.output).await.map_err(Error::internal)?;
    let size = file.metadata().await.map_err(Error::internal)?.len();
    let mut head = Vec::new();
    if size <= inline as u64 {
        file.read_to_end(&mut head).await.map_err(Error::internal)?;
        // Control characters and quotes take more room in a record than they are.
        let payload = outcome::inline(&head);
        if payload.as_ref().is_some_and(|payload| takes(payload) <= RECORD_SHARE_MAX) {
            return Ok(payload);
        }
    }
    if size > most {
        let message = format!("the response has {size} bytes; {most} is the most");
        return Err(Error::new(wire::Code::TooLarge, message));
    }
    let content_type = outcome::media_type(std::str::from_utf8(&head).ok().filter(|_| !head.is_empty()));
    let name = ids::random()?.simple().to_string();
    let stored = runner.bodies.put(&name, Bytes::from(head), file, most).await?;
    let content_type = Some(content_type.to_owned());
    Ok(Some(Payload { content_type, size: stored.size, place: Place::Object(name) }))
}

fn takes(payload: &Payload) -> usize {
    match &payload.place {
        Place::Text(text) => serde_json::to_string(text).map_or(usize::MAX, |text| text.len()),
        Place::Base64(text) => text.len(),
        Place::Object(_) | Place::Empty => 0,
    }
}
