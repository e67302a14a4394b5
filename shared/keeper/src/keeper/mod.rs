//! The keeper process: one thread that sleeps until the runner speaks, a child dies, or a grace is over.
//!
//! What makes it reliable is one fact of the kernel: a child subreaper becomes the parent of every orphan
//! below it. So as long as any descendant exists the keeper has a child, and when `waitpid` says that it has
//! none, nothing is left, however the task forked, daemonised or wiped its environment.

mod command;
mod control;
mod ending;
mod events;
mod explain;
mod fence;
mod kernel;
mod seccomp;
mod set_up;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::memory::Group;
use crate::protocol::{Order, Report};
use control::Control;
use events::Events;
pub use kernel::{Fences, fences};

/// How long what a task left behind has between SIGTERM and SIGKILL.
const LEFTOVER_GRACE: Duration = Duration::from_millis(500);
/// The first rounds of killing follow each other fast, later ones after at most this pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Deaths that are answered one by one before all processes are looked through again.
const PURSUITS_MAX: usize = 100;

/// Is the keeper of one task until that task, and everything that came from it, is gone.
///
/// Call it first thing in `main`, before any thread or descriptor exists: it closes every descriptor above 2
/// and counts on being single-threaded. Descriptor 0 must be the socket to the runner, 1 the status pipe and
/// 2 the pipe for the task's standard error, as [`crate::start`] sets them up.
pub fn keeper_main() -> ExitCode {
    let mut control = Control::new();
    match start(&mut control) {
        Ok((task, group, events, stop_grace)) => {
            let mut keeper =
                Keeper { control, events, task, group, stop_grace, exit: None, last_reaped: None };
            let manner = keeper.watch();
            keeper.end(manner);
            keeper.report_exit();
            ExitCode::SUCCESS
        }
        Err(message) => {
            control.report(&Report::Failed { message });
            ExitCode::FAILURE
        }
    }
}

fn start(control: &mut Control) -> Result<(Pid, Option<Group>, Events, Duration), String> {
    set_up::become_keeper()?;
    let launch = control.launch()?;
    let (task, group) = command::start(&launch)?;
    // The task runs now, so a failure from here on must take it along.
    let events = Events::open().inspect_err(|_| ending::kill_round())?;
    control.report(&Report::Started { pid: task.as_raw().cast_unsigned() });
    Ok((task, group, events, Duration::from_millis(launch.stop_grace_ms)))
}

/// How to treat what is left of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// The main process ended, so the others get a moment to end themselves.
    Gently,
    /// The runner is gone, or the grace of a stop is over.
    AtOnce,
}

struct Keeper {
    control: Control,
    events: Events,
    /// The main process of the task, and by that the number of its process group.
    task: Pid,
    /// Where its memory is counted.
    group: Option<Group>,
    stop_grace: Duration,
    exit: Option<Report>,
    last_reaped: Option<Pid>,
}

impl Keeper {
    /// Returns as soon as there is something to end.
    fn watch(&mut self) -> Manner {
        let mut kill_at: Option<Instant> = None;
        loop {
            let anything_left = self.reap();
            if self.exit.is_some() || !anything_left {
                return Manner::Gently;
            }
            let remaining = kill_at.map(|at| at.saturating_duration_since(Instant::now()));
            if self.control.hung_up() || remaining.is_some_and(|remaining| remaining.is_zero()) {
                return Manner::AtOnce;
            }
            for order in self.events.wait(&mut self.control, remaining) {
                match order {
                    Order::Interrupt => self.signal_group(Signal::SIGINT),
                    Order::Stop => {
                        self.signal_group(Signal::SIGTERM);
                        kill_at = kill_at.or_else(|| Instant::now().checked_add(self.stop_grace));
                    }
                }
            }
        }
    }

    /// Returns once no descendant is left. New ones may appear while the old ones are being ended, so this
    /// goes on in rounds, and only the kernel's word that there is no child any more ends it.
    fn end(&mut self, manner: Manner) {
        if manner == Manner::Gently {
            self.end_gently();
        }
        let mut pause = Duration::from_millis(1);
        while self.reap() {
            ending::kill_round();
            self.pursue(pause);
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Waits for the killed to die. Deaths that follow each other may also be one process in flight, so each
    /// is answered at once.
    fn pursue(&mut self, pause: Duration) {
        for _ in 0..PURSUITS_MAX {
            self.last_reaped = None;
            if !self.reap() {
                return;
            }
            if let Some(dead) = self.last_reaped {
                ending::kill_successors_of(dead);
            }
            let before = Instant::now();
            self.events.wait(&mut self.control, Some(pause));
            if before.elapsed() >= pause {
                return;
            }
        }
    }

    fn end_gently(&mut self) {
        if !self.reap() {
            return;
        }
        ending::ask_to_end();
        let deadline = Instant::now() + LEFTOVER_GRACE;
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() || self.control.hung_up() || !self.reap() {
                return;
            }
            self.events.wait(&mut self.control, Some(remaining));
        }
    }

    /// Takes note of every child that died; false if there is no child any more, dead or alive.
    fn reap(&mut self) -> bool {
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return true,
                Ok(status) => status,
                Err(Errno::ECHILD) => return false,
                // A death by a real-time signal, which has no name here, or an interrupted call.
                Err(_) => continue,
            };
            self.last_reaped = status.pid();
            if self.last_reaped != Some(self.task) {
                continue;
            }
            if let WaitStatus::Exited(_, code) = status {
                let (code, signal) = (Some(code), None);
                self.exit = Some(Report::Exited { code, signal, out_of_memory: false });
            }
            if let WaitStatus::Signaled(_, signal, _) = status {
                let out_of_memory =
                    signal == Signal::SIGKILL && self.group.as_ref().is_some_and(Group::ran_out);
                let (code, signal) = (None, Some(signal as i32));
                self.exit = Some(Report::Exited { code, signal, out_of_memory });
            }
        }
    }

    /// The group cannot belong to anybody else: its leader is our child and we have not reaped it yet.
    fn signal_group(&self, signal: Signal) {
        // The leader may have died just now; the next turn of the loop sees that.
        let _ = killpg(self.task, signal);
    }

    fn report_exit(&mut self) {
        let unknown = Report::Exited { code: None, signal: None, out_of_memory: false };
        self.control.report(self.exit.as_ref().unwrap_or(&unknown));
    }
}
