//! What was measured against a goal: each row says what was found and what was wanted.

use super::jobs::JobsReport;
use super::jobs::due::Lateness;
use super::schedules::SchedulesReport;
use super::sessions::{SessionsReport, lines};
use super::stats::Quantiles;
use super::streams::StreamsReport;
use super::syncs::{Shape, SyncsReport};

/// Headings.
pub const GOALS: [&str; 3] = ["what", "found#", "wanted#"];

/// The rows about jobs, each with what it is measured against.
pub fn jobs_rows(jobs: &JobsReport) -> Vec<Vec<String>> {
    let JobsReport { order, setting, callbacks, gates, behind, .. } = jobs;
    let of = |what: &str| format!("{what}, {} jobs behind, p99", behind.jobs);
    let mut rows = vec![
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
        row(
            format!("{} semaphore URLs that never answer: asked at once", gates.gates),
            gates.at_once.to_string(),
            &gates.gates.to_string(),
        ),
    ];
    rows.extend(late_rows("due tasks", &gates.tasks_alone, None));
    rows.extend(late_rows("the same beside those URLs", &gates.tasks_beside, Some(&gates.tasks_alone)));
    rows.extend(late_rows("due jobs, a tick each second", &gates.jobs_alone, None));
    rows.extend(late_rows("the same beside those URLs", &gates.jobs_beside, Some(&gates.jobs_alone)));
    rows.extend([
        row(of("GET /dashboard"), format!("{:.1} ms", behind.dashboard.p99_ms), "10 ms"),
        row(of("GET /health"), format!("{:.1} ms", behind.health.p99_ms), "10 ms"),
        row("memory of all functions then".to_owned(), format!("{:.0} MB", behind.functions_memory_mb), "-"),
    ]);
    rows
}

/// The rows about schedules.
pub fn schedules_rows(schedules: &SchedulesReport) -> Vec<Vec<String>> {
    let SchedulesReport { pending, before, with, due, .. } = schedules;
    let megabytes = schedules.functions_memory_mb + schedules.broker_memory_mb;
    let milliseconds = |time: f64| format!("{time:.2} ms");
    let of = |quantiles: &Quantiles| {
        format!("{} / {}", milliseconds(quantiles.p50_ms), milliseconds(quantiles.p99_ms))
    };
    vec![
        row(
            format!("memory that {pending} pending schedules add to the functions"),
            format!("{:.0} MB", schedules.functions_memory_mb),
            "-",
        ),
        row(
            "the same with what they add to the broker, both at rest".to_owned(),
            format!("{megabytes:.0} MB"),
            "100 MB",
        ),
        row("another task, create to done, without them, p50 / p99".to_owned(), of(before), "-"),
        row("the same with them".to_owned(), of(with), &of(before)),
        row(format!("{} due tasks, with them: late, p50", due.tasks), milliseconds(due.late.p50_ms), "-"),
        row("the same, p99".to_owned(), milliseconds(due.late.p99_ms), "20 ms"),
        row("the same: early".to_owned(), due.early.to_string(), "0"),
    ]
}

/// The rows about stream tasks, each with what it is measured against.
pub fn streams_rows(streams: &StreamsReport) -> Vec<Vec<String>> {
    let row = |what: &str, found: String, wanted: &str| row(what.to_owned(), found, wanted);
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

/// The rows about synced writes.
pub fn syncs_rows(syncs: &SyncsReport) -> Vec<Vec<String>> {
    let what = |shape: &Shape| match (shape.batch, shape.streams) {
        (1, streams) => format!("each alone, streams: {streams}, writes/s"),
        (batch, streams) => format!("atomic batches of {batch}, streams: {streams}, writes/s"),
    };
    let rows = syncs.rows.iter();
    rows.map(|found| row(what(&found.shape), format!("{:.0}", found.writes_per_second), "-")).collect()
}

/// The rows about sessions and logs, each with what it is measured against.
pub fn sessions_rows(sessions: &SessionsReport) -> Vec<Vec<String>> {
    let SessionsReport { own, warm, first_start, lines, tail, .. } = sessions;
    let row = |what: &str, found: String, wanted: &str| row(what.to_owned(), found, wanted);
    let milliseconds = |time: f64| format!("{time:.2} ms");
    let cpu = warm.cpu_seconds_per_1000_tasks;
    let slower = 100.0 * (lines.beside.p50_ms / lines.alone.p50_ms - 1.0);
    vec![
        row(
            "the process by itself: from a request to its arrival, p50",
            milliseconds(own.arrival.p50_ms),
            "-",
        ),
        row(
            "through REST in a warm session: the same",
            milliseconds(warm.start.p50_ms),
            &milliseconds(own.arrival.p50_ms + 5.0),
        ),
        row("the same, p99", milliseconds(warm.start.p99_ms), "-"),
        row("the process by itself: a whole task, p50", milliseconds(own.task.p50_ms), "-"),
        row("through REST in a warm session: create to done, p50", milliseconds(warm.task.p50_ms), "-"),
        row(
            "the process by itself, tasks/s one after the other",
            format!("{:.0}", own.tasks_per_second),
            "-",
        ),
        row("through REST and one warm session, tasks/s", format!("{:.0}", warm.tasks_per_second), "500"),
        row("the same: sessions that took part", warm.sessions.to_string(), "1"),
        row(
            "the same: CPU s/1,000 tasks of functions, broker, load",
            format!("{:.3}, {:.3}, {:.3}", cpu.functions, cpu.broker, cpu.load),
            "-",
        ),
        row(
            "the same where the lane runs one at a time, tasks/s",
            format!("{:.0}", warm.one_place_per_second),
            "-",
        ),
        row(
            "a process by itself: from its start to its first task, p50",
            milliseconds(own.first_start.p50_ms),
            "-",
        ),
        row(
            "through REST: from a request to its arrival in a new process, p50",
            milliseconds(first_start.p50_ms),
            &milliseconds(own.first_start.p50_ms + 50.0),
        ),
        row("lines stored per second of one task", format!("{:.0}", lines.stored_per_second), "50000"),
        row("the same: lines dropped and counted", format!("{:.1} %", 100.0 * lines.dropped_share), "-"),
        row("another task, create to done, p50", milliseconds(lines.alone.p50_ms), "-"),
        row(
            &format!("the same beside a task that writes {} lines/s", lines::STEADY),
            format!("{}, {slower:+.1} %", milliseconds(lines.beside.p50_ms)),
            "+10 %",
        ),
        row("lines of that task that were dropped", lines.steady_dropped.to_string(), "0"),
        row("a line from its writing to a client that follows, p50", milliseconds(tail.p50_ms), "-"),
        row("the same, p99", milliseconds(tail.p99_ms), "50 ms"),
    ]
}

/// How late due tasks were, against what they were by themselves.
fn late_rows(what: &str, found: &Lateness, alone: Option<&Lateness>) -> Vec<Vec<String>> {
    let milliseconds = |time: f64| format!("{time:.1} ms");
    let wanted =
        |time: fn(&Lateness) -> f64| alone.map_or_else(|| "-".to_owned(), |alone| milliseconds(time(alone)));
    let (p50, p99) = (|late: &Lateness| late.late.p50_ms, |late: &Lateness| late.late.p99_ms);
    vec![
        row(format!("{} {what}: late, p50", found.tasks), milliseconds(p50(found)), &wanted(p50)),
        row("the same, p99".to_owned(), milliseconds(p99(found)), &wanted(p99)),
    ]
}

fn row(what: String, found: String, wanted: &str) -> Vec<String> {
    vec![what, found, wanted.to_owned()]
}
