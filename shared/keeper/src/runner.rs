//! The runner's side: starts a keeper and talks to it.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::error::KeeperError;
use crate::leftovers;
use crate::protocol::{Exit, Launch, Order, Report, line};

/// How to start a keeper: a program that calls [`crate::keeper_main`] first thing when it gets `args`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperProgram {
    /// The executable, usually the one that is running now.
    pub path: PathBuf,
    /// The hidden argument, `keep`.
    pub args: Vec<String>,
}

/// A task process that runs, or has run, under a keeper. Dropping it kills the task and all its descendants.
#[derive(Debug)]
pub struct Kept {
    pid: u32,
    keeper_pid: u32,
    keeper: Child,
    orders: OwnedWriteHalf,
    reports: Lines<BufReader<OwnedReadHalf>>,
    exit: Option<Exit>,
}

/// Starts a keeper and through it the command of `launch`. Must be called within a tokio runtime. Cancelling
/// this future ends whatever was started.
///
/// # Errors
/// [`KeeperError::NotStarted`] if the command cannot run, which is the app's fault; the others are ours.
pub async fn start(program: &KeeperProgram, launch: &Launch) -> Result<Kept, KeeperError> {
    let (keeper, control) = start_keeper(program)
        .map_err(|source| KeeperError::NoKeeper { program: program.path.clone(), source })?;
    let keeper_pid = keeper.id().unwrap_or_default();
    let (reports, mut orders) = control.into_split();
    let sent = orders.write_all(&line(launch)).await;
    let mut kept =
        Kept { pid: 0, keeper_pid, keeper, orders, reports: BufReader::new(reports).lines(), exit: None };
    match kept.next_report().await {
        Ok(Report::Started { pid }) => {
            kept.pid = pid;
            Ok(kept)
        }
        Ok(Report::Failed { message }) => {
            let _ = kept.keeper.wait().await;
            Err(KeeperError::NotStarted { message })
        }
        Ok(Report::Exited { .. }) => {
            Err(KeeperError::Lost { seen: "it reported an end before a start".to_owned() })
        }
        Err(seen) => {
            kept.clean_up_after_keeper().await;
            let seen = sent.err().map_or(seen, |error| error.to_string());
            Err(KeeperError::Lost { seen })
        }
    }
}

fn start_keeper(program: &KeeperProgram) -> std::io::Result<(Child, UnixStream)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let control = UnixStream::from_std(ours)?;
    // No process group is asked for here: the keeper makes itself leader of a session before it starts
    // anything, and a leader of a group could not. The command, and with it our copy of the keeper's end,
    // is dropped with this statement, without which we would never see the keeper hang up.
    let keeper = Command::new(&program.path)
        .args(&program.args)
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok((keeper, control))
}

impl Kept {
    /// The number of the task's main process, which is also that of its process group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The number of the keeper process.
    pub fn keeper_pid(&self) -> u32 {
        self.keeper_pid
    }

    /// What the task writes to its standard error; `None` when taken before. It must be read, or a talkative
    /// task is blocked once the pipe is full.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.keeper.stderr.take()
    }

    /// What the task writes to its status descriptor; `None` when taken before. It must be read like stderr.
    pub fn take_status(&mut self) -> Option<ChildStdout> {
        self.keeper.stdout.take()
    }

    /// Sends SIGINT to the task's process group: finish early with what there is. Without effect once the
    /// task has ended. The time a task gets for this is the caller's to measure.
    pub async fn interrupt(&self) {
        self.send(Order::Interrupt).await;
    }

    /// Sends SIGTERM to the task's process group, and SIGKILL to all of it after [`Launch::stop_grace_ms`].
    /// Returns at once; [`Kept::wait`] tells when it is done.
    pub async fn stop(&self) {
        self.send(Order::Stop).await;
    }

    /// Waits until the task has ended *and* no process of it is left. Can be cancelled and called again, and
    /// gives the same answer every time.
    pub async fn wait(&mut self) -> Exit {
        let exit = match self.exit {
            Some(exit) => exit,
            None => self.seen_end().await,
        };
        // A report is read once, so it has to be kept before anything is waited for.
        self.exit = Some(exit);
        let _ = self.keeper.wait().await;
        exit
    }

    async fn seen_end(&mut self) -> Exit {
        match self.next_report().await {
            Ok(Report::Exited { code, signal, out_of_memory }) => {
                Exit { code, signal, keeper_lost: false, out_of_memory }
            }
            Ok(Report::Started { .. } | Report::Failed { .. }) | Err(_) => {
                self.clean_up_after_keeper().await;
                Exit { code: None, signal: None, keeper_lost: true, out_of_memory: false }
            }
        }
    }

    /// An order is far smaller than the socket's buffer, so that it goes out whole or not at all. A keeper
    /// that is gone has nothing left to signal.
    async fn send(&self, order: Order) {
        let line = line(&order);
        while self.orders.writable().await.is_ok() {
            match self.orders.try_write(&line) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// The next line of the keeper, or what was seen instead.
    async fn next_report(&mut self) -> Result<Report, String> {
        match self.reports.next_line().await {
            Ok(Some(line)) => {
                serde_json::from_str(&line).map_err(|error| format!("it said {line:?}: {error}"))
            }
            Ok(None) => Err("it ended without a word".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The last resort after the death of a keeper. The kernel has killed the main process with it; here go
    /// all that stayed in its session. The keeper is reaped only afterwards, which keeps the number of the
    /// session from being used again while we look for it.
    async fn clean_up_after_keeper(&mut self) {
        let _ = self.keeper.start_kill();
        let session = self.keeper_pid;
        let _ = tokio::task::spawn_blocking(move || leftovers::end_session(session)).await;
        let _ = self.keeper.wait().await;
    }
}
