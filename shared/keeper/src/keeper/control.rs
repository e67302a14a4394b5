//! The keeper's end of the socket to its runner, which is descriptor 0.

use std::io::stdin;

use nix::errno::Errno;
use nix::unistd::{read, write};

use crate::protocol::{Launch, Order, Report, line};

/// Far above what the kernel takes as arguments and environment of a process.
const LONGEST_LINE_BYTES: usize = 16 << 20;

/// Lines in, lines out. It reads no further than one call to [`Control::receive`] asks for, so that it can
/// stand beside other descriptors in one `poll`.
pub(super) struct Control {
    received: Vec<u8>,
    hung_up: bool,
}

impl Control {
    pub fn new() -> Self {
        Self { received: Vec::new(), hung_up: false }
    }

    /// True once the runner's end is closed, which happens by whatever way the runner goes.
    pub fn hung_up(&self) -> bool {
        self.hung_up
    }

    /// Waits for the first line.
    pub fn launch(&mut self) -> Result<Launch, String> {
        loop {
            if let Some(line) = self.next_line() {
                return serde_json::from_slice(&line)
                    .map_err(|error| format!("the keeper does not understand its runner: {error}"));
            }
            if self.hung_up {
                return Err("the runner ended before it said what to start".to_owned());
            }
            self.receive();
        }
    }

    /// The orders that have been received completely.
    pub fn orders(&mut self) -> Vec<Order> {
        // A line that is no order can only come from a fault in the runner; it then sees no effect.
        std::iter::from_fn(|| self.next_line())
            .filter_map(|line| serde_json::from_slice(&line).ok())
            .collect()
    }

    /// Reads once; blocks if nothing has come.
    pub fn receive(&mut self) {
        let mut chunk = [0_u8; 16 << 10];
        match read(stdin(), &mut chunk) {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(0) | Err(_) => self.hung_up = true,
            Ok(count) => self.received.extend(chunk.iter().take(count)),
        }
        self.hung_up |= self.received.len() > LONGEST_LINE_BYTES;
    }

    /// Sends one line. A runner that is gone needs no report, and its absence is noticed when reading.
    pub fn report(&mut self, report: &Report) {
        let line = line(report);
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            match write(stdin(), rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    fn next_line(&mut self) -> Option<Vec<u8>> {
        let end = self.received.iter().position(|byte| *byte == b'\n')?;
        let rest = self.received.split_off(end + 1);
        Some(std::mem::replace(&mut self.received, rest))
    }
}
