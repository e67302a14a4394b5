//! Tests against the real broker binary, real pip and real processes; and what they share.

mod find;
mod lock;
mod orphan;
mod server;

use crate::{Found, Search, ServerOptions};
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Generous, because the tests share two cores with whatever else runs.
const LIMIT: Duration = Duration::from_secs(30);

#[allow(clippy::disallowed_methods, reason = "a test has no caller that could pass the environment in")]
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The search that a developer's machine and CI do, with the user's real cache.
fn users_search() -> Search {
    let home = || PathBuf::from(environment("HOME").expect("HOME is set")).join(".cache");
    let cache = environment("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    Search {
        explicit: environment("TASKLANE_NATS_SERVER").map(PathBuf::from),
        path: environment("PATH"),
        cache: cache.join("tasklane"),
        python: pythons(),
        allow_fetch: true,
    }
}

fn pythons() -> Vec<String> {
    vec!["python3".to_owned(), "python".to_owned()]
}

/// The real broker, found or fetched once for all tests.
fn broker() -> &'static Found {
    static BROKER: OnceLock<Found> = OnceLock::new();
    BROKER.get_or_init(|| crate::find(&users_search()).unwrap_or_else(|error| panic!("{error}")))
}

/// Options for a JetStream broker that keeps everything in `folder`.
fn options(folder: &Path) -> ServerOptions {
    let config = folder.join("nats.conf");
    let text = "listen: 127.0.0.1:-1\nhttp: 127.0.0.1:-1\njetstream { store_dir: $STORE }\n";
    fs::write(&config, text).unwrap();
    ServerOptions {
        binary: broker().path.clone(),
        config,
        environment: vec![("STORE".to_owned(), folder.join("store").display().to_string())],
        log: folder.join("nats.log"),
        ready_timeout: LIMIT,
        own_process_group: false,
    }
}

/// Writes an executable script. A child process writes it: were the file open for writing in this process
/// while another test's thread forks, running it would fail with "text file busy".
fn script(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{body}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Polls until `condition` holds; fails the test with `what` if it never does.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(crate::process::POLL);
    }
}

/// Runs one test of this binary again as a process of its own, which sees `folder` in the variable
/// `TASKLANE_TEST_FOLDER` and then plays the other part.
fn in_another_process(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(OTHER_PART, folder);
    command
}

/// The folder, if this process is the one that [`in_another_process`] started.
fn other_part() -> Option<PathBuf> {
    environment(OTHER_PART).map(PathBuf::from)
}

const OTHER_PART: &str = "TASKLANE_TEST_FOLDER";
