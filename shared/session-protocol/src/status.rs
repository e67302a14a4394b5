//! The status of a task as a session tells it, in both versions of the protocol and both forms of its times.

use domain::{Phase, Timestamp};
use serde_json::{Map, Value};

use crate::ACCEPT_MORE_TASKS;
use crate::fault::shown;

/// The most characters of an id that a session may give.
const ID_CHARS_MAX: usize = 256;

/// Where a task stands, by the word of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Taken in, not begun.
    Queued,
    /// Begun.
    Running(Phase),
    /// Ended well, perhaps early.
    Completed,
    /// Ended badly.
    Failed,
}

impl State {
    /// Nothing follows.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::Running(_) => false,
            Self::Completed | Self::Failed => true,
        }
    }
}

/// What a status says, as far as we need it. Fields that are not there yet are legal (reference/aimms.md §5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The session's own id of the task.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// Since when it runs.
    pub started_at: Option<Timestamp>,
    /// What its procedure returned.
    pub return_code: Option<i32>,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether the session takes another task after this one; silence is yes.
    pub accepts_more: bool,
}

impl Status {
    /// Reads a status. `header` is the value of the header [`ACCEPT_MORE_TASKS`], which may say what the body
    /// leaves out. The error says what is wrong and what is expected.
    pub fn parse(body: &[u8], header: Option<&str>) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| format!("it is not JSON ({error}); it begins with {}", shown(body)))?;
        let Value::Object(fields) = value else {
            return Err(format!("it is no JSON object; it begins with {}", shown(body)));
        };
        let error = text(&fields, "errorMessage", "errormessage")?.filter(|message| !message.is_empty());
        let state = match text(&fields, "state", "status")? {
            Some(word) => state(word, error.is_some())?,
            None => return Err(format!("it has no field \"state\"; it is {}", shown(body))),
        };
        Ok(Self {
            id: id(&fields, body)?,
            state,
            started_at: text(&fields, "runningAt", "starttime")?.and_then(moment),
            return_code: return_code(&fields)?,
            error: error.map(str::to_owned),
            accepts_more: accepts_more(&fields, header)?,
        })
    }
}

fn id(fields: &Map<String, Value>, body: &[u8]) -> Result<String, String> {
    let Some(id) = text(fields, "id", "id")? else {
        return Err(format!("it has no field \"id\"; it is {}", shown(body)));
    };
    if id.is_empty() || id.chars().count() > ID_CHARS_MAX {
        return Err(format!("\"id\" is not 1 to {ID_CHARS_MAX} characters long"));
    }
    Ok(id.to_owned())
}

/// A text field under its name of today, or under the older one.
fn text<'f>(fields: &'f Map<String, Value>, now: &str, older: &str) -> Result<Option<&'f str>, String> {
    for name in [now, older] {
        match fields.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => return Ok(Some(text)),
            Some(other) => return Err(format!("\"{name}\" is {}, and not a text", short(other))),
        }
    }
    Ok(None)
}

fn short(value: &Value) -> String {
    shown(value.to_string().as_bytes())
}

fn state(word: &str, has_error: bool) -> Result<State, String> {
    let ended = if has_error { State::Failed } else { State::Completed };
    Ok(match word {
        "queued" | "assigned" => State::Queued,
        "running" | "executing" => State::Running(Phase::Running),
        "solving" => State::Running(Phase::Solving),
        "completed" => State::Completed,
        "failed" => State::Failed,
        // The older version has one word for every end, and the message tells a bad one.
        "finished" | "interrupted" => ended,
        other => {
            return Err(format!(
                "the state {} is unknown; states are queued, assigned, running, solving, completed, failed, or \
                 in the older version queued, executing, solving, interrupted, finished",
                shown(other.as_bytes())
            ));
        }
    })
}

/// `2023-11-08T23:03:29Z` as sessions write it, and `2023-11-23 15:16:38.000000` as AIMMS PRO does.
fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{}Z", text.replacen(' ', "T", 1))))
}

fn return_code(fields: &Map<String, Value>) -> Result<Option<i32>, String> {
    let given = ["returnCode", "returncode"].into_iter().find_map(|name| fields.get(name));
    let Some(given) = given.filter(|value| !value.is_null()) else { return Ok(None) };
    let whole = given.as_f64().filter(|number| number.fract() == 0.0);
    let fits = whole.filter(|number| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(number));
    // The bounds were checked, so the cast cuts nothing off.
    fits.map(|number| Some(number as i32))
        .ok_or_else(|| format!("\"returnCode\" is {}, and not a whole number of 32 bits", short(given)))
}

fn accepts_more(fields: &Map<String, Value>, header: Option<&str>) -> Result<bool, String> {
    let said = match fields.get(ACCEPT_MORE_TASKS) {
        Some(Value::Bool(said)) => return Ok(*said),
        Some(Value::String(said)) => Some(said.as_str()),
        Some(Value::Null) | None => header,
        Some(other) => Some(if other.is_number() { "a number" } else { "no truth value" }),
    };
    match said.map(|said| said.trim().to_ascii_lowercase()).as_deref() {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => {
            Err(format!("\"{ACCEPT_MORE_TASKS}\" is {}, and not true or false", shown(other.as_bytes())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Status, String> {
        Status::parse(text.as_bytes(), None)
    }

    #[test]
    fn the_documented_statuses_of_both_versions_are_understood() {
        let native = r#"{"id":"fc51","appName":"unnamed","appVersion":"0.0","serviceName":"Test","state":"queued",
            "createdAt":"2023-11-08T23:03:29Z"}"#;
        let status = parse(native).unwrap();
        assert_eq!((status.id.as_str(), status.state), ("fc51", State::Queued));
        assert!(status.accepts_more);
        let pro = r#"{"id":"efa6","state":"completed","createdAt":"2023-11-23 15:16:38.000000",
            "runningAt":"2023-11-23 15:16:57.000000","queueTime":19.000000,"returnCode":1,"errorMessage":null}"#;
        let status = parse(pro).unwrap();
        assert_eq!((status.state, status.return_code, status.error), (State::Completed, Some(1), None));
        assert_eq!(status.started_at, Timestamp::parse("2023-11-23T15:16:57Z"));
        let v1 = r#"{"id":"a","service":"s","starttime":"2021-05-17T12:18:02Z","status":"finished","returncode":0}"#;
        assert_eq!(parse(v1).unwrap().state, State::Completed);
        let bad = r#"{"id":"a","status":"finished","errormessage":"no data"}"#;
        let status = parse(bad).unwrap();
        assert_eq!((status.state, status.error.as_deref()), (State::Failed, Some("no data")));
    }

    #[test]
    fn every_word_of_a_state_has_its_meaning() {
        let words = [
            ("queued", State::Queued),
            ("assigned", State::Queued),
            ("running", State::Running(Phase::Running)),
            ("executing", State::Running(Phase::Running)),
            ("solving", State::Running(Phase::Solving)),
            ("completed", State::Completed),
            ("finished", State::Completed),
            ("interrupted", State::Completed),
            ("failed", State::Failed),
        ];
        for (word, state) in words {
            assert_eq!(parse(&format!(r#"{{"id":"a","state":"{word}"}}"#)).unwrap().state, state, "{word}");
        }
    }

    #[test]
    fn whether_more_tasks_are_accepted_stands_in_body_or_header() {
        let accepts = |field: &str, header| {
            let body = format!(r#"{{"id":"a","state":"running"{field}}}"#);
            Status::parse(body.as_bytes(), header).map(|status| status.accepts_more)
        };
        assert_eq!(accepts("", None), Ok(true));
        assert_eq!(accepts("", Some("False")), Ok(false));
        assert_eq!(accepts(r#","Accept-More-Tasks":false"#, Some("true")), Ok(false));
        assert_eq!(accepts(r#","Accept-More-Tasks":"true""#, None), Ok(true));
        assert!(accepts(r#","Accept-More-Tasks":1"#, None).is_err());
    }

    #[test]
    fn what_is_wrong_with_a_status_is_said() {
        let wrong = [
            ("", "not JSON"),
            ("<html>", "begins with \"<html>\""),
            ("[1]", "no JSON object"),
            (r#"{"state":"queued"}"#, "no field \"id\""),
            (r#"{"id":"a"}"#, "no field \"state\""),
            (r#"{"id":7,"state":"queued"}"#, "\"id\" is \"7\", and not a text"),
            (r#"{"id":"","state":"queued"}"#, "1 to 256"),
            (r#"{"id":"a","state":"done"}"#, "\"done\" is unknown; states are queued"),
            (r#"{"id":"a","state":"completed","returnCode":1.5}"#, "whole number"),
            (r#"{"id":"a","state":"completed","returnCode":"1"}"#, "whole number"),
            (r#"{"id":"a","state":"completed","returnCode":1e12}"#, "whole number"),
        ];
        for (text, expected) in wrong {
            let said = parse(text).unwrap_err();
            assert!(said.contains(expected), "{text}: {said}");
        }
    }
}
