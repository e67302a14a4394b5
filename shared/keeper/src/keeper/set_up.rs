//! What the keeper does to itself before it starts anything.

use std::fs;
use std::os::fd::RawFd;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::SigSet;
use nix::unistd::{Pid, close, getsid, setsid};

/// Turns this process into a keeper. The message of an error names the step that failed.
pub(super) fn become_keeper() -> Result<(), String> {
    // A session of our own: a SIGKILL to the runner's process group, or Ctrl-C at its terminal, must not hit
    // the one process that cleans up afterwards. The call fails where we lead a session already.
    if setsid().is_err() && getsid(None) != Ok(Pid::this()) {
        return Err(
            "the keeper could not start a session: it must not be started as leader of a group".to_owned()
        );
    }
    let failed = |step: &str, error: nix::Error| format!("the keeper could not {step}: {}", error.desc());
    // Blocked signals wait until they are read as events; only SIGKILL still ends the keeper at once.
    SigSet::all().thread_block().map_err(|error| failed("block signals", error))?;
    default_dispositions();
    prctl::set_child_subreaper(true).map_err(|error| failed("become the parent of orphans", error))?;
    prctl::set_no_new_privs().map_err(|error| failed("give up new privileges", error))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|error| failed("turn core dumps off", error))?;
    close_inherited();
    Ok(())
}

/// Undoes what our ancestors chose to ignore, for us (an ignored SIGCHLD would lose exit codes) and for the
/// task, which inherits it. A SIGPIPE by default is no danger here, as the keeper blocks every signal.
#[allow(unsafe_code, reason = "sigaction has no safe wrapper, because handlers could do anything")]
fn default_dispositions() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL installs no handler, so no code of ours can run at an unsafe moment. Numbers that
        // may not be changed are refused by the kernel, which is as good.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Closes what a careless ancestor let slip through to us, so that it slips no further.
fn close_inherited() {
    let numbers: Vec<RawFd> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect();
    for number in numbers {
        // One of the numbers was that of the listing itself and is closed already.
        let _ = close(number);
    }
}
