//! Thousands of damaged bundles from a fixed seed: none may panic, and none may write outside its destination.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::{MANIFEST, RawTar, gzip, listing};
use crate::{Bounds, read_manifest, unpack};

const ROUNDS: usize = 2000;

/// A small generator (xorshift), so that a failure can be repeated by its seed and round.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    /// Changes, cuts, doubles or moves a few bytes.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(600)).min(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                3 => bytes[at] ^= 1 << self.below(8),
                4 => bytes[at] = b"/.\\0\0\xff12g"[self.below(9)],
                _ => bytes[at] = self.below(256) as u8,
            }
        }
    }
}

fn archive() -> RawTar {
    RawTar::with_manifest()
        .file("run.sh", b"echo hello\n")
        .long_name(format!("data/{}", "long".repeat(40)).as_bytes())
        .file("data/short", b"1,2,3\n")
        .pax(tar::EntryType::XHeader, "path", "data/by pax")
        .file("data/other", &[b'x'; 700])
        .entry(b"empty/", tar::EntryType::Directory, b"", |_| {})
}

/// A folder with a place for the destination deep inside it, which must look the same after every round.
struct Watched {
    place: TempDir,
    inner: PathBuf,
    before: Vec<(PathBuf, String)>,
}

impl Watched {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let inner = place.path().join("one/two/three");
        fs::create_dir_all(&inner).unwrap();
        fs::write(place.path().join("canary"), "alive").unwrap();
        let before = listing(place.path());
        Self { place, inner, before }
    }

    /// Unpacks and checks what that did. Returns whether the bundle was taken.
    fn check(&self, bundle: &[u8], label: &str) -> bool {
        let bounds = Bounds { total_bytes: 1 << 20, file_bytes: 1 << 20, ..Bounds::default() };
        let destination = self.inner.join("app");
        let taken = unpack(bundle, &destination, &bounds).is_ok();
        if taken {
            for (path, kind) in listing(&destination) {
                let harmless =
                    ["folder 755", "file 644 ", "file 755 "].iter().any(|good| kind.starts_with(good));
                assert!(harmless, "{label}: {path:?} is {kind}");
            }
            fs::remove_dir_all(&destination).unwrap();
        }
        assert_eq!(listing(self.place.path()), self.before, "{label}");
        // Publishing may refuse more, for the manifest's sake, and never less.
        assert!(taken || read_manifest(bundle, &bounds).is_err(), "{label}: published but not unpacked");
        taken
    }
}

#[test]
fn damaged_bundles_do_no_harm() {
    let seed = 0x7461_736b_6c61_6e65;
    let mut random = Random(seed);
    let good = archive().gzip();
    let watched = Watched::new();
    assert!(watched.check(&good, "undamaged"));
    for round in 0..ROUNDS {
        let mut bundle = good.clone();
        random.damage(&mut bundle);
        watched.check(&bundle, &format!("seed {seed:#x} round {round}"));
    }
}

/// The gzip checksum stops most damage early. Here the damage is below it, and half the time the header checksums
/// are set right again, so that the walk itself has to stand it.
#[test]
fn damaged_archives_in_sound_gzip_do_no_harm() {
    let seed = 0x6275_6e64_6c65;
    let mut random = Random(seed);
    let good = archive().tar();
    assert!(MANIFEST.len() < 512, "the headers are found at multiples of a block");
    let watched = Watched::new();
    let mut taken = 0;
    for round in 0..ROUNDS {
        let mut tar = good.clone();
        random.damage(&mut tar);
        if random.below(2) == 0 {
            repair_checksums(&mut tar);
        }
        taken += usize::from(watched.check(&gzip(&tar), &format!("seed {seed:#x} round {round}")));
    }
    // Both outcomes must be common, or the damage tests nothing.
    assert!((ROUNDS / 20..ROUNDS * 19 / 20).contains(&taken), "{taken} of {ROUNDS} were taken");
}

fn repair_checksums(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}
