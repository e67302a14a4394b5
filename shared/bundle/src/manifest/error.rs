//! What can be wrong with an `app.toml`: the field, what stands there, and what is accepted.

use std::{error::Error, fmt};

/// Why an `app.toml` was refused. The message is for its author and is complete on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// It is not TOML, has a key that does not exist, lacks one that must be, or has a value of the wrong type.
    Text {
        /// The parser's message, with the line.
        message: String,
    },
    /// A value is not accepted.
    Value {
        /// The field, such as `services.solve.timeout`.
        field: String,
        /// What stands there.
        value: String,
        /// What is accepted.
        accepted: String,
    },
    /// A field must be there in this app.
    Missing {
        /// The field.
        field: String,
        /// Why, and what to write.
        why: String,
    },
    /// A field may not be there in this app.
    Unwanted {
        /// The field.
        field: String,
        /// Why.
        why: String,
    },
}

impl ManifestError {
    /// A refused value, cut so that a message stays readable whatever stood there.
    pub(super) fn value(
        field: impl Into<String>,
        value: impl fmt::Display,
        accepted: impl Into<String>,
    ) -> Self {
        const SHOWN_CHARACTERS: usize = 80;
        let text = value.to_string();
        let mut shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self::Value { field: field.into(), value: shown, accepted: accepted.into() }
    }

    pub(super) fn missing(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Missing { field: field.into(), why: why.into() }
    }

    pub(super) fn unwanted(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unwanted { field: field.into(), why: why.into() }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { message } => write!(out, "app.toml: {}", message.trim_end()),
            Self::Value { field, value, accepted } => {
                write!(out, "app.toml: {field} is {value}; accepted is {accepted}")
            }
            Self::Missing { field, why } => write!(out, "app.toml: {field} is missing: {why}"),
            Self::Unwanted { field, why } => write!(out, "app.toml: {field} has no place here: {why}"),
        }
    }
}

impl Error for ManifestError {}
