//! The fence round a task: what of this machine's files it may reach, by Landlock. A kernel without it, or with
//! an older form, fences less and is no reason not to run a task; limits and rights of the user hold anyway.

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
    path_beneath_rules,
};

use crate::protocol::{Fence, Launch};

/// The rights on files that are handled: reading, executing, writing in every form.
const FILES: ABI = ABI::V3;
/// The first form that keeps signals inside.
const SCOPES: ABI = ABI::V6;
/// Devices that any program may count on. Others stay out of reach, since the task may run as root.
const DEVICES: [&str; 9] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/shm",
];

/// The rules, ready to be put in force by the child.
pub(super) fn build(launch: &Launch, fence: &Fence) -> Result<RulesetCreated, String> {
    rules(launch, fence).map_err(|error| format!("the task could not be fenced: {error}"))
}

fn rules(launch: &Launch, fence: &Fence) -> Result<RulesetCreated, RulesetError> {
    let (read, all) = (AccessFs::from_read(FILES), AccessFs::from_all(FILES));
    let hidden: Vec<PathBuf> = fence.hidden.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let readable = all_but(Path::new("/"), &hidden);
    let writable = fence.writable.iter().map(PathBuf::as_path).chain(DEVICES.map(Path::new));
    Ruleset::default()
        .handle_access(all)?
        .scope(Scope::from_all(SCOPES))?
        .create()?
        .add_rules(path_beneath_rules(&readable, read))?
        .add_rules(path_beneath_rules(&fence.readable, read))?
        .add_rules(path_beneath_rules([&launch.stdin], read))?
        // Names are no secret, and programs list folders that they then read nothing of.
        .add_rules(path_beneath_rules(["/"], AccessFs::ReadDir))?
        .add_rules(path_beneath_rules(writable, all))?
        .add_rules(path_beneath_rules(&launch.stdout, all))
}

/// A folder without what is hidden below it, as the largest parts that hold nothing hidden.
fn all_but(folder: &Path, hidden: &[PathBuf]) -> Vec<PathBuf> {
    if hidden.iter().any(|path| path == folder) {
        return Vec::new();
    }
    if !hidden.iter().any(|path| path.starts_with(folder)) {
        return vec![folder.to_owned()];
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    // A link is followed when a rule is made of it, and could lead into what is hidden. Where it leads is
    // reached by its own path.
    let real = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()));
    real.flat_map(|entry| all_but(&entry.path(), hidden)).collect()
}
