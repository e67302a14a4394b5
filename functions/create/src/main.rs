//! The binary of the function `create`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Create, create::run)
}
