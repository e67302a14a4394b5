//! The binary of the function `delete`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Delete, delete::run)
}
