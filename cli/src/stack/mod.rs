//! The own stack in one process: `demo`, `dev`, `serve`, `bench`, and the hidden `keep`.

pub mod bench;
pub mod boot;
mod demo;
mod dev;
mod examples;
pub mod files;
mod find;
pub mod program;
mod serve;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use service::Settings;

use crate::arguments::stack::{BenchArguments, DemoArguments, DevArguments, KeepArguments, ServeArguments};
use crate::error::CliError;

/// Why a stack could not be started, or went wrong.
#[derive(Debug)]
pub enum StackError {
    /// In words.
    Text(String),
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for StackError {}

impl StackError {
    /// From any error, by its text.
    pub fn text(error: impl fmt::Display) -> Self {
        Self::Text(error.to_string())
    }

    /// From a failed file operation.
    pub fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::Text(format!("{}: {error}", path.display()))
    }
}

impl From<StackError> for CliError {
    fn from(error: StackError) -> Self {
        Self::Stack(error.to_string())
    }
}

/// From nothing to the result of a real task.
pub fn demo(arguments: &DemoArguments, json: bool) -> Result<ExitCode, CliError> {
    let (settings, runtime) = begin()?;
    runtime.block_on(demo::demo(settings, arguments.exit, json))
}

/// Everything in one process, until a signal.
pub fn dev(arguments: &DevArguments, json: bool) -> Result<ExitCode, CliError> {
    let (settings, runtime) = begin()?;
    runtime.block_on(dev::dev(settings, arguments, json))
}

/// Named functions only, for replicas.
pub fn serve(arguments: &ServeArguments) -> Result<ExitCode, CliError> {
    let (settings, runtime) = begin()?;
    runtime.block_on(serve::serve(settings, &arguments.functions))
}

/// Measures a stack.
pub fn bench(arguments: &BenchArguments, json: bool) -> Result<ExitCode, CliError> {
    let (settings, runtime) = begin()?;
    runtime.block_on(bench::bench(settings, arguments, json))
}

/// The keeper of one task process.
pub fn keep(_arguments: &KeepArguments) -> Result<ExitCode, CliError> {
    Ok(keeper::keeper_main())
}

/// Settings before anything else: a wrong one ends the program before any port is bound.
fn begin() -> Result<(Settings, tokio::runtime::Runtime), CliError> {
    let settings = service::config::from_environment().map_err(|e| CliError::Usage(e.to_string()))?;
    service::telemetry::begin(&settings);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    Ok((settings, runtime.map_err(StackError::text)?))
}
