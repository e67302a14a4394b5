//! The records that were read and are not acknowledged: which process answers which, how often each was tried, and
//! which of them are done with.

use std::collections::VecDeque;

use bytes::Bytes;

use super::ends::Record;

/// How often a record is tried on which a process fails.
const TRIES: u32 = 3;
/// The same where the process was killed from outside each time. It says little about the record, unless the machine
/// kills whatever gets it.
const KILLS: u32 = 10;

/// A record that was read.
pub struct Entry {
    pub record: Record,
    /// The record as a process reads it.
    pub line: Bytes,
    /// Which process answers it.
    pub process: usize,
    pub tries: u32,
    kills: u32,
    /// Its process failed before it was answered, so it goes alone.
    alone: bool,
    pub done: bool,
}

impl Entry {
    /// A record that was not tried yet.
    pub fn new(record: Record, process: usize) -> Self {
        Self { record, line: Bytes::new(), process, tries: 0, kills: 0, alone: false, done: false }
    }

    /// Its process failed on it. Whether it was tried often enough.
    pub fn failed(&mut self, from_outside: bool) -> bool {
        self.tries += 1;
        self.kills += u32::from(from_outside);
        self.tries - self.kills >= TRIES || self.kills >= KILLS
    }
}

/// Records in the order in which they were read.
#[derive(Default)]
pub struct Window(VecDeque<Entry>);

impl Window {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One more.
    pub fn push(&mut self, entry: Entry) {
        self.0.push_back(entry);
    }

    /// The one at a place.
    pub fn at(&mut self, index: usize) -> Option<&mut Entry> {
        self.0.get_mut(index)
    }

    /// The records that each process which is up gets now, not more than a batch together. After a failure a process
    /// gets one at a time, so that it is known on which one it fails.
    pub fn shares(&self, up: &[bool], batch: usize) -> Vec<Vec<usize>> {
        let mut shares = vec![Vec::new(); up.len()];
        let mut open = up.to_vec();
        let mut left = batch;
        for (index, entry) in self.0.iter().enumerate().filter(|(_, entry)| !entry.done) {
            if let (Some(share), Some(open)) = (shares.get_mut(entry.process), open.get_mut(entry.process))
                && *open
                && left > 0
            {
                share.push(index);
                left -= 1;
                *open = !entry.alone;
            }
        }
        shares
    }

    /// The lines of a share.
    pub fn lines(&self, share: &[usize]) -> Vec<Bytes> {
        share.iter().filter_map(|index| Some(self.0.get(*index)?.line.clone())).collect()
    }

    /// Its process failed: what it has not answered goes alone from now on.
    pub fn one_at_a_time(&mut self, process: usize) {
        for entry in self.0.iter_mut().filter(|entry| entry.process == process) {
            entry.alone = true;
        }
    }

    /// Takes out those that are done and have nothing before them that is not.
    pub fn finished(&mut self) -> Vec<Record> {
        let count = self.0.iter().take_while(|entry| entry.done).count();
        self.0.drain(..count).map(|entry| entry.record).collect()
    }
}
