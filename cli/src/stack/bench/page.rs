//! The page of the documentation, made from the document alone, so that whoever has the one can make the other.

use std::fmt::Write as _;
use std::path::Path;

use super::IN_FLIGHT;
use super::closed::{Door, Row};
use super::goals::{GOALS, jobs_rows, schedules_rows, sessions_rows, streams_rows, syncs_rows};
use super::plot::{Plot, Series};
use super::report::{CLOSED, ClassReport, OPEN, Report, closed_cells, idle_sentence, open_cells};
use crate::stack::StackError;

/// Writes `benchmarks.md`, `benchmarks.json` and the plots into a folder.
pub fn write(report: &Report, folder: &Path) -> Result<(), StackError> {
    let plots = folder.join("benchmarks");
    std::fs::create_dir_all(&plots).map_err(|e| StackError::file(&plots, &e))?;
    let document = serde_json::to_string_pretty(report).map_err(StackError::text)?;
    super::write(&folder.join("benchmarks.json"), &(document + "\n"))?;
    for class in &report.classes {
        for (name, plot) in self::plots(class) {
            super::write(&plots.join(format!("{}-{name}.svg", class.durability)), &plot.svg())?;
        }
    }
    super::write(&folder.join("benchmarks.md"), &text(report))
}

fn text(report: &Report) -> String {
    let machine = &report.machine;
    let mut page = format!(
        "# Benchmarks\n\nMeasured {at} with `{command}` on {cores} cores of {processor}, {memory} MB of memory, {system}; \
         Tasklane {ours} ({build} build), nats-server {broker}. The process that makes the load, every function and \
         the broker share these cores. Every figure is a median over {rounds} rounds; a share of the floor is that of \
         the same round. [benchmarks.json](benchmarks.json) has every figure; `tasklane bench --from \
         docs/benchmarks.json --page docs` makes this page from it.\n\n",
        at = report.measured_at,
        command = report.command,
        cores = machine.cores,
        processor = machine.processor,
        memory = machine.memory_mb,
        system = machine.system,
        ours = report.versions.tasklane,
        build = report.versions.build,
        broker = report.versions.broker,
        rounds = report.rounds,
    );
    let _ = write!(
        page,
        "The floor is the least that this broker needs for a durable task with a result: publish to a work queue, \
         fetch, publish the result, acknowledge. A task of ours has no process (runtime `noop`, {} bytes of body) and \
         goes all the way: checked, recorded, given to a runner, run, recorded again, told to its creator. The lane has \
         places for all of them, so each is recorded with its claim; one that queues takes a write more. NATS is a program \
         with an account of its own on the broker, which asks `create` and waits; REST is one `POST` to the AIMMS API \
         with `Prefer: wait`.\n\n",
        report.payload_bytes
    );
    for class in &report.classes {
        class_text(&mut page, class);
    }
    parts(&mut page, report);
    page.push_str(
        "## What the words mean\n\nDurability *interval*: the broker syncs every 100 ms, so an acknowledged task survives \
         any kill of a process and a power cut may lose the last 0.1 s. *strict*: it syncs before it acknowledges. \
         In the open measurements tasks come at a fixed rate and every time counts from the moment at which the request \
         was due. *pickup* is from the answer to a create to the moment at which the runner starts the task, 0 where \
         that came first; *done* is until the task has ended.\n",
    );
    page
}

/// What was measured beside the two doors.
fn parts(page: &mut String, report: &Report) {
    if let Some(jobs) = &report.jobs {
        let _ = write!(
            page,
            "## Jobs\n\nMeasured {} with `{}`, durability {}. The order is checked for every job, by the times at which \
             they were claimed and ended; jobs behind are records that were written in bulk.\n\n",
            jobs.measured_at, jobs.command, jobs.durability
        );
        rows(page, &GOALS, jobs_rows(jobs).into_iter());
    }
    if let Some(schedules) = &report.schedules {
        let _ = write!(
            page,
            "## Schedules\n\nMeasured {} with `{}`, durability {}. Pending schedules are records that were written in bulk, \
             due in 2099; a due task is late by the time from its moment to its claim.\n\n",
            schedules.measured_at, schedules.command, schedules.durability
        );
        rows(page, &GOALS, schedules_rows(schedules).into_iter());
    }
    if let Some(streams) = &report.streams {
        let _ = write!(
            page,
            "## Stream tasks\n\nMeasured {} with `{}`, durability {}. Records of 100 bytes wait in the source before the \
             measurement begins; both read batches of 500, and a batch is acknowledged once its answers are stored.\n\n",
            streams.measured_at, streams.command, streams.durability
        );
        rows(page, &GOALS, streams_rows(streams).into_iter());
    }
    if let Some(sessions) = &report.sessions {
        let _ = write!(
            page,
            "## Sessions and logs\n\nMeasured {} with `{}`, durability {}. The session is a small Python process whose \
             tasks are done when it is asked how they are, and answer when they came to it; \"by itself\" is the same \
             process in the same environment, asked by the runner's own client with nothing in between. A task in it is four exchanges: create, \
             status, response, delete. Lines have 100 bytes.\n\n",
            sessions.measured_at, sessions.command, sessions.durability
        );
        rows(page, &GOALS, sessions_rows(sessions).into_iter());
    }
    if let Some(syncs) = &report.syncs {
        let _ = write!(
            page,
            "## Synced writes\n\nMeasured {} with `{}`, durability {}. {} writers on connections of their own write records \
             of 600 bytes with a compare-and-set, and each waits until what it wrote is synced. It says how much of what \
             one stream takes the tasks above use.\n\n",
            syncs.measured_at, syncs.command, syncs.durability, syncs.writers
        );
        rows(page, &GOALS, syncs_rows(syncs).into_iter());
    }
}

fn class_text(page: &mut String, class: &ClassReport) {
    let _ = write!(page, "## Durability {}\n\n", class.durability);
    rows(page, &CLOSED, class.closed.iter().map(closed_cells));
    rows(page, &OPEN, class.open.iter().map(open_cells));
    let _ = write!(page, "{}\n\n", idle_sentence(&class.idle));
    for (name, plot) in plots(class) {
        let _ = writeln!(page, "![{}](benchmarks/{}-{name}.svg)\n", plot.title, class.durability);
    }
}

fn rows(page: &mut String, headings: &[&str], cells: impl Iterator<Item = Vec<String>>) {
    let names: Vec<&str> = headings.iter().map(|heading| heading.trim_end_matches('#')).collect();
    let lines: Vec<&str> =
        headings.iter().map(|heading| if heading.ends_with('#') { "---:" } else { "---" }).collect();
    let _ = writeln!(page, "| {} |\n| {} |", names.join(" | "), lines.join(" | "));
    for row in cells {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
    page.push('\n');
}

fn plots(class: &ClassReport) -> [(&'static str, Plot); 3] {
    let in_flight: Vec<String> = IN_FLIGHT.iter().map(ToString::to_string).collect();
    let by_door = |what: fn(&Row) -> f64, name: &str| -> Vec<Series> {
        let series = |door: Door| Series {
            name: format!("{}{name}", door.name()),
            points: class
                .closed
                .iter()
                .filter(|row| row.door == door)
                .enumerate()
                .map(|(place, row)| (place, what(row)))
                .collect(),
        };
        Door::ALL.map(series).into()
    };
    let mut latency = by_door(|row| row.latency.p50_ms, " p50");
    latency.extend(by_door(|row| row.latency.p99_ms, " p99"));
    let open = |what: fn(&super::open::Row) -> f64, name: &str| Series {
        name: name.to_owned(),
        points: class.open.iter().enumerate().map(|(place, row)| (place, what(row))).collect(),
    };
    let title = |what: &str| format!("{what}, durability {}", class.durability);
    [
        (
            "rate",
            Plot {
                title: title("Tasks per second, create to done"),
                values: "tasks/s".to_owned(),
                across: "tasks in flight".to_owned(),
                places: in_flight.clone(),
                series: by_door(|row| row.tasks_per_second, ""),
            },
        ),
        (
            "latency",
            Plot {
                title: title("Create to done"),
                values: "ms".to_owned(),
                across: "tasks in flight".to_owned(),
                places: in_flight,
                series: latency,
            },
        ),
        (
            "open",
            Plot {
                title: title("REST at a fixed rate"),
                values: "ms".to_owned(),
                across: "tasks that come per second".to_owned(),
                places: class.open.iter().map(|row| format!("{:.0}", row.tasks_per_second)).collect(),
                series: vec![
                    open(|row| row.create.p50_ms, "create p50"),
                    open(|row| row.create.p99_ms, "create p99"),
                    open(|row| row.pickup.p50_ms, "pickup p50"),
                    open(|row| row.pickup.p99_ms, "pickup p99"),
                    open(|row| row.done.p50_ms, "done p50"),
                    open(|row| row.done.p99_ms, "done p99"),
                ],
            },
        ),
    ]
}
