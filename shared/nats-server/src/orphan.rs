//! Ends a broker that an earlier run left behind, so that no two brokers ever write to the same store.

use crate::error::StartError;
use crate::process::POLL;
use crate::server::{pid_file, settled};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long the orphan may take to close its store before it is killed, and then to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What [`end_orphan`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphan {
    /// No broker runs on that configuration.
    None,
    /// One ran and ended when asked to.
    Ended {
        /// Its process id.
        pid: u32,
    },
    /// One ran, did not end when asked to, and was killed.
    Killed {
        /// Its process id.
        pid: u32,
    },
}

/// Ends the broker that an earlier [`crate::Server`] started with the configuration file `config` and that
/// outlived its owner, and waits until it is gone. Its process id stands in the pid file beside `config`; a
/// process that has the id by chance, without being a broker on this `config`, is left alone.
///
/// Take the [`crate::DataLock`] first: this can't tell an orphan from the broker of a live owner.
///
/// # Errors
/// [`StartError::Orphan`] if there is such a broker and it can't be ended.
pub fn end_orphan(config: &Path) -> Result<Orphan, StartError> {
    // Without the configuration's folder there is no pid file either.
    let Ok(config) = settled(config) else { return Ok(Orphan::None) };
    let pid = fs::read_to_string(pid_file(&config)).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let Some((pid, birth)) = pid.and_then(|pid| Some((pid, birth(pid)?))) else { return Ok(Orphan::None) };
    if !is_broker_on(pid, &config) {
        return Ok(Orphan::None);
    }
    if ended_by(Signal::SIGTERM, pid, birth)? {
        return Ok(Orphan::Ended { pid });
    }
    if ended_by(Signal::SIGKILL, pid, birth)? {
        return Ok(Orphan::Killed { pid });
    }
    let error = io::Error::new(io::ErrorKind::TimedOut, "it still runs after SIGKILL");
    Err(StartError::Orphan { pid, error })
}

/// Sends `signal` and tells whether the process was gone before our patience was.
fn ended_by(signal: Signal, pid: u32, born: u64) -> Result<bool, StartError> {
    let target = Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
    match kill(target, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => return Err(StartError::Orphan { pid, error: error.into() }),
    }
    let deadline = Instant::now() + PATIENCE;
    while birth(pid) == Some(born) {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(POLL);
    }
    Ok(true)
}

/// When the live process `pid` was started, in the kernel's ticks; with the id it names a process for good.
/// `None` once it has ended, which it has when all its threads are gone and its files with them, even if its
/// parent has not reaped it yet: in a container there may be nobody who ever does.
fn birth(pid: u32) -> Option<u64> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in brackets, which may hold anything; after it come plain fields, the
    // state first, the number of threads as the eighteenth and the start time as the twentieth.
    let fields: Vec<&str> = line.rsplit(')').next()?.split_whitespace().collect();
    let ended = matches!(fields.first(), Some(&("Z" | "X"))) && matches!(fields.get(17), Some(&("0" | "1")));
    if ended { None } else { fields.get(19)?.parse().ok() }
}

/// Whether `pid` runs with the arguments that [`crate::Server`] gives: `-c CONFIG` and `--ports_file_dir`.
/// The binary's name is not asked for, since an explicit one may have any.
fn is_broker_on(pid: u32, config: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let arguments: Vec<String> = line
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    let on_config = arguments.windows(2).any(|pair| match pair {
        [flag, value] => flag == "-c" && Path::new(value) == config,
        _ => false,
    });
    on_config && arguments.iter().any(|argument| argument == "--ports_file_dir")
}
