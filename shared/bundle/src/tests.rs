//! Tests on real folders and on bundles made byte by byte, as an attacker would make them.

mod fuzz;
mod hostile;
mod manifest;
mod pack;
mod unpack;

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use tar::{EntryType, Header};
use tempfile::TempDir;

const MANIFEST: &str = r#"
name = "transport"
version = "1.0"
runtime = "command"
[services.solve]
command = ["python3", "solve.py"]
"#;

/// Makes a folder of files; a path that ends with `*` becomes executable.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name.trim_end_matches('*'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let mode = if name.ends_with('*') { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    folder
}

/// A tar archive written field by field, with none of the checks that the tar crate's builder makes.
#[derive(Clone, Default)]
struct RawTar(Vec<u8>);

impl RawTar {
    /// An archive that holds a good `app.toml`, so that only what is added can be wrong.
    fn with_manifest() -> Self {
        Self::default().file("app.toml", MANIFEST.as_bytes())
    }

    fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(path.as_bytes(), EntryType::Regular, content, |_| {})
    }

    fn entry(mut self, path: &[u8], kind: EntryType, content: &[u8], edit: impl Fn(&mut Header)) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        edit(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn link(self, path: &str, kind: EntryType, target: &str) -> Self {
        self.entry(path.as_bytes(), kind, b"", |header| {
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        })
    }

    /// The path of the next entry in a GNU extension header.
    fn long_name(self, path: &[u8]) -> Self {
        self.entry(b"././@LongLink", EntryType::GNULongName, &[path, b"\0"].concat(), |_| {})
    }

    /// One key and value in a pax extension header for the next entry.
    fn pax(self, kind: EntryType, key: &str, value: &str) -> Self {
        let body = format!(" {key}={value}\n");
        let mut length = body.len() + 1;
        while length != body.len() + length.to_string().len() {
            length += 1;
        }
        self.entry(b"PaxHeader", kind, format!("{length}{body}").as_bytes(), |_| {})
    }

    fn tar(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    fn gzip(self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Everything below a folder: path, mode and content, in order. Links show as such.
fn listing(root: &Path) -> Vec<(PathBuf, String)> {
    fn visit(root: &Path, folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            let relative = path.strip_prefix(root).unwrap().to_path_buf();
            if metadata.is_dir() {
                found.push((relative, format!("folder {mode:o}")));
                visit(root, &path, found);
            } else if metadata.is_file() {
                let content = fs::read(&path).unwrap();
                found.push((relative, format!("file {mode:o} {}", String::from_utf8_lossy(&content))));
            } else {
                found.push((relative, "something else".into()));
            }
        }
    }
    let mut found = Vec::new();
    visit(root, root, &mut found);
    found.sort();
    found
}
