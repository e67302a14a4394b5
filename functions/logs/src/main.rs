//! The binary of the function `logs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Logs, logs::run)
}
