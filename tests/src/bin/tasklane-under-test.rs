//! The program `tasklane`, built where the tests find it.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
