//! A task as the commands show it, read from `GET /tasklane/v1/tasks…`. Fields that this program does not know
//! are left alone, and those that are not there are left out, so that it also works with a service of another day.

use domain::lane::Waiting;
use domain::{TaskId, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::error::CliError;
use crate::table::{bytes, fields, moment, printable, span, table};

/// What people are told about a task; each field is the one of `domain::list::Summary` or `TaskStatus` of that name.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default)]
pub struct TaskView {
    pub id: String,
    pub user: String,
    pub app: String,
    pub version: String,
    pub service: String,
    pub lane: String,
    pub priority: Option<u8>,
    pub state: String,
    pub phase: Option<String>,
    pub epoch: u64,
    pub created_at: Option<Timestamp>,
    pub assigned_at: Option<Timestamp>,
    pub running_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Seconds, counted by the service so that no two clocks are compared.
    pub queue_time: Option<f64>,
    /// Seconds, counted by the service.
    pub run_time: Option<f64>,
    pub return_code: Option<i32>,
    pub error: Option<String>,
    pub session: Option<String>,
    pub interrupted: bool,
    pub progress: Option<f64>,
    pub message: Option<String>,
    pub waiting: Option<Waiting>,
    pub result: Option<Response>,
}

/// What kind of response a completed task has.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default)]
pub struct Response {
    /// The media type.
    pub content_type: Option<String>,
    /// Length in bytes.
    pub size: u64,
}

/// A task at a moment.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The task.
    pub task: TaskView,
    /// The same as the service sent it, for programs.
    pub document: Value,
}

impl TaskView {
    /// Reads one task.
    ///
    /// # Errors
    /// [`CliError::NotUnderstood`] for something else than a task.
    pub fn read(document: &Value, asked: &str) -> Result<Self, CliError> {
        let not_understood = |why: String| CliError::NotUnderstood { asked: asked.to_owned(), why };
        let task: Self =
            serde_json::from_value(document.clone()).map_err(|error| not_understood(error.to_string()))?;
        if task.id.parse::<TaskId>().is_err() || task.state.is_empty() {
            return Err(not_understood("it has no id or no state of a task".to_owned()));
        }
        Ok(task)
    }

    /// Nothing will change any more.
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "completed" | "failed" | "deleted")
    }

    /// It ended well.
    pub fn is_completed(&self) -> bool {
        self.state == "completed"
    }

    /// The state for people: a running task inside a solve is solving.
    pub fn state_word(&self) -> &str {
        let solving = self.state == "running" && self.phase.as_deref() == Some("solving");
        if solving { "solving" } else { &self.state }
    }

    /// Why it waits, as a sentence; empty if it does not.
    pub fn waiting_sentence(&self) -> String {
        let Some(waiting) = &self.waiting else {
            return String::new();
        };
        if !waiting.reason.is_empty() {
            return printable(&waiting.reason);
        }
        let Waiting { lane, position, running, max_running, .. } = waiting;
        format!("position {position} in lane {}, {running} of {max_running} running", printable(lane))
    }

    /// How far it is: percent and message, whichever are known.
    pub fn progress_sentence(&self) -> String {
        let percent = self.percent().map(|percent| format!("{percent} %"));
        let message = self.message.as_deref().map(|message| printable(message.trim()));
        let parts: Vec<String> = percent.into_iter().chain(message).filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    }

    /// How far it is, 0 to 100.
    pub fn percent(&self) -> Option<u64> {
        let share = self.progress.filter(|share| share.is_finite())?;
        Some((share.clamp(0.0, 1.0) * 100.0).floor() as u64)
    }

    /// How long it has waited, for people.
    fn queue_span(&self) -> String {
        self.queue_time.map(span).unwrap_or_default()
    }

    /// How long it has run, for people; empty before it runs.
    fn run_span(&self) -> String {
        self.running_at.and(self.run_time).map(span).unwrap_or_default()
    }

    fn return_code_text(&self) -> String {
        self.return_code.map(|code| code.to_string()).unwrap_or_default()
    }

    /// Whether more than the time has changed since `before`.
    pub fn differs_from(&self, before: &Self) -> bool {
        let timeless = |task: &Self| Self { queue_time: None, run_time: None, ..task.clone() };
        timeless(self) != timeless(before)
    }

    /// One line about where it stands.
    pub fn sentence(&self) -> String {
        let more = if self.state == "queued" { self.waiting_sentence() } else { self.progress_sentence() };
        let word = printable(self.state_word());
        if more.is_empty() { word } else { format!("{word}: {more}") }
    }
}

impl Seen {
    /// Everything about the task as a small table.
    pub fn details(&self) -> String {
        let task = &self.task;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let response = |response: &Response| {
            format!(
                "{} of {}",
                bytes(response.size),
                response.content_type.as_deref().unwrap_or("unknown type")
            )
        };
        let early = if task.interrupted { "it was asked to end early" } else { "" };
        fields(vec![
            ("id", task.id.clone()),
            ("app", format!("{} {}", task.app, task.version)),
            ("service", task.service.clone()),
            ("user", task.user.clone()),
            ("state", task.state_word().to_owned()),
            ("waits", task.waiting_sentence()),
            ("progress", if task.has_ended() { String::new() } else { task.progress_sentence() }),
            ("interrupt", early.to_owned()),
            ("return code", task.return_code_text()),
            ("error", text(&task.error)),
            ("response", task.result.as_ref().map(response).unwrap_or_default()),
            ("queue time", task.queue_span()),
            ("run time", task.run_span()),
            ("created", moment(task.created_at)),
            ("started", moment(task.running_at)),
            ("ended", moment(task.ended_at)),
            ("attempts", task.epoch.to_string()),
            ("lane", task.lane.clone()),
            ("priority", task.priority.map(|priority| priority.to_string()).unwrap_or_default()),
            ("session", text(&task.session)),
        ])
    }

    /// How the task ended, as a small table.
    pub fn ending(&self) -> String {
        let task = &self.task;
        fields(vec![
            ("state", task.state_word().to_owned()),
            ("return code", task.return_code_text()),
            ("error", task.error.clone().unwrap_or_default()),
            ("queue time", task.queue_span()),
            ("run time", task.run_span()),
        ])
    }
}

/// Many tasks as a table.
pub fn task_table(tasks: &[TaskView]) -> String {
    let row = |task: &TaskView| {
        vec![
            task.id.clone(),
            format!("{} {}", task.app, task.version),
            task.service.clone(),
            task.user.clone(),
            task.state_word().to_owned(),
            moment(task.created_at),
            task.queue_span(),
            task.run_span(),
            task.return_code_text(),
        ]
    };
    let headings = ["id", "app", "service", "user", "state", "created", "queue time#", "run time#", "code#"];
    table(&headings, tasks.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(document: Value) -> TaskView {
        TaskView::read(&document, "the question").unwrap()
    }

    const ID: &str = "efa680a0-748e-43d0-9099-cf40937b13f4";

    #[test]
    fn one_line_says_where_a_task_stands() {
        let waiting =
            json!({ "lane": "tasks.demo", "position": 3, "running": 4, "max_running": 4, "reason": "" });
        let cases = [
            (
                json!({ "state": "queued", "waiting": waiting }),
                "queued: position 3 in lane tasks.demo, 4 of 4 running",
            ),
            (json!({ "state": "running" }), "running"),
            (json!({ "state": "running", "phase": "solving" }), "solving"),
            (
                json!({ "state": "running", "progress": 0.419, "message": "row 4\u{1b}" }),
                "running: 41 %, row 4\\u{1b}",
            ),
            (json!({ "state": "running", "progress": 7.0 }), "running: 100 %"),
            (json!({ "state": "completed", "phase": "solving" }), "completed"),
        ];
        for (mut document, expected) in cases {
            document["id"] = json!(ID);
            assert_eq!(read(document).sentence(), expected);
        }
    }

    #[test]
    fn what_is_no_task_is_not_taken_for_one() {
        for wrong in [json!(null), json!([]), json!({ "id": "x", "state": "queued" }), json!({ "id": ID })] {
            assert!(TaskView::read(&wrong, "the question").is_err(), "{wrong}");
        }
    }

    #[test]
    fn time_alone_is_no_change() {
        let task = |run_time: f64, progress: f64| {
            read(json!({ "id": ID, "state": "running", "run_time": run_time, "progress": progress }))
        };
        assert!(!task(1.0, 0.5).differs_from(&task(2.0, 0.5)));
        assert!(task(1.0, 0.5).differs_from(&task(1.0, 0.6)));
    }

    #[test]
    fn details_leave_out_what_is_not_there() {
        let document = json!({
            "id": ID, "app": "transport", "version": "1.0", "service": "solve", "user": "ann", "state": "failed",
            "epoch": 1, "created_at": "2026-11-25T08:00:00Z", "running_at": "2026-11-25T08:00:01Z", "return_code": 3,
            "error": "no data", "queue_time": 0.5, "run_time": 61.0, "lane": "tasks.demo", "priority": 5
        });
        let text = Seen { task: read(document.clone()), document }.details();
        for line in [
            "app          transport 1.0",
            "return code  3",
            "error        no data",
            "run time     1 min 01 s",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(!text.contains("session") && !text.contains("waits"), "{text}");
    }
}
