//! The words that runner and keeper exchange: one JSON object per line, on one socket.
//!
//! Both ends are always the same executable, so nothing here has to stay compatible between versions.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Everything a keeper has to know to start one task process. The first line on the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The program and its arguments. Without a slash, the program is looked up on the `PATH` of `env`.
    pub command: Vec<String>,
    /// The complete environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// The folder in which the command starts.
    pub working_directory: PathBuf,
    /// An existing file, which the command reads as its standard input.
    pub stdin: PathBuf,
    /// The file that takes the standard output: emptied if it exists, else created for its owner alone.
    /// `None` lets it go where the standard error goes, for a process whose output is no result.
    pub stdout: Option<PathBuf>,
    /// The number of the descriptor on which the command may report its status, at least 3; `None` is none.
    pub status_fd: Option<i32>,
    /// What of this machine's files the task may reach; `None` is whatever its user may.
    #[serde(default)]
    pub fence: Option<Fence>,
    /// The limits of every process of the task.
    #[serde(default)]
    pub limits: Limits,
    /// Milliseconds between SIGTERM and SIGKILL after [`crate::Kept::stop`].
    #[serde(default = "default_stop_grace_ms")]
    pub stop_grace_ms: u64,
}

impl Launch {
    /// [`Launch::stop_grace_ms`] where nothing else is asked for.
    pub const DEFAULT_STOP_GRACE: Duration = Duration::from_millis(default_stop_grace_ms());
}

const fn default_stop_grace_ms() -> u64 {
    5_000
}

/// What a task may reach of this machine's files, where the kernel has Landlock. Everything may be read but what
/// is hidden, and nothing written but what is named here. The task also can't signal or trace what is not its
/// own. Standard input and output are reached in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Folders and files that may be written, and read wherever they lie.
    pub writable: Vec<PathBuf>,
    /// Folders and files that may be read although they lie in something hidden.
    pub readable: Vec<PathBuf>,
    /// Folders and files that may not be read. One that lies in something writable is not hidden.
    pub hidden: Vec<PathBuf>,
}

/// Limits that the kernel enforces on each process of a task; `None` leaves the limit of the runner in force.
/// A limit above what the runner itself may have is lowered to that. Core dumps are always off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Address space of one process, in bytes, and where the machine has control groups also the memory of all
    /// processes of the task together.
    pub memory_bytes: Option<u64>,
    /// Open descriptors of one process.
    pub open_files: Option<u64>,
    /// Size of any file that is written, the standard output included, in bytes.
    pub file_bytes: Option<u64>,
    /// Processes of the *user* the task runs as, other tasks included; without effect for root.
    pub processes: Option<u64>,
}

/// How a task process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, if the process ended by itself.
    pub code: Option<i32>,
    /// The number of the signal that ended it, if one did.
    pub signal: Option<i32>,
    /// True if the keeper itself was killed, so that nobody knows how the task ended. What was found of the
    /// task has then been killed.
    pub keeper_lost: bool,
    /// True if the kernel killed it because all its processes together used more memory than they may.
    pub out_of_memory: bool,
}

/// What the runner may ask of a keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(crate) enum Order {
    /// SIGINT to the process group: the task should finish early with the best that it has.
    Interrupt,
    /// SIGTERM to the process group, and SIGKILL to everything once the grace is over.
    Stop,
}

/// What a keeper tells its runner: first `started` or `failed`, then `exited`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Report {
    /// The command runs.
    Started { pid: u32 },
    /// The command does not run, and never did.
    Failed { message: String },
    /// The command ended so, and no descendant of it is left.
    Exited { code: Option<i32>, signal: Option<i32>, out_of_memory: bool },
}

/// One line of the socket, line end included.
pub(crate) fn line(message: &impl Serialize) -> Vec<u8> {
    // Writing these plain types into memory has no way to fail; an empty line would be refused by the reader.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}
