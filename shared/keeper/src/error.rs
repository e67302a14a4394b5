//! Why a task process could not be started.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why [`crate::start`] has no process to hand out.
#[derive(Debug)]
pub enum KeeperError {
    /// The keeper itself could not be started: a fault of this machine or of the installation.
    NoKeeper {
        /// The program that was to become the keeper.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The keeper runs but the command does not. The message is written for the author of the app.
    NotStarted {
        /// Names the command and the reason.
        message: String,
    },
    /// The keeper ended, or spoke nonsense, before it said whether the command runs.
    Lost {
        /// What was seen instead of an answer.
        seen: String,
    },
}

impl fmt::Display for KeeperError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeeper { program, source } => {
                write!(formatter, "the keeper {} could not be started: {source}", program.display())
            }
            Self::NotStarted { message } => formatter.write_str(message),
            Self::Lost { seen } => {
                write!(formatter, "the keeper was lost before the task's command ran: {seen}")
            }
        }
    }
}

impl std::error::Error for KeeperError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoKeeper { source, .. } => Some(source),
            Self::NotStarted { .. } | Self::Lost { .. } => None,
        }
    }
}
