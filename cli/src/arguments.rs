//! The grammar of the command line. The texts here are also its help.

pub mod stack;
pub mod task;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args, Parser, Subcommand};
use domain::{Rights, Scope, SessionId};

use crate::url::BaseUrl;

/// Tasklane: a task engine. Start with `tasklane demo`, or with `tasklane dev` and the commands below.
#[derive(Debug, Parser)]
#[command(name = "tasklane", version)]
pub struct Arguments {
    /// What all commands share.
    #[command(flatten)]
    pub shared: Shared,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Shared {
    /// Print JSON instead of text for people; errors go to the standard error as JSON too
    #[arg(long, global = true)]
    pub json: bool,
    /// Address of the service
    #[arg(long, global = true, env = "TASKLANE_URL", default_value = "http://127.0.0.1:8080")]
    pub url: BaseUrl,
    /// API key; better in the variable, since others on this machine can see arguments
    #[arg(long, global = true, env = "TASKLANE_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub api_key: Option<String>,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try it: start everything, publish the example apps, run a task, show the result
    Demo(stack::DemoArguments),
    /// Run everything in one process around an own broker
    Dev(stack::DevArguments),
    /// Run named functions only, for replicas beside an existing broker
    Serve(stack::ServeArguments),
    /// Submit tasks, watch them, read their logs and responses
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Publish app folders and list what is published
    #[command(subcommand)]
    App(AppCommand),
    /// Give a user rights on an app, over all its versions; they replace what the user had
    Grant(GrantArguments),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Let programs in through the NATS door
    #[command(subcommand)]
    Program(stack::ProgramCommand),
    /// Make and list tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// See and change how many tasks may run and wait
    #[command(subcommand)]
    Lane(LaneCommand),
    /// See which sessions run where, read their logs, end them
    #[command(subcommand)]
    Session(SessionCommand),
    /// See the records of topics as they come
    #[command(subcommand)]
    Stream(StreamCommand),
    /// Check the service, its functions, the key and the clock, and say what to do
    Doctor,
    /// Measure how fast tasks go through
    Bench(stack::BenchArguments),
    /// The small process beside each task process; started by the runner
    #[command(hide = true)]
    Keep(stack::KeepArguments),
}

/// `app …`.
#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// Pack an app folder (with an app.toml at its top) and publish it
    Publish {
        /// The app folder
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Tag this version as latest: tasks that name no version run it
        #[arg(long)]
        latest: bool,
    },
    /// List the apps and versions that the key may see
    List,
    /// Start the process of a session app here and say what it gets wrong in the session protocol
    Check(CheckArguments),
}

/// `app check …`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The app folder
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// A service of the app to run a task of; without it only what needs no task is checked
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub service: Option<String>,
    /// The body of that task
    #[arg(long, default_value = "{}")]
    pub input: String,
}

/// `grant …`.
#[derive(Debug, Args)]
pub struct GrantArguments {
    /// The app
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub app: String,
    /// The user
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// Any of read, write, execute, with commas; "" takes all rights away
    #[arg(long, value_parser = parse_rights)]
    pub rights: String,
}

/// `key …`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key; the user comes into being with the first one
    Create {
        /// What it is: an API key, or a SymetryML secret, which signs requests of stream tasks
        #[arg(long, value_enum, default_value = "api")]
        kind: KeyKind,
        /// The tenant that it belongs to
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        tenant: String,
        /// The user that it stands for
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        user: String,
        /// What it may be used for, once per scope: Tasks, Session, Jobs, Streams, Admin
        #[arg(
            long = "scope",
            required_unless_present = "kind",
            required_if_eq("kind", "api"),
            value_delimiter = ','
        )]
        scopes: Vec<Scope>,
        /// Until when, as 2027-01-31 or 2027-01-31T08:00:00Z; one year is the most and the default
        #[arg(long, value_name = "DATE")]
        expires: Option<String>,
    },
    /// List keys without their secrets
    List {
        /// Whose; without it, those of the own tenant
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        tenant: Option<String>,
    },
    /// Revoke a key for good
    Revoke {
        /// Its public id, as `key list` shows it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        key_id: String,
    },
}

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyKind {
    /// An API key
    Api,
    /// A SymetryML secret
    Symetry,
}

/// `tenant …`.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant
    Create {
        /// Its name: letters, digits, - and _
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// List tenants
    List,
}

/// `lane …`.
#[derive(Debug, Subcommand)]
pub enum LaneCommand {
    /// Change limits; they act at once, and what is not named stays
    #[command(group = ArgGroup::new("change").required(true).multiple(true))]
    Set {
        /// The lane, such as tasks.demo
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// How many tasks may run at once; 0 is legal and runs nothing
        #[arg(long, group = "change", value_name = "N")]
        max_running: Option<u32>,
        /// How many of these places only priority tasks may take
        #[arg(long, group = "change", value_name = "N")]
        priority_slots: Option<u32>,
        /// A task counts as a priority task up to this priority; 1 is first, 10 last
        #[arg(long, group = "change", value_name = "N")]
        priority_threshold: Option<u8>,
        /// How many tasks may wait; one more is refused
        #[arg(long, group = "change", value_name = "N")]
        max_queued: Option<u64>,
    },
    /// List lanes with their limits and how full they are
    List,
}

/// `session …`.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List live sessions and runners
    List {
        /// Sessions that have ended too, newest first
        #[arg(long)]
        all: bool,
        /// The most sessions to list with --all
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
        limit: u64,
    },
    /// Start a session of a webui app, and say where its page is
    Start {
        /// The app
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        app: String,
        /// Its version; without it, the one tagged as latest
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        version: Option<String>,
    },
    /// Show one session
    Get {
        /// The session
        id: SessionId,
    },
    /// Show the log of a session, with the lines of all its tasks
    Logs {
        /// The session
        id: SessionId,
        /// Only lines with this text in them
        #[arg(long, value_name = "TEXT")]
        contains: Option<String>,
        /// Go on with new lines until the session ends
        #[arg(long, short)]
        follow: bool,
    },
    /// End a session with all its processes; a task that it runs fails
    Terminate {
        /// The session
        id: SessionId,
    },
}

/// `stream …`.
#[derive(Debug, Subcommand)]
pub enum StreamCommand {
    /// Print records as they come; name source and sink of a stream task to see both of its ends
    Tail {
        /// The broker, with a user of the tenant; `tasklane dev --json` prints one
        #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
        nats: String,
        /// Topics such as demo.flowers; `*` is any one word of a topic, `>` at the end all that follow
        #[arg(required = true, value_parser = parse_topic)]
        topics: Vec<String>,
        /// End after so many records
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
    },
}

/// What the broker would refuse without a word, or take for a protocol error, is named here.
fn parse_topic(text: &str) -> Result<String, String> {
    let word = |word: &str| !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control());
    if text.split('.').all(word) {
        Ok(text.to_owned())
    } else {
        Err("a topic is words with dots between".to_owned())
    }
}

/// Checks rights here, so that a typing error is named before anything is sent. The text goes out as it came.
fn parse_rights(text: &str) -> Result<String, String> {
    Rights::parse(text).map(|_| text.to_owned())
}
