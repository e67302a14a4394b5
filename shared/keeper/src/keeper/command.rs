//! Starting the task's command as the keeper's child.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use landlock::RulesetCreated;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, close, dup2_stderr, dup2_stdout, getppid};
use seccompiler::BpfProgram;

use super::explain::{explain, folder_is_missing};
use crate::memory::{Door, Group};
use crate::protocol::{Launch, Limits};

/// Starts the command and lets go of the pipes that are for the task alone, so that the runner sees them end
/// with the task. Returns the number of the main process and the group in which its memory is counted, or what to
/// tell the author of the app.
pub(super) fn start(launch: &Launch) -> Result<(Pid, Option<Group>), String> {
    let status = launch.status_fd.map(reserve_status).transpose()?;
    let (program, arguments) = launch.command.split_first().ok_or("the app names no command to run")?;
    if !launch.working_directory.is_dir() {
        return Err(folder_is_missing(launch));
    }
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.working_directory)
        .stdin(open_input(&launch.stdin)?)
        .stdout(output(launch.stdout.as_deref())?)
        .stderr(Stdio::inherit())
        .process_group(0);
    let fence = launch.fence.as_ref().map(|fence| super::fence::build(launch, fence)).transpose()?;
    let calls = launch.fence.as_ref().and_then(|_| super::seccomp::build());
    let group = launch.limits.memory_bytes.and_then(Group::make);
    let door = group.as_ref().and_then(Group::door);
    prepare_child(&mut command, Bonds { status, limits: resolve(&launch.limits), door, fence, calls });
    let child = command.spawn().map_err(|error| explain(launch, &error))?;
    let_go(status);
    let pid = i32::try_from(child.id()).map_err(|error| error.to_string())?;
    Ok((Pid::from_raw(pid), group))
}

/// What binds the task and not its keeper.
struct Bonds {
    status: Option<RawFd>,
    limits: Vec<(Resource, rlim_t)>,
    door: Option<Door>,
    fence: Option<RulesetCreated>,
    calls: Option<BpfProgram>,
}

/// Puts the status pipe under the number that the task will see, still closed to children. It has to happen
/// before any other descriptor is opened, as that could take the number.
fn reserve_status(number: RawFd) -> Result<RawFd, String> {
    match fcntl(io::stdout(), FcntlArg::F_DUPFD_CLOEXEC(number)) {
        Ok(reserved) if reserved == number && number > 2 => Ok(reserved),
        Ok(_) => Err(format!("descriptor {number} is not free for the task's status")),
        Err(error) => {
            Err(format!("descriptor {number} cannot be used for the task's status: {}", error.desc()))
        }
    }
}

fn open_input(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|error| format!("the task's input {} cannot be read: {error}", path.display()))
}

fn output(path: Option<&Path>) -> Result<Stdio, String> {
    match path {
        Some(path) => open_output(path).map(Stdio::from),
        None => match io::stderr().as_fd().try_clone_to_owned() {
            Ok(beside) => Ok(Stdio::from(beside)),
            Err(error) => Err(format!("the standard error could not be shared: {error}")),
        },
    }
}

/// Refuses a symbolic link, which an earlier attempt of the task could have put there to have another file
/// overwritten.
fn open_output(path: &Path) -> Result<File, String> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .map_err(|error| format!("the task's output {} cannot be written: {error}", path.display()))
}

/// What the child does to itself between fork and exec, so that it binds the task and not the keeper.
#[allow(unsafe_code, reason = "pre_exec is the only way to run code in the child before its command")]
fn prepare_child(command: &mut Command, bonds: Bonds) {
    let Bonds { status, limits, mut door, mut fence, calls } = bonds;
    let keeper = Pid::this();
    let prepare = move || -> io::Result<()> {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // A keeper that died before the line above will send no such signal any more.
        if getppid() != keeper {
            return Err(Errno::ESRCH.into());
        }
        for (resource, limit) in &limits {
            setrlimit(*resource, *limit, *limit)?;
        }
        if let Some(door) = &mut door {
            // Where the group can't be entered the limit of the address space holds alone.
            let _ = door.enter();
        }
        SigSet::empty().thread_set_mask()?;
        if let Some(fence) = fence.take() {
            fence.restrict_self().map_err(io::Error::other)?;
        }
        if let Some(calls) = &calls {
            super::seccomp::restrict_self(calls);
        }
        if let Some(status) = status {
            // SAFETY: F_SETFD only changes a flag of a descriptor, and this one was reserved for the task.
            Errno::result(unsafe { libc::fcntl(status, libc::F_SETFD, 0) })?;
        }
        Ok(())
    };
    // SAFETY: The keeper has a single thread, so no lock is held and nothing is in an inconsistent state after
    // the fork, whatever the closure does.
    unsafe { command.pre_exec(prepare) };
}

/// The limits to set, none above what this process itself may have, as asking for more would be refused.
fn resolve(limits: &Limits) -> Vec<(Resource, rlim_t)> {
    let asked = [
        (Resource::RLIMIT_AS, limits.memory_bytes),
        (Resource::RLIMIT_NOFILE, limits.open_files),
        (Resource::RLIMIT_FSIZE, limits.file_bytes),
        (Resource::RLIMIT_NPROC, limits.processes),
    ];
    asked
        .into_iter()
        .filter_map(|(resource, limit)| {
            let (_, highest) = getrlimit(resource).ok()?;
            Some((resource, limit?.min(highest)))
        })
        .collect()
}

/// Points the keeper's own ends of both pipes elsewhere. Without this they would stay open as long as the
/// keeper lives, and the runner would wait for more.
fn let_go(status: Option<RawFd>) {
    if let Ok(nothing) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = dup2_stdout(&nothing);
        let _ = dup2_stderr(&nothing);
    }
    if let Some(status) = status {
        let _ = close(status);
    }
}
