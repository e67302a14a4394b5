//! When a task may start, and how often: its time, its gate, its recurrence.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::task::state::Task;
use crate::time::Timestamp;

/// When a task may start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Not before this moment.
    pub run_at: Timestamp,
    /// A URL that has to answer before it may start; it is asked once `run_at` has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// It recurs: as each run comes due the next one is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Interval>,
    /// It is moved on by the ticks of the Task Engine's scheduler and not at its very moment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_tick: bool,
}

impl Timing {
    /// Whether its time has not come yet, or there is a gate to ask, or a next run to be created.
    pub fn holds_back(&self, now: Timestamp) -> bool {
        self.run_at > now || self.gate.is_some() || self.every.is_some()
    }
}

/// The next run of a recurring task, as a create would ask for it; `None` ends the series.
pub fn successor(task: &Task, now: Timestamp) -> Option<Task> {
    let timing = task.timing.as_ref()?;
    let run_at = timing.every.as_ref()?.next(timing.run_at, now)?;
    let run = task.run.checked_add(1)?;
    Some(Task { run, timing: Some(Timing { run_at, ..timing.clone() }), ..task.clone() })
}

/// A span between two runs. Months are counted by the calendar, all else by the clock, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Whole months.
    #[serde(default, skip_serializing_if = "is_none_of_them")]
    pub months: u32,
    /// The rest, in microseconds.
    pub micros: i64,
    /// As the caller wrote it.
    pub text: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none_of_them(months: &u32) -> bool {
    *months == 0
}

/// 9999-12-30T22:00:00Z, the last moment that can be written in every zone: what would lie behind it is not
/// scheduled any more.
pub const LAST: Timestamp = Timestamp::from_micros(253_402_207_200_000_000);
/// Steps that are made one by one towards now where the interval has months.
const MONTHLY_STEPS_MAX: u32 = 120_000;

impl Interval {
    /// It moves time forward.
    pub fn is_positive(&self) -> bool {
        self.micros >= 0 && (self.months > 0 || self.micros > 0)
    }

    /// The instant of the run after the one at `from`, at the moment `now`. Instants that have passed
    /// meanwhile are left out, so a long sleep costs one late run and not thousands, and the phase is kept.
    /// `None` ends the series: the next instant would lie beyond the year 9999.
    pub fn next(&self, from: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let mut next = self.after(from)?;
        if self.months == 0 && next <= now {
            let missed = now.micros().saturating_sub(next.micros()).checked_div(self.micros)?;
            let skipped = missed.checked_add(1)?.checked_mul(self.micros)?;
            next = Timestamp::from_micros(next.micros().checked_add(skipped)?);
        }
        for _ in 0..MONTHLY_STEPS_MAX {
            if next > now {
                return Some(next).filter(|next| *next <= LAST);
            }
            next = self.after(next)?;
        }
        None
    }

    fn after(&self, from: Timestamp) -> Option<Timestamp> {
        if !self.is_positive() {
            return None;
        }
        let moved = if self.months == 0 { from } else { from.plus_months(self.months)? };
        Some(Timestamp::from_micros(moved.micros().checked_add(self.micros)?))
    }
}

impl Timestamp {
    /// This instant so many months later by the calendar; the 31st becomes the last day of a shorter month.
    fn plus_months(self, months: u32) -> Option<Self> {
        let time = jiff::Timestamp::from_microsecond(self.micros()).ok()?;
        let civil: DateTime = time.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        let span = jiff::Span::new().try_months(months).ok()?;
        let moved = civil.checked_add(span).ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Self::from_micros(moved.timestamp().as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn every(months: u32, micros: i64) -> Interval {
        Interval { months, micros, text: String::new() }
    }

    #[test]
    fn the_phase_is_kept_and_missed_instants_are_left_out() {
        let hourly = every(0, 3_600_000_000);
        let from = at("2026-01-01T00:10:00Z");
        let table = [
            ("2026-01-01T00:10:00Z", "2026-01-01T01:10:00Z"),
            ("2026-01-01T01:09:59Z", "2026-01-01T01:10:00Z"),
            ("2026-01-01T01:10:00Z", "2026-01-01T02:10:00Z"),
            ("2026-01-05T17:30:00Z", "2026-01-05T18:10:00Z"),
        ];
        for (now, next) in table {
            assert_eq!(hourly.next(from, at(now)), Some(at(next)), "{now}");
        }
    }

    #[test]
    fn months_go_by_the_calendar() {
        let monthly = every(1, 0);
        let next = |from, now| monthly.next(at(from), at(now));
        assert_eq!(next("2028-01-31T08:00:00Z", "2028-01-31T08:00:00Z"), Some(at("2028-02-29T08:00:00Z")));
        assert_eq!(next("2026-01-15T00:00:00Z", "2026-04-20T00:00:00Z"), Some(at("2026-05-15T00:00:00Z")));
    }

    #[test]
    fn a_series_ends_where_time_does_and_what_does_not_move_never_begins() {
        let late = at("9999-12-30T21:00:00Z");
        assert_eq!(every(0, 86_400_000_000).next(late, late), None);
        assert_eq!(every(12, 0).next(late, late), None);
        assert_eq!(every(0, 0).next(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z")), None);
        assert!(!every(0, -1).is_positive() && !every(1, -1).is_positive());
    }
}
