//! The binary of the function `report`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Report, report::run)
}
