//! The ids that a session has given to its tasks, so that one which answers for an earlier task is found out.

use std::collections::VecDeque;

/// So many are remembered: one that mixes tasks up does so soon.
const REMEMBERED: usize = 64;

/// The ids of one session.
#[derive(Debug, Default)]
pub struct Ids {
    recent: VecDeque<String>,
    given: u64,
}

impl Ids {
    /// Notes an id; false if an earlier task had it.
    pub fn is_new(&mut self, id: &str) -> bool {
        self.given += 1;
        if self.recent.iter().any(|earlier| earlier == id) {
            return false;
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(id.to_owned());
        true
    }

    /// How many it has given.
    pub fn given(&self) -> u64 {
        self.given
    }
}
