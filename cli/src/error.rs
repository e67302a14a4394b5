//! What can go wrong in a command, what is said about it, and with which status the program ends.

use std::{error, fmt, io, path::Path};

use bundle::BundleError;
use serde_json::{Value, json};

/// Why a command did not do what it was asked to do.
#[derive(Debug)]
pub enum CliError {
    /// The arguments fit the grammar but can't be used.
    Usage(String),
    /// No answer came from the service.
    Unreachable {
        /// The address that was tried.
        url: String,
        /// What happened.
        why: String,
    },
    /// The service answered with an error.
    Refused(Refusal),
    /// The service answered with something that this program does not understand.
    NotUnderstood {
        /// The request.
        asked: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// A file here could not be read or written.
    File {
        /// What was being done, with the path.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The app folder can't be published.
    Bundle(BundleError),
    /// The task that was watched has failed. It has been shown already.
    TaskFailed,
    /// Something is bad. It has been shown already.
    Unhealthy,
    /// Ctrl-C. What to do about it has been shown already.
    Stopped,
    /// The own stack could not be started, or ended badly.
    Stack(String),
    /// The standard output can't be written to any more.
    Output(io::Error),
}

/// An error answer of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The stable name of the error, such as `TASK_NOT_FOUND`; empty if the answer had none.
    pub id: String,
    /// One sentence for people.
    pub message: String,
    /// The request was sent without a key.
    pub without_key: bool,
}

impl Refusal {
    /// The same request may succeed in a moment.
    pub fn is_passing(&self) -> bool {
        matches!(self.status, 429 | 502 | 503 | 504)
    }
}

impl CliError {
    /// For `map_err` on a file operation: what was done, to which path.
    pub fn file<'a>(doing: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::File { doing: format!("{doing} {}", path.display()), source }
    }

    /// The status with which the program ends.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Unreachable { .. } => 69,
            Self::Refused(_) | Self::NotUnderstood { .. } | Self::File { .. } | Self::Bundle(_) => 1,
            Self::TaskFailed | Self::Unhealthy | Self::Stack(_) => 1,
            Self::Stopped => 130,
            // Whoever read our output has seen enough, as `head` does. That is no failure.
            Self::Output(source) if source.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) => 1,
        }
    }

    /// Everything about it has been said already, or nobody wants to hear it.
    pub fn is_silent(&self) -> bool {
        match self {
            Self::TaskFailed | Self::Unhealthy | Self::Stopped => true,
            Self::Output(source) => source.kind() == io::ErrorKind::BrokenPipe,
            Self::Usage(_) | Self::Unreachable { .. } | Self::Refused(_) | Self::NotUnderstood { .. } => {
                false
            }
            Self::File { .. } | Self::Bundle(_) | Self::Stack(_) => false,
        }
    }

    /// The same request may succeed in a moment, so that waiting for a task need not end here.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(refusal) => refusal.is_passing(),
            Self::Usage(_) | Self::NotUnderstood { .. } | Self::File { .. } | Self::Bundle(_) => false,
            Self::TaskFailed | Self::Unhealthy | Self::Stopped | Self::Stack(_) | Self::Output(_) => false,
        }
    }

    /// The error object for programs, in the shape that the service itself uses.
    pub fn to_json(&self) -> Value {
        let name = match self {
            Self::Usage(_) => "USAGE",
            Self::Unreachable { .. } => "UNREACHABLE",
            Self::Refused(refusal) => {
                let Refusal { status, id, message, .. } = refusal;
                return json!({ "errorCode": status, "errorId": id, "message": message });
            }
            Self::NotUnderstood { .. } => "ANSWER_NOT_UNDERSTOOD",
            Self::File { .. } => "FILE",
            Self::Bundle(_) => "BUNDLE",
            Self::TaskFailed => "TASK_FAILED",
            Self::Unhealthy => "UNHEALTHY",
            Self::Stopped => "STOPPED",
            Self::Stack(_) => "STACK",
            Self::Output(_) => "OUTPUT",
        };
        json!({ "errorId": name, "message": self.to_string() })
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Stack(message) => out.write_str(message),
            Self::Unreachable { url, why } => write!(
                out,
                "the service does not answer at {url}: {why}. Is it running? Start it with `tasklane dev`, or \
                 name another address with --url or TASKLANE_URL"
            ),
            Self::Refused(refusal) => {
                out.write_str(&refusal.message)?;
                if refusal.status == 401 && refusal.without_key {
                    out.write_str("\nno API key was sent: give one with TASKLANE_API_KEY or --api-key")?;
                }
                Ok(())
            }
            Self::NotUnderstood { asked, why } => write!(
                out,
                "the answer to {asked} is not what Tasklane answers: {why}. Does the address belong to a Tasklane \
                 service of about this version?"
            ),
            Self::File { doing, source } => write!(out, "{doing}: {source}"),
            Self::Bundle(error) => error.fmt(out),
            Self::TaskFailed => out.write_str("the task failed"),
            Self::Unhealthy => out.write_str("something is bad; see the lines above"),
            Self::Stopped => out.write_str("stopped by Ctrl-C"),
            Self::Output(source) => write!(out, "the output could not be written: {source}"),
        }
    }
}

impl error::Error for CliError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::File { source, .. } | Self::Output(source) => Some(source),
            Self::Bundle(error) => Some(error),
            Self::Usage(_) | Self::Unreachable { .. } | Self::Refused(_) | Self::NotUnderstood { .. } => None,
            Self::TaskFailed | Self::Unhealthy | Self::Stopped | Self::Stack(_) => None,
        }
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
