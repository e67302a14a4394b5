//! Packs an app folder into a bundle. The same folder gives the same bytes, so the digest names the content.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::{Bounds, BundleError, MANIFEST_BYTES, MANIFEST_FILE, Manifest, paths, read};

/// Names that are left out wherever they stand: version control, and what tools leave beside the source.
const SKIPPED: [&str; 7] = [".git", ".hg", ".svn", ".bzr", ".jj", "__pycache__", ".DS_Store"];

/// A bundle in memory.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The tar.gz.
    pub bytes: Vec<u8>,
    /// SHA-256 of `bytes` in lower-case hex.
    pub digest: String,
    /// What its `app.toml` says.
    pub manifest: Manifest,
    /// Files in it, folders not counted.
    pub files: usize,
}

/// SHA-256 in lower-case hex, as in [`Packed::digest`].
pub fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Packs the folder: paths in order, no times, no owners, modes 0644 and 0755 by the executable bit.
/// Left out are version control folders, `__pycache__`, `*.pyc`, `.DS_Store`, and Cargo's `target`.
/// A symbolic link to a file inside the folder is packed as that file.
///
/// # Errors
/// [`BundleError`] where there is no good `app.toml`, a path or kind of file may not be in a bundle, a bound is
/// reached, or a file cannot be read.
pub fn pack_directory(directory: &Path, bounds: &Bounds) -> Result<Packed, BundleError> {
    let root = fs::canonicalize(directory).map_err(BundleError::io("opening the folder", directory))?;
    let mut sources = BTreeMap::new();
    gather(&root, &root, bounds, &mut sources)?;
    let Some(Source::File { path }) = sources.get(MANIFEST_FILE) else {
        return Err(BundleError::NoManifest);
    };
    let (manifest_text, _) = read_file(path, MANIFEST_BYTES)?;
    let manifest = read::parse(&manifest_text)?;
    let bytes = write_archive(&sources, bounds)?;
    check_packed(bytes.len(), bounds)?;
    let files = sources.values().filter(|source| matches!(source, Source::File { .. })).count();
    Ok(Packed { digest: digest(&bytes), bytes, manifest, files })
}

/// Where the content of a bundle path comes from.
enum Source {
    Folder,
    File { path: PathBuf },
}

/// Collects everything below `folder`, by bundle path. The order of the map puts a folder before its content.
fn gather(
    root: &Path,
    folder: &Path,
    bounds: &Bounds,
    sources: &mut BTreeMap<String, Source>,
) -> Result<(), BundleError> {
    for entry in fs::read_dir(folder).map_err(BundleError::io("listing", folder))? {
        let path = entry.map_err(BundleError::io("listing", folder))?.path();
        if is_skipped(&path) {
            continue;
        }
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let Some(name) = paths::check(relative.as_os_str().as_bytes(), false, bounds)? else {
            continue;
        };
        let source = classify(root, &path, &name)?;
        let is_folder = matches!(source, Source::Folder);
        sources.insert(name, source);
        if sources.len() > bounds.entries {
            let bound = bounds.entries as u64;
            return Err(BundleError::TooMuch { what: "files and folders", bound });
        }
        if is_folder {
            gather(root, &path, bounds, sources)?;
        }
    }
    Ok(())
}

fn is_skipped(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let by_name = SKIPPED.iter().any(|skipped| name == *skipped);
    let compiled_python = path.extension().is_some_and(|extension| extension == "pyc");
    // Cargo marks its build folder. A folder of this name that an author made for the app has no such mark.
    let cargo_output = name == "target" && path.join("CACHEDIR.TAG").is_file();
    by_name || compiled_python || cargo_output
}

fn classify(root: &Path, path: &Path, name: &str) -> Result<Source, BundleError> {
    let found = fs::symlink_metadata(path).map_err(BundleError::io("reading", path))?;
    if found.is_dir() {
        return Ok(Source::Folder);
    }
    if found.is_file() {
        return Ok(Source::File { path: path.to_path_buf() });
    }
    if !found.is_symlink() {
        return Err(BundleError::entry(
            name,
            "it is a socket, a pipe or a device; take it out of the folder",
        ));
    }
    let Ok(target) = fs::canonicalize(path) else {
        return Err(BundleError::entry(name, "it is a symbolic link to nothing; take it out of the folder"));
    };
    if !target.starts_with(root) {
        let why = "it is a symbolic link out of the app folder; put a copy of the file in its place";
        return Err(BundleError::entry(name, why));
    }
    // Links to folders could form circles, and a folder packed twice is seldom meant.
    if !target.is_file() {
        return Err(BundleError::entry(name, "it is a symbolic link to something else than a file"));
    }
    Ok(Source::File { path: target })
}

/// The content and whether it is executable. Takes up to `bound` + 1 bytes, so that the caller sees the excess.
fn read_file(path: &Path, bound: u64) -> Result<(Vec<u8>, bool), BundleError> {
    let reading = || BundleError::io("reading", path);
    let file = File::open(path).map_err(reading())?;
    let mode = file.metadata().map_err(reading())?.permissions().mode();
    let mut content = Vec::new();
    file.take(bound.saturating_add(1)).read_to_end(&mut content).map_err(reading())?;
    Ok((content, mode & 0o111 != 0))
}

fn write_archive(sources: &BTreeMap<String, Source>, bounds: &Bounds) -> Result<Vec<u8>, BundleError> {
    // The builder without a time and a file name, at a fixed level, keeps the bytes the same.
    let encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(6));
    let mut archive = Builder::new(encoder);
    let mut total = 0_u64;
    for (name, source) in sources {
        match source {
            Source::Folder => append(&mut archive, EntryType::Directory, name, &[], 0o755)?,
            Source::File { path } => {
                let (content, executable) = read_file(path, bounds.file_bytes)?;
                let size = content.len() as u64;
                if size > bounds.file_bytes {
                    let why = format!("it is too big; a file may have {} bytes", bounds.file_bytes);
                    return Err(BundleError::entry(name, why));
                }
                total = total.saturating_add(size);
                if total > bounds.total_bytes {
                    return Err(BundleError::TooMuch { what: "bytes unpacked", bound: bounds.total_bytes });
                }
                let mode = if executable { 0o755 } else { 0o644 };
                append(&mut archive, EntryType::Regular, name, &content, mode)?;
                // Asked after every file as well, so that a folder far too big is refused early.
                check_packed(archive.get_ref().get_ref().len(), bounds)?;
            }
        }
    }
    archive.into_inner().and_then(GzEncoder::finish).map_err(packing)
}

fn check_packed(bytes: usize, bounds: &Bounds) -> Result<(), BundleError> {
    if bytes as u64 <= bounds.packed_bytes {
        return Ok(());
    }
    Err(BundleError::TooMuch { what: "bytes packed", bound: bounds.packed_bytes })
}

fn append(
    archive: &mut Builder<GzEncoder<Vec<u8>>>,
    kind: EntryType,
    name: &str,
    content: &[u8],
    mode: u32,
) -> Result<(), BundleError> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, name, content).map_err(packing)
}

/// Writing into memory does not fail by itself; this keeps the error if it ever does.
fn packing(source: io::Error) -> BundleError {
    BundleError::Io { doing: "packing the bundle".into(), source }
}
