//! What goes wrong beside messages and writes: runners crash, sleep, are cut off, drain or forget a claim;
//! schedulers crash or sleep; limits change.

use domain::board::{Millis, RUNNER_LEASE_MS};
use domain::lane::LaneLimits;

use crate::runner::ToRunner;
use crate::scheduler::ToScheduler;
use crate::world::{Event, HEAL_AT, LANES, World};

impl World {
    /// Makes trouble of one kind and plans the next of it.
    pub fn trouble(&mut self, every: Millis, again: Event, make: fn(&mut Self)) {
        if every > 0 && self.now < HEAL_AT {
            if self.now > 0 {
                make(self);
            }
            let pause = self.random.between(1, 2 * every);
            self.after(pause, again);
        }
    }

    pub fn change_limits(&mut self) {
        let lane = self.random.pick(&LANES);
        let limits = LaneLimits {
            max_running: self.random.below(4) as u32,
            priority_slots: self.random.below(2) as u32,
            priority_threshold: self.random.below(6) as u8,
            ..Default::default()
        };
        self.set_limits(lane, limits);
    }

    pub fn trouble_a_runner(&mut self) {
        let number = self.random.below(self.runners.len() as u64) as usize;
        let until = (self.now + self.random.between(300, 8_000)).min(HEAL_AT);
        match self.random.below(8) {
            0..=1 => {
                let dead = self.runners.remove(number);
                self.note(|_| format!("runner {} crashes with {} claims", dead.id, dead.held.len()));
                if !dead.held.is_empty() {
                    self.check.saw("a runner crashed with claims");
                }
                self.runner_begins(until - self.now);
            }
            2..=3 => self.runners[number].asleep_until = until,
            4..=5 => {
                let runner = &mut self.runners[number];
                runner.cut_until = until;
                let id = runner.id;
                if until - self.now > RUNNER_LEASE_MS {
                    self.after(until - self.now, Event::Runner(id, ToRunner::Reconnected));
                }
            }
            6 => {
                self.runners[number].draining_until = until;
                if self.random.chance(500) {
                    self.give_all_back(number);
                }
            }
            _ => {
                if self.runners[number].held.pop_first().is_some() {
                    self.check.saw("a runner lost a claim and did not know");
                }
            }
        }
    }

    pub fn trouble_a_scheduler(&mut self) {
        let number = self.random.below(self.schedulers.len() as u64) as usize;
        let until = (self.now + self.random.between(100, 5_000)).min(HEAL_AT);
        match self.random.below(5) {
            0..=1 => {
                self.note(|_| format!("scheduler {number} crashes"));
                self.check.saw("a scheduler began from scratch");
                self.scheduler_begins(number, until - self.now);
            }
            2..=3 => self.schedulers[number].asleep_until = until,
            _ => self.tell_scheduler(number, 0, ToScheduler::FeedAnew),
        }
    }
}
