//! The grammar of `task …`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use domain::TaskId;

/// `task …`.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// Hand in a task
    Submit(SubmitArguments),
    /// Show a task: its state, why it waits, how far it is
    Get {
        /// The task
        id: TaskId,
    },
    /// List tasks, newest first
    List(ListArguments),
    /// Follow a task to its end; ends with status 1 if the task failed
    Watch {
        /// The task
        id: TaskId,
    },
    /// Show the log of a task
    Logs {
        /// The task
        id: TaskId,
        /// Only lines with this text in them
        #[arg(long, value_name = "TEXT")]
        contains: Option<String>,
        /// Go on with new lines until the task ends
        #[arg(long, short)]
        follow: bool,
    },
    /// Get the response of a completed task
    Response {
        /// The task
        id: TaskId,
        /// Write it to this file instead of the standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Ask a running task to end early and keep its best result so far
    Interrupt {
        /// The task
        id: TaskId,
    },
    /// Delete a task that waits or has ended, with its response and logs
    Delete {
        /// The task
        id: TaskId,
    },
}

/// `task submit …`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("body"))]
pub struct SubmitArguments {
    /// The app
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub app: String,
    /// The service of the app that is to run
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub service: String,
    /// The version of the app; without it, the one tagged as latest
    #[arg(long, value_name = "V", value_parser = NonEmptyStringValueParser::new())]
    pub app_version: Option<String>,
    /// The input of the task as text
    #[arg(long, value_name = "TEXT", group = "body", allow_hyphen_values = true)]
    pub input: Option<String>,
    /// A file with the input of the task; - is the standard input
    #[arg(long, value_name = "FILE", group = "body")]
    pub input_file: Option<PathBuf>,
    /// Media type of the input; else json or plain text for --input, octet-stream for a file
    #[arg(long, value_name = "T", requires = "body")]
    pub content_type: Option<String>,
    /// Makes it safe to repeat this command: the same key gives the same task
    #[arg(long, value_name = "K")]
    pub idempotency_key: Option<String>,
    /// Follow the task to its end and print its response; ends with status 1 if the task failed
    #[arg(long, short)]
    pub wait: bool,
    /// Write the response to this file instead of the standard output
    #[arg(long, short, value_name = "FILE", requires = "wait")]
    pub output: Option<PathBuf>,
}

/// `task list …`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// All tasks that the key may see, not only the own ones
    #[arg(long)]
    pub all: bool,
    /// Only these states; may be given more than once or with commas
    #[arg(long = "state", value_name = "S", value_delimiter = ',', ignore_case = true)]
    pub states: Vec<State>,
    /// Only this app
    #[arg(long, value_name = "A", value_parser = NonEmptyStringValueParser::new())]
    pub app: Option<String>,
    /// The most tasks to show
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
}

/// A state to list by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "each is the word that the service uses")]
pub enum State {
    Queued,
    Assigned,
    Running,
    Solving,
    Completed,
    Failed,
}

impl State {
    /// The word in a query.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::Solving => "solving",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}
