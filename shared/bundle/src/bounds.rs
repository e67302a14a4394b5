//! How big a bundle may be. Packing and unpacking take the same bounds, so what was packed can be unpacked.

/// The bounds that packing, publishing and unpacking keep to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most files and folders together.
    pub entries: usize,
    /// Most bytes of one file.
    pub file_bytes: u64,
    /// Most bytes of all files together.
    pub total_bytes: u64,
    /// Most bytes of the bundle itself, which is compressed.
    pub packed_bytes: u64,
    /// Most bytes of one path below the app folder.
    pub path_bytes: usize,
    /// Most names in one path: `a/b/c` has three.
    pub depth: usize,
}

impl Default for Bounds {
    /// 10,000 entries, 1 GiB unpacked (one file may be all of it), 256 MiB packed, paths of 1,024 bytes and 32 names.
    fn default() -> Self {
        Self {
            entries: 10_000,
            file_bytes: 1 << 30,
            total_bytes: 1 << 30,
            packed_bytes: 256 << 20,
            path_bytes: 1024,
            depth: 32,
        }
    }
}
