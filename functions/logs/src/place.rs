//! How the lines of a task's log are numbered, and how those that are missing are counted.
//!
//! A line's number is its place among all lines that were to be stored, so it stays the same when the oldest
//! batches go or one was lost. What a runner dropped because it came too fast has no number.

use wire::runner::LogBatch;

/// A place in a task's log: everything before a sequence of the stream is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The sequence from which on nothing is counted yet.
    pub sequence: u64,
    /// The claim of the last batch.
    epoch: u64,
    /// The number of that claim's first line.
    base: u64,
    /// Lines of that claim so far, stored or lost.
    written: u64,
    /// Lines of all claims that were to be stored and are not there, and what earlier claims dropped.
    lost: u64,
    /// What that claim dropped.
    dropped: u64,
}

/// Before the first line.
pub const BEGIN: Place = Place { sequence: 1, epoch: 0, base: 0, written: 0, lost: 0, dropped: 0 };

impl Place {
    /// The number of the next line.
    pub fn lines(&self) -> u64 {
        self.base + self.written
    }

    /// Lines that are missing so far.
    pub fn dropped(&self) -> u64 {
        self.lost + self.dropped
    }

    /// The place after a batch, and the number of its first line.
    pub fn after(mut self, sequence: u64, batch: &LogBatch) -> (Self, u64) {
        self.sequence = sequence + 1;
        if batch.epoch.0 != self.epoch {
            self.base += self.written;
            self.lost += self.dropped;
            (self.epoch, self.written, self.dropped) = (batch.epoch.0, 0, 0);
        }
        let first = self.base + batch.first;
        self.lost += batch.first.saturating_sub(self.written);
        self.written = self.written.max(batch.first + batch.lines.len() as u64);
        self.dropped = self.dropped.max(batch.dropped);
        (self, first)
    }
}

/// Places of one log that readers came to, in order. Readers at different places of a long log would otherwise
/// make each other begin anew.
#[derive(Debug, Default)]
pub struct Places(Vec<Place>);

/// Places that are remembered of one log.
const PLACES_MAX: usize = 64;

impl Places {
    /// The last place from which a line can be found.
    pub fn before(&self, line: u64) -> Place {
        let after = self.0.partition_point(|place| place.lines() <= line);
        after.checked_sub(1).and_then(|at| self.0.get(at)).copied().unwrap_or(BEGIN)
    }

    /// Remembers a place. Of too many the one goes that is missed least: the places stay spread over the whole
    /// log, and the last one stays for who reads on from there.
    pub fn add(&mut self, place: Place) {
        let at = self.0.partition_point(|known| known.sequence < place.sequence);
        if self.0.get(at).is_some_and(|known| known.sequence == place.sequence) {
            return;
        }
        self.0.insert(at, place);
        if self.0.len() <= PLACES_MAX {
            return;
        }
        let gaps = self.0.windows(3).filter_map(|near| Some((near.first()?, near.last()?)));
        let gaps = gaps.map(|(before, after)| after.lines().saturating_sub(before.lines())).enumerate();
        if let Some((at, _)) = gaps.min_by_key(|(_, gap)| *gap) {
            self.0.remove(at + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{Epoch, Timestamp};
    use wire::runner::LogLine;

    use super::*;

    fn batch(epoch: u64, first: u64, lines: usize, dropped: u64) -> LogBatch {
        let line = LogLine::new(Timestamp::default(), "x");
        LogBatch { epoch: Epoch(epoch), first, lines: vec![line; lines], dropped }
    }

    #[test]
    fn lines_are_numbered_through_claims_and_over_gaps() {
        // Per batch: itself, then the number of its first line, the lines so far, and the missing ones so far.
        let table = [
            (batch(1, 0, 3, 0), 0, 3, 0),
            (batch(1, 3, 2, 7), 3, 5, 7),
            (batch(1, 9, 1, 8), 9, 10, 12),
            (batch(2, 0, 2, 0), 10, 12, 12),
            (batch(2, 2, 0, 5), 12, 12, 17),
            (batch(2, 4, 0, 5), 14, 14, 19),
        ];
        let mut place = BEGIN;
        for (sequence, (batch, number, lines, missing)) in (10..).zip(table) {
            let (next, first) = place.after(sequence, &batch);
            assert_eq!((first, next.lines(), next.dropped()), (number, lines, missing), "{sequence}");
            assert_eq!(next.sequence, sequence + 1);
            place = next;
        }
    }

    #[test]
    fn the_nearest_place_before_a_line_is_found_and_the_last_one_is_never_forgotten() {
        let mut places = Places::default();
        assert_eq!(places.before(5), BEGIN);
        let mut place = BEGIN;
        for sequence in 1..=1000 {
            place = place.after(sequence, &batch(1, place.lines(), 10, 0)).0;
            places.add(place);
            places.add(place);
            assert_eq!(places.before(u64::MAX), place);
            assert!(places.0.len() <= PLACES_MAX);
        }
        let near = places.before(5_000).lines();
        assert!((4_500..=5_000).contains(&near), "{near}");
        assert_eq!(places.before(0), BEGIN);
    }

    #[test]
    fn numbers_stay_when_the_oldest_batches_are_gone() {
        let (place, first) = BEGIN.after(500, &batch(1, 4000, 10, 3));
        assert_eq!((first, place.lines(), place.dropped()), (4000, 4010, 4003));
    }
}
