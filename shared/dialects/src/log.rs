//! Log lines as the dialects show them: a page of lines as JSON asks for its parameters here, and a whole log
//! is text for people.

use wire::Error;
use wire::calls::logs::{LineFilter, LogsReply};

use crate::text::shown;
use crate::{Parameters, Request, bad, listing};

/// What a client that connects again has seen last.
pub(crate) const LAST_EVENT_ID: &str = "last-event-id";

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

/// From which line on a log is followed: behind the last one that a client has seen, which tells so when it
/// connects again, or else where its parameters say.
pub(crate) fn tail_from(request: &Request<'_>, parameters: &Parameters) -> Result<u64, Error> {
    let asked = parameters.unsigned("offset")?.unwrap_or(0);
    match request.header(LAST_EVENT_ID) {
        None | Some("") => Ok(asked),
        Some(seen) => seen.parse().map_err(|_| {
            bad(format!("header {LAST_EVENT_ID} is '{}', which no event of a log had as its id", shown(seen)))
        }),
    }
}

/// The lines of a page as server-sent events. The id of each is the place to go on from behind it. What is
/// missing is told as it becomes more, and the end as an event of its own.
pub fn log_events(page: &LogsReply, dropped_before: u64) -> String {
    let mut text = String::new();
    for (number, line) in (page.first + 1..).zip(&page.lines) {
        // An object of texts and a number can always be written.
        let line = serde_json::to_string(line).unwrap_or_default();
        text.push_str(&format!("id: {number}\ndata: {line}\n\n"));
    }
    if page.dropped > dropped_before {
        text.push_str(&format!("event: dropped\ndata: {{\"dropped\":{}}}\n\n", page.dropped));
    }
    if page.end {
        text.push_str(&format!("event: end\nid: {}\ndata: {{\"dropped\":{}}}\n\n", page.next, page.dropped));
    }
    text
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
    if let Some(missing) = page.missing(0).filter(|_| is_last) {
        text.push_str(&missing);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use wire::runner::LogLine;

    use super::*;

    #[test]
    fn events_carry_the_place_behind_them_and_tell_what_is_missing_once() {
        let at = Timestamp::parse("2023-11-23T15:16:57.5Z").unwrap();
        let lines = vec![LogLine::new(at, "one\r"), LogLine::new(at, "")];
        let page =
            LogsReply { lines, first: 7, next: 9, dropped: 3, end: false, total: None, made_room: None };
        let expected = concat!(
            "id: 8\ndata: {\"at\":\"2023-11-23T15:16:57.500000Z\",\"text\":\"one\\r\"}\n\n",
            "id: 9\ndata: {\"at\":\"2023-11-23T15:16:57.500000Z\",\"text\":\"\"}\n\n",
        );
        assert_eq!(log_events(&page, 3), expected);
        let dropped = "event: dropped\ndata: {\"dropped\":3}\n\n";
        assert_eq!(log_events(&page, 0), format!("{expected}{dropped}"));
        let end = LogsReply { lines: vec![], first: 9, next: 9, end: true, ..page };
        assert_eq!(log_events(&end, 3), "event: end\nid: 9\ndata: {\"dropped\":3}\n\n");
    }

    #[test]
    fn a_log_as_text_tells_at_its_end_what_is_missing() {
        let at = Timestamp::parse("2023-11-23T15:16:57.5Z").unwrap();
        let lines = vec![LogLine::new(at, "one"), LogLine::new(at, "")];
        let page =
            LogsReply { lines, first: 0, next: 2, dropped: 3, end: true, total: None, made_room: None };
        let lines = "2023-11-23 15:16:57.500 one\n2023-11-23 15:16:57.500 \n";
        assert_eq!(log_text(&page, false), lines);
        assert_eq!(log_text(&page, true), format!("{lines}(3 lines came too fast and are not kept)\n"));
        let whole = LogsReply {
            lines: vec![],
            first: 2,
            next: 2,
            dropped: 0,
            end: true,
            total: None,
            made_room: None,
        };
        assert_eq!(log_text(&whole, true), "");
    }
}
