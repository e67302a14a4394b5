//! `bench`: measures a stack of its own. The floor is the least that the broker needs for a durable task with a
//! result; beside it, in the same run and on the same broker, stands what a task costs through our doors.

mod closed;
mod connections;
mod doors;
mod floor;
mod goals;
mod jobs;
mod machine;
mod open;
mod page;
mod plot;
mod process;
mod report;
mod schedules;
mod sessions;
mod stack;
mod stats;
mod streams;
mod syncs;

use std::path::Path;
use std::process::ExitCode;

use service::{Durability, Settings};

use super::StackError;
use crate::arguments::stack::BenchArguments;
use crate::console::Console;
use crate::error::CliError;
use report::{ClassReport, Report};
use stack::OwnStack;

/// Bytes of the body of every task.
const PAYLOAD_BYTES: usize = 256;
/// How many tasks are under way at once in the closed measurements.
const IN_FLIGHT: [usize; 3] = [1, 32, 256];

/// How long and how often is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Seconds of one closed measurement.
    closed: f64,
    /// Seconds of one open measurement.
    open: f64,
    /// Seconds of watching the idle stack.
    idle: f64,
}

const WHOLE: Effort = Effort { rounds: 5, closed: 3.0, open: 10.0, idle: 20.0 };
const QUICK: Effort = Effort { rounds: 1, closed: 2.0, open: 4.0, idle: 5.0 };

/// Measures, or makes the page of what was measured before.
pub async fn bench(settings: Settings, arguments: &BenchArguments, json: bool) -> Result<ExitCode, CliError> {
    let console = Console::new(json);
    let search = settings.path.clone();
    if let Some(folder) = &arguments.stack {
        return stack::serve(settings, folder).await.map_err(CliError::from);
    }
    let is_part =
        arguments.jobs || arguments.schedules || arguments.streams || arguments.sessions || arguments.syncs;
    let mut report = match &arguments.from {
        Some(file) => Report::read(file)?,
        None if is_part => Report::begin(arguments.quick, 0),
        None => measure(arguments, console).await?,
    };
    let everything = arguments.from.is_none() && !is_part;
    let command =
        |part: &str| format!("tasklane bench {part}{}", if arguments.quick { " --quick" } else { "" });
    if arguments.jobs || everything {
        let amount = if arguments.quick { jobs::QUICK } else { jobs::WHOLE };
        report.jobs = Some(jobs::measure(amount, command("--jobs"), console).await?);
    }
    if arguments.schedules || everything {
        let amount = if arguments.quick { schedules::QUICK } else { schedules::WHOLE };
        report.schedules = Some(schedules::measure(amount, command("--schedules"), console).await?);
    }
    if arguments.streams || everything {
        let amount = if arguments.quick { streams::QUICK } else { streams::WHOLE };
        report.streams = Some(streams::measure(amount, command("--streams"), console).await?);
    }
    if arguments.sessions || everything {
        let amount = if arguments.quick { sessions::QUICK } else { sessions::WHOLE };
        report.sessions = Some(sessions::measure(amount, &search, command("--sessions"), console).await?);
    }
    if arguments.syncs || everything {
        let amount = if arguments.quick { syncs::QUICK } else { syncs::WHOLE };
        report.syncs = Some(syncs::measure(amount, command("--syncs"), console).await?);
    }
    if let Some(folder) = &arguments.page {
        page::write(&report, folder)?;
    }
    console.result(&report.document()?, || report.table())?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(arguments: &BenchArguments, console: Console) -> Result<Report, StackError> {
    let effort = if arguments.quick { QUICK } else { WHOLE };
    let classes: Vec<Durability> = match arguments.durability {
        Some(class) => vec![super::boot::durability(class)],
        None => vec![Durability::Interval, Durability::Strict],
    };
    let mut report = Report::begin(arguments.quick, effort.rounds);
    for class in classes {
        let folder = tempfile::tempdir().map_err(StackError::text)?;
        let stack = OwnStack::start(folder.path(), class).await?;
        let measured = measure_class(&stack, class, effort, console).await;
        stack.stop().await?;
        let (measured, broker_version) = measured?;
        report.versions.broker = broker_version;
        report.classes.push(measured);
    }
    Ok(report)
}

async fn measure_class(
    stack: &OwnStack,
    class: Durability,
    effort: Effort,
    console: Console,
) -> Result<(ClassReport, String), StackError> {
    console.note(&format!("{}: watching the idle stack for {} s", class.name(), effort.idle));
    let idle = stack.idle(effort.idle).await?;
    let doors = doors::Doors::open(stack).await?;
    let floor = floor::Floor::build(stack).await?;
    let mut measured = closed::Measured::default();
    for round in 0..effort.rounds {
        for in_flight in IN_FLIGHT {
            console.note(&format!(
                "{}: round {} of {}, {in_flight} in flight: floor, NATS, REST",
                class.name(),
                round + 1,
                effort.rounds
            ));
            measured.round(stack, &floor, &doors, in_flight, effort.closed).await?;
        }
    }
    let closed = measured.report(class);
    let most = closed.iter().filter(|row| row.door == closed::Door::Rest).map(|row| row.tasks_per_second);
    let most = most.fold(0.0, f64::max);
    let mut open = Vec::new();
    for share in [None, Some(0.1), Some(0.5), Some(0.8)] {
        let rate = share.map_or(open::FIXED_RATE, |share| share * most);
        console.note(&format!("{}: open loop at {rate:.0} tasks/s", class.name()));
        open.push(open::measure(&doors, class, rate, share, effort.open).await?);
    }
    let measured = ClassReport { durability: class.name().to_owned(), idle, closed, open };
    Ok((measured, doors.broker_version()))
}

/// Writes a file of the page.
fn write(path: &Path, text: &str) -> Result<(), StackError> {
    std::fs::write(path, text).map_err(|e| StackError::file(path, &e))
}
