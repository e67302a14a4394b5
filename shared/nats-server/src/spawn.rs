//! Starts the broker so that it dies with us: the kernel sends it SIGTERM when we are gone, however we went.

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

/// A thread that spawns children and lives as long as this value. The parent death signal is bound to the
/// THREAD that forked: spawned from a thread of an async runtime's pool, the broker would be ended as soon as
/// that pool thread retires, in the middle of a healthy run.
#[derive(Debug)]
pub(crate) struct Spawner {
    /// `None` only while the value is being dropped, which ends the thread.
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

struct Order {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

impl Spawner {
    pub(crate) fn new() -> io::Result<Spawner> {
        let (orders, received) = channel::<Order>();
        let work = move || {
            for mut order in received {
                // Whoever gave the order waits for the reply, so sending it can't fail.
                let _ = order.reply.send(order.command.spawn());
            }
        };
        let thread = thread::Builder::new().name("broker-parent".to_owned()).spawn(work)?;
        Ok(Spawner { orders: Some(orders), thread: Some(thread) })
    }

    /// Spawns `command` as a child that is told to end when this value or our process is gone.
    pub(crate) fn spawn(&self, mut command: Command) -> io::Result<Child> {
        end_with_parent(&mut command);
        let (reply, answer) = channel();
        let gone = || io::Error::other("the thread that starts the broker has ended");
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send(Order { command, reply }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic on that thread has already been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// Has the kernel send SIGTERM to the child when its parent dies. SIGTERM and not SIGKILL, because the broker
/// then closes its store in order and starts faster next time; one that hangs is ended by `end_orphan`.
fn end_with_parent(command: &mut Command) {
    let parent = getpid();
    let in_child = move || {
        set_pdeathsig(Signal::SIGTERM)?;
        // If we died before the line above, no signal will ever come: then the child must not start.
        if getppid() != parent {
            return Err(Errno::ESRCH.into());
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes two plain system calls, prctl and getppid. It does not
    // allocate, take a lock or touch memory that another thread may be changing.
    #[allow(unsafe_code, reason = "only code that runs in the child can set its parent death signal")]
    unsafe {
        command.pre_exec(in_child);
    }
}
