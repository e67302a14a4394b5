//! What must hold of the whole history once everything has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::payload::Place;
use domain::{Payload, Task, TaskState};
use tests::history::History;
use tokio::time::Instant;

use super::LARGE_BYTES;
use super::clients::Taken;

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How many examples of a broken rule are shown.
const SHOWN: usize = 3;

/// Waits until every task has ended, those too whose creation nobody was told of.
pub async fn drained(history: &History, taken: &Taken, patience: Duration) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let missing: Vec<_> =
            taken.acknowledged.iter().filter(|(_, id)| history.task(id).is_none()).collect();
        let tasks = history.tasks();
        let open: Vec<&Task> = tasks.iter().filter(|task| !task.state.is_terminal()).collect();
        if missing.is_empty() && open.is_empty() {
            return Ok(());
        }
        if began.elapsed() > patience {
            let shown: Vec<_> = open
                .iter()
                .take(SHOWN)
                .map(|task| format!("{} {:?} claim {} of {:?}", task.id, task.state, task.epoch, task.runner))
                .collect();
            let lost = format!("{} acknowledged and has no record: {:?}", missing.len(), missing.first());
            let open = format!("{} tasks did not end within {patience:?}: {shown:#?}", open.len());
            return Err(if missing.is_empty() { open } else { format!("{lost}; {open}") });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Every rule that does not hold.
pub fn of(history: &History, taken: &Taken) -> Vec<String> {
    let tasks = history.tasks();
    let mut of_name: BTreeMap<String, Vec<&Task>> = BTreeMap::new();
    for task in &tasks {
        of_name.entry(name(task)).or_default().push(task);
    }
    let twice = of_name.iter().filter(|(_, all)| all.len() > 1);
    let twice = twice.map(|(name, all)| format!("the create {name} has {} tasks", all.len()));
    let other = taken.acknowledged.iter().filter(|(name, id)| {
        of_name.get(*name).is_none_or(|all| all.iter().all(|task| task.id.to_string() != **id))
    });
    let other = other.map(|(name, id)| format!("the task {id} of create {name} is not of that create"));
    let wrong = tasks.iter().filter_map(|task| wrong_end(task).err());
    let mut broken: Vec<String> = twice.take(SHOWN).chain(other.take(SHOWN)).collect();
    broken.extend(wrong.take(SHOWN));
    broken.extend(history.verdict().err());
    broken
}

fn text(payload: &Payload) -> &str {
    match &payload.place {
        Place::Text(text) => text,
        Place::Base64(_) | Place::Object(_) | Place::Empty => "",
    }
}

/// What the client called it: the first word of its input.
fn name(task: &Task) -> String {
    text(&task.input).split_whitespace().next().unwrap_or_default().to_owned()
}

/// No task fails here, and what the process says of its attempt is the claim that was in force.
fn wrong_end(task: &Task) -> Result<(), String> {
    if !task.state.is_terminal() {
        return Ok(());
    }
    if task.state != TaskState::Completed {
        return Err(format!("the task {} ended {:?}: {:?}", task.id, task.state, task.error));
    }
    let result = task.result.as_ref().map(text).unwrap_or_default();
    let expected = if task.app == "noop" { name(task) } else { format!("{} {}\n", name(task), task.epoch) };
    if task.service == "large" {
        let size = task.result.as_ref().map(|result| result.size);
        let whole = (expected.len() + LARGE_BYTES) as u64;
        return if size == Some(whole) { Ok(()) } else { Err(format!("{size:?} bytes of task {}", task.id)) };
    }
    if result != expected {
        let why = "is not the result of its last claim";
        return Err(format!("{result:?} of task {} {why}, {expected:?}", task.id));
    }
    Ok(())
}
