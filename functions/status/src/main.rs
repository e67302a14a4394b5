//! The binary of the function `status`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Status, status::run)
}
