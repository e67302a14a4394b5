//! The binary of the function `provision`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Provision, provision::run)
}
