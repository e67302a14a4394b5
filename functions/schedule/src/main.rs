//! The binary of the function `schedule`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Schedule, schedule::run)
}
