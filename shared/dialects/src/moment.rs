//! Moments as callers write them in parameters and bodies: a date, or a date with a time and perhaps a zone; and
//! as AIMMS writes them.

use domain::Timestamp;
use jiff::civil::{self, DateTime};
use serde::Serializer;

/// What a message says is accepted.
pub(crate) const ACCEPTED: &str = "YYYY-MM-DD (00:00 UTC) or YYYY-MM-DD hh:mm:ss[.ffffff], with a space or a \
     'T' between, and with 'Z' or an offset such as +01:00 (in a URL %2B01:00) if it is not UTC";

/// Reads a moment; `None` if the text is none of the accepted forms, or a day that does not exist.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    if !has_shape(date, "0000-00-00") {
        return None;
    }
    let (clock, offset_seconds) = match rest.strip_prefix(['T', 't', ' ']) {
        None if rest.is_empty() => ("00:00:00", 0),
        None => return None,
        Some(rest) => {
            let (clock, zone) = rest.split_at(rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len()));
            (clock, offset(zone)?)
        }
    };
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let digits = !fraction.is_empty() && fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit());
    if !digits || !(has_shape(whole, "00:00:00") || (whole == clock && has_shape(whole, "00:00"))) {
        return None;
    }
    let written: DateTime = format!("{date}T{clock}").parse().ok()?;
    let since_epoch = written.duration_since(civil::date(1970, 1, 1).at(0, 0, 0, 0));
    let micros = i64::try_from(since_epoch.as_micros()).ok()?;
    Some(Timestamp::from_micros(micros.checked_sub(offset_seconds * 1_000_000)?))
}

/// How AIMMS writes a moment: `2023-11-23 15:16:57.250000`, in UTC.
pub(crate) fn date_and_clock(time: Timestamp) -> String {
    time.format("%Y-%m-%d %H:%M:%S.%6f")
}

/// The same while something is written, and `null` where there is none.
pub(crate) fn as_date_and_clock<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_str(&date_and_clock(*time)),
        None => serializer.serialize_none(),
    }
}

/// The seconds east of UTC that a zone means; `None` if it is none.
fn offset(zone: &str) -> Option<i64> {
    let zone = zone.strip_prefix(' ').unwrap_or(zone);
    if zone.is_empty() || zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = match zone.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, zone.strip_prefix('+')?),
    };
    if !(has_shape(digits, "00:00") || has_shape(digits, "0000")) {
        return None;
    }
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = digits.get(digits.len() - 2..)?.parse().ok()?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Whether the text has a digit wherever the shape has a `0`, and the same character elsewhere.
fn has_shape(text: &str, shape: &str) -> bool {
    let fits = |(byte, wanted): (u8, u8)| if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_form_is_the_same_moment() {
        let noon = Timestamp::parse("2023-11-23T12:00:00Z");
        for text in [
            "2023-11-23 12:00:00",
            "2023-11-23T12:00",
            "2023-11-23t12:00:00z",
            "2023-11-23 12:00:00.000000",
            "2023-11-23 13:00:00 +01:00",
            "2023-11-23T13:30:00.000+0130",
            "2023-11-23T07:00:00-05:00",
        ] {
            assert_eq!(parse(text), noon, "{text}");
        }
        assert_eq!(parse("2023-11-23"), Timestamp::parse("2023-11-23T00:00:00Z"));
        assert_eq!(parse("2023-11-23 00:00:00.000001"), Timestamp::parse("2023-11-23T00:00:00.000001Z"));
        assert!(parse("9999-12-31").is_some(), "a date that means 'ever' is taken");
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "yesterday",
            "2023-11",
            "2023-02-30",
            "2023-11-23Z",
            "2023-1-1",
            "20231123",
            "2023-11-23 24:00:00",
            "2023-11-23 12:00:00.",
            "2023-11-23 12:00.5",
            "2023-11-23 12:00:00 01:00",
            "2023-11-23 12:00:00+25:00",
            "2023-11-23 12:00:00+1",
            "2023-11-23 12:00:00Zulu",
            "٢٠٢٣-11-23",
            "2023-11-23T",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
