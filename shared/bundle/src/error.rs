//! Everything that can be wrong with an app folder or a bundle, in words that its author can act on.

use std::{error::Error, fmt, io, path::Path};

use crate::manifest::ManifestError;

/// Why a folder was not packed, or a bundle not unpacked.
#[derive(Debug)]
pub enum BundleError {
    /// A file could not be read or written here. The only kind that is not the bundle's own fault.
    Io {
        /// What was being done, with the path.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is no file `app.toml` at the top.
    NoManifest,
    /// The `app.toml` is there and wrong.
    Manifest(ManifestError),
    /// One file or folder may not be in a bundle.
    Entry {
        /// Its path, escaped and cut so that it can be shown safely.
        path: String,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// A bound of [`crate::Bounds`] was reached.
    TooMuch {
        /// What there is too much of, with its unit.
        what: &'static str,
        /// The bound.
        bound: u64,
    },
    /// The bytes are not a whole tar.gz.
    Damaged {
        /// What the decoder said.
        why: String,
    },
}

impl BundleError {
    /// True where this machine failed and not the bundle, so that publishing answers 5xx and not 4xx.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// A refused entry, its path made safe to print: it may hold line breaks or terminal commands.
    pub(crate) fn entry(path: &str, why: impl Into<String>) -> Self {
        const SHOWN_CHARACTERS: usize = 200;
        let mut shown: String = path.chars().take(SHOWN_CHARACTERS).flat_map(char::escape_debug).collect();
        if path.chars().count() > SHOWN_CHARACTERS {
            shown.push('…');
        }
        Self::Entry { path: shown, why: why.into() }
    }

    /// For `map_err` on a file operation: what was done, to which path.
    pub(crate) fn io<'a>(doing: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { doing: format!("{doing} {}", path.display()), source }
    }

    pub(crate) fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged { why: why.into() }
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, source } => write!(out, "{doing}: {source}"),
            Self::NoManifest => out.write_str(NO_MANIFEST),
            Self::Manifest(error) => error.fmt(out),
            Self::Entry { path, why } => write!(out, "the bundle entry \"{path}\" is refused: {why}"),
            Self::TooMuch { what, bound } => write!(out, "the bundle is too big: at most {bound} {what}"),
            Self::Damaged { why } => write!(out, "the bundle is not a whole tar.gz: {why}"),
        }
    }
}

impl Error for BundleError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Manifest(error) => Some(error),
            Self::NoManifest | Self::Entry { .. } | Self::TooMuch { .. } | Self::Damaged { .. } => None,
        }
    }
}

impl From<ManifestError> for BundleError {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error)
    }
}

const NO_MANIFEST: &str = r#"there is no file app.toml at the top of the app folder. The smallest one is:

name = "my-app"
version = "1.0"
runtime = "command"

[services.run]
command = ["sh", "run.sh"]
"#;
