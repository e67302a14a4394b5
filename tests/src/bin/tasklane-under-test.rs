//! The program `tasklane`, built where the tests find it, and with it the functions that have a planted bug.

use std::process::ExitCode;

fn main() -> ExitCode {
    tests::planted::asked().unwrap_or_else(cli::main)
}
