//! What a former runner left behind in spite of everything is found by its environment.

use std::collections::BTreeSet;
use std::process::{Child, Command};

use keeper::end_leftovers;
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;

use crate::support::{Bench, is_gone};

/// A process with a marker, started by no keeper. It ignores SIGTERM.
fn stray(marker: &str) -> Child {
    Command::new("sh")
        .args(["-c", "trap '' TERM; exec sleep 1000"])
        .env("KEEPER_TEST_WORKDIR", marker)
        .spawn()
        .unwrap()
}

#[test]
fn processes_with_the_marker_are_ended_and_no_others() {
    let bench = Bench::new();
    let root = bench.folder.path().display().to_string();
    let mut ours = [stray(&format!("{root}/one")), stray(&format!("{root}/two/deeper"))];
    let mut neighbour = stray(&format!("{root}-neighbour/one"));

    let ended: BTreeSet<u32> =
        end_leftovers("KEEPER_TEST_WORKDIR", &format!("{root}/")).into_iter().collect();

    assert_eq!(ended, ours.iter().map(Child::id).collect());
    for child in &mut ours {
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGKILL as i32));
    }
    assert!(!is_gone(neighbour.id()));
    neighbour.kill().unwrap();
    neighbour.wait().unwrap();
    assert!(end_leftovers("KEEPER_TEST_WORKDIR", &format!("{root}/")).is_empty());
}
