//! The binary of the function `admin`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Admin, admin::run)
}
