//! Unpacks a bundle into a folder: all of it or nothing.
//! Everything goes into a new folder beside the destination, which takes the destination's name at the very end.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{
    Bounds, BundleError, MANIFEST_FILE,
    archive::{self, Fault},
    members::{Member, MemberKind},
};

/// The folders in progress are named `<destination>.partial-<process id>-<number>`.
const PARTIAL_MARK: &str = ".partial-";

/// How many names are tried for the folder in progress before giving up.
const PARTIAL_ATTEMPTS: u32 = 1000;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files written; 0 where the destination was there already.
    pub files: usize,
    /// Bytes in them.
    pub bytes: u64,
}

/// Unpacks a bundle that may be hostile. Files get mode 0644 or 0755, folders 0755. A destination that holds an
/// `app.toml` was unpacked before and is left alone: the destination's name should carry the bundle's digest.
/// Two callers at once are fine, as is a crash or a power cut: the destination is whole or absent.
///
/// # Errors
/// [`BundleError`]; nothing is left behind then. Only [`BundleError::is_ours`] is worth another attempt.
pub fn unpack(reader: impl Read, destination: &Path, bounds: &Bounds) -> Result<Unpacked, BundleError> {
    if is_unpacked(destination) {
        return Ok(Unpacked::default());
    }
    let partial = Partial::create(destination)?;
    let totals = archive::walk(reader, bounds, &mut |member, content| place(&partial.path, member, content))?;
    if !totals.has_manifest {
        return Err(BundleError::NoManifest);
    }
    partial.become_destination(destination)?;
    Ok(Unpacked { files: totals.files, bytes: totals.bytes })
}

/// Removes what a killed process left half unpacked in `directory`, and says how many folders that were.
/// For start-up only: another process that unpacks there at this moment would lose its work and fail.
///
/// # Errors
/// [`BundleError::Io`] where the directory cannot be listed or a leftover not removed. No directory is no leftovers.
pub fn remove_leftovers(directory: &Path) -> Result<usize, BundleError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(BundleError::io("listing", directory)(error)),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry.map_err(BundleError::io("listing", directory))?;
        if entry.file_name().to_string_lossy().contains(PARTIAL_MARK) {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(BundleError::io("removing", &path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// An empty folder does not count, since somebody may have made it by hand; the rename replaces it.
fn is_unpacked(destination: &Path) -> bool {
    let is_real_folder = fs::symlink_metadata(destination).is_ok_and(|found| found.is_dir());
    is_real_folder && fs::symlink_metadata(destination.join(MANIFEST_FILE)).is_ok_and(|found| found.is_file())
}

/// The folder in progress. Dropped without [`Partial::become_destination`], it is removed with all that is in it.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn create(destination: &Path) -> Result<Self, BundleError> {
        let (Some(parent), Some(name)) = (destination.parent(), destination.file_name()) else {
            let source = io::Error::from(io::ErrorKind::InvalidInput);
            return Err(BundleError::io("unpacking into", destination)(source));
        };
        fs::create_dir_all(parent).map_err(BundleError::io("creating", parent))?;
        for attempt in 0..PARTIAL_ATTEMPTS {
            let mut partial_name = OsString::from(name);
            partial_name.push(format!("{PARTIAL_MARK}{}-{attempt}", std::process::id()));
            let path = parent.join(partial_name);
            match create_folder(&path) {
                Ok(()) => return Ok(Self { path }),
                // Process ids repeat, in containers above all, so the name may belong to somebody else.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(BundleError::io("creating", &path)(error)),
            }
        }
        let source = io::Error::from(io::ErrorKind::AlreadyExists);
        Err(BundleError::io("creating a folder in progress beside", destination)(source))
    }

    fn become_destination(self, destination: &Path) -> Result<(), BundleError> {
        // Without this a power cut could keep the new name and lose the files. One call is far quicker than one
        // per file, and it happens once per app version and machine.
        File::open(&self.path)
            .and_then(|folder| nix::unistd::syncfs(&folder).map_err(io::Error::from))
            .map_err(BundleError::io("syncing", &self.path))?;
        match fs::rename(&self.path, destination) {
            Ok(()) => Ok(()),
            // Somebody else was quicker with the same bundle; ours is removed on drop.
            Err(_) if is_unpacked(destination) => Ok(()),
            Err(error) => Err(BundleError::io("renaming the unpacked bundle to", destination)(error)),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename there is nothing of this name, and an error here could not be told to anyone;
        // what stays is found by `remove_leftovers`.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Puts one member below `root`. All that exists there was made here and no links are ever made, so a checked path
/// cannot lead out of it.
fn place(root: &Path, member: &Member, content: &mut dyn Read) -> Result<(), Fault> {
    let path = root.join(&member.path);
    match member.kind {
        MemberKind::Folder => Ok(create_folders(root, &member.path)?),
        MemberKind::File { size, executable } => {
            if let Some((parent, _)) = member.path.rsplit_once('/') {
                create_folders(root, parent)?;
            }
            write_file(&path, executable, size, content)
        }
    }
}

fn create_folders(root: &Path, relative: &str) -> Result<(), BundleError> {
    let mut path = root.to_path_buf();
    for name in relative.split('/') {
        path.push(name);
        match create_folder(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(BundleError::io("creating", &path)(error)),
        }
    }
    Ok(())
}

/// The mode is set apart from the creation, since the process's umask cuts the mode of new files.
fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn write_file(path: &Path, executable: bool, size: u64, content: &mut dyn Read) -> Result<(), Fault> {
    let mode = if executable { 0o755 } else { 0o644 };
    // `create_new` neither follows a link nor opens anything that exists.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(BundleError::io("creating", path))?;
    let mut written = 0;
    let mut source = BufReader::with_capacity(64 * 1024, content);
    loop {
        let chunk = match source.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Fault::Reading(error)),
        };
        if chunk.is_empty() {
            break;
        }
        file.write_all(chunk).map_err(BundleError::io("writing", path))?;
        let count = chunk.len();
        written += count as u64;
        source.consume(count);
    }
    if written != size {
        return Err(BundleError::damaged("it ends inside a file").into());
    }
    file.set_permissions(Permissions::from_mode(mode))
        .map_err(BundleError::io("setting the mode of", path))?;
    Ok(())
}
