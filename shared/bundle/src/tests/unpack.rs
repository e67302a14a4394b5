//! Unpacking of good bundles: content, modes, other tools' archives, and that it is all or nothing.

use std::{
    fs,
    io::{self, Read},
    thread,
};

use super::{MANIFEST, RawTar, folder, gzip, listing};
use crate::{Bounds, BundleError, Unpacked, pack_directory, read_manifest, remove_leftovers, unpack};
use tar::EntryType;

#[test]
fn what_was_packed_comes_out_again() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    let source = folder(&[
        ("app.toml", MANIFEST),
        ("run.sh*", "#!/bin/sh\n"),
        ("Daten/größe ü.txt", "7"),
        (&long, "long"),
        ("empty", ""),
    ]);
    fs::create_dir(source.path().join("folder without files")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let destination = place.path().join("deep/app");
    let packed = pack_directory(source.path(), &Bounds::default()).unwrap();
    let unpacked = unpack(packed.bytes.as_slice(), &destination, &Bounds::default()).unwrap();
    assert_eq!(unpacked, Unpacked { files: 5, bytes: MANIFEST.len() as u64 + 10 + 1 + 4 });
    assert_eq!(listing(&destination), listing(source.path()));
    assert_eq!(read_manifest(packed.bytes.as_slice(), &Bounds::default()).unwrap(), packed.manifest);
    assert_eq!(pack_directory(&destination, &Bounds::default()).unwrap().digest, packed.digest);
}

#[test]
fn a_destination_that_is_there_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let destination = place.path().join("app");
    let bundle = RawTar::with_manifest().file("x", b"1").gzip();
    unpack(bundle.as_slice(), &destination, &Bounds::default()).unwrap();
    fs::write(destination.join("x"), "kept").unwrap();
    // Not even read: the bundle may be gone by then.
    let again = unpack(b"garbage".as_slice(), &destination, &Bounds::default()).unwrap();
    assert_eq!(again, Unpacked::default());
    assert_eq!(fs::read(destination.join("x")).unwrap(), b"kept");

    // An empty folder is no unpacked bundle, and one with other things in it is not to be replaced.
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(unpack(bundle.as_slice(), &empty, &Bounds::default()).unwrap().files, 2);
    let foreign = folder(&[("something", "else")]);
    let error = unpack(bundle.as_slice(), foreign.path(), &Bounds::default()).unwrap_err();
    assert!(error.is_ours(), "{error}");
    assert_eq!(listing(foreign.path()).len(), 1);
}

#[test]
fn many_at_once_leave_one_whole_destination() {
    let place = tempfile::tempdir().unwrap();
    let destination = place.path().join("app");
    let mut archive = RawTar::with_manifest();
    for number in 0..200 {
        archive = archive.file(&format!("files/{number}"), b"content");
    }
    let bundle = archive.gzip();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| unpack(bundle.as_slice(), &destination, &Bounds::default()).unwrap());
        }
    });
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    assert_eq!(listing(&destination).len(), 202);
}

#[test]
fn leftovers_of_a_killed_process_are_removed_and_do_not_hinder() {
    let place = tempfile::tempdir().unwrap();
    let destination = place.path().join("app");
    let leftover = place.path().join(format!("app.partial-{}-0", std::process::id()));
    fs::create_dir(&leftover).unwrap();
    fs::write(leftover.join("half"), "x").unwrap();
    let bundle = RawTar::with_manifest().gzip();
    unpack(bundle.as_slice(), &destination, &Bounds::default()).unwrap();
    assert!(leftover.join("half").exists());
    assert_eq!(remove_leftovers(place.path()).unwrap(), 1);
    assert_eq!(remove_leftovers(place.path()).unwrap(), 0);
    assert_eq!(remove_leftovers(&place.path().join("nowhere")).unwrap(), 0);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn archives_of_other_tools_are_taken() {
    let place = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "p".repeat(90), "q".repeat(90));
    let bundle = RawTar::default()
        .pax(EntryType::XGlobalHeader, "comment", "0123abcd")
        .entry(b"./", EntryType::Directory, b"", |_| {})
        .entry(b"./sub/", EntryType::Directory, b"", |_| {})
        .pax(EntryType::XHeader, "mtime", "1700000000.5")
        .file("./app.toml", MANIFEST.as_bytes())
        .pax(EntryType::XHeader, "path", &long)
        .file("short", b"by pax")
        .entry(b"old", EntryType::new(0), b"kind 0", |header| header.set_mode(0o4711))
        .tar();
    // GNU tar pads its archives to 10 KiB.
    let padded = [bundle, vec![0; 9000]].concat();
    let destination = place.path().join("app");
    unpack(gzip(&padded).as_slice(), &destination, &Bounds::default()).unwrap();
    let found = listing(&destination);
    assert!(found.contains(&((&long).into(), "file 644 by pax".into())), "{found:?}");
    assert!(found.contains(&("old".into(), "file 755 kind 0".into())), "{found:?}");
    assert!(found.contains(&("sub".into(), "folder 755".into())), "{found:?}");
}

#[test]
fn a_failing_source_is_ours_and_leaves_nothing() {
    struct Breaks<'a>(&'a [u8]);
    impl Read for Breaks<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                count => Ok(count),
            }
        }
    }
    let place = tempfile::tempdir().unwrap();
    let bundle = RawTar::with_manifest().file("x", &[7; 100_000]).gzip();
    let half = &bundle[..bundle.len() / 2];
    let error = unpack(Breaks(half), &place.path().join("app"), &Bounds::default()).unwrap_err();
    assert!(
        matches!(&error, BundleError::Io { source, .. } if source.kind() == io::ErrorKind::ConnectionReset)
    );
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
