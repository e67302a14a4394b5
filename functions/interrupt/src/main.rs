//! The binary of the function `interrupt`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Interrupt, interrupt::run)
}
