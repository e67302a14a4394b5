//! Lanes: who may start next. Deciding looks at the head of the queue alone, so it costs the same
//! at one thousand and at one million waiting tasks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{TaskId, TaskKey};
use crate::list::Summary;
use crate::task::state::Task;
use crate::time::Timestamp;

/// The best and the default priority of a task; 10 is the last.
pub const PRIORITY_FIRST: u8 = 1;
/// The priority of a task whose creator said nothing.
pub const PRIORITY_DEFAULT: u8 = 5;
/// The priority that starts last.
pub const PRIORITY_LAST: u8 = 10;

/// The limits of one lane. They change live and act on the next decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LaneLimits {
    /// How many tasks may run at once; 0 is legal and runs nothing.
    pub max_running: u32,
    /// How many of these places only priority tasks may take.
    pub priority_slots: u32,
    /// A task counts as a priority task up to this priority (1 is first).
    pub priority_threshold: u8,
    /// How many tasks may wait; one more is refused (HTTP 429).
    pub max_queued: u64,
    /// How many runners a task may lose before it fails, and how often a step of a workflow is tried again.
    pub retry_limit: u32,
    /// How long a failed step rests before it is tried again, in milliseconds.
    pub retry_delay_ms: u64,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self {
            max_running: 4,
            priority_slots: 0,
            priority_threshold: 0,
            max_queued: 1_000_000,
            retry_limit: 3,
            retry_delay_ms: 5_000,
        }
    }
}

impl LaneLimits {
    /// What a lane begins with (design §7): the Task Engine's two jobs at once with every priority up to the
    /// default one counting as a priority, SymetryML's four streams, and four tasks per tenant.
    pub fn of(lane: &str) -> Self {
        match lane {
            JOBS => Self { max_running: 2, priority_threshold: PRIORITY_DEFAULT, ..Self::default() },
            STREAMS => Self { max_running: 4, ..Self::default() },
            _ => Self::default(),
        }
    }
}

/// The lane of the Task Engine's jobs.
pub const JOBS: &str = "jobs";
/// The lane of the stream tasks.
pub const STREAMS: &str = "streams";

/// Whether a task of this priority may start now (design §7).
pub fn admits(limits: &LaneLimits, running: u32, running_non_priority: u32, priority: u8) -> bool {
    if running >= limits.max_running {
        return false;
    }
    let open_to_all = limits.max_running.saturating_sub(limits.priority_slots);
    priority <= limits.priority_threshold || running_non_priority < open_to_all
}

/// The order within a lane: what sorts first starts first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    not_top_of_queue: bool,
    priority: u8,
    position: u32,
    created_at: Timestamp,
    key: TaskKey,
}

impl Turn {
    /// The turn of a task.
    pub fn of(task: &Task) -> Self {
        Self {
            not_top_of_queue: !task.top_of_queue,
            priority: task.priority,
            position: task.position,
            created_at: task.created_at,
            key: task.key(),
        }
    }

    /// The turn of a task that is known by its summary.
    pub fn of_summary(key: &TaskKey, task: &Summary) -> Self {
        Self {
            not_top_of_queue: !task.top_of_queue,
            priority: task.priority,
            position: task.position,
            created_at: task.created_at,
            key: key.clone(),
        }
    }

    /// Sorts after every task at the top of the queue and before every other.
    fn first_of_the_others() -> Self {
        Self {
            not_top_of_queue: true,
            priority: 0,
            position: 0,
            created_at: Timestamp::from_micros(i64::MIN),
            key: TaskKey::new("", TaskId(Uuid::nil())),
        }
    }

    /// The task whose turn this is.
    pub fn key(&self) -> &TaskKey {
        &self.key
    }
}

/// One lane at a moment: who waits, and how many places are taken.
#[derive(Debug, Default)]
pub struct Lane {
    waiting: BTreeSet<Turn>,
    running: u32,
    running_non_priority: u32,
}

impl Lane {
    /// A task begins to wait.
    pub fn enqueue(&mut self, turn: Turn) {
        self.waiting.insert(turn);
    }

    /// A task waits no longer.
    pub fn dequeue(&mut self, turn: &Turn) {
        self.waiting.remove(turn);
    }

    /// A place is taken by a task of this priority.
    pub fn occupy(&mut self, limits: &LaneLimits, priority: u8) {
        self.running = self.running.saturating_add(1);
        if priority > limits.priority_threshold {
            self.running_non_priority = self.running_non_priority.saturating_add(1);
        }
    }

    /// Counts the places anew, which is needed when the threshold changed under running tasks.
    pub fn recount(&mut self, limits: &LaneLimits, priorities: impl Iterator<Item = u8>) {
        (self.running, self.running_non_priority) = (0, 0);
        for priority in priorities {
            self.occupy(limits, priority);
        }
    }

    /// A place is given back.
    pub fn vacate(&mut self, limits: &LaneLimits, priority: u8) {
        self.running = self.running.saturating_sub(1);
        if priority > limits.priority_threshold {
            self.running_non_priority = self.running_non_priority.saturating_sub(1);
        }
    }

    /// The task that starts next, if one may. Two heads are all that has to be looked at, that of the tasks
    /// at the top of the queue and that of the others: whom a head waits for, those behind it wait for too,
    /// since they are of no better priority. A head at the top may be of low priority and wait for a place
    /// that is open to all; it must not keep a priority task from the places that only those may take.
    pub fn next(&self, limits: &LaneLimits) -> Option<&Turn> {
        let heads = [self.waiting.first(), self.waiting.range(Turn::first_of_the_others()..).next()];
        let may_start = |turn: &&Turn| admits(limits, self.running, self.running_non_priority, turn.priority);
        heads.into_iter().flatten().find(may_start)
    }

    /// How many wait.
    pub fn queued(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// How many places are taken.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// How many of the places are taken by tasks that are not priority tasks.
    pub fn running_non_priority(&self) -> u32 {
        self.running_non_priority
    }

    /// The place in the queue, 1 being next. Counting is linear; it is asked by people, not by deciding.
    pub fn position(&self, turn: &Turn) -> u64 {
        self.waiting.range(..=turn).count() as u64
    }
}

/// Why a task waits, in numbers and in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The lane it waits in.
    pub lane: String,
    /// Its place in the queue, 1 being next; 0 while it is not in the queue yet.
    pub position: u64,
    /// Tasks of the lane that run now.
    pub running: u32,
    /// How many may.
    pub max_running: u32,
    /// The same for people.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admission_table() {
        let limits = |max, slots, threshold| LaneLimits {
            max_running: max,
            priority_slots: slots,
            priority_threshold: threshold,
            ..Default::default()
        };
        // (limits, running, of them non-priority, priority, admitted)
        let table = [
            (limits(2, 0, 0), 0, 0, 5, true),
            (limits(2, 0, 0), 1, 1, 5, true),
            (limits(2, 0, 0), 2, 2, 5, false),
            (limits(0, 0, 0), 0, 0, 1, false),
            (limits(3, 1, 2), 2, 2, 5, false),
            (limits(3, 1, 2), 2, 2, 2, true),
            (limits(3, 1, 2), 2, 1, 5, true),
            (limits(3, 1, 2), 3, 2, 1, false),
            (limits(2, 5, 2), 0, 0, 5, false),
        ];
        for (limits, running, non_priority, priority, expected) in table {
            let got = admits(&limits, running, non_priority, priority);
            assert_eq!(got, expected, "{limits:?} running {running}/{non_priority} priority {priority}");
        }
    }
}
