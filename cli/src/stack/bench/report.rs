//! Everything that was measured, as one document, and as a table for people.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::clock;

use super::jobs::JobsReport;
use super::machine::Machine;
use super::streams::StreamsReport;
use super::{PAYLOAD_BYTES, closed, open};
use crate::stack::StackError;
use crate::table::table;

/// The document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The command that gives it again.
    pub command: String,
    /// When it was measured.
    pub measured_at: String,
    /// On what.
    pub machine: Machine,
    /// With what.
    pub versions: Versions,
    /// Bytes of the body of every task.
    pub payload_bytes: usize,
    /// How often each closed measurement was repeated; figures are medians over these rounds.
    pub rounds: usize,
    /// One part per durability class.
    pub classes: Vec<ClassReport>,
    /// What was measured of the Task Engine's jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<JobsReport>,
    /// What was measured of stream tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<StreamsReport>,
}

/// Versions of what was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Versions {
    /// Ours.
    pub tasklane: String,
    /// Of nats-server.
    pub broker: String,
    /// Whether the program was built for speed.
    pub build: String,
}

/// What was measured in one durability class.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClassReport {
    /// The class.
    pub durability: String,
    /// While nothing happens.
    pub idle: Idle,
    /// At so many tasks in flight.
    pub closed: Vec<closed::Row>,
    /// At a fixed rate.
    pub open: Vec<open::Row>,
}

/// What a stack takes while nothing happens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Idle {
    /// Memory of the process with every function.
    pub functions_memory_mb: f64,
    /// Its share of one core.
    pub functions_cpu_percent: f64,
    /// Memory of the broker.
    pub broker_memory_mb: f64,
    /// Its share of one core.
    pub broker_cpu_percent: f64,
}

impl Report {
    /// A report without figures yet.
    pub fn begin(quick: bool, rounds: usize) -> Self {
        Self {
            command: format!("tasklane bench{} --page docs", if quick { " --quick" } else { "" }),
            measured_at: clock::now().format("%Y-%m-%d %H:%M UTC"),
            machine: Machine::this(),
            versions: Versions {
                tasklane: env!("CARGO_PKG_VERSION").to_owned(),
                broker: String::new(),
                build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            },
            payload_bytes: PAYLOAD_BYTES,
            rounds,
            classes: Vec::new(),
            jobs: None,
            streams: None,
        }
    }

    /// Reads a document that was written before.
    pub fn read(file: &Path) -> Result<Self, StackError> {
        let text = std::fs::read_to_string(file).map_err(|e| StackError::file(file, &e))?;
        serde_json::from_str(&text).map_err(|e| StackError::Text(format!("{}: {e}", file.display())))
    }

    /// As JSON.
    pub fn document(&self) -> Result<Value, StackError> {
        serde_json::to_value(self).map_err(StackError::text)
    }

    /// For people.
    pub fn table(&self) -> String {
        let Machine { processor, cores, memory_mb, system } = &self.machine;
        let mut parts = vec![format!("{cores} cores of {processor}, {memory_mb} MB, {system}")];
        if !self.classes.is_empty() {
            parts.push(format!("nats-server {}; {} rounds, medians", self.versions.broker, self.rounds));
        }
        for class in &self.classes {
            parts.push(format!("durability {}", class.durability));
            parts.push(table(&CLOSED, class.closed.iter().map(closed_cells).collect()));
            parts.push(table(&OPEN, class.open.iter().map(open_cells).collect()));
            parts.push(idle_sentence(&class.idle));
        }
        if let Some(jobs) = &self.jobs {
            parts.push(format!("jobs, durability {}", jobs.durability));
            parts.push(table(&JOBS, jobs_rows(jobs)));
        }
        if let Some(streams) = &self.streams {
            parts.push(format!("stream tasks, durability {}", streams.durability));
            parts.push(table(&JOBS, streams_rows(streams)));
        }
        parts.join("\n\n")
    }
}

/// Headings of the closed measurements; `#` marks numbers.
pub const CLOSED: [&str; 10] = [
    "through",
    "in flight#",
    "tasks/s#",
    "of the floor#",
    "p50 ms#",
    "p99 ms#",
    "broker writes/task#",
    "CPU s/1,000: functions#",
    "broker#",
    "load#",
];

/// The cells of one closed measurement.
pub fn closed_cells(row: &closed::Row) -> Vec<String> {
    let cpu = row.cpu_seconds_per_1000_tasks;
    vec![
        row.door.name().to_owned(),
        row.in_flight.to_string(),
        format!("{:.0}", row.tasks_per_second),
        format!("{:.1} %", 100.0 * row.of_floor),
        format!("{:.2}", row.latency.p50_ms),
        format!("{:.2}", row.latency.p99_ms),
        format!("{:.2}", row.broker_writes_per_task),
        format!("{:.3}", cpu.functions),
        format!("{:.3}", cpu.broker),
        format!("{:.3}", cpu.load),
    ]
}

/// Headings of the open measurements.
pub const OPEN: [&str; 9] = [
    "REST at#",
    "of its maximum#",
    "samples#",
    "create p50 ms#",
    "p99#",
    "pickup p50 ms#",
    "p99#",
    "done p50 ms#",
    "p99#",
];

/// The cells of one open measurement.
pub fn open_cells(row: &open::Row) -> Vec<String> {
    let milliseconds = |number: f64| format!("{number:.2}");
    vec![
        format!("{:.0}/s", row.tasks_per_second),
        row.of_maximum.map_or("-".to_owned(), |share| format!("{:.0} %", 100.0 * share)),
        row.samples.to_string(),
        milliseconds(row.create.p50_ms),
        milliseconds(row.create.p99_ms),
        milliseconds(row.pickup.p50_ms),
        milliseconds(row.pickup.p99_ms),
        milliseconds(row.done.p50_ms),
        milliseconds(row.done.p99_ms),
    ]
}

/// Headings of what was measured of jobs, and of stream tasks.
pub const JOBS: [&str; 3] = ["what", "found#", "wanted#"];

/// The rows about jobs, each with what it is measured against.
pub fn jobs_rows(jobs: &JobsReport) -> Vec<Vec<String>> {
    let JobsReport { order, setting, callbacks, behind, .. } = jobs;
    let row = |what: String, found: String, wanted: &str| vec![what, found, wanted.to_owned()];
    let of = |what: &str| format!("{what}, {} jobs behind, p99", behind.jobs);
    vec![
        row(
            format!("{} jobs, mixed priorities, 5 places of which 2 are kept: out of order", order.jobs),
            order.out_of_order.to_string(),
            "0",
        ),
        row("the same: moments over the limits".to_owned(), order.over_the_limits.to_string(), "0"),
        row("the same: jobs/s, one step each".to_owned(), format!("{:.0}", order.jobs_per_second), "-"),
        row(
            "from a change of max_jobs to the claim, p50".to_owned(),
            format!("{:.1} ms", setting.p50_ms),
            "-",
        ),
        row("the same, p99".to_owned(), format!("{:.1} ms", setting.p99_ms), "50 ms"),
        row(
            format!("{} callbacks to one fast receiver", callbacks.events),
            format!("{:.0}/s", callbacks.events_per_second),
            "2000/s",
        ),
        row(of("GET /dashboard"), format!("{:.1} ms", behind.dashboard.p99_ms), "10 ms"),
        row(of("GET /health"), format!("{:.1} ms", behind.health.p99_ms), "10 ms"),
        row("memory of all functions then".to_owned(), format!("{:.0} MB", behind.functions_memory_mb), "-"),
    ]
}

/// The rows about stream tasks, each with what it is measured against.
pub fn streams_rows(streams: &StreamsReport) -> Vec<Vec<String>> {
    let row = |what: &str, found: String, wanted: &str| vec![what.to_owned(), found, wanted.to_owned()];
    let (task, bare) = (streams.task_per_second, streams.bare_per_second);
    vec![
        row("a bare loop that consumes and publishes, records/s", format!("{bare:.0}"), "-"),
        row("a stream task with the filter cat, records/s", format!("{task:.0}"), "50000, or half of it"),
        row("the same, of the bare loop", format!("{:.0} %", 100.0 * task / bare), "50 %"),
        row(
            "from publication to answer at 1,000 records/s, p50",
            format!("{:.1} ms", streams.latency.p50_ms),
            "-",
        ),
        row("the same, p99", format!("{:.1} ms", streams.latency.p99_ms), "20 ms"),
    ]
}

/// What the idle stack takes, in a sentence.
pub fn idle_sentence(idle: &Idle) -> String {
    format!(
        "Idle: all functions in one process {:.0} MB and {:.2} % of a core, the broker {:.0} MB and {:.2} %.",
        idle.functions_memory_mb, idle.functions_cpu_percent, idle.broker_memory_mb, idle.broker_cpu_percent
    )
}
