//! Chance, and which faults a world has. Each seed draws its own mix, so that rare combinations come up.

use domain::board::Millis;
use uuid::Uuid;

/// The generator SplitMix64: the same seed gives the same world.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xA076_1D64_78BD_642F))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to but not including the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub fn id(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.next(), self.next())
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Half of the worlds do not have a fault at all; the others have it at some rate.
    fn rate(&mut self, most: u64) -> u64 {
        if self.chance(500) { 0 } else { self.between(1, most) }
    }
}

/// A bug that is put into the driver on purpose, to see that the checks would find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    None,
    /// The end of a task is written whatever the epoch of the report.
    NoEpochCheck,
    /// Nobody repairs.
    NoRepair,
    /// A create whose answer was lost is taken for failed, and made again under a new id.
    CreateAgain,
    /// Records are written without comparing the revision.
    BlindWrites,
    /// Nobody asks whether a runner's claims still hold: not the runner, and not the scheduler.
    NoClaimCheck,
}

/// The faults of one world: rates in one of a thousand, times in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// A message or an answer is lost.
    pub lost: u64,
    /// A message comes twice.
    pub doubled: u64,
    /// A message is under way for up to this long, so that later ones overtake it.
    pub delay: Millis,
    /// A heartbeat is lost.
    pub beat_lost: u64,
    /// A write is answered with an error although nobody knows what became of it.
    pub unknown: u64,
    /// The change feed shows a write up to this much later.
    pub feed_lag: Millis,
    /// The change feed leaves out a revision that was overwritten before it was shown.
    pub feed_skips: u64,
    /// Something happens to a runner about this often; 0 is never.
    pub runner_every: Millis,
    /// Something happens to a scheduler about this often; 0 is never.
    pub scheduler_every: Millis,
    /// The limits of a lane change about this often; 0 is never.
    pub limits_every: Millis,
}

impl Faults {
    /// The mix of one world. With one scheduler the feed lags less than a failed claim rests, since only
    /// then is it promised that the limit of a lane is never exceeded.
    pub fn draw(random: &mut Random, one_scheduler: bool) -> Self {
        let every = |random: &mut Random, least| {
            if random.chance(400) { 0 } else { random.between(least, 4 * least) }
        };
        Self {
            lost: random.rate(250),
            doubled: random.rate(250),
            delay: random.rate(2_000),
            beat_lost: random.rate(300),
            unknown: random.rate(200),
            feed_lag: random.rate(if one_scheduler { 900 } else { 3_000 }),
            feed_skips: random.rate(1000),
            runner_every: every(random, 800),
            scheduler_every: every(random, 1_500),
            limits_every: every(random, 1_000),
        }
    }
}
