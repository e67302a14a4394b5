//! The binary of the function `amend`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Amend, amend::run)
}
