//! What an app says about itself in its `app.toml`, checked. The page for authors is `docs/apps.md`.

mod check;
mod error;
mod raw;
pub mod triggers;
pub mod units;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

pub use error::ManifestError;
pub use triggers::{Dedup, Trigger, TriggerLane};

/// A checked manifest. Serialized it has the shape of the `app.toml`, and reading that back checks it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "raw::RawManifest")]
pub struct Manifest {
    /// The app's name, 1 to 128 characters.
    pub name: String,
    /// The app's version, 1 to 128 characters, never `latest`.
    pub version: String,
    /// How its tasks are run.
    pub runtime: Runtime,
    /// The services by name; at least one for [`Runtime::Command`], any number for [`Runtime::Noop`], else none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, Service>,
    /// The workflows by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub workflows: BTreeMap<String, Workflow>,
    /// What creates tasks of the app by itself, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub triggers: BTreeMap<String, Trigger>,
    /// The long-lived process; there for the runtimes that have one and absent for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// What each process may use.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

impl Manifest {
    /// Reads and checks the text of an `app.toml`.
    ///
    /// # Errors
    /// [`ManifestError`], which names the field and says what is accepted.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let raw: raw::RawManifest =
            toml::from_str(text).map_err(|error| ManifestError::Text { message: error.to_string() })?;
        check::manifest(raw)
    }

    /// Whether a task of this service can run. Where no services are declared, any name may: a session app knows
    /// its own services, and a `noop` app takes everything.
    pub fn accepts_service(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.contains_key(service)
    }
}

/// How an app's tasks are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// One process per task.
    Command,
    /// One warm process for many tasks, spoken to over HTTP.
    Session,
    /// A filter of lines that runs until stopped.
    Stream,
    /// A long-lived process that serves a page.
    Webui,
    /// No process: a task completes at once with its input as its result. For measuring and trying out the queue.
    Noop,
}

impl Runtime {
    /// All of them, in the order in which messages name them.
    pub const ALL: [Self; 5] = [Self::Command, Self::Session, Self::Stream, Self::Webui, Self::Noop];

    /// The word in `app.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Session => "session",
            Self::Stream => "stream",
            Self::Webui => "webui",
            Self::Noop => "noop",
        }
    }

    /// Whether the app is one long-lived process, described by `[session]`.
    pub fn has_session(self) -> bool {
        match self {
            Self::Session | Self::Stream | Self::Webui => true,
            Self::Command | Self::Noop => false,
        }
    }
}

/// One thing that an app can be asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Program and arguments, without a shell; empty only for [`Runtime::Noop`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The longest wall-clock time of one attempt; None is no limit.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "units::serialize_duration")]
    pub timeout: Option<Duration>,
    /// Environment variables for the process.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// Services that run one after the other, each with the output of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Workflow {
    /// Names of services of this app, at least one.
    pub steps: Vec<String>,
    /// Parameters without which the job is refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
}

/// The long-lived process of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Program and arguments; `{port}` stands for the port it is to listen on.
    pub command: Vec<String>,
    /// A path on `{port}` that answers 200 once the process is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// How long it stays without a task.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "units::serialize_duration")]
    pub idle: Option<Duration>,
    /// How many tasks it runs before it is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tasks: Option<u32>,
    /// How old it gets before it is replaced.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "units::serialize_duration")]
    pub max_age: Option<Duration>,
}

/// What each process of the app may use; None is no limit of the app's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Memory in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Open file descriptors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// The largest file it may write, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
}

impl Limits {
    /// True where nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
