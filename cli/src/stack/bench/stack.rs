//! The stack that is measured: every function in one process, apart from the process that measures, so that
//! time and memory of each can be told apart.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use domain::Scope;
use serde::{Deserialize, Serialize};
use service::{CancellationToken, Durability, Settings};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use wire::permissions::{ExtraUser, Permissions};

use super::process;
use super::report::Idle;
use crate::arguments::stack::ProgramCreate;
use crate::stack::boot::{Stack, StackOptions};
use crate::stack::dev::TENANT;
use crate::stack::files::Files;
use crate::stack::{StackError, program};

/// The broker user of the floor.
const USER: &str = "bench";
/// Tasks that the one runner may hold: more than are ever in flight here.
const SLOTS: u32 = 2048;
/// Until an idle stack has come to rest.
const SETTLE: Duration = Duration::from_secs(3);

/// What the stack says once it is ready.
#[derive(Debug, Serialize, Deserialize)]
struct Ready {
    url: String,
    api_key: String,
    nats: String,
    program: String,
    secret: String,
    password: String,
    broker_pid: u32,
}

/// A stack in a process of its own.
pub struct OwnStack {
    /// Where HTTP answers.
    pub url: String,
    /// The demo key.
    pub api_key: String,
    /// Where the broker is.
    pub nats: String,
    /// The seed of the program that comes through the NATS door.
    pub program: String,
    /// What a customer of the SymetryML API signs with.
    pub secret: String,
    /// The user of the floor, and its password.
    pub user: (String, String),
    /// Its folder.
    pub files: Files,
    broker_pid: u32,
    pid: u32,
    child: Child,
    /// The stack ends when this is closed, however we end.
    stdin: ChildStdin,
}

/// Processor seconds so far: the functions, the broker, ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cpu {
    /// The process with every function.
    pub functions: f64,
    /// The broker.
    pub broker: f64,
    /// The process that makes the load.
    pub load: f64,
}

impl OwnStack {
    /// Starts one on an empty folder, and waits until it is ready.
    pub async fn start(folder: &Path, class: Durability) -> Result<Self, StackError> {
        let program = std::env::current_exe().map_err(StackError::text)?;
        let mut child = Command::new(program)
            .args(["bench", "--stack"])
            .arg(folder)
            .env("TASKLANE_DURABILITY", class.name())
            .env("TASKLANE_SLOTS", SLOTS.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(StackError::text)?;
        let gone = || StackError::Text("the stack to be measured did not start".to_owned());
        let stdin = child.stdin.take().ok_or_else(gone)?;
        let stdout = child.stdout.take().ok_or_else(gone)?;
        let pid = child.id().ok_or_else(gone)?;
        let line = BufReader::new(stdout).lines().next_line().await.map_err(StackError::text)?;
        let ready: Ready = serde_json::from_str(&line.ok_or_else(gone)?).map_err(StackError::text)?;
        Ok(Self {
            url: ready.url,
            api_key: ready.api_key,
            nats: ready.nats,
            program: ready.program,
            secret: ready.secret,
            user: (USER.to_owned(), ready.password),
            files: Files::prepare(folder)?,
            broker_pid: ready.broker_pid,
            pid,
            child,
            stdin,
        })
    }

    /// Ends it in order.
    pub async fn stop(mut self) -> Result<(), StackError> {
        drop(self.stdin);
        self.child.wait().await.map_err(StackError::text)?;
        Ok(())
    }

    /// Processor time so far.
    pub fn cpu(&self) -> Result<Cpu, StackError> {
        Ok(Cpu {
            functions: process::cpu_seconds(self.pid)?,
            broker: process::cpu_seconds(self.broker_pid)?,
            load: process::cpu_seconds(std::process::id())?,
        })
    }

    /// Memory of the process with every function.
    pub fn functions_memory_mb(&self) -> Result<f64, StackError> {
        process::memory_mb(self.pid)
    }

    /// Memory of the broker.
    pub fn broker_memory_mb(&self) -> Result<f64, StackError> {
        process::memory_mb(self.broker_pid)
    }

    /// What it takes while nothing happens.
    pub async fn idle(&self, seconds: f64) -> Result<Idle, StackError> {
        tokio::time::sleep(SETTLE).await;
        let (before, began) = (self.cpu()?, Instant::now());
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        let (after, took) = (self.cpu()?, began.elapsed().as_secs_f64());
        Ok(Idle {
            functions_memory_mb: process::memory_mb(self.pid)?,
            functions_cpu_percent: 100.0 * (after.functions - before.functions) / took,
            broker_memory_mb: process::memory_mb(self.broker_pid)?,
            broker_cpu_percent: 100.0 * (after.broker - before.broker) / took,
        })
    }
}

/// The process that is measured: a stack until its standard input is closed.
pub async fn serve(mut settings: Settings, folder: &Path) -> Result<ExitCode, StackError> {
    // The receiver of callbacks is beside us.
    settings.outbound = settings.outbound.with_loopback();
    let password = service::keys::Pepper::generate().map_err(StackError::text)?;
    let all = |text: &str| vec!["bench.>".to_owned(), text.to_owned()];
    let mut permissions = Permissions { publish: all("$JS.API.>"), subscribe: all("_INBOX.>") };
    permissions.publish.push("$JS.ACK.>".to_owned());
    let topics = format!("{TENANT}.>");
    permissions.publish.push(topics.clone());
    permissions.subscribe.push(topics);
    let options = StackOptions {
        data: folder.to_owned(),
        http: ([127, 0, 0, 1], 0).into(),
        broker_listen: "127.0.0.1:-1".to_owned(),
        near: true,
        replicas: 1,
        broker_apart: false,
        settings,
        users: vec![ExtraUser { name: USER.to_owned(), password: password.clone(), permissions }],
    };
    let program = ProgramCreate {
        tenant: TENANT.to_owned(),
        user: USER.to_owned(),
        name: USER.to_owned(),
        scopes: vec![Scope::Tasks, Scope::Admin],
        apps: Vec::new(),
        file: Files::prepare(folder)?.programs(),
    };
    let (_, program) = program::declare(&program).map_err(StackError::text)?;
    let stop = CancellationToken::new();
    tokio::spawn(service::stop_on_signal(stop.clone()));
    let stack = Stack::start(options).await?;
    let ready = Ready {
        url: stack.url.clone(),
        api_key: stack.api_key()?,
        nats: stack.settings.nats_url.clone(),
        program,
        secret: stack.signing_secret()?,
        password,
        broker_pid: stack.server.as_ref().map_or(0, nats_server::Server::pid),
    };
    let line = serde_json::to_string(&ready).map_err(StackError::text)?;
    crate::console::Console::new(true).line(&line).map_err(StackError::text)?;
    let mut nothing = [0; 1];
    tokio::select! {
        _ = async { tokio::io::stdin().read(&mut nothing).await } => {}
        () = stop.cancelled() => {}
    }
    stack.stop().await;
    Ok(ExitCode::SUCCESS)
}
