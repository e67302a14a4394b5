//! The binary of the function `sessions`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Sessions, sessions::run)
}
