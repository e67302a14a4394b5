//! Log lines as the dialects show them: a page of lines as JSON asks for its parameters here, and a whole log
//! is text for people.

use wire::Error;
use wire::calls::logs::{LineFilter, LogsReply};

use crate::{Parameters, listing};

/// Lines of a page whose caller named no number.
pub(crate) const LINES_DEFAULT: u64 = 100;
/// The most lines of a page.
pub(crate) const LINES_MAX: u64 = 1000;

/// Which lines a page has: how many are left out before it, and how many it has at most. As in lists, 0 means
/// the default and more than the most means the most.
pub(crate) fn page(parameters: &Parameters) -> Result<(u64, u64), Error> {
    let limit = parameters.unsigned("limit")?.filter(|lines| *lines > 0);
    Ok((parameters.unsigned("offset")?.unwrap_or(0), limit.unwrap_or(LINES_DEFAULT).min(LINES_MAX)))
}

/// Which lines are asked for.
pub(crate) fn filter(parameters: &Parameters) -> Result<LineFilter, Error> {
    let contains = parameters.get("contains")?.filter(|text| !text.is_empty());
    Ok(LineFilter {
        begin: listing::moment(parameters, "begin")?,
        end: listing::moment(parameters, "end")?,
        contains: contains.map(str::to_owned),
    })
}

/// The lines of a page as text, each with its time; at the end of the log also how many are missing.
pub fn log_text(page: &LogsReply, is_last: bool) -> String {
    let mut text = String::new();
    for line in &page.lines {
        text.push_str(&line.at.format("%Y-%m-%d %H:%M:%S%.3f"));
        text.push(' ');
        text.push_str(&line.text);
        text.push('\n');
    }
    if is_last && page.dropped > 0 {
        text.push_str(&format!("({} lines came too fast and are not kept)\n", page.dropped));
    }
    text
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use wire::runner::LogLine;

    use super::*;

    #[test]
    fn a_log_as_text_tells_at_its_end_what_is_missing() {
        let at = Timestamp::parse("2023-11-23T15:16:57.5Z").unwrap();
        let lines = vec![LogLine::new(at, "one"), LogLine::new(at, "")];
        let page = LogsReply { lines, next: 2, dropped: 3, end: true, total: None };
        let lines = "2023-11-23 15:16:57.500 one\n2023-11-23 15:16:57.500 \n";
        assert_eq!(log_text(&page, false), lines);
        assert_eq!(log_text(&page, true), format!("{lines}(3 lines came too fast and are not kept)\n"));
        let whole = LogsReply { lines: vec![], next: 2, dropped: 0, end: true, total: None };
        assert_eq!(log_text(&whole, true), "");
    }
}
