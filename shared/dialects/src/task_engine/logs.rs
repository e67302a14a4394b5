//! The log of a job as rows: what came in, when it is to run, what its steps wrote, and what others were told.

use std::net::IpAddr;

use domain::jobs::Job;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use wire::runner::{LogLine, LogSource};

use super::model::moment;
use crate::{JobsOrder, Request};

/// Room for the steps of one job, so that ids of two jobs never meet.
pub(super) const STEPS_PER_JOB: u64 = 1_000;
/// Headers that tell nothing secret. Of any other only the end is shown, since everybody may read a log.
const PLAIN: [&str; 10] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "client",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-forwarded-proto",
];
/// Of a secret that is long enough so many characters are shown.
const SHOWN_CHARS: usize = 4;
const SECRET_CHARS_LEAST: usize = 16;
/// Of one header as much is kept.
const HEADER_CHARS_MAX: usize = 256;

/// The rows in the order of their times. Lines that no step of a workflow wrote are hidden unless all are asked for.
pub(super) fn rows(job: &Job, lines: Vec<LogLine>, mut notes: Vec<LogLine>, show_all: bool) -> Value {
    let number = job.task.number;
    notes.sort_by_key(|note| (note.at, note.place));
    let (mut lines, mut notes) = (lines.into_iter().peekable(), notes.into_iter().peekable());
    let mut rows = Vec::new();
    let mut id = 0;
    loop {
        // What one process wrote stays in its order whatever the clocks say.
        let note_is_next = match (notes.peek(), lines.peek()) {
            (Some(note), Some(line)) => note.at <= line.at,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let Some(line) = (if note_is_next { notes.next() } else { lines.next() }) else { break };
        // Ids rise with the rows, also where a note was stored after a line that is later.
        id = line.place.max(id + 1);
        let is_told = line.step.is_some() || line.source != LogSource::Worker || job.task.steps.is_none();
        if is_told || show_all {
            rows.push(row(number, id, &line, is_told));
        }
    }
    Value::Array(rows)
}

fn row(number: u64, id: u64, line: &LogLine, visible: bool) -> Value {
    // What is said of a failure has these words; a process's own words are INFO.
    let failed = line.text.starts_with("job has failed")
        || line.text.contains("' failed: ")
        || (line.source == LogSource::Callback && line.text.contains(" was not told to "));
    let (severity, description) = if failed { (3, "ERROR") } else { (1, "INFO") };
    let task = line.step.map_or(0, |step| {
        number.saturating_mul(STEPS_PER_JOB).saturating_add(u64::from(step)).saturating_add(1)
    });
    let at = moment(line.at);
    json!({
        "id": id,
        "job_id": number,
        "severity": severity,
        "severity_description": description,
        "progname": line.source.name(),
        "message": line.text,
        "created_at": at,
        "updated_at": at,
        "task_id": task,
        "visible": visible,
    })
}

/// What the log of a job tells of the request that made it, or changed it: JSON in a text. Other requests are not
/// told.
pub fn asked(order: &JobsOrder, request: &Request<'_>, remote: Option<IpAddr>) -> Option<String> {
    let body = serde_json::from_slice(request.body).unwrap_or(Value::Null);
    let told = json!({
        "path": format!("{} {}", request.method, request.path),
        "remote_addr": remote.map(|address| address.to_string()),
        "headers": headers(request.headers),
        "parameters": body,
        "payload": payload(order)?,
    });
    Some(told.to_string())
}

/// What the log of the job calls it, where it makes or changes one.
fn payload(order: &JobsOrder) -> Option<&'static str> {
    match order {
        JobsOrder::Create { .. } => Some("job_created"),
        JobsOrder::Update { .. } => Some("job_updated"),
        JobsOrder::Rerun { .. } => Some("job_rerun"),
        JobsOrder::Get { .. }
        | JobsOrder::List { .. }
        | JobsOrder::Push
        | JobsOrder::Logs { .. }
        | JobsOrder::Dashboard { .. }
        | JobsOrder::Health
        | JobsOrder::Schedules
        | JobsOrder::SetScheduler { .. }
        | JobsOrder::Setting { .. } => None,
    }
}

fn headers(all: &HeaderMap) -> Map<String, Value> {
    let version = ("HTTP_VERSION".to_owned(), Value::from("HTTP/1.1"));
    let told = all.iter().map(|(name, value)| {
        let text: String = String::from_utf8_lossy(value.as_bytes()).chars().take(HEADER_CHARS_MAX).collect();
        let shown = if PLAIN.contains(&name.as_str()) { text } else { masked(&text) };
        (format!("HTTP_{}", name.as_str().to_uppercase().replace('-', "_")), Value::from(shown))
    });
    std::iter::once(version).chain(told).collect()
}

/// All but the end, or all of it where the end would tell too much.
fn masked(text: &str) -> String {
    let count = text.chars().count();
    let hidden = if count >= SECRET_CHARS_LEAST { count - SHOWN_CHARS } else { count };
    std::iter::repeat_n('*', hidden).chain(text.chars().skip(hidden)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_without_its_secrets() {
        let mut all = HeaderMap::new();
        for (name, value) in [
            ("api-key", "aabbccdd-1122-3344-5566-77889900e2d3"),
            ("client", "demo"),
            ("cookie", "short=1"),
            ("user-agent", "RestSharp/106.3.1.0"),
        ] {
            all.insert(name, value.parse().unwrap());
        }
        let request = Request {
            method: &http::Method::POST,
            raw_path: "/job",
            path: "/job",
            parameters: &[],
            query: "",
            headers: &all,
            body: br#"{"client":"demo","job":{"workflow":"w"}}"#,
            now: domain::Timestamp::default(),
        };
        let order = JobsOrder::Rerun { number: 1 };
        let told = asked(&order, &request, Some([127, 0, 0, 1].into())).unwrap();
        assert_eq!(asked(&JobsOrder::Health, &request, None), None);
        let expected = json!({
            "path": "POST /job",
            "remote_addr": "127.0.0.1",
            "headers": {
                "HTTP_VERSION": "HTTP/1.1",
                "HTTP_API_KEY": "********************************e2d3",
                "HTTP_CLIENT": "demo",
                "HTTP_COOKIE": "*******",
                "HTTP_USER_AGENT": "RestSharp/106.3.1.0",
            },
            "parameters": { "client": "demo", "job": { "workflow": "w" } },
            "payload": "job_rerun",
        });
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), expected);
    }
}
