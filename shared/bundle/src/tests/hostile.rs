//! Bundles made to do harm. Each must be refused with a reason, by unpacking and by publishing alike, and leave nothing.

use std::{fs, io};

use tar::{EntryType, Header};

use super::{MANIFEST, RawTar, gzip, listing};
use crate::{Bounds, BundleError, read_manifest, unpack};

/// Unpacks deep inside a fresh folder and checks that the refusal names `reason` and that nothing is left anywhere.
fn refused_within(bounds: &Bounds, bundle: &[u8], reason: &str) {
    let place = tempfile::tempdir().unwrap();
    let inner = place.path().join("one/two");
    fs::create_dir_all(&inner).unwrap();
    fs::write(place.path().join("canary"), "alive").unwrap();
    let before = listing(place.path());

    let error = unpack(bundle, &inner.join("app"), bounds).unwrap_err();
    assert!(error.to_string().contains(reason), "{reason:?} is not in: {error}");
    assert!(!error.is_ours(), "{error}");
    assert_eq!(listing(place.path()), before, "{reason}");

    let published = read_manifest(bundle, bounds).unwrap_err();
    // Where a cut bundle ends, one reads content and the other skips it, so the decoder's words may differ.
    if !matches!((&published, &error), (BundleError::Damaged { .. }, BundleError::Damaged { .. })) {
        assert_eq!(published.to_string(), error.to_string());
    }
}

fn refused(archive: RawTar, reason: &str) {
    refused_within(&Bounds::default(), &archive.gzip(), reason);
}

fn start() -> RawTar {
    RawTar::with_manifest()
}

#[test]
fn paths_that_lead_out() {
    for (path, reason) in [
        ("/etc/evil", "absolute"),
        ("//etc/evil", "absolute"),
        (".//etc/evil", "absolute"),
        ("../evil", "\"..\""),
        ("..", "\"..\""),
        ("a/../../evil", "\"..\""),
        ("./../evil", "\"..\""),
        ("a/..", "\"..\""),
        ("..\\evil", "backslash"),
        ("a\\..\\..\\evil", "backslash"),
        ("C:\\evil", "backslash"),
        ("a/./b", "empty name"),
        ("a//b", "empty name"),
        (".", "empty name"),
        ("a/", "empty name"),
        ("evil\n", "control character"),
        ("evil\u{1b}[2J", "control character"),
        ("", "empty"),
    ] {
        refused(start().file(path, b"x"), reason);
        refused(start().long_name(path.as_bytes()).file("harmless", b"x"), reason);
        // A pax record ends at its line break, so that one path cannot be written this way.
        if !path.contains('\n') {
            let archive = start().pax(EntryType::XHeader, "path", path);
            refused(archive.file("harmless", b"x"), reason);
        }
    }
    for folder in ["../evil/", "/evil/", "a/../../evil"] {
        refused(start().entry(folder.as_bytes(), EntryType::Directory, b"", |_| {}), "its path");
    }
    // The two halves of a ustar path are joined before they are checked.
    let ustar = |header: &mut Header| {
        *header = Header::new_ustar();
        let fields = header.as_ustar_mut().unwrap();
        fields.prefix[..5].copy_from_slice(b"a/../");
        fields.name[..7].copy_from_slice(b"../evil");
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(0);
    };
    refused(start().entry(b"x", EntryType::Regular, b"", ustar), "its path has");
}

#[test]
fn paths_that_are_not_text() {
    // Overlong forms of "/" and "." are not UTF-8, so no decoder further down can make separators of them.
    let paths: [&[u8]; 4] = [b"caf\xe9", b"..\xc0\xafevil", b"\xc0\xae\xc0\xae/evil", b"\xff\xfe"];
    for path in paths {
        refused(start().entry(path, EntryType::Regular, b"x", |_| {}), "not UTF-8");
        refused(start().long_name(path).file("harmless", b"x"), "not UTF-8");
    }
    refused(start().long_name(b"a\0b").file("harmless", b"x"), "control character");
}

#[test]
fn links_devices_and_other_kinds() {
    for (kind, reason) in [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Char, "a character device"),
        (EntryType::Block, "a block device"),
        (EntryType::Fifo, "a named pipe"),
        (EntryType::GNUSparse, "a sparse file"),
        (EntryType::GNULongLink, "a symbolic link"),
        (EntryType::Continuous, "unknown kind"),
        (EntryType::new(b'D'), "unknown kind"),
        (EntryType::new(b'M'), "unknown kind"),
        (EntryType::new(0xff), "unknown kind"),
    ] {
        for target in ["/etc/passwd", "../../canary", "app.toml"] {
            refused(start().link("bad", kind, target), reason);
        }
    }
    // The classic: a link first, then a file through it.
    let through = start().link("door", EntryType::Symlink, "../..").file("door/evil", b"x");
    refused(through, "\"door\" is refused: it is a symbolic link");
    refused(start().pax(EntryType::XHeader, "linkpath", "/etc/passwd").file("a", b""), "linkpath");
    refused(start().pax(EntryType::XHeader, "size", "9").file("a", b""), "size");
    refused(start().pax(EntryType::XHeader, "GNU.sparse.major", "1").file("a", b""), "GNU.sparse.major");
    refused(start().pax(EntryType::XGlobalHeader, "path", "evil").file("a", b""), "global header");
}

#[test]
fn setuid_and_other_mode_bits_are_dropped() {
    let place = tempfile::tempdir().unwrap();
    let destination = place.path().join("app");
    let mode = |bits: u32| move |header: &mut Header| header.set_mode(bits);
    let bundle = start()
        .entry(b"setuid", EntryType::Regular, b"", mode(0o6755))
        .entry(b"sticky", EntryType::Directory, b"", mode(0o7777))
        .entry(b"open", EntryType::Regular, b"", mode(0o666))
        .entry(b"closed", EntryType::Regular, b"", mode(0))
        .gzip();
    unpack(bundle.as_slice(), &destination, &Bounds::default()).unwrap();
    let found: Vec<_> =
        listing(&destination).into_iter().filter(|(path, _)| !path.ends_with("app.toml")).collect();
    let expected =
        [("closed", "file 644 "), ("open", "file 644 "), ("setuid", "file 755 "), ("sticky", "folder 755")];
    assert_eq!(found, expected.map(|(path, kind)| (path.into(), kind.to_owned())));
}

#[test]
fn names_that_come_twice_or_stand_in_each_others_way() {
    let folder = |archive: RawTar, path: &[u8]| archive.entry(path, EntryType::Directory, b"", |_| {});
    refused(start().file("a", b"1").file("a", b"2"), "twice");
    refused(start().file("a", b"1").file("./a", b"2"), "twice");
    refused(start().file("app.toml", MANIFEST.as_bytes()), "twice");
    refused(start().file("b", b"1").long_name(b"b").file("c", b"2"), "twice");
    refused(folder(folder(start(), b"d/"), b"d"), "twice");
    refused(folder(start().file("d", b""), b"d"), "twice");
    refused(folder(start(), b"d").file("d", b""), "twice");
    refused(start().file("a/b", b"1").file("a", b"2"), "twice");
    refused(start().file("a", b"1").file("a/b/c", b"2"), "below a path that is a file");
    refused(start().long_name(b"x").long_name(b"y").file("a", b""), "two long paths");
    refused(start().long_name(b"x").pax(EntryType::XHeader, "path", "y").file("a", b""), "two long paths");
    refused(start().long_name(b"x"), "between a long path and its file");
}

#[test]
fn too_many_too_long_too_deep() {
    let mut many = start();
    for number in 0..10_000 {
        many = many.file(&format!("{number}"), b"");
    }
    refused(many, "at most 10000 files and folders");
    let globals = (0..4).fold(start(), |archive, _| archive.pax(EntryType::XGlobalHeader, "comment", "x"));
    refused_within(&Bounds { entries: 4, ..Bounds::default() }, &globals.gzip(), "at most 4");

    let name = "n".repeat(200);
    let long = [name.as_str(); 6].join("/");
    refused(start().long_name(long.as_bytes()).file("x", b""), "more than 1024 bytes");
    refused(start().long_name("n".repeat(256).as_bytes()).file("x", b""), "more than 255 bytes");
    refused(start().long_name(["d"; 33].join("/").as_bytes()).file("x", b""), "more than 32 folders deep");
    refused(start().long_name(&vec![b'n'; 1 << 20]).file("x", b""), "extension header");
    refused(
        start().pax(EntryType::XHeader, "comment", &"c".repeat(70_000)).file("x", b""),
        "extension header",
    );
}

#[test]
fn bombs_stop_at_the_bound() {
    let bounds =
        Bounds { file_bytes: 50_000, total_bytes: 100_000, packed_bytes: 20_000, ..Bounds::default() };
    let zeros = vec![0; 60_000];
    refused_within(&bounds, &start().file("big", &zeros).gzip(), "a file may have 50000");
    let three = ["a", "b", "c"].iter().fold(start(), |archive, name| archive.file(name, &zeros[..40_000]));
    refused_within(&bounds, &three.gzip(), "at most 100000 bytes unpacked");

    // Sizes that only the header claims, up to the largest that the field can hold, are refused before any reading.
    for (size, file_reason, folder_reason) in [
        (1 << 40, "a file may have", "a folder with content"),
        (u64::MAX >> 1, "a file may have", "a folder with content"),
        (u64::MAX, "size overflow", "size overflow"),
    ] {
        let claims = |kind| start().entry(b"claims", kind, b"", |header| header.set_size(size));
        refused(claims(EntryType::Regular), file_reason);
        refused(claims(EntryType::Directory), folder_reason);
    }

    // After the end of the archive nothing is written, yet endless zeros would still cost time.
    let tail = [start().tar(), vec![0; 64 << 20]].concat();
    let bomb = gzip(&tail);
    refused_within(
        &Bounds { packed_bytes: 1 << 20, ..bounds.clone() },
        &bomb,
        "bytes unpacked, with headers",
    );

    let noise: Vec<u8> = {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..40_000).map(|_| next()).collect()
    };
    refused_within(&bounds, &start().file("noise", &noise).gzip(), "at most 20000 bytes packed");
}

#[test]
fn an_endless_source_is_not_read_to_its_end() {
    let place = tempfile::tempdir().unwrap();
    let error = unpack(io::repeat(0x1f), &place.path().join("app"), &Bounds::default()).unwrap_err();
    assert!(matches!(error, BundleError::Damaged { .. }), "{error}");
}

#[test]
fn broken_bytes() {
    let good = start().file("data", &[b'd'; 5000]).gzip();
    let bounds = Bounds::default();
    for cut in [0, 1, 9, 10, 11, good.len() / 2, good.len() - 9, good.len() - 8, good.len() - 1] {
        refused_within(&bounds, &good[..cut], "not a whole tar.gz");
    }
    let mut wrong_checksum = good.clone();
    let at = wrong_checksum.len() - 5;
    wrong_checksum[at] ^= 1;
    refused_within(&bounds, &wrong_checksum, "not a whole tar.gz");
    refused_within(&bounds, &[good.as_slice(), b"x"].concat(), "follows the end of the gzip stream");
    refused_within(
        &bounds,
        &[good.as_slice(), good.as_slice()].concat(),
        "follows the end of the gzip stream",
    );
    refused_within(&bounds, b"this is no archive at all, only text", "not a whole tar.gz");
    refused_within(&bounds, &gzip(b"text in gzip, no archive"), "not a whole tar.gz");
    refused_within(&bounds, &gzip(&[0x55; 4096]), "not a whole tar.gz");

    let tar = start().file("data", &[b'd'; 5000]).tar();
    for cut in [100, 600, tar.len() - 1024 - 512, tar.len() - 1024 - 5000] {
        refused_within(&bounds, &gzip(&tar[..cut]), "not a whole tar.gz");
    }
    refused_within(&bounds, &gzip(&[tar.as_slice(), b"more"].concat()), "follows the end of the archive");
    refused(
        start().entry(b"x", EntryType::Regular, b"", |header| header.as_old_mut().size = [b'9'; 12]),
        "size",
    );
    refused(
        start().entry(b"x", EntryType::Regular, b"", |header| header.as_old_mut().mode = [b'z'; 8]),
        "number",
    );
}

#[test]
fn no_manifest() {
    refused_within(&Bounds::default(), &gzip(&[]), "no file app.toml");
    refused_within(&Bounds::default(), &gzip(&[0; 1024]), "no file app.toml");
    refused(RawTar::default().file("x", b"1"), "no file app.toml");
    refused(RawTar::default().file("sub/app.toml", MANIFEST.as_bytes()), "no file app.toml");
    refused(RawTar::default().entry(b"app.toml", EntryType::Directory, b"", |_| {}), "no file app.toml");
}

#[test]
fn publishing_also_refuses_a_wrong_manifest() {
    for (text, reason) in [
        (&b"name = \"a\"\nversion = \"latest\"\nruntime = \"noop\"\n"[..], "version is \"latest\""),
        (b"\xff", "not UTF-8 text"),
        (&[b'#'; 300_000], "bytes of app.toml"),
    ] {
        let bundle = RawTar::default().file("app.toml", text).gzip();
        let error = read_manifest(bundle.as_slice(), &Bounds::default()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!error.is_ours());
    }
}
