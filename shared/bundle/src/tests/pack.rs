//! Packing: the same folder gives the same bytes, and only what belongs to the app goes in.

use std::{
    fs::{self, File},
    os::unix::{fs::symlink, net::UnixListener},
    time::{Duration, UNIX_EPOCH},
};

use nix::{sys::stat::Mode, unistd::mkfifo};

use super::{MANIFEST, folder, listing};
use crate::{Bounds, BundleError, ManifestError, digest, pack_directory, unpack};

fn refusal(folder: &tempfile::TempDir, bounds: &Bounds) -> BundleError {
    pack_directory(folder.path(), bounds).map(|packed| packed.files).unwrap_err()
}

#[test]
fn the_same_content_gives_the_same_digest_whenever_and_wherever_it_was_written() {
    let files =
        [("app.toml", MANIFEST), ("run.sh*", "echo"), ("a/b.txt", "1"), ("a.txt", "2"), ("z/y/x", "3")];
    let first = folder(&files);
    let mut backwards = files;
    backwards.reverse();
    let second = folder(&backwards);
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::open(second.path().join("a.txt")).unwrap().set_modified(long_ago).unwrap();
    let bounds = Bounds::default();
    let one = pack_directory(first.path(), &bounds).unwrap();
    let two = pack_directory(second.path(), &bounds).unwrap();
    assert_eq!(one.bytes, two.bytes);
    assert_eq!(one.digest, two.digest);
    assert_eq!(one.digest, digest(&one.bytes));
    assert_eq!((one.digest.len(), one.files, one.manifest.name.as_str()), (64, 5, "transport"));

    fs::write(second.path().join("a.txt"), "changed").unwrap();
    assert_ne!(pack_directory(second.path(), &bounds).unwrap().digest, one.digest);
}

#[test]
fn the_digest_is_sha_256_in_hex() {
    assert_eq!(digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn tools_leavings_stay_out_and_an_authors_own_target_folder_goes_in() {
    let source = folder(&[
        ("app.toml", MANIFEST),
        ("solve.py", "print()"),
        (".git/config", "x"),
        ("sub/.hg/store", "x"),
        ("__pycache__/solve.pyc", "x"),
        ("old.pyc", "x"),
        (".DS_Store", "x"),
        ("sub/target/CACHEDIR.TAG", "x"),
        ("sub/target/debug/app", "x"),
        ("target/list.csv", "kept"),
        (".config", "kept"),
    ]);
    let destination = tempfile::tempdir().unwrap();
    let packed = pack_directory(source.path(), &Bounds::default()).unwrap();
    assert_eq!(packed.files, 4);
    let destination = destination.path().join("app");
    unpack(packed.bytes.as_slice(), &destination, &Bounds::default()).unwrap();
    let names: Vec<_> = listing(&destination).into_iter().map(|(path, _)| path).collect();
    let expected = [".config", "app.toml", "solve.py", "sub", "target", "target/list.csv"];
    assert_eq!(names, expected.map(std::path::PathBuf::from));
}

#[test]
fn a_link_inside_becomes_a_file_and_any_other_link_is_refused() {
    let source = folder(&[("app.toml", MANIFEST), ("bin/tool*", "content")]);
    let path = source.path();
    symlink("bin/tool", path.join("shortcut")).unwrap();
    symlink(path.join("bin/tool"), path.join("absolute")).unwrap();
    let destination = tempfile::tempdir().unwrap();
    let unpacked = destination.path().join("app");
    let packed = pack_directory(path, &Bounds::default()).unwrap();
    unpack(packed.bytes.as_slice(), &unpacked, &Bounds::default()).unwrap();
    for name in ["shortcut", "absolute"] {
        assert!(listing(&unpacked).contains(&(name.into(), "file 755 content".into())), "{name}");
    }

    let outside = folder(&[("secret", "x")]);
    let targets = [
        outside.path().join("secret"),
        "../secret".into(),
        "/etc/passwd".into(),
        "nowhere".into(),
        "bin".into(),
        ".".into(),
        "circle".into(),
    ];
    for target in targets {
        let link = path.join("circle");
        symlink(&target, &link).unwrap();
        let message = refusal(&source, &Bounds::default()).to_string();
        assert!(message.contains("\"circle\"") && message.contains("symbolic link"), "{target:?}: {message}");
        fs::remove_file(&link).unwrap();
    }
}

#[test]
fn a_folder_that_is_itself_reached_by_a_link_is_packed() {
    let source = folder(&[("app.toml", MANIFEST)]);
    let other = tempfile::tempdir().unwrap();
    symlink(source.path(), other.path().join("app")).unwrap();
    let through = pack_directory(&other.path().join("app"), &Bounds::default()).unwrap();
    assert_eq!(through.digest, pack_directory(source.path(), &Bounds::default()).unwrap().digest);
}

#[test]
fn pipes_sockets_and_bad_names_are_refused_by_name() {
    let source = folder(&[("app.toml", MANIFEST)]);
    let pipe = source.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    assert!(refusal(&source, &Bounds::default()).to_string().contains("\"pipe\""));
    fs::remove_file(pipe).unwrap();

    let socket = source.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    assert!(refusal(&source, &Bounds::default()).to_string().contains("\"socket\""));
    drop(listener);
    fs::remove_file(socket).unwrap();

    for name in ["back\\slash", "line\nbreak"] {
        let path = source.path().join(name);
        fs::write(&path, "").unwrap();
        let error = refusal(&source, &Bounds::default());
        assert!(matches!(error, BundleError::Entry { .. }), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn the_manifest_must_be_there_and_be_right() {
    let none = folder(&[("run.sh", "echo")]);
    let error = refusal(&none, &Bounds::default());
    assert!(matches!(error, BundleError::NoManifest));
    assert!(error.to_string().contains("runtime = \"command\""), "{error}");

    let as_folder = folder(&[("app.toml/x", "echo")]);
    assert!(matches!(refusal(&as_folder, &Bounds::default()), BundleError::NoManifest));

    let wrong = folder(&[("app.toml", "name = \"a\"\nversion = \"1\"\nruntime = \"shell\"\n")]);
    let error = refusal(&wrong, &Bounds::default());
    assert!(matches!(error, BundleError::Manifest(ManifestError::Value { .. })), "{error}");

    let huge = folder(&[("app.toml", &format!("{MANIFEST}{}", "#".repeat(300_000)))]);
    assert!(matches!(refusal(&huge, &Bounds::default()), BundleError::TooMuch { .. }));

    let missing = none.path().join("nowhere");
    let error = pack_directory(&missing, &Bounds::default()).map(|packed| packed.files).unwrap_err();
    assert!(error.is_ours() && error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn every_bound_is_kept() {
    let source = folder(&[("app.toml", MANIFEST), ("a/b/c", "12345"), ("d", "12345")]);
    let bytes = MANIFEST.len() as u64;
    let fits = Bounds {
        entries: 5,
        file_bytes: bytes,
        total_bytes: bytes + 10,
        packed_bytes: 1000,
        path_bytes: 8,
        depth: 3,
    };
    pack_directory(source.path(), &fits).unwrap();
    for (bounds, word) in [
        (Bounds { entries: 4, ..fits.clone() }, "files and folders"),
        (Bounds { file_bytes: bytes - 1, ..fits.clone() }, "app.toml"),
        (Bounds { total_bytes: bytes + 9, ..fits.clone() }, "bytes unpacked"),
        (Bounds { packed_bytes: 100, ..fits.clone() }, "bytes packed"),
        (Bounds { path_bytes: 7, ..fits.clone() }, "app.toml"),
        (Bounds { depth: 2, ..fits.clone() }, "a/b/c"),
    ] {
        let message = refusal(&source, &bounds).to_string();
        assert!(message.contains(word), "{word}: {message}");
    }
}
