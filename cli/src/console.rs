//! The two outputs of a command: results on the standard output, everything said beside them on the standard
//! error. A result can so always be piped on.

use std::io::{self, Write};

use serde_json::Value;

use crate::error::CliError;
use crate::table::printable;

/// Where a command writes to.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    json: bool,
}

impl Console {
    /// A console for people, or for programs.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Programs read the output, so only JSON may be in it.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// One result: the document for programs, the text for people.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub fn result(self, document: &Value, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.json { self.line(&document.to_string()) } else { self.line(&text()) }
    }

    /// A line of the result.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub fn line(self, text: &str) -> Result<(), CliError> {
        // Not println!, which panics when the reader has gone, as in `tasklane task list | head -1`.
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(CliError::Output)
    }

    /// Something beside the result, for people only. That it can't be said is no reason to fail.
    pub fn note(self, text: &str) {
        if !self.json {
            writeln!(io::stderr(), "{text}").ok();
        }
    }

    /// Why the command failed.
    pub fn error(self, error: &CliError) {
        if error.is_silent() {
            return;
        }
        let text = if self.json {
            error.to_json().to_string()
        } else {
            let lines: Vec<String> = error.to_string().lines().map(printable).collect();
            format!("error: {}", lines.join("\n"))
        };
        writeln!(io::stderr(), "{text}").ok();
    }
}
