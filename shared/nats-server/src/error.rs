//! Why a broker could not be started or ended, with what the user needs to put it right.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a broker could not be started or ended.
#[derive(Debug)]
pub enum StartError {
    /// A file, folder or thread that the start needs can't be had.
    Prepare {
        /// What was being done, as the end of "can't".
        doing: String,
        /// What the system said.
        error: io::Error,
    },
    /// The broker ended instead of becoming ready.
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// The log file.
        log: PathBuf,
        /// The last lines of this start in the log.
        tail: String,
    },
    /// The broker runs but was not ready in time, and was killed.
    NotReady {
        /// What it had not done yet, as the end of a sentence.
        missing: &'static str,
        /// How long it was waited for.
        waited: Duration,
        /// The log file.
        log: PathBuf,
        /// The last lines of this start in the log.
        tail: String,
    },
    /// A broker that an earlier run left behind can't be ended.
    Orphan {
        /// Its process id.
        pid: u32,
        /// What the system said.
        error: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Prepare { doing, error } => write!(formatter, "can't {doing}: {error}"),
            StartError::Exited { status, log, tail } => write!(
                formatter,
                "the broker ended at its start ({status}). The end of its log, {}:\n{tail}",
                log.display()
            ),
            StartError::NotReady { missing, waited, log, tail } => write!(
                formatter,
                "the broker {missing} after {:.1} s and was ended. A large store needs a longer limit. The end \
                 of its log, {}:\n{tail}",
                waited.as_secs_f64(),
                log.display()
            ),
            StartError::Orphan { pid, error } => write!(
                formatter,
                "the broker of an earlier run, process {pid}, still uses the store and can't be ended: {error}. \
                 End it by hand (`kill {pid}`) and try again."
            ),
        }
    }
}

impl Error for StartError {}
