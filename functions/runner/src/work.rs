//! Where a runner keeps things on disk: unpacked bundles, shared by all runners of a machine, and a folder of
//! its own for running tasks. A folder whose lock is free belongs to a runner that died.

use std::fs::File;
use std::path::{Path, PathBuf};

use domain::{RunnerId, SessionId};
use keeper::Fence;
use nix::fcntl::{Flock, FlockArg};
use service::Settings;

const BUNDLES: &str = "bundles";
const RUNNER: &str = "runner-";
const LOCK: &str = "lock";
/// The variable of every task process by which it is found, whatever became of its parents.
pub const MARKER: &str = "TASKLANE_WORKDIR";

/// The folders of one runner.
pub struct Work {
    root: PathBuf,
    own: PathBuf,
    /// Held as long as the runner lives; the kernel frees it however it dies.
    _lock: Flock<File>,
}

/// Where any task may write: the machine's folder for temporary files (design §11).
const TEMPORARY: &str = "/tmp";

/// What no task may read, whoever it belongs to.
pub fn hidden(settings: &Settings) -> Vec<PathBuf> {
    [&settings.data, &settings.keys, &settings.pepper, &settings.work].map(PathBuf::clone).to_vec()
}

/// What the processes of one session may reach: their app and their scratch folder, and of the rest of the machine
/// whatever is not ours.
pub fn fence(hidden: &[PathBuf], app: &Path, files: &Files) -> Fence {
    Fence {
        writable: vec![files.scratch.clone(), TEMPORARY.into()],
        readable: vec![app.to_owned()],
        hidden: hidden.to_vec(),
    }
}

/// The files of one session.
pub struct Files {
    /// What the process reads.
    pub input: PathBuf,
    /// What it writes.
    pub output: PathBuf,
    /// Its scratch folder.
    pub scratch: PathBuf,
}

impl Work {
    /// Makes the folders, and ends what runners that died left behind: processes and files.
    pub fn prepare(root: &Path, id: RunnerId) -> std::io::Result<Self> {
        std::fs::create_dir_all(root.join(BUNDLES))?;
        let root = root.canonicalize()?;
        // One after the other: the folder of one that is just starting would look like that of a dead one.
        let _turn = Flock::lock(lock_file(&root)?, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        clear_dead(&root)?;
        let own = root.join(format!("{RUNNER}{id}"));
        std::fs::create_dir(&own)?;
        let lock = lock(&own).ok_or_else(|| std::io::Error::other("the own work folder is locked"))?;
        Ok(Self { root, own, _lock: lock })
    }

    /// Where bundles are unpacked.
    pub fn bundles(&self) -> PathBuf {
        self.root.join(BUNDLES)
    }

    /// The files of a session; its scratch folder is made.
    pub fn files(&self, session: SessionId) -> std::io::Result<Files> {
        let scratch = self.own.join(session.to_string());
        std::fs::create_dir(&scratch)?;
        let beside = |what: &str| self.own.join(format!("{session}.{what}"));
        Ok(Files { input: beside("in"), output: beside("out"), scratch })
    }

    /// Removes everything of this runner.
    pub fn remove(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.own) {
            tracing::warn!(%error, "the work folder could not be removed; the next start will");
        }
    }
}

impl Files {
    /// Removes them. What a process left in its scratch folder can be unreadable; the next start tries again.
    pub fn remove(&self) {
        for file in [&self.input, &self.output] {
            let _ = std::fs::remove_file(file);
        }
        if let Err(error) = std::fs::remove_dir_all(&self.scratch) {
            tracing::debug!(%error, "a scratch folder could not be removed");
        }
    }
}

fn lock_file(folder: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(folder.join(LOCK))
}

fn lock(folder: &Path) -> Option<Flock<File>> {
    Flock::lock(lock_file(folder).ok()?, FlockArg::LockExclusiveNonblock).ok()
}

fn clear_dead(root: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path();
        let is_runner = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(RUNNER));
        let Some(_lock) = is_runner.then(|| lock(&path)).flatten() else { continue };
        let ended = keeper::end_leftovers(MARKER, &format!("{}/", path.display()));
        tracing::info!(folder = %path.display(), processes = ended.len(), "cleared after a runner that died");
        if let Err(error) = std::fs::remove_dir_all(&path) {
            tracing::warn!(%error, "a dead runner's folder could not be removed");
        }
    }
    Ok(())
}
