//! Tables and short texts for people. Everything that comes from a service is made printable here, since a name,
//! a message or a log line may hold commands for a terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use domain::Timestamp;

/// A table with a line of headings. Columns whose heading ends with `#` hold numbers and are set to the right.
pub fn table(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = plain();
    table.set_header(headings.iter().map(|heading| heading.trim_end_matches('#')));
    for row in rows {
        table.add_row(row.iter().map(|cell| cell_text(cell)));
    }
    for (heading, column) in headings.iter().zip(table.column_iter_mut()) {
        column.set_padding((0, 2));
        if heading.ends_with('#') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    without_trailing_spaces(&table)
}

/// The fields of one thing, a line each. A field without a text is left out.
pub fn fields(rows: Vec<(&str, String)>) -> String {
    let mut table = plain();
    for (name, text) in rows.into_iter().filter(|(_, text)| !text.is_empty()) {
        table.add_row([name.to_owned(), cell_text(&text)]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    without_trailing_spaces(&table)
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn without_trailing_spaces(table: &Table) -> String {
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// A cell with nothing in it would look like a mistake.
fn cell_text(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { printable(text) }
}

/// The text with everything a terminal could obey written out, such as `\u{1b}`. A tab becomes a space.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => out.push(' '),
            // Marks that turn the direction of writing can make one name look like another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.extend(character.escape_unicode()),
            _ if character.is_control() => out.extend(character.escape_default()),
            _ => out.push(character),
        }
    }
    out
}

/// A point in time for people, in UTC; empty for none.
pub fn moment(time: Option<Timestamp>) -> String {
    time.map(|time| time.format("%Y-%m-%d %H:%M:%S UTC")).unwrap_or_default()
}

/// A span of time for people, from seconds.
pub fn span(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "-".to_owned();
    }
    if seconds < 9.995 {
        return format!("{seconds:.2} s");
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    // Rounded first, so that 119.7 s is 2 min 00 s and never 1 min 60 s.
    let whole = seconds.round() as u64;
    match whole {
        0..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {:02} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// A number of bytes for people.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} bytes");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = "KiB";
    for next in UNITS.into_iter().skip(1) {
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up_and_end_without_spaces() {
        let rows = vec![
            vec!["a".into(), "7".into(), "x".into()],
            vec!["longer name".into(), "123".into(), "".into()],
        ];
        let expected = "name         count  text\na                7  x\nlonger name    123  -";
        assert_eq!(table(&["name", "count#", "text"], rows), expected);
    }

    #[test]
    fn fields_without_a_text_are_left_out() {
        let text =
            fields(vec![("state", "running".into()), ("error", String::new()), ("session id", "s".into())]);
        assert_eq!(text, "state       running\nsession id  s");
    }

    #[test]
    fn nothing_reaches_a_terminal_as_a_command() {
        assert_eq!(printable("a\x1b[31mb\r\nc\td\u{7f}\u{9b}é"), "a\\u{1b}[31mb\\r\\nc d\\u{7f}\\u{9b}é");
        assert_eq!(printable("txt\u{202e}exe"), "txt\\u{202e}exe");
        let text = table(&["name"], vec![vec!["\x1b]0;title\x07".into()]]);
        assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text:?}");
    }

    #[test]
    fn spans_read_well_at_every_size() {
        let cases = [
            (0.0, "0.00 s"),
            (0.4249, "0.42 s"),
            (9.994, "9.99 s"),
            (9.996, "10.0 s"),
            (59.94, "59.9 s"),
            (59.96, "1 min 00 s"),
            (119.7, "2 min 00 s"),
            (3599.4, "59 min 59 s"),
            (3599.6, "1 h 00 min"),
            (86_399.9, "1 d 00 h"),
            (270_000.0, "3 d 03 h"),
            (-1.0, "-"),
            (f64::NAN, "-"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(span(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn moments_and_sizes() {
        assert_eq!(moment(None), "");
        assert_eq!(moment(Timestamp::parse("2026-11-25T08:00:00.9Z")), "2026-11-25 08:00:00 UTC");
        let cases = [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1 << 20, "1.0 MiB"),
            (5 << 40, "5.0 TiB"),
        ];
        for (count, expected) in cases {
            assert_eq!(bytes(count), expected);
        }
    }
}
