//! `bench`: measures.

use std::process::ExitCode;

use service::Settings;

use crate::arguments::stack::BenchArguments;
use crate::error::CliError;

/// Measures a stack.
pub async fn bench(
    _settings: Settings,
    _arguments: &BenchArguments,
    _json: bool,
) -> Result<ExitCode, CliError> {
    Err(CliError::Stack("bench comes next".to_owned()))
}
