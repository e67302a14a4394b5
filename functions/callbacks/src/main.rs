//! The binary of the function `callbacks`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Callbacks, callbacks::run)
}
