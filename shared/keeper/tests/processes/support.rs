//! What the tests share: a folder per test, launches in it, and waiting for conditions.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use keeper::{Exit, KeeperError, KeeperProgram, Kept, Launch, Limits};
use tempfile::TempDir;

/// Long enough for a loaded machine; no test ever waits for it unless it fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Writes its own number to the file `daemon`, in a session of its own, twice forked, without environment,
/// deaf to SIGTERM, and lasts.
pub const DAEMON: &str = r#"
import os, signal, sys, time
def become_daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with open("daemon.new", "w") as file:
                file.write(str(os.getpid()))
            os.rename("daemon.new", "daemon")
            os.execve("/bin/sleep", ["sleep", "1000"], {})
        os._exit(0)
    os.wait()
    while not os.path.exists("daemon"):
        time.sleep(0.01)
"#;

/// The folder of one test.
pub struct Bench {
    pub folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("in"), "").unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn launch(&self, command: &[&str]) -> Launch {
        Launch {
            command: command.iter().map(ToString::to_string).collect(),
            env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            working_directory: self.folder.path().to_owned(),
            stdin: self.path("in"),
            stdout: Some(self.path("out")),
            status_fd: Some(3),
            fence: None,
            limits: Limits::default(),
            stop_grace_ms: 5_000,
        }
    }

    pub fn shell(&self, script: &str) -> Launch {
        self.launch(&["sh", "-c", script])
    }

    pub fn python(&self, script: &str) -> Launch {
        self.launch(&[python(), "-c", script])
    }

    pub fn output(&self) -> String {
        self.read("out")
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The process number that a task writes to a file of this name.
    pub async fn pid_from(&self, name: &str) -> u32 {
        until(&format!("a number in the file {name}"), || {
            fs::read_to_string(self.path(name)).is_ok_and(|text| text.trim().parse::<u32>().is_ok())
        })
        .await;
        self.read(name).trim().parse().unwrap()
    }
}

pub fn program() -> KeeperProgram {
    KeeperProgram { path: env!("CARGO_BIN_EXE_keeper-test").into(), args: vec!["keep".to_owned()] }
}

pub async fn start(launch: &Launch) -> Kept {
    keeper::start(&program(), launch).await.unwrap()
}

/// Runs a task to its end.
pub async fn run(launch: &Launch) -> Exit {
    end_of(&mut start(launch).await).await
}

pub async fn end_of(kept: &mut Kept) -> Exit {
    tokio::time::timeout(DEADLINE, kept.wait()).await.expect("the task ends")
}

pub async fn refusal(launch: &Launch) -> String {
    match keeper::start(&program(), launch).await {
        Err(KeeperError::NotStarted { message }) => message,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

pub fn ended_with(code: i32) -> Exit {
    Exit { code: Some(code), signal: None, keeper_lost: false, out_of_memory: false }
}

pub fn ended_by(signal: i32) -> Exit {
    Exit { code: None, signal: Some(signal), keeper_lost: false, out_of_memory: false }
}

/// A process that only waits for its parent to take note is gone: it runs no more.
pub fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, fields)| fields.starts_with('Z'))
}

/// Polls until the condition holds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "still waiting for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The interpreter itself, because a `python3` on the PATH may be a wrapper with processes of its own.
pub fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let found =
            Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
        String::from_utf8(found.stdout).unwrap().trim().to_owned()
    })
}
