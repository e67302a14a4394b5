//! What a bundle holds so far: decides from each header alone whether the next member may join.

use std::collections::HashMap;

use tar::Header;

use crate::{Bounds, BundleError, MANIFEST_FILE, paths};

/// A file or folder that passed every check. Nothing else is ever handed on.
#[derive(Debug)]
pub(crate) struct Member {
    /// Relative, checked, without a slash at the end.
    pub(crate) path: String,
    pub(crate) kind: MemberKind,
}

/// What a member is.
#[derive(Debug)]
pub(crate) enum MemberKind {
    Folder,
    File {
        size: u64,
        /// Any executable bit was set; all other mode bits are dropped.
        executable: bool,
    },
}

/// What was there, once all of it was seen.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    pub(crate) has_manifest: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    File,
    Folder,
    /// A folder that only the path of another member has named so far.
    Implied,
}

/// All members so far, against the bounds.
pub(crate) struct Members<'a> {
    bounds: &'a Bounds,
    places: HashMap<String, Place>,
    entries: usize,
    totals: Totals,
}

impl<'a> Members<'a> {
    pub(crate) fn new(bounds: &'a Bounds) -> Self {
        Self { bounds, places: HashMap::new(), entries: 0, totals: Totals::default() }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Counts one more header that takes an entry's place.
    pub(crate) fn count(&mut self) -> Result<(), BundleError> {
        self.entries += 1;
        if self.entries > self.bounds.entries {
            let bound = self.bounds.entries as u64;
            return Err(BundleError::TooMuch { what: "files and folders", bound });
        }
        Ok(())
    }

    /// The member that this header announces, or None for the app folder itself.
    /// `long_path` is the path from an extension header before it, which replaces the one in the header.
    pub(crate) fn admit(
        &mut self,
        header: &Header,
        long_path: Option<Vec<u8>>,
    ) -> Result<Option<Member>, BundleError> {
        self.count()?;
        let raw = long_path.unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = String::from_utf8_lossy(&raw).into_owned();
        let folder = match header.entry_type().as_byte() {
            0 | b'0' => false,
            b'5' => true,
            other => return Err(BundleError::entry(&shown, foreign_kind(other))),
        };
        let size = header.entry_size().map_err(|error| BundleError::entry(&shown, error.to_string()))?;
        let mode = header.mode().map_err(|error| BundleError::entry(&shown, error.to_string()))?;
        let Some(path) = paths::check(&raw, folder, self.bounds)? else {
            return Ok(None);
        };
        let kind = if folder {
            if size != 0 {
                return Err(BundleError::entry(&path, "it is a folder with content of its own"));
            }
            self.settle(&path, Place::Folder)?;
            MemberKind::Folder
        } else {
            self.settle(&path, Place::File)?;
            self.weigh(&path, size)?;
            MemberKind::File { size, executable: mode & 0o111 != 0 }
        };
        Ok(Some(Member { path, kind }))
    }

    /// Gives the path its one place. Two members of one name, or a file where another member needs a folder,
    /// would let a later member change an earlier one.
    fn settle(&mut self, path: &str, place: Place) -> Result<(), BundleError> {
        for (end, _) in path.match_indices('/') {
            let parent = path.get(..end).unwrap_or_default();
            match self.places.get(parent) {
                Some(Place::File) => {
                    return Err(BundleError::entry(
                        path,
                        "it lies below a path that is a file in this bundle",
                    ));
                }
                Some(Place::Folder | Place::Implied) => {}
                None => {
                    self.places.insert(parent.to_owned(), Place::Implied);
                }
            }
        }
        match (self.places.insert(path.to_owned(), place), place) {
            (None, _) | (Some(Place::Implied), Place::Folder) => Ok(()),
            (Some(_), _) => Err(BundleError::entry(path, "its path comes twice in this bundle")),
        }
    }

    fn weigh(&mut self, path: &str, size: u64) -> Result<(), BundleError> {
        let bounds = self.bounds;
        if size > bounds.file_bytes {
            let why = format!("it has {size} bytes; a file may have {}", bounds.file_bytes);
            return Err(BundleError::entry(path, why));
        }
        let bytes = self.totals.bytes.checked_add(size).filter(|bytes| *bytes <= bounds.total_bytes);
        let Some(bytes) = bytes else {
            return Err(BundleError::TooMuch { what: "bytes unpacked", bound: bounds.total_bytes });
        };
        self.totals.bytes = bytes;
        self.totals.files += 1;
        self.totals.has_manifest |= path == MANIFEST_FILE;
        Ok(())
    }
}

fn foreign_kind(kind: u8) -> String {
    let name = match kind {
        b'1' => "a hard link",
        b'2' | b'K' => "a symbolic link",
        b'3' => "a character device",
        b'4' => "a block device",
        b'6' => "a named pipe",
        b'S' => "a sparse file",
        _ => "of an unknown kind",
    };
    format!("it is {name}; a bundle holds plain files and folders only")
}
