//! The program `tasklane`. Everything is in the library, so that tests can use it.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
