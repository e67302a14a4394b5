//! The functions. A function's word is its folder, package, binary, call subject and broker user.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One function of Tasklane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Function {
    /// Makes the broker equal the topology; the only one that creates or alters streams and buckets.
    Provision,
    /// The HTTP door: dialects, credentials, bodies.
    Ingress,
    /// Takes tasks in.
    Create,
    /// Tells how tasks stand: one, lists, and waiting for the end.
    Status,
    /// Asks running tasks to end early.
    Interrupt,
    /// Changes what callers may change of a task: its order and time; pause, start, stop, give up.
    Amend,
    /// Deletes tasks and their bodies.
    Delete,
    /// Tells others of changes, and asks gates: the only one that dials out.
    Callbacks,
    /// Decides who starts, and repairs what was lost.
    Schedule,
    /// Serves log lines.
    Logs,
    /// Tells which processes run where.
    Sessions,
    /// Runs the tasks.
    Runner,
    /// Takes what runners report.
    Report,
    /// Tenants, keys, apps, grants and lane limits.
    Admin,
    /// Makes what lies behind the topics of stream tasks, and keeps how far each task has read.
    Topics,
}

impl Function {
    /// Every function, in the order in which they are started.
    pub const ALL: [Self; 15] = [
        Self::Provision,
        Self::Topics,
        Self::Create,
        Self::Status,
        Self::Interrupt,
        Self::Amend,
        Self::Delete,
        Self::Callbacks,
        Self::Schedule,
        Self::Logs,
        Self::Sessions,
        Self::Report,
        Self::Admin,
        Self::Runner,
        Self::Ingress,
    ];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Ingress => "ingress",
            Self::Create => "create",
            Self::Status => "status",
            Self::Interrupt => "interrupt",
            Self::Amend => "amend",
            Self::Delete => "delete",
            Self::Callbacks => "callbacks",
            Self::Schedule => "schedule",
            Self::Logs => "logs",
            Self::Sessions => "sessions",
            Self::Runner => "runner",
            Self::Report => "report",
            Self::Admin => "admin",
            Self::Topics => "topics",
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Function {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|function| function.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("'{text}' is no function; the functions are {names}")
        })
    }
}
