//! The process table of this machine, as `/proc` shows it.
//!
//! Process numbers are used again by the kernel, so a signal goes out only to a process whose start time is
//! still the one that was seen.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

/// One row of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub pid: Pid,
    pub parent: Pid,
    pub group: Pid,
    pub session: Pid,
    /// Dead, and only waiting for its parent to take note.
    pub zombie: bool,
    /// Clock ticks since boot; together with `pid` it names one process for ever.
    started: u64,
}

impl Process {
    /// Reads one row, or nothing if there is no such process any more.
    pub fn read(pid: Pid) -> Option<Self> {
        parse_stat(pid, &fs::read(entry(pid).join("stat")).ok()?)
    }

    /// Whether the number still belongs to this process, in the same group as before.
    pub fn is_still_there(&self) -> bool {
        Self::read(self.pid).is_some_and(|now| now.started == self.started && now.group == self.group)
    }
}

/// The folder of a process below `/proc`.
pub(crate) fn entry(pid: Pid) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// The numbers of all processes, read while iterating, in ascending order.
pub(crate) fn numbers() -> impl Iterator<Item = Pid> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
}

/// All processes. Rows are read one after the other: those that come and go meanwhile may be missed.
pub(crate) fn all() -> impl Iterator<Item = Process> {
    numbers().filter_map(Process::read)
}

/// Those of `processes` that descend from `ancestor`, zombies and the ancestor itself left out.
pub(crate) fn descendants(ancestor: Pid, processes: &[Process]) -> Vec<Process> {
    let mut children: HashMap<Pid, Vec<Process>> = HashMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(*process);
    }
    let mut found = Vec::new();
    // A table that is not read at one instant could show a circle; nobody is visited twice.
    let mut visited = HashSet::from([ancestor]);
    let mut open = vec![ancestor];
    while let Some(parent) = open.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if visited.insert(child.pid) {
                open.push(child.pid);
                found.push(*child);
            }
        }
    }
    found.retain(|process| !process.zombie);
    found
}

/// The numbers of all live descendants of a process.
pub fn live_descendants(ancestor: u32) -> Vec<u32> {
    let Ok(ancestor) = i32::try_from(ancestor) else { return Vec::new() };
    let processes: Vec<Process> = all().collect();
    descendants(Pid::from_raw(ancestor), &processes)
        .iter()
        .map(|process| process.pid.as_raw().cast_unsigned())
        .collect()
}

/// The name in brackets may hold anything, brackets and line ends included, so fields count from its last
/// bracket on: state, parent, group, session, and as the twentieth the start time.
fn parse_stat(pid: Pid, stat: &[u8]) -> Option<Process> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X" | "x");
    let parent = Pid::from_raw(fields.next()?.parse().ok()?);
    let group = Pid::from_raw(fields.next()?.parse().ok()?);
    let session = Pid::from_raw(fields.next()?.parse().ok()?);
    let started = fields.nth(15)?.parse().ok()?;
    Some(Process { pid, parent, group, session, zombie, started })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_process_name_does_not_shift_the_fields() {
        let stat = b"42 (a) Z 1 (\n) S 7 40 39 0 -1 1 2 3 4 5 6 7 8 9 20 0 1 0 987654 0\n";
        let process = parse_stat(Pid::from_raw(42), stat).unwrap();
        assert_eq!(process.parent, Pid::from_raw(7));
        assert_eq!(process.group, Pid::from_raw(40));
        assert_eq!(process.session, Pid::from_raw(39));
        assert!(!process.zombie);
        assert_eq!(process.started, 987_654);
    }

    #[test]
    fn our_own_row_is_read_and_recognised() {
        let ours = Process::read(Pid::this()).unwrap();
        assert_eq!(ours.parent, Pid::parent());
        assert!(ours.is_still_there());
        assert!(!Process { started: ours.started + 1, ..ours }.is_still_there());
    }

    #[test]
    fn descendants_are_found_through_dead_parents_and_circles() {
        let row = |pid: i32, parent: i32, zombie: bool| Process {
            pid: Pid::from_raw(pid),
            parent: Pid::from_raw(parent),
            group: Pid::from_raw(pid),
            session: Pid::from_raw(1),
            zombie,
            started: 0,
        };
        let table = [row(2, 1, false), row(3, 2, true), row(4, 3, false), row(5, 6, false), row(6, 5, false)];
        let found = |ancestor: i32| -> Vec<i32> {
            let mut pids: Vec<i32> =
                descendants(Pid::from_raw(ancestor), &table).iter().map(|row| row.pid.as_raw()).collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!(found(1), [2, 4]);
        assert_eq!(found(4), [0; 0]);
        assert_eq!(found(5), [6]);
    }
}
