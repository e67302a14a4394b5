//! The binary of the function `ingress`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wire::Function::Ingress, ingress::run)
}
