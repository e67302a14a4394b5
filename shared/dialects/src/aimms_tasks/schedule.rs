//! When a create asks its task to run, and whom it wants told (reference/aimms.md §1.8).

use domain::Timestamp;
use domain::task::hook::{Hook, HookKind};
use domain::task::timing::{Interval, LAST, Timing};
use http::Uri;
use wire::Error;

use crate::query::wrong;
use crate::{Parameters, Request, bad, interval, moment};

const FOR: &str = "scheduleFor";
const IN: &str = "scheduleIn";
const INTERVAL: &str = "scheduleInterval";
const HOOK: &str = "taskStateHook";

/// The shortest interval. A shorter one would be a load and not a schedule.
const INTERVAL_MICROS_LEAST: i64 = 1_000_000;
/// The most characters of a hook's address.
const HOOK_CHARS_MAX: usize = 2_048;

/// When the task is to run; `None` is at once, and once.
pub(super) fn timing(parameters: &Parameters, now: Timestamp) -> Result<Option<Timing>, Error> {
    let run_at = match (parameters.get(FOR)?, parameters.get(IN)?) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(bad(format!(
                "parameters '{FOR}' and '{IN}' contradict each other; send one of them"
            )));
        }
        (Some(text), None) => Some(moment::parse(text).ok_or_else(|| wrong(FOR, text, moment::ACCEPTED))?),
        (None, Some(text)) => {
            let span = interval::parse(text).ok_or_else(|| wrong(IN, text, interval::ACCEPTED))?;
            Some(interval::after(now, &span).ok_or_else(|| too_late(IN))?)
        }
    };
    let every = parameters.get(INTERVAL)?.map(every).transpose()?;
    if run_at.is_some_and(|at| at > LAST) {
        return Err(too_late(FOR));
    }
    Ok(match (run_at, every) {
        (None, None) => None,
        (run_at, every) => Some(Timing { run_at: run_at.unwrap_or(now), gate: None, every, by_tick: false }),
    })
}

fn every(text: &str) -> Result<Interval, Error> {
    let every = interval::parse(text).ok_or_else(|| wrong(INTERVAL, text, interval::ACCEPTED))?;
    if every.months == 0 && every.micros < INTERVAL_MICROS_LEAST {
        return Err(wrong(INTERVAL, text, "at least one second"));
    }
    Ok(every)
}

fn too_late(parameter: &str) -> Error {
    bad(format!("parameter '{parameter}' asks for a time beyond the year 9999"))
}

/// Whom a create wants told of each state. Where the address leads is checked when it is taken in.
pub(super) fn hooks(request: &Request<'_>) -> Result<Vec<Hook>, Error> {
    let mut values = request.headers.get_all(HOOK).iter();
    let Some(value) = values.next() else { return Ok(Vec::new()) };
    if values.next().is_some() {
        return Err(bad(format!("header '{HOOK}' is given more than once; give it once")));
    }
    let text = value.to_str().unwrap_or_default();
    let uri: Option<Uri> = text.parse().ok().filter(|_| text.len() <= HOOK_CHARS_MAX);
    let usable = uri.is_some_and(|uri| {
        let http = matches!(uri.scheme_str(), Some("http" | "https"));
        http && uri.host().is_some_and(|host| !host.is_empty())
    });
    if !usable {
        return Err(bad(format!(
            "header '{HOOK}' must be an http or https URL of at most {HOOK_CHARS_MAX} characters"
        )));
    }
    Ok(vec![Hook { kind: HookKind::TaskState, url: text.to_owned() }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Option<Timing>, Error> {
        let now = Timestamp::parse("2026-01-31T12:00:00Z").unwrap();
        timing(&Parameters::parse(query).unwrap(), now)
    }

    #[test]
    fn a_time_a_span_and_an_interval_make_a_timing() {
        let table = [
            ("scheduleFor=2026-02-01+08:00", "2026-02-01T08:00:00Z", None),
            ("scheduleFor=2026-02-01+08:00:30.5+%2B02:00", "2026-02-01T06:00:30.5Z", None),
            ("scheduleIn=PT90S", "2026-01-31T12:01:30Z", None),
            ("scheduleIn=0+seconds", "2026-01-31T12:00:00Z", None),
            ("scheduleInterval=1+days", "2026-01-31T12:00:00Z", Some("1 days")),
            ("scheduleIn=1+hours&scheduleInterval=P1M", "2026-01-31T13:00:00Z", Some("P1M")),
        ];
        for (query, run_at, every) in table {
            let timing = read(query).unwrap().unwrap();
            assert_eq!(Some(timing.run_at), Timestamp::parse(run_at), "{query}");
            assert_eq!(timing.every.map(|every| every.text).as_deref(), every, "{query}");
        }
        assert_eq!(read("prettyFormat=true"), Ok(None));
    }

    #[test]
    fn what_contradicts_or_never_moves_is_refused_by_name() {
        let table = [
            ("scheduleFor=2026-02-01&scheduleIn=PT1S", "contradict"),
            ("scheduleFor=tomorrow", "scheduleFor"),
            ("scheduleFor=2026-02-30", "scheduleFor"),
            ("scheduleIn=soon", "scheduleIn"),
            ("scheduleIn=-1+day", "scheduleIn"),
            ("scheduleIn=9000+years", "beyond the year 9999"),
            ("scheduleInterval=0+days", "at least one second"),
            ("scheduleInterval=-1+days", "scheduleInterval"),
            ("scheduleInterval=500+ms", "at least one second"),
        ];
        for (query, part) in table {
            let message = read(query).unwrap_err().message;
            assert!(message.contains(part), "{query}: {message}");
        }
    }
}
