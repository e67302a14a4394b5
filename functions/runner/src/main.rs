//! The binary of the function `runner`; started with `keep` it is the keeper of one task process.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(keeper::ARGUMENT) {
        return keeper::keeper_main();
    }
    service::main(wire::Function::Runner, runner::run)
}
