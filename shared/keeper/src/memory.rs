//! The memory of a whole task: a control group for it, where this machine lets us make one. There the kernel counts
//! what all processes of a task use together, which no limit of a single process can do. It goes beside the limit
//! of the address space and does not take its place: a process that asks for too much is refused and can say so,
//! while one that a group finds too large is only killed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;

/// The name of a group, before the number of its keeper.
const NAME: &str = "tasklane-";
/// What the group that is made to see whether one can be made allows.
const PROBE_BYTES: u64 = 1 << 30;

/// The two forms in which kernels have control groups, by the files that each has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    First,
    Second,
}

impl Form {
    fn limit(self) -> &'static str {
        match self {
            Self::First => "memory.limit_in_bytes",
            Self::Second => "memory.max",
        }
    }

    /// What keeps a group from taking swap in place of memory. The first form counts both together.
    fn swap(self, bytes: u64) -> (&'static str, u64) {
        match self {
            Self::First => ("memory.memsw.limit_in_bytes", bytes),
            Self::Second => ("memory.swap.max", 0),
        }
    }

    /// The file with a line that counts the processes which were killed.
    fn kills(self) -> &'static str {
        match self {
            Self::First => "memory.oom_control",
            Self::Second => "memory.events",
        }
    }
}

/// A group below which those of tasks may lie.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    folder: PathBuf,
    form: Form,
}

/// The group of one task. It is removed when this is dropped, which has to be after the last of its processes.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
    form: Form,
    processes: File,
}

impl Group {
    /// A group that may use so much, if this machine lets us make one.
    pub(crate) fn make(bytes: u64) -> Option<Self> {
        places().iter().find_map(|place| place.make(bytes).ok())
    }

    /// What a child writes to, to be in the group from then on.
    pub(crate) fn door(&self) -> Option<Door> {
        self.processes.try_clone().ok().map(Door)
    }

    /// Whether a process was killed because the group used more than it may.
    pub(crate) fn ran_out(&self) -> bool {
        let told = fs::read_to_string(self.folder.join(self.form.kills())).unwrap_or_default();
        kills(&told) > 0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // One that can't be removed now is removed by the next start of a runner.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// The way into a group.
#[derive(Debug)]
pub(crate) struct Door(File);

impl Door {
    /// This process enters. Nothing is allocated, so that it can be done between fork and exec.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        self.0.write_all(b"0")
    }
}

impl Place {
    fn make(&self, bytes: u64) -> io::Result<Group> {
        let folder = self.folder.join(format!("{NAME}{}", process::id()));
        if let Err(error) = fs::create_dir(&folder) {
            // A keeper that had our number was killed, and could not remove its own.
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
            fs::remove_dir(&folder)?;
            fs::create_dir(&folder)?;
        }
        match self.limit(&folder, bytes) {
            Ok(processes) => Ok(Group { folder, form: self.form, processes }),
            Err(error) => {
                let _ = fs::remove_dir(&folder);
                Err(error)
            }
        }
    }

    fn limit(&self, folder: &Path, bytes: u64) -> io::Result<File> {
        let set = |(name, value): (&str, u64)| {
            let mut file = OpenOptions::new().write(true).open(folder.join(name))?;
            file.write_all(value.to_string().as_bytes())
        };
        set((self.form.limit(), bytes))?;
        // A machine without swap need not have the file.
        let _ = set(self.form.swap(bytes));
        OpenOptions::new().write(true).open(folder.join("cgroup.procs"))
    }

    /// In the second form a group passes on to those below it what it was told to. One that was delegated to us is
    /// told; the root of all is not ours to change, and one with processes of its own refuses.
    fn can_limit(&self) -> bool {
        if self.form == Form::First {
            return true;
        }
        let control = self.folder.join("cgroup.subtree_control");
        let passes_on = || {
            let told = fs::read_to_string(&control).unwrap_or_default();
            told.split_whitespace().any(|name| name == "memory")
        };
        let is_root = !self.folder.join("cgroup.type").exists();
        passes_on() || (!is_root && fs::write(&control, "+memory").is_ok() && passes_on())
    }
}

/// Whether tasks get a group on this machine.
pub(crate) fn has_groups() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| Group::make(PROBE_BYTES).is_some())
}

/// Removes what keepers left that were killed themselves.
pub(crate) fn remove_left() {
    for place in places() {
        for entry in fs::read_dir(&place.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let keeper = name.to_str().and_then(|name| name.strip_prefix(NAME)).map(str::parse::<u32>);
            if let Some(Ok(keeper)) = keeper
                && !Path::new("/proc").join(keeper.to_string()).exists()
            {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

fn places() -> Vec<Place> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut places = find(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
    places.retain(Place::can_limit);
    places
}

/// Where groups of tasks may lie, by the group that this process is in. In the first form below it, since a task
/// then counts for its runner as well. In the second beside it, in what an operator has delegated; a slice is
/// systemd's own, and whoever makes groups in it gets in its way.
fn find(own: &str, mounts: &str) -> Vec<Place> {
    let memberships = || own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let second = memberships().find(|(controllers, _)| controllers.is_empty()).and_then(|(_, path)| {
        let parent = Path::new(path).parent().unwrap_or(Path::new("/"));
        let is_slice = parent.extension().is_some_and(|extension| extension == "slice");
        let folder = mounted(mounts, parent, |kind, _| kind == "cgroup2").filter(|_| !is_slice)?;
        Some(Place { folder, form: Form::Second })
    });
    let has_memory = |controllers: &str| controllers.split(',').any(|name| name == "memory");
    let first = memberships().find(|(controllers, _)| has_memory(controllers)).and_then(|(_, path)| {
        let is_meant = |kind: &str, options: &str| kind == "cgroup" && has_memory(options);
        let folder = mounted(mounts, Path::new(path), is_meant)?;
        Some(Place { folder, form: Form::First })
    });
    second.into_iter().chain(first).collect()
}

/// The folder of a group, in the hierarchy whose kind and options are meant. A container may see only a part of it.
fn mounted(mounts: &str, group: &Path, is_meant: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, hierarchy) = line.split_once(" - ")?;
        let mut hierarchy = hierarchy.split(' ');
        let (kind, options) = (hierarchy.next()?, hierarchy.nth(1)?);
        let mut place = place.split(' ').skip(3);
        let (root, folder) = (place.next()?, place.next()?);
        let below = group.strip_prefix(root).ok().filter(|_| is_meant(kind, options))?;
        Some(Path::new(folder).join(below))
    })
}

fn kills(told: &str) -> u64 {
    let count = told.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
25 1 0:22 / /proc rw,relatime - proc proc rw
31 29 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
32 29 0:27 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw
";

    fn place(folder: &str, form: Form) -> Place {
        Place { folder: folder.into(), form }
    }

    #[test]
    fn groups_lie_below_our_own_in_the_first_form_and_beside_it_in_the_second() {
        let both = find("4:cpu,memory:/ours/a\n3:cpuset:/\n0::/box/runner\n", MOUNTS);
        let second = place("/sys/fs/cgroup/unified/box", Form::Second);
        assert_eq!(both, [second, place("/sys/fs/cgroup/memory/ours/a", Form::First)]);
        let root = find("0::/\n", MOUNTS);
        assert_eq!(root, [place("/sys/fs/cgroup/unified/", Form::Second)]);
        assert_eq!(find("0::/system.slice/tasklane.service\n", MOUNTS), []);
        let delegated = find("0::/system.slice/tasklane.service/runner\n", MOUNTS);
        let folder = "/sys/fs/cgroup/unified/system.slice/tasklane.service";
        assert_eq!(delegated, [place(folder, Form::Second)]);
    }

    #[test]
    fn a_container_sees_its_part_alone() {
        let mounts = MOUNTS.replace("0:26 / ", "0:26 /box/7 ");
        assert_eq!(find("4:memory:/box/7/a\n", &mounts), [place("/sys/fs/cgroup/memory/a", Form::First)]);
        assert_eq!(find("4:memory:/elsewhere\n", &mounts), []);
        assert_eq!(find("", ""), []);
    }

    #[test]
    fn the_killed_are_counted_in_both_forms() {
        assert_eq!(kills("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), 2);
        assert_eq!(kills("low 0\nmax 31\noom 1\noom_kill 1\noom_group_kill 0\n"), 1);
        assert_eq!(kills(""), 0);
    }

    /// A folder with the files of the second form stands for a group of it: this shows which are written, and what
    /// with. A kernel makes them by itself.
    #[test]
    fn a_group_of_the_second_form_takes_its_limit_and_no_swap() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path().to_str().unwrap(), Form::Second);
        assert!(!place.can_limit(), "nobody has delegated anything");
        fs::write(folder.path().join("cgroup.subtree_control"), "cpu memory pids\n").unwrap();
        assert!(place.can_limit());
        assert!(place.make(1).is_err(), "a folder without the files is no group");
        assert!(!folder.path().join(format!("{NAME}{}", process::id())).exists(), "and is not left");

        let group = folder.path().join("group");
        fs::create_dir(&group).unwrap();
        for name in ["memory.max", "memory.swap.max", "cgroup.procs"] {
            fs::write(group.join(name), "").unwrap();
        }
        let processes = place.limit(&group, 64 << 20).unwrap();
        Door(processes).enter().unwrap();
        for (name, value) in [("memory.max", "67108864"), ("memory.swap.max", "0"), ("cgroup.procs", "0")] {
            assert_eq!(fs::read_to_string(group.join(name)).unwrap(), value, "{name}");
        }
    }
}
