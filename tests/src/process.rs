//! Programs of their own, as an operator starts them: `tasklane dev` and `tasklane serve`, to be stopped, frozen
//! and killed. Each leads a process group, which ends with the value at the latest.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use service::Settings;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use wire::Function;

use crate::http::Http;
use crate::wait::{PATIENCE, until};
use crate::{Kit, program};

/// The variable of every task process that names its work folder.
const MARKER: &str = "TASKLANE_WORKDIR=";

/// A running program.
pub struct Program {
    child: Child,
    pid: Pid,
    ended: bool,
}

impl Program {
    /// Starts a command as the leader of a process group of its own.
    pub fn start(command: &mut Command) -> Self {
        let child = command.process_group(0).stdin(Stdio::null()).spawn().expect("the program starts");
        let pid = Pid::from_raw(child.id().unwrap().cast_signed());
        Self { child, pid, ended: false }
    }

    /// Its process id, and that of its group.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// Sends it a signal, and nobody else.
    pub fn signal(&self, signal: Signal) {
        assert!(!self.ended, "it has ended");
        kill(self.pid, signal).unwrap();
    }

    /// Sends a signal to the whole group, as a terminal does at Ctrl-C.
    pub fn signal_group(&self, signal: Signal) {
        assert!(!self.ended, "it has ended");
        killpg(self.pid, signal).unwrap();
    }

    /// SIGKILL to the whole group, and waits for the leader to be gone.
    pub async fn kill_group(&mut self) {
        self.signal_group(Signal::SIGKILL);
        self.until_ended().await;
    }

    /// SIGKILL to the program alone.
    pub async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.until_ended().await;
    }

    /// Waits until it has ended.
    pub async fn until_ended(&mut self) -> ExitStatus {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        self.ended = true;
        status.expect("the program ends").unwrap()
    }

    /// Its resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a live process");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.ended {
            // Not reaped yet, so the group is still its own.
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }
}

/// `tasklane dev --json` on a data folder.
pub struct Dev {
    /// The process.
    pub program: Program,
    /// The line that it printed once it was ready.
    pub ready: Value,
    /// A client with the demo key.
    pub http: Http,
}

/// The command `tasklane dev --json` on a data folder; it takes a free port unless the arguments say otherwise.
pub fn dev_command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(["dev", "--json", "--data"]).arg(data).args(arguments);
    if !arguments.contains(&"--http") {
        command.args(["--http", "127.0.0.1:0"]);
    }
    command.stdout(Stdio::piped()).kill_on_drop(true);
    command
}

impl Dev {
    /// Starts it and waits until it says that it is ready.
    pub async fn start(data: &Path, arguments: &[&str]) -> Self {
        let mut program = Program::start(&mut dev_command(data, arguments));
        let mut lines = BufReader::new(program.child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("dev gets ready").unwrap();
        let line = line.expect("dev prints one line before it ends");
        let ready: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        let http = Http::new(&text("http"), Some(&text("api_key")));
        Self { program, ready, http }
    }

    /// The process id of its broker, the only child that is no task.
    pub fn broker_pid(&self) -> u32 {
        let of_broker = |pid: &u32| command_line(*pid).contains("--ports_file_dir");
        let found: Vec<u32> =
            keeper::live_descendants(self.program.pid()).into_iter().filter(of_broker).collect();
        assert_eq!(found.len(), 1, "one broker");
        found[0]
    }
}

/// The process group of a process.
pub fn group_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[2].parse().unwrap()
}

fn command_line(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// Everything that a program has started, by process id, and every task process that works below a folder.
pub struct Family {
    members: HashSet<u32>,
    work: PathBuf,
}

impl Family {
    /// The live descendants of a program whose tasks work below `work`.
    pub fn of(program: &Program, work: &Path) -> Self {
        let members = keeper::live_descendants(program.pid()).into_iter().collect();
        Self { members, work: work.to_owned() }
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Those that still live, with what they run.
    pub fn alive(&self) -> Vec<(u32, String)> {
        let marked = task_processes(&self.work);
        let alive = self.members.iter().copied().chain(marked).filter(|pid| is_alive(*pid));
        alive.map(|pid| (pid, command_line(pid))).collect()
    }
}

/// The task processes that work below a folder.
pub fn task_processes(work: &Path) -> Vec<u32> {
    let marker = format!("{MARKER}{}/", work.canonicalize().unwrap().display());
    let is_marked = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(marker.as_bytes()))
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_marked).collect()
}

/// A process that is dead and only waits for its parent to take note is not alive.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|fields| fields.split_whitespace().next());
    state.is_some_and(|state| state != "Z" && state != "X")
}

/// What a program beside a kit's stack has to know.
#[derive(Clone)]
pub struct Beside {
    settings: Arc<Settings>,
    nats_url: String,
    apart: PathBuf,
    http: Http,
}

impl Beside {
    /// Beside this kit.
    pub fn of(kit: &Kit) -> Self {
        let settings = Arc::clone(&kit.stack.settings);
        let nats_url = settings.nats_url.clone();
        Self { settings, nats_url, apart: kit.folder.path().join("apart"), http: kit.http.clone() }
    }

    /// The same with the broker at another address.
    #[must_use]
    pub fn through(self, nats_url: String) -> Self {
        Self { nats_url, ..self }
    }

    /// The command `tasklane serve` for functions of the stack. It may have 1024 files open until it asks for
    /// more, as on most machines.
    pub fn command(&self, functions: &[Function]) -> Command {
        let mut arguments = vec!["serve".to_owned()];
        arguments.extend(functions.iter().map(ToString::to_string));
        self.command_with(&arguments)
    }

    /// The program under test with these arguments.
    pub fn command_with(&self, arguments: &[String]) -> Command {
        let settings = &self.settings;
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -Sn 1024; exec \"$@\"", "sh"]).arg(program()).args(arguments);
        command
            .env("TASKLANE_NATS_URL", &self.nats_url)
            .env("TASKLANE_KEYS", &settings.keys)
            .env("TASKLANE_PEPPER", &settings.pepper)
            .env("TASKLANE_MASTER_KEY", &settings.master_key)
            .env("TASKLANE_WORK", &settings.work)
            .env("TASKLANE_DURABILITY", settings.durability.name())
            .env("TASKLANE_SLOTS", settings.slots.to_string())
            .env("TASKLANE_HTTP", "127.0.0.1:0")
            .env("XDG_DATA_HOME", &self.apart)
            .kill_on_drop(true);
        command
    }

    /// Starts an ingress on a port of its own, with a client that has the demo key.
    pub async fn ingress(&self) -> (Program, Http) {
        let mut command = self.command(&[Function::Ingress]);
        let mut program =
            Program::start(command.env("TASKLANE_LOG", "error,ingress=info").stderr(Stdio::piped()));
        let mut lines = BufReader::new(program.child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("ingress listens");
            let line = line.unwrap().expect("ingress says where it listens");
            if let Some((_, address)) = line.split_once("listening address=") {
                break address.trim().to_owned();
            }
        };
        // The rest of the log is read on, so that no full pipe ever stops the program.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = Http::new(&format!("http://{address}"), self.http.key());
        until("the ingress answers", || async {
            let answer = http.send(http::Method::GET, "/pro-api/v2/version", &[], "").await;
            answer.and_then(|answer| if answer.status == 200 { Ok(()) } else { Err(answer.text()) })
        })
        .await;
        (program, http)
    }
}

/// The command `tasklane serve` for functions of a kit's stack, as a program beside it.
pub fn serve_command(kit: &Kit, functions: &[Function]) -> Command {
    Beside::of(kit).command(functions)
}

/// `tasklane serve` of one function beside a kit's stack.
pub fn serve(kit: &Kit, function: Function) -> Program {
    Program::start(&mut serve_command(kit, &[function]))
}

/// `tasklane serve ingress` beside a kit's stack, on a port of its own, with a client that has the demo key.
pub async fn serve_ingress(kit: &Kit) -> (Program, Http) {
    Beside::of(kit).ingress().await
}
