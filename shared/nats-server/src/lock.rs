//! The lock on a data folder: one `tasklane dev` at a time owns it, and with it the broker's store.

use crate::process::POLL;
use std::error::Error;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for a new owner to have written its process id; it needs microseconds.
const PID_LIMIT: Duration = Duration::from_millis(500);

/// Ownership of a data folder, given back when the value is dropped or the process ends in any way.
#[derive(Debug)]
pub struct DataLock {
    /// Open for as long as the lock is held: the kernel ties the lock to it. It is not handed to children.
    file: File,
}

/// Why a data folder could not be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another live process owns the folder.
    Held {
        /// The data folder.
        folder: PathBuf,
        /// The owner, if it could be read.
        pid: Option<u32>,
    },
    /// The folder or its lock file can't be made or written.
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl fmt::Display for LockError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held { folder, pid: Some(pid) } => write!(
                formatter,
                "the data folder {} is in use by process {pid}. Stop that process (`kill {pid}`) and try again, \
                 or choose another folder with `--data`.",
                folder.display()
            ),
            LockError::Held { folder, pid: None } => write!(
                formatter,
                "the data folder {} is in use by another process. Stop it and try again, or choose another \
                 folder with `--data`.",
                folder.display()
            ),
            LockError::Unusable { path, error } => {
                write!(formatter, "can't use {}: {error}. Make the data folder writable.", path.display())
            }
        }
    }
}

impl Error for LockError {}

impl DataLock {
    /// Takes the lock of `folder`, which is created if need be, and writes our process id to `<folder>/lock`.
    ///
    /// # Errors
    /// [`LockError::Held`] at once if a live process has the lock; [`LockError::Unusable`] if the lock file
    /// can't be written.
    pub fn acquire(folder: &Path) -> Result<DataLock, LockError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| LockError::Unusable { path, error }
        };
        fs::create_dir_all(folder).map_err(unusable(folder))?;
        let path = folder.join("lock");
        let options = File::options().read(true).write(true).create(true).truncate(false).to_owned();
        let mut file = options.open(&path).map_err(unusable(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { folder: folder.to_owned(), pid: owner(&path) });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(&path)(error)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(unusable(&path))?;
        Ok(DataLock { file })
    }
}

impl Drop for DataLock {
    /// Closing the file is not enough: a child that another thread is just forking has a copy of it until it
    /// runs its own program, and would hold the lock for that moment. Unlocking acts on all copies.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Reads the owner's process id. The owner locks first and writes then, so for a moment the file may be empty
/// or name an earlier owner that is gone.
fn owner(path: &Path) -> Option<u32> {
    let deadline = Instant::now() + PID_LIMIT;
    loop {
        let pid = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
        if let Some(pid) = pid.filter(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
            return Some(pid);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(POLL);
    }
}
