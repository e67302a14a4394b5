//! Who takes how much of the store of logs, and who has to make room: pure, so that the rule can be seen whole.
//!
//! A tenant makes room for itself beyond its own bound. Where all of them together come near the end of the store
//! those make room that take most, down to one level: whoever takes less than that loses nothing.

use std::collections::{HashMap, VecDeque};

use domain::Timestamp;

/// How much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one tenant.
    pub tenant: u64,
    /// Bytes of all tenants.
    pub all: u64,
}

/// What a tenant has to give up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Who.
    pub tenant: String,
    /// Everything of it before this place of the stream.
    pub before: u64,
    /// How much that is.
    pub bytes: u64,
    /// When the newest of it was stored.
    pub at: Timestamp,
}

/// Messages that follow on each other, of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    last: u64,
    bytes: u64,
    at: Timestamp,
}

/// Of one tenant, the oldest first.
#[derive(Debug, Default)]
struct Kept {
    parts: VecDeque<Part>,
    bytes: u64,
}

/// Of all.
#[derive(Debug)]
pub struct Ledger {
    bounds: Bounds,
    tenants: HashMap<String, Kept>,
    bytes: u64,
}

/// Into so many parts the bound of a tenant is divided: nothing smaller is given up.
const PARTS: u64 = 64;
/// Who gives up something gives up a tenth more than it must, so that this is not done for every message.
const TENTHS_KEPT: u64 = 9;

impl Ledger {
    /// Nothing is there yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, tenants: HashMap::new(), bytes: 0 }
    }

    /// What all take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Notes a message. True if somebody has to make room now.
    pub fn note(&mut self, tenant: &str, sequence: u64, bytes: u64, at: Timestamp) -> bool {
        let grain = self.bounds.tenant.min(self.bounds.all) / PARTS;
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(tenant.to_owned(), Kept::default());
        }
        let Some(kept) = self.tenants.get_mut(tenant) else { return false };
        match kept.parts.back_mut().filter(|part| part.bytes < grain) {
            Some(part) => *part = Part { last: sequence, bytes: part.bytes + bytes, at },
            None => kept.parts.push_back(Part { last: sequence, bytes, at }),
        }
        kept.bytes += bytes;
        self.bytes += bytes;
        kept.bytes > self.bounds.tenant || self.bytes > self.bounds.all
    }

    /// What lies before a place of the stream is not there any more.
    pub fn forget_before(&mut self, first: u64) {
        for kept in self.tenants.values_mut() {
            while let Some(part) = kept.parts.front().copied().filter(|part| part.last < first) {
                kept.parts.pop_front();
                kept.bytes -= part.bytes;
                self.bytes -= part.bytes;
            }
        }
        self.tenants.retain(|_, kept| !kept.parts.is_empty());
    }

    /// Who has to give up what; it counts as given up.
    pub fn cuts(&mut self) -> Vec<Cut> {
        let most = |bytes: u64| bytes / 10 * TENTHS_KEPT;
        let level =
            if self.bytes > self.bounds.all { self.level(most(self.bounds.all)) } else { self.bounds.tenant };
        let mut cuts = Vec::new();
        for (tenant, kept) in &mut self.tenants {
            let own = if kept.bytes > self.bounds.tenant { most(self.bounds.tenant) } else { kept.bytes };
            let (keep, mut given) = (own.min(level), None);
            let before = kept.bytes;
            while kept.bytes > keep
                && let Some(part) = kept.parts.pop_front()
            {
                kept.bytes -= part.bytes;
                given = Some(part);
            }
            let bytes = before - kept.bytes;
            self.bytes -= bytes;
            cuts.extend(given.map(|part| Cut {
                tenant: tenant.clone(),
                before: part.last + 1,
                bytes,
                at: part.at,
            }));
        }
        cuts
    }

    /// The level to which the largest go down so that all together take no more than this.
    fn level(&self, all: u64) -> u64 {
        let mut sizes: Vec<u64> = self.tenants.values().map(|kept| kept.bytes).collect();
        sizes.sort_unstable();
        let (mut left, mut count) = (all, sizes.len() as u64);
        for size in sizes {
            if size > left / count.max(1) {
                return left / count.max(1);
            }
            left -= size;
            count -= 1;
        }
        u64::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { tenant: 6_400, all: 12_800 };

    fn noted(sizes: &[(&str, u64)]) -> Ledger {
        let mut ledger = Ledger::new(BOUNDS);
        let mut sequence = 0;
        for (tenant, bytes) in sizes {
            for _ in 0..bytes / 100 {
                sequence += 1;
                ledger.note(tenant, sequence, 100, Timestamp::from_micros(i64::try_from(sequence).unwrap()));
            }
        }
        ledger
    }

    fn kept(ledger: &Ledger, tenant: &str) -> u64 {
        ledger.tenants.get(tenant).map_or(0, |kept| kept.bytes)
    }

    #[test]
    fn a_tenant_makes_room_for_itself_and_for_nobody_else() {
        let mut ledger = noted(&[("quiet", 300), ("loud", 6_400)]);
        assert_eq!(ledger.cuts(), []);
        assert!(ledger.note("loud", 100, 100, Timestamp::from_micros(100)));
        let cuts = ledger.cuts();
        // It keeps 5,760 of 6,500 bytes at the most, in whole messages; its first one is the fourth of the stream.
        let expected =
            Cut { tenant: "loud".to_owned(), before: 3 + 8 + 1, bytes: 800, at: Timestamp::from_micros(11) };
        assert_eq!(cuts, [expected]);
        assert_eq!((kept(&ledger, "loud"), kept(&ledger, "quiet"), ledger.bytes()), (5_700, 300, 6_000));
        assert_eq!(ledger.cuts(), [], "once is enough");
    }

    #[test]
    fn where_all_together_are_too_many_the_largest_go_down_to_one_level() {
        let mut ledger = noted(&[("a", 6_000), ("b", 5_000), ("c", 2_000), ("d", 100)]);
        let mut cut: Vec<String> = ledger.cuts().into_iter().map(|cut| cut.tenant).collect();
        cut.sort_unstable();
        assert_eq!(cut, ["a", "b"]);
        // 11,520 for all: what c and d leave is divided among the two.
        let sizes = ["a", "b", "c", "d"].map(|tenant| kept(&ledger, tenant));
        assert_eq!(sizes, [4_700, 4_700, 2_000, 100]);
        assert!(ledger.bytes() <= 11_520);
    }

    #[test]
    fn what_the_stream_dropped_by_itself_counts_no_more() {
        let mut ledger = noted(&[("a", 300), ("b", 300)]);
        ledger.forget_before(5);
        assert_eq!((kept(&ledger, "a"), kept(&ledger, "b"), ledger.bytes()), (0, 200, 200));
        ledger.forget_before(100);
        assert_eq!((ledger.tenants.len(), ledger.bytes()), (0, 0));
    }
}
