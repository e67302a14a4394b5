//! Signals to everything that descends from this keeper.
//!
//! A signal to a process group reaches all members at one instant, and no fork slips through it. So whole
//! groups are signalled wherever possible, and single processes only where they hide in the keeper's group.

use std::collections::HashSet;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getpgrp};

use crate::processes::{self, Process};

/// How many numbers behind a dead process are looked at. Others in the system take numbers as well.
const SUCCESSORS_MAX: usize = 32;

/// Asks every descendant to end itself.
pub(super) fn ask_to_end() {
    let table: Vec<Process> = processes::all().collect();
    signal_each(&processes::descendants(Pid::this(), &table), Signal::SIGTERM);
}

/// Kills every descendant that can be seen now. Processes that are born meanwhile are left for the next
/// round, of which there will be few: everybody is stopped before anybody is killed, so that no survivor
/// sees a death and answers it with a new process.
pub(super) fn kill_round() {
    let table: Vec<Process> = processes::all().collect();
    let descendants = processes::descendants(Pid::this(), &table);
    signal_each(&descendants, Signal::SIGSTOP);
    signal_each(&descendants, Signal::SIGKILL);
}

/// Kills the child that a process just reaped may have left us in its place. One that forks, exits and goes
/// on as its own child is gone before a process table is read; but the kernel gives out numbers in order, so
/// the successor is found right behind the number of the dead.
pub(super) fn kill_successors_of(dead: Pid) {
    let child_exists = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    for number in (dead.as_raw()..).skip(1).take(SUCCESSORS_MAX) {
        let candidate = Pid::from_raw(number);
        // Only our own children can be waited for, and they keep their number until we reap them.
        if waitid(Id::Pid(candidate), child_exists).is_ok() {
            let _ = kill(candidate, Signal::SIGKILL);
        }
    }
}

/// A descendant's group holds nothing but descendants, since groups never reach beyond a session and the
/// keeper leads its own; only the keeper's own group must be left alone.
fn signal_each(descendants: &[Process], signal: Signal) {
    let own_group = getpgrp();
    let mut reached = HashSet::new();
    for process in descendants {
        if reached.contains(&process.group) || !process.is_still_there() {
            continue;
        }
        // Errors mean that the process is gone or beyond our rights; the next round shows which.
        if process.group == own_group {
            let _ = kill(process.pid, signal);
        } else if killpg(process.group, signal).is_ok() {
            reached.insert(process.group);
        }
    }
}
