//! Spans of time as callers write them: ISO 8601 durations (`P1DT2H3M4S`), or numbers with units as PostgreSQL
//! takes them (`1 day`, `2 weeks 12 hours`, `01:30:00`); reference/aimms.md §1.8.

use domain::Timestamp;
use domain::task::timing::Interval;

/// What a message says is accepted.
pub(crate) const ACCEPTED: &str =
    "an ISO 8601 duration such as P1DT2H3M4S, or numbers with units such as '1 day' or '2 weeks 12 hours'";

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The units by their words, each with its months and its microseconds.
const UNITS: [(&[&str], u32, i64); 9] = [
    (&["microsecond", "microseconds", "us"], 0, 1),
    (&["millisecond", "milliseconds", "ms"], 0, 1_000),
    (&["second", "seconds", "sec", "secs", "s"], 0, SECOND),
    (&["minute", "minutes", "min", "mins", "m"], 0, 60 * SECOND),
    (&["hour", "hours", "hr", "hrs", "h"], 0, 3_600 * SECOND),
    (&["day", "days", "d"], 0, DAY),
    (&["week", "weeks", "w"], 0, 7 * DAY),
    (&["month", "months", "mon", "mons"], 1, 0),
    (&["year", "years", "yr", "yrs", "y"], 12, 0),
];

/// Reads a span; `None` if the text is none, is negative, or is too long to be counted.
pub(crate) fn parse(text: &str) -> Option<Interval> {
    let trimmed = text.trim();
    let mut sum = Sum::default();
    match trimmed.strip_prefix(['P', 'p']) {
        Some(rest) => iso(rest, &mut sum)?,
        None => words(trimmed, &mut sum)?,
    }
    let Sum { months, micros } = sum;
    Some(Interval { months, micros, text: text.to_owned() })
}

/// The moment so long after another; `None` beyond what can be written.
pub(crate) fn after(now: Timestamp, span: &Interval) -> Option<Timestamp> {
    if span.months == 0 && span.micros == 0 { Some(now) } else { span.next(now, now) }
}

#[derive(Default)]
struct Sum {
    months: u32,
    micros: i64,
}

impl Sum {
    /// Adds a number of a unit. Parts of a second are kept, parts of a month are refused.
    fn add(&mut self, number: &str, unit: (u32, i64)) -> Option<()> {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        let (months, micros) = unit;
        if months > 0 {
            if !fraction.is_empty() {
                return None;
            }
            let more = u32::try_from(whole).ok()?.checked_mul(months)?;
            self.months = self.months.checked_add(more)?;
            return Some(());
        }
        let part = match fraction {
            "" => 0,
            text => {
                let scale = 10_i64.checked_pow(u32::try_from(text.len()).ok()?)?;
                i128::from(text.parse::<i64>().ok()?).checked_mul(i128::from(micros))? / i128::from(scale)
            }
        };
        let more = whole.checked_mul(micros)?.checked_add(i64::try_from(part).ok()?)?;
        self.micros = self.micros.checked_add(more)?;
        Some(())
    }
}

/// What follows the `P`: date parts, then after a `T` clock parts, each once and in falling order.
fn iso(text: &str, sum: &mut Sum) -> Option<()> {
    let (date, clock) = match text.split_once(['T', 't']) {
        Some((_, "")) => return None,
        Some((date, clock)) => (date, clock),
        None => (text, ""),
    };
    if date.is_empty() && clock.is_empty() {
        return None;
    }
    parts(date, &[('Y', (12, 0)), ('M', (1, 0)), ('W', (0, 7 * DAY)), ('D', (0, DAY))], sum)?;
    parts(clock, &[('H', (0, 3_600 * SECOND)), ('M', (0, 60 * SECOND)), ('S', (0, SECOND))], sum)
}

fn parts(text: &str, units: &[(char, (u32, i64))], sum: &mut Sum) -> Option<()> {
    let mut rest = text;
    let mut left = units.iter();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, tail) = rest.split_at_checked(end)?;
        let letter = tail.chars().next()?.to_ascii_uppercase();
        let (_, unit) = left.find(|(known, _)| *known == letter)?;
        sum.add(number, *unit)?;
        rest = tail.get(1..)?;
    }
    Some(())
}

/// Numbers with units, and at the end perhaps a clock time.
fn words(text: &str, sum: &mut Sum) -> Option<()> {
    let mut words = text.split_whitespace().peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            clock(word, sum)?;
            return if words.next().is_none() { Some(()) } else { None };
        }
        let letters = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
        let (number, glued) = word.split_at_checked(letters)?;
        let unit = if glued.is_empty() { words.next()? } else { glued };
        let known =
            |(names, _, _): &&(&[&str], u32, i64)| names.iter().any(|name| name.eq_ignore_ascii_case(unit));
        let (_, months, micros) = UNITS.iter().find(known)?;
        sum.add(number, (*months, *micros))?;
    }
    Some(())
}

/// `hh:mm` or `hh:mm:ss`.
fn clock(text: &str, sum: &mut Sum) -> Option<()> {
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    if parts.next().is_some() || minutes.contains('.') || hours.contains('.') {
        return None;
    }
    sum.add(hours, (0, 3_600 * SECOND))?;
    sum.add(minutes, (0, 60 * SECOND))?;
    sum.add(seconds, (0, SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_is_read() {
        let table = [
            ("P1DT2H3M4S", 0, DAY + 7_384 * SECOND),
            ("PT0.5S", 0, SECOND / 2),
            ("P2W", 0, 14 * DAY),
            ("p1y2m", 14, 0),
            ("1 day", 0, DAY),
            ("1 days", 0, DAY),
            ("2 weeks", 0, 14 * DAY),
            ("1 hours", 0, 3_600 * SECOND),
            ("1 month 2 days", 1, 2 * DAY),
            ("90s", 0, 90 * SECOND),
            ("1 day 01:30:00", 0, DAY + 5_400 * SECOND),
            ("1.5 hours", 0, 5_400 * SECOND),
            ("0 seconds", 0, 0),
        ];
        for (text, months, micros) in table {
            let expected = Interval { months, micros, text: text.to_owned() };
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        let wrong = [
            "",
            "P",
            "PT",
            "P1",
            "1",
            "day",
            "-1 day",
            "P-1D",
            "1 fortnight",
            "P1H",
            "PT1D",
            "P1D1D",
            "1.5 months",
            "1 day ago",
            "999999999999999999 weeks",
            "1:2:3:4",
            "P1DT",
            "1e3 s",
        ];
        for text in wrong {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
