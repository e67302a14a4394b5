//! A reader that stops at a bound and remembers why it stopped.
//! Decoders above it wrap errors in their own words, so the cause is asked here and not read from a message.

use std::io::{self, Read};

/// Counts what is read from `inner` and fails once more than `bound` bytes came.
pub(crate) struct Meter<R> {
    inner: R,
    bound: u64,
    left: u64,
    state: State,
}

/// Why a meter gave no more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It did not stop.
    Running,
    /// There was more than the bound.
    Exceeded,
    /// The reader below failed by itself.
    Failed(io::ErrorKind),
}

impl<R> Meter<R> {
    pub(crate) fn new(inner: R, bound: u64) -> Self {
        Self { inner, bound, left: bound, state: State::Running }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn bound(&self) -> u64 {
        self.bound
    }

    pub(crate) fn inner(&self) -> &R {
        &self.inner
    }

    pub(crate) fn inner_mut(&mut self) -> &mut R {
        &mut self.inner
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.inner.read(buffer) {
            Ok(count) => count,
            Err(error) => {
                // An interrupted read is asked again by the reader above; it says nothing about the source.
                if error.kind() != io::ErrorKind::Interrupted {
                    self.state = State::Failed(error.kind());
                }
                return Err(error);
            }
        };
        match self.left.checked_sub(count as u64) {
            Some(left) => {
                self.left = left;
                Ok(count)
            }
            None => {
                self.state = State::Exceeded;
                Err(io::Error::other("more bytes than allowed"))
            }
        }
    }
}
