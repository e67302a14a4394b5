//! The one place where the keeper sleeps.

use std::io::stdin;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::control::Control;
use crate::protocol::Order;

/// Signals to this process, as something that can be polled.
pub(super) struct Events {
    signals: SignalFd,
}

impl Events {
    pub fn open() -> Result<Self, String> {
        let mut awaited = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            awaited.add(signal);
        }
        let signals = SignalFd::with_flags(&awaited, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(|error| format!("the keeper could not wait for signals: {}", error.desc()))?;
        Ok(Self { signals })
    }

    /// Sleeps until a child died, the runner spoke or hung up, or the time is over (`None`: no limit).
    /// Returns the orders that came; the rest is left for the caller to look at.
    pub fn wait(&mut self, control: &mut Control, at_most: Option<Duration>) -> Vec<Order> {
        let mut control_is_ready = false;
        // Once the runner has hung up, its end is readable for ever and would keep us from sleeping.
        if control.hung_up() {
            let _ = poll(&mut [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)], timeout(at_most));
        } else {
            let socket = stdin();
            let mut both = [
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
                PollFd::new(socket.as_fd(), PollFlags::POLLIN),
            ];
            let _ = poll(&mut both, timeout(at_most));
            control_is_ready = both.last().is_some_and(|socket| socket.any().unwrap_or(false));
        }
        if control_is_ready {
            control.receive();
        }
        let mut orders = control.orders();
        if self.asked_to_end() {
            orders.push(Order::Stop);
        }
        orders
    }

    /// Takes all waiting signals. Who signals the keeper itself, a shutting-down system for example, wants
    /// the task stopped.
    fn asked_to_end(&mut self) -> bool {
        let mut asked = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            asked |= signal.ssi_signo != libc::SIGCHLD.cast_unsigned();
        }
        asked
    }
}

/// Rounded up, because a wait cut to zero milliseconds would not be a sleep.
fn timeout(at_most: Option<Duration>) -> PollTimeout {
    match at_most {
        None => PollTimeout::NONE,
        Some(duration) => {
            let milliseconds = duration.as_micros().div_ceil(1_000);
            i32::try_from(milliseconds)
                .ok()
                .and_then(|milliseconds| PollTimeout::try_from(milliseconds).ok())
                .unwrap_or(PollTimeout::MAX)
        }
    }
}
