//! The binary of the function `topics`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Topics, topics::run)
}
