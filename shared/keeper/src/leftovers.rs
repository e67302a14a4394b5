//! Ending what no keeper looks after any more.

use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::memory;
use crate::processes::{self, Process};

/// Rounds of looking and killing, and the pause between them: 2 s, then what is left resists even SIGKILL.
const ROUNDS_MAX: usize = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// Kills every process whose environment holds `marker_variable` with a value that starts with
/// `marker_value_prefix`, and returns their numbers. For the start of a runner: whatever a former one left
/// behind in spite of its keepers carries, for example, a work folder below ours. End a folder in the prefix
/// with a slash, or its neighbours with longer names are meant too. Blocks until none is found, at most 2 s.
///
/// This process itself is spared. Processes of other users, whose environment we may not read, are not seen,
/// nor are those that wiped their environment. The groups of keepers that were killed go as well.
pub fn end_leftovers(marker_variable: &str, marker_value_prefix: &str) -> Vec<u32> {
    let marker = format!("{marker_variable}={marker_value_prefix}");
    let ended = kill_while_found(|process| has_marker(process.pid, marker.as_bytes()));
    memory::remove_left();
    ended.into_iter().map(|pid| pid.as_raw().cast_unsigned()).collect()
}

/// Kills all processes of a session but its leader. The leader must not have been reaped yet.
pub(crate) fn end_session(session: u32) {
    let Ok(session) = i32::try_from(session) else { return };
    let session = Pid::from_raw(session);
    kill_while_found(|process| process.session == session && process.pid != session);
}

fn has_marker(pid: Pid, marker: &[u8]) -> bool {
    let environment = fs::read(processes::entry(pid).join("environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(marker))
}

fn kill_while_found(is_meant: impl Fn(&Process) -> bool) -> BTreeSet<Pid> {
    let mut ended = BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        let found: Vec<Process> = processes::all()
            .filter(|process| process.pid != Pid::this() && !process.zombie && is_meant(process))
            .collect();
        if found.is_empty() {
            break;
        }
        // All are stopped before the first is killed, so that none answers a death with a new process.
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for process in found.iter().filter(|process| process.is_still_there()) {
                let _ = kill(process.pid, signal);
            }
        }
        ended.extend(found.iter().map(|process| process.pid));
        sleep(PAUSE);
    }
    ended
}
