//! Durations such as `1h30m` and sizes such as `512m`, as people write them in `app.toml`.

use std::time::Duration;

use serde::Serializer;

/// The units of a duration and their milliseconds, largest first.
const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The duration in a text such as `500ms`, `30s`, `10m`, `2h`, `30d` or `1h30m`: whole numbers with units, the larger
/// unit first, each unit once, no spaces. None where it is anything else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total_ms = 0_u64;
    let mut units_left = DURATION_UNITS.iter();
    while !rest.is_empty() {
        let (number, after_number) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after_unit) = split_where(after_number, |c| c.is_ascii_digit());
        // Taking from the iterator forgets the larger units, so none can come twice or late.
        let (_, unit_ms) = units_left.find(|(name, _)| *name == unit)?;
        total_ms = total_ms.checked_add(number.parse::<u64>().ok()?.checked_mul(*unit_ms)?)?;
        rest = after_unit;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total_ms))
}

/// The text that [`parse_duration`] reads back, such as `1h30m`. What is below a millisecond is dropped.
pub fn format_duration(duration: Duration) -> String {
    let mut rest_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, unit_ms) in DURATION_UNITS {
        if rest_ms >= unit_ms {
            text.push_str(&format!("{}{name}", rest_ms / unit_ms));
            rest_ms %= unit_ms;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// The bytes in a text such as `64k`, `512m`, `2g` or `1048576`; the units are powers of 1024.
/// None where it is anything else or too large to count.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_where(text, |c| !c.is_ascii_digit());
    let unit_bytes = match unit {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_bytes)
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// Shown as it is written in `app.toml`, which people and [`parse_duration`] can both read.
pub(super) fn serialize_duration<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.serialize_str(&format_duration(*duration)),
        None => serializer.serialize_none(),
    }
}
