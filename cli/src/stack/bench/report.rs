//! Everything that was measured, as one document, and as a table for people.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::clock;

use super::goals::{GOALS, jobs_rows, schedules_rows, sessions_rows, streams_rows, syncs_rows};
use super::jobs::JobsReport;
use super::machine::Machine;
use super::schedules::SchedulesReport;
use super::sessions::SessionsReport;
use super::streams::StreamsReport;
use super::syncs::SyncsReport;
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
    /// What was measured of tasks that wait for their time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedules: Option<SchedulesReport>,
    /// What was measured of sessions and logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionsReport>,
    /// What was measured of writes that the broker syncs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncs: Option<SyncsReport>,
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
            schedules: None,
            sessions: None,
            syncs: None,
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
            parts.push(table(&GOALS, jobs_rows(jobs)));
        }
        if let Some(schedules) = &self.schedules {
            parts.push(format!("schedules, durability {}", schedules.durability));
            parts.push(table(&GOALS, schedules_rows(schedules)));
        }
        if let Some(streams) = &self.streams {
            parts.push(format!("stream tasks, durability {}", streams.durability));
            parts.push(table(&GOALS, streams_rows(streams)));
        }
        if let Some(sessions) = &self.sessions {
            parts.push(format!("sessions, durability {}", sessions.durability));
            parts.push(table(&GOALS, sessions_rows(sessions)));
        }
        if let Some(syncs) = &self.syncs {
            parts.push(format!("synced writes, durability {}", syncs.durability));
            parts.push(table(&GOALS, syncs_rows(syncs)));
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

/// What the idle stack takes, in a sentence.
pub fn idle_sentence(idle: &Idle) -> String {
    format!(
        "Idle: all functions in one process {:.0} MB and {:.2} % of a core, the broker {:.0} MB and {:.2} %.",
        idle.functions_memory_mb, idle.functions_cpu_percent, idle.broker_memory_mb, idle.broker_cpu_percent
    )
}
