//! The grammar of the commands that run the stack itself.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use domain::Scope;
use wire::Function;

/// `demo …`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// End after the task, with status 0 only if its result is right
    #[arg(long)]
    pub exit: bool,
}

/// `dev …`.
#[derive(Debug, Args)]
pub struct DevArguments {
    /// Where to listen for HTTP; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Folder for everything that has to survive; without it, a folder that is removed at the end
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where the own broker is to listen, as nats://127.0.0.1:4222; without it, a free port
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// What an accepted task survives: power loss (strict) or any kill of a process (interval)
    #[arg(long, value_enum, default_value_t = Durability::Strict)]
    pub durability: Durability,
}

/// When the broker writes through to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// At each write: survives power loss.
    Strict,
    /// Ten times per second: survives any kill of a process; power loss may cost the last 0.1 s.
    Interval,
}

/// `serve …`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The functions to run
    #[arg(required = true, value_name = "FUNCTION")]
    pub functions: Vec<Function>,
}

/// `bench …`.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// A first impression in about two minutes: one round, and shorter ones
    #[arg(long)]
    pub quick: bool,
    /// Only this durability class; without it, both
    #[arg(long, value_enum)]
    pub durability: Option<Durability>,
    /// Write a page with plots, and the document it is made from, into this folder
    #[arg(long, value_name = "DIR")]
    pub page: Option<PathBuf>,
    /// Measure nothing: take the document that an earlier run wrote
    #[arg(long, value_name = "FILE", conflicts_with = "durability")]
    pub from: Option<PathBuf>,
    /// Only the Task Engine's jobs; with --from the other figures are those of the document
    #[arg(long, conflicts_with = "durability")]
    pub jobs: bool,
    /// Only stream tasks; with --from the other figures are those of the document
    #[arg(long, conflicts_with = "durability")]
    pub streams: bool,
    /// Only tasks that wait for their time; otherwise as --jobs, and both may be given
    #[arg(long, conflicts_with = "durability")]
    pub schedules: bool,
    /// Only sessions and logs; with --from the other figures are those of the document
    #[arg(long, conflicts_with = "durability")]
    pub sessions: bool,
    /// Only writes that the broker syncs; with --from the other figures are those of the document
    #[arg(long, conflicts_with = "durability")]
    pub syncs: bool,
    /// The process that is measured; started by `bench` itself
    #[arg(long, hide = true, value_name = "DIR")]
    pub stack: Option<PathBuf>,
}

/// `program …`.
#[derive(Debug, Subcommand)]
pub enum ProgramCommand {
    /// Let a program in through the NATS door: adds its account to the broker's configuration, shows its seed
    Create(ProgramCreate),
}

/// `program create …`.
#[derive(Debug, Args)]
pub struct ProgramCreate {
    /// The tenant whose tasks it may see and create
    #[arg(long)]
    pub tenant: String,
    /// The user that it stands for; the grants of that user hold for it
    #[arg(long)]
    pub user: String,
    /// Its name, unique within the tenant
    #[arg(long)]
    pub name: String,
    /// What it may do, once per scope: Tasks, and Admin for every right on every app of the tenant
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', default_value = "Tasks")]
    pub scopes: Vec<Scope>,
    /// An app of whose tasks' changes it hears, once per app; with scope Admin it hears of all
    #[arg(long = "app", value_name = "APP")]
    pub apps: Vec<String>,
    /// The broker's programs.conf; that of `dev` is DIR/broker/programs.conf
    #[arg(long)]
    pub file: PathBuf,
}

/// `keep …`.
#[derive(Debug, Args)]
pub struct KeepArguments {
    /// What the runner passes to the keeper
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}
