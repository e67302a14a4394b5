//! The process of a session: how it is started, waited for, and ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bundle::manifest;
use domain::{SessionId, SessionKind, SessionOf, SessionState, Task, Timestamp};
use keeper::{Kept, Launch};
use service::clock;
use session_protocol::{Client, base_of};
use tokio::time::Instant;
use wire::names::page_path;
use wire::records::SessionRecord;

use super::ids::Ids;
use super::log::SessionLog;
use super::pool::Seat;
use super::record::{self, Recorded};
use super::{Stop, port};
use crate::bundles::App;
use crate::held::Orders;
use crate::work::{Files, MARKER};
use crate::{Runner, command, outcome, work};

/// How long a process may take until it is ready; a large model needs its time.
const READY_TIME: Duration = Duration::from_secs(60);
/// Between two looks whether it is ready.
const LOOK_FIRST: Duration = Duration::from_millis(2);
const LOOK_LAST: Duration = Duration::from_millis(25);
/// How often another port is tried where a stranger was faster.
const PORT_TRIES: usize = 3;
/// However busy a session is, after this long a fresh process takes its place: what leaks ends some day.
const AGE_DEFAULT: Duration = Duration::from_secs(24 * 3600);
/// How long a session stays without a task, unless its app says otherwise (seed 000: 5 min).
const IDLE_DEFAULT: Duration = Duration::from_secs(300);
/// The same of one that serves a page: people think longer than schedulers.
const PAGE_IDLE_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// A session with its process. Whoever owns it may use it; dropping it kills the process.
pub struct Session {
    pub id: SessionId,
    pub of: SessionOf,
    pub client: Client,
    pub kept: Kept,
    pub log: SessionLog,
    pub seat: Seat,
    /// How long it stays without a task.
    pub idle: Duration,
    pub max_tasks: Option<u32>,
    /// How old it gets.
    pub max_age: Duration,
    pub ready_at: Instant,
    /// How many tasks it has run to their end.
    pub tasks: u32,
    /// The ids that it has given to tasks.
    pub ids: Ids,
    files: Files,
    recorded: Recorded,
}

/// Why there is no session.
pub enum NotStarted {
    /// It could not be started; the message is for the author of the app.
    Failed(String),
    /// Somebody stopped it.
    Stopped(Stop),
}

/// What session is wanted.
#[derive(Clone, Copy)]
pub struct Wanted<'s> {
    pub id: SessionId,
    pub kind: SessionKind,
    pub of: &'s SessionOf,
    pub app: &'s App,
    /// The task that it is started for; none for one that serves a page.
    pub task: Option<&'s Task>,
    /// What reaches that task meanwhile.
    pub orders: Option<&'s Orders>,
}

/// What of a session there is before it is ready.
struct Starting<'s> {
    runner: &'s Arc<Runner>,
    wanted: Wanted<'s>,
    session: &'s manifest::Session,
    seat: Seat,
    files: Files,
    created_at: Timestamp,
}

/// Starts a session and waits until it is ready.
pub async fn start(runner: &Arc<Runner>, wanted: Wanted<'_>) -> Result<Session, NotStarted> {
    let Wanted { id, kind, of, app, task, .. } = wanted;
    let Some(session) = &app.manifest.session else {
        return Err(NotStarted::Failed(format!("app {} {} has no [session]", of.app, of.version)));
    };
    let no_room = |error| NotStarted::Failed(format!("the runner has no room to work: {error}"));
    let files = runner.work.files(id).map_err(no_room)?;
    let created_at = clock::now();
    let seat = runner.pool.enter(id, kind, of, task, created_at);
    let starting = Starting { runner, wanted, session, seat, files, created_at };
    match starting.start().await {
        Ok((client, kept, log)) => Ok(starting.ready(client, kept, log)),
        Err(not_started) => {
            starting.files.remove();
            let ended = match &not_started {
                NotStarted::Failed(message) => Some((SessionState::Failed, message)),
                NotStarted::Stopped(Stop::Asked(why)) => Some((SessionState::Terminated, why)),
                NotStarted::Stopped(Stop::Ordered(_)) => None,
            };
            if let Some((state, message)) = ended {
                let ended = SessionRecord {
                    state,
                    ended_at: Some(clock::now()),
                    message: Some(message.clone()),
                    ..starting.record()
                };
                record::failed(runner, ended).await;
            }
            Err(not_started)
        }
    }
}

impl Starting<'_> {
    async fn start(&self) -> Result<(Client, Kept, SessionLog), NotStarted> {
        for _ in 0..PORT_TRIES {
            let port = port::free().map_err(|e| NotStarted::Failed(format!("no port is free: {e}")))?;
            let begun = Instant::now();
            let launched = keeper::start(&self.runner.keeper, &self.launch(port)).await;
            let mut kept = launched.map_err(|error| NotStarted::Failed(error.to_string()))?;
            self.seat.has_process(kept.pid(), port);
            let no_pipe = || NotStarted::Failed("the session's output can't be read".to_owned());
            let pipe = kept.take_stderr().ok_or_else(no_pipe)?;
            let log = SessionLog::begin(self.runner, &self.wanted, pipe);
            let mut client = Client::new(port, base_of(self.session.ready.as_deref()));
            if let Err(not_ready) = self.wait(&mut client, &mut kept).await {
                kept.stop().await;
                let exit = kept.wait().await;
                let last = log.end_task().await;
                return Err(match not_ready {
                    NotReady::Stopped(stop) => NotStarted::Stopped(stop),
                    NotReady::Late(why) => NotStarted::Failed(why),
                    NotReady::Exited => {
                        let ended = outcome::ended(exit, last.as_deref());
                        NotStarted::Failed(format!(
                            "the session's process ended before it was ready: {ended}"
                        ))
                    }
                });
            }
            let keeper_pid = kept.keeper_pid();
            let stranger = tokio::task::spawn_blocking(move || port::is_anothers(port, keeper_pid)).await;
            if !stranger.unwrap_or(false) {
                self.runner.pool.note_start_time(self.wanted.of, begun.elapsed());
                return Ok((client, kept, log));
            }
            tracing::warn!(port, session = %self.wanted.id, "another process answers on the port of a session");
            kept.stop().await;
            kept.wait().await;
        }
        Err(NotStarted::Failed(
            "another process of the runner's machine takes the session's ports".to_owned(),
        ))
    }

    async fn wait(&self, client: &mut Client, kept: &mut Kept) -> Result<(), NotReady> {
        let (mut orders, mut asked) = (self.wanted.orders.cloned(), self.seat.asked_to_end.clone());
        let mut seen = String::new();
        tokio::select! {
            _ = kept.wait() => Err(NotReady::Exited),
            stop = super::stopped(orders.as_mut(), &mut asked) => Err(NotReady::Stopped(stop)),
            () = is_ready(client, self.session.ready.as_deref(), &mut seen) => Ok(()),
            () = tokio::time::sleep(READY_TIME) => {
                let seconds = READY_TIME.as_secs();
                Err(NotReady::Late(format!("the session was not ready within {seconds} s: {seen}")))
            }
        }
    }

    fn launch(&self, port: u16) -> Launch {
        let scratch = self.files.scratch.display().to_string();
        let env = [
            ("PATH", self.runner.path.clone()),
            ("HOME", scratch.clone()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TASKLANE_TENANT", self.wanted.of.tenant.clone()),
            (MARKER, scratch),
        ];
        let mut env: BTreeMap<String, String> =
            env.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        if self.wanted.kind == SessionKind::Webui {
            env.insert("TASKLANE_BASE_PATH".to_owned(), page_path(self.wanted.id));
        }
        let (port, app) = (port.to_string(), self.wanted.app);
        Launch {
            command: self.session.command.iter().map(|part| part.replace("{port}", &port)).collect(),
            env,
            working_directory: app.folder.clone(),
            stdin: "/dev/null".into(),
            stdout: None,
            status_fd: None,
            fence: Some(work::fence(&self.runner.hidden, &app.folder, &self.files)),
            limits: command::limits(&app.manifest.limits),
            stop_grace_ms: command::stop_grace_ms(),
        }
    }

    fn record(&self) -> SessionRecord {
        SessionRecord {
            id: self.wanted.id,
            kind: self.wanted.kind,
            state: SessionState::Running,
            of: self.wanted.of.clone(),
            runner: self.runner.id,
            host: self.runner.origin.host.clone(),
            created_at: self.created_at,
            started_at: None,
            ended_at: None,
            tasks: 0,
            message: None,
            process_of: None,
        }
    }

    fn ready(self, client: Client, kept: Kept, log: SessionLog) -> Session {
        let now = clock::now();
        let recorded = Recorded::begin(self.runner, SessionRecord { started_at: Some(now), ..self.record() });
        self.seat.is_ready(now);
        Session {
            id: self.wanted.id,
            of: self.wanted.of.clone(),
            client,
            kept,
            log,
            seat: self.seat,
            idle: self.session.idle.unwrap_or(match self.wanted.kind {
                SessionKind::Task => IDLE_DEFAULT,
                SessionKind::Webui => PAGE_IDLE_DEFAULT,
            }),
            max_tasks: self.session.max_tasks,
            max_age: self.session.max_age.unwrap_or(AGE_DEFAULT),
            ready_at: Instant::now(),
            tasks: 0,
            ids: Ids::default(),
            files: self.files,
            recorded,
        }
    }
}

enum NotReady {
    Exited,
    Late(String),
    Stopped(Stop),
}

/// Looks until the process is ready; `seen` says what was seen last.
async fn is_ready(client: &mut Client, path: Option<&str>, seen: &mut String) {
    let mut pause = LOOK_FIRST;
    loop {
        match path {
            None if client.listens().await => return,
            None => *seen = format!("nothing listens on port {}", client.port()),
            Some(path) => match client.get(path).await {
                Ok(answer) if answer.status == http::StatusCode::OK => return,
                Ok(answer) => *seen = format!("{} answered {}", answer.asked, answer.status),
                Err(fault) => *seen = fault.to_string(),
            },
        }
        tokio::time::sleep(pause).await;
        pause = LOOK_LAST.min(pause * 2);
    }
}

impl Session {
    /// Ends it with all its processes, and removes its files.
    pub async fn end(mut self, runner: &Runner, state: SessionState, message: String) {
        self.seat.takes_no_more();
        self.kept.stop().await;
        self.kept.wait().await;
        self.log.end_task().await;
        self.log.close().await;
        self.files.remove();
        self.recorded.end(runner, clock::now(), state, self.tasks, message).await;
    }
}
