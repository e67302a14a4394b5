//! The command line of Tasklane: clients of a running service here and in `commands`, the service itself in
//! one process in `stack`.

pub mod arguments;
mod client;
mod commands;
mod console;
pub mod error;
mod progress;
pub mod stack;
mod table;
mod task_view;
mod url;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::stack::ProgramCommand;
use crate::arguments::{Arguments, Command, Shared};
use crate::client::Client;
use crate::commands::Context;
use crate::console::Console;
use crate::error::CliError;

/// The whole program: reads the command line, does what it says, and tells how it went.
pub fn main() -> ExitCode {
    let Arguments { shared, command } = Arguments::parse();
    let console = Console::new(shared.json);
    match run(shared, command) {
        Ok(code) => code,
        Err(error) => {
            console.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(shared: Shared, command: Command) -> Result<ExitCode, CliError> {
    let json = shared.json;
    match command {
        Command::Demo(arguments) => stack::demo(&arguments, json),
        Command::Dev(arguments) => stack::dev(&arguments, json),
        Command::Serve(arguments) => stack::serve(&arguments),
        Command::Bench(arguments) => stack::bench(&arguments, json),
        Command::Keep(arguments) => stack::keep(&arguments),
        Command::Program(ProgramCommand::Create(arguments)) => {
            stack::program::create(&arguments, Console::new(json)).map(|()| ExitCode::SUCCESS)
        }
        Command::Task(_) | Command::App(_) | Command::Grant(_) | Command::Key(_) => {
            run_client(shared, command)
        }
        Command::Tenant(_)
        | Command::Lane(_)
        | Command::Session(_)
        | Command::Stream(_)
        | Command::Doctor => run_client(shared, command),
    }
}

/// A client talks to one service and waits most of the time, so one thread is enough.
fn run_client(shared: Shared, command: Command) -> Result<ExitCode, CliError> {
    let client = Client::new(shared.url, shared.api_key.as_deref())?;
    let context = Context { client, console: Console::new(shared.json) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| CliError::Stack(format!("the program can't start its runtime: {error}")))?;
    let outcome = runtime.block_on(commands::run(&context, command));
    // A read of the standard input may still hang; nobody waits for it.
    runtime.shutdown_background();
    outcome.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
