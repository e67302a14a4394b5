//! The one function that moves a task: no I/O, no clock. Whoever writes a record asks it first.

use crate::id::{Epoch, RunnerId, SessionId};
use crate::task::input::{Change, Effect, Ending, Input, Refusal, Report};
use crate::task::state::{Interrupt, InterruptKind, Phase, Task, TaskState};
use crate::time::Timestamp;

/// Decides what an input makes of a task. `None` is a task that has no record.
pub fn transition(task: Option<&Task>, input: &Input, now: Timestamp) -> Result<Change, Refusal> {
    let Some(task) = task else {
        return match input {
            Input::Create(new) => Ok(create(new, now)),
            Input::Claim { .. }
            | Input::Report { .. }
            | Input::Release { .. }
            | Input::Lost { .. }
            | Input::Interrupt(_)
            | Input::Delete
            | Input::BodiesRemoved => Err(Refusal::NotFound),
        };
    };
    match input {
        Input::Create(new) => repeat_create(task, new),
        Input::Claim { runner, session } => claim(task, *runner, *session, now),
        Input::Report { epoch, report } => report_of(task, *epoch, report, now),
        Input::Release { epoch } => release(task, *epoch, now),
        Input::Lost { epoch } => lose(task, *epoch, now),
        Input::Interrupt(kind) => interrupt(task, *kind, now),
        Input::Delete => delete(task),
        Input::BodiesRemoved => bodies_removed(task),
    }
}

fn write(task: Task) -> Change {
    Change::Write(Box::new(task), Vec::new())
}

fn create(new: &Task, now: Timestamp) -> Change {
    let mut task = new.clone();
    task.state = TaskState::Queued;
    task.phase = Phase::Running;
    task.epoch = Epoch(0);
    task.losses = 0;
    task.created_at = now;
    (task.assigned_at, task.running_at, task.ended_at) = (None, None, None);
    (task.runner, task.session, task.interrupt) = (None, None, None);
    (task.result, task.return_code, task.error) = (None, None, None);
    write(task)
}

/// The same request again is answered with the task that stands; that is what makes a create safe to repeat
/// after a lost answer.
fn repeat_create(task: &Task, new: &Task) -> Result<Change, Refusal> {
    if task.state == TaskState::Deleted {
        return Err(Refusal::NotFound);
    }
    let same = task.request_digest == new.request_digest && task.user == new.user;
    if same { Ok(Change::Nothing) } else { Err(Refusal::KeyTaken) }
}

fn claim(task: &Task, runner: RunnerId, session: SessionId, now: Timestamp) -> Result<Change, Refusal> {
    match task.state {
        TaskState::Queued => {
            let mut next = task.clone();
            next.state = TaskState::Assigned;
            next.phase = Phase::Running;
            next.epoch = task.epoch.next();
            next.assigned_at = Some(now);
            next.running_at = None;
            (next.runner, next.session) = (Some(runner), Some(session));
            Ok(write(next))
        }
        TaskState::Assigned | TaskState::Running => Err(Refusal::NotQueued),
        TaskState::Completed | TaskState::Failed => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

/// Every report is fenced: a runner that lost its claim can change nothing any more.
fn report_of(task: &Task, epoch: Epoch, report: &Report, now: Timestamp) -> Result<Change, Refusal> {
    if task.state == TaskState::Deleted {
        return Err(Refusal::NotFound);
    }
    if epoch != task.epoch || task.state == TaskState::Queued {
        return Err(Refusal::StaleEpoch);
    }
    match (task.state, report) {
        (TaskState::Assigned | TaskState::Running, Report::Ended(ending)) => Ok(end(task, ending, now)),
        (TaskState::Assigned | TaskState::Running, Report::GivenBack) => Ok(give_back(task, now)),
        (TaskState::Assigned, Report::Started { at, session }) => Ok(start(task, *at, *session)),
        (TaskState::Assigned, Report::Phase(_)) | (TaskState::Running, Report::Started { .. }) => {
            Ok(Change::Nothing)
        }
        (TaskState::Running, Report::Phase(phase)) => Ok(change_phase(task, *phase)),
        // The answer to the first report of the end was lost, so the runner repeats it.
        (TaskState::Completed | TaskState::Failed, Report::Ended(_)) => Ok(Change::Nothing),
        (
            TaskState::Completed | TaskState::Failed,
            Report::Started { .. } | Report::Phase(_) | Report::GivenBack,
        ) => Err(Refusal::Ended),
        (TaskState::Queued, _) => Err(Refusal::StaleEpoch),
        (TaskState::Deleted, _) => Err(Refusal::NotFound),
    }
}

fn start(task: &Task, at: Timestamp, session: Option<SessionId>) -> Change {
    let mut next = task.clone();
    next.state = TaskState::Running;
    next.running_at = Some(at);
    next.session = session.or(task.session);
    write(next)
}

fn change_phase(task: &Task, phase: Phase) -> Change {
    if task.phase == phase {
        return Change::Nothing;
    }
    let mut next = task.clone();
    next.phase = phase;
    write(next)
}

fn end(task: &Task, ending: &Ending, now: Timestamp) -> Change {
    let mut next = task.clone();
    next.state = if ending.error.is_none() { TaskState::Completed } else { TaskState::Failed };
    next.phase = Phase::Running;
    next.running_at = task.running_at.or(ending.started_at);
    next.session = ending.session.or(task.session);
    next.ended_at = Some(now);
    next.result = ending.result.clone();
    next.return_code = ending.return_code;
    next.error = ending.error.clone();
    write(next)
}

fn requeue(task: &Task) -> Task {
    let mut next = task.clone();
    next.state = TaskState::Queued;
    next.phase = Phase::Running;
    (next.runner, next.session, next.assigned_at, next.running_at) = (None, None, None, None);
    next
}

fn held(task: &Task, epoch: Epoch) -> Result<(), Refusal> {
    match task.state {
        TaskState::Assigned | TaskState::Running if task.epoch == epoch => Ok(()),
        TaskState::Assigned | TaskState::Running | TaskState::Queued => Err(Refusal::StaleEpoch),
        TaskState::Completed | TaskState::Failed => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

fn fail(task: &Task, error: String, now: Timestamp) -> Task {
    let mut next = task.clone();
    next.state = TaskState::Failed;
    next.phase = Phase::Running;
    next.ended_at = Some(now);
    next.error = Some(error);
    next
}

/// A task that was to end anyway does not wait for a second runner only to be ended by it.
fn release(task: &Task, epoch: Epoch, now: Timestamp) -> Result<Change, Refusal> {
    held(task, epoch)?;
    if task.state == TaskState::Running {
        return Err(Refusal::NotQueued);
    }
    Ok(give_back(task, now))
}

fn give_back(task: &Task, now: Timestamp) -> Change {
    if task.interrupt.is_some() {
        return write(fail(task, "it was interrupted, and its runner could not run it on".to_owned(), now));
    }
    write(requeue(task))
}

/// A lost task waits again, unless it was to end anyway or has cost too many runners.
fn lose(task: &Task, epoch: Epoch, now: Timestamp) -> Result<Change, Refusal> {
    held(task, epoch)?;
    let losses = task.losses.saturating_add(1);
    let error = match (task.interrupt, losses > task.retry_limit) {
        (Some(_), _) => Some("its runner was lost while the task was being interrupted".to_owned()),
        (None, true) => Some(format!("its runner was lost {losses} times; the task may bring runners down")),
        (None, false) => None,
    };
    let mut next = match error {
        None => requeue(task),
        Some(error) => fail(task, error, now),
    };
    next.losses = losses;
    Ok(write(next))
}

/// An accepted interrupt is final: it stays in the record until the task has ended.
fn interrupt(task: &Task, kind: InterruptKind, now: Timestamp) -> Result<Change, Refusal> {
    match task.state {
        TaskState::Queued => Err(Refusal::NotStarted),
        TaskState::Assigned | TaskState::Running => {
            if !kind.exceeds(task.interrupt.map(|earlier| earlier.kind)) {
                return Ok(Change::Nothing);
            }
            let mut next = task.clone();
            next.interrupt = Some(Interrupt { kind, at: now });
            let effects = task.runner.map(Effect::TellInterrupt).into_iter().collect();
            Ok(Change::Write(Box::new(next), effects))
        }
        TaskState::Completed | TaskState::Failed => Ok(Change::Nothing),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

fn delete(task: &Task) -> Result<Change, Refusal> {
    match task.state {
        TaskState::Queued | TaskState::Completed | TaskState::Failed => {
            let mut next = task.clone();
            next.state = TaskState::Deleted;
            // Bodies inside the record go with this write; those in the store need a second step.
            if next.input.object().is_none() {
                next.input = Default::default();
            }
            next.result = next.result.filter(|result| result.object().is_some());
            let stored = next.input.object().is_some() || next.result.is_some();
            let effects = if stored { vec![Effect::RemoveBodies] } else { Vec::new() };
            Ok(Change::Write(Box::new(next), effects))
        }
        TaskState::Assigned | TaskState::Running => Err(Refusal::StillActive),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

/// The tombstone forgets where the bodies were, which is how anyone sees that they are gone.
fn bodies_removed(task: &Task) -> Result<Change, Refusal> {
    match task.state {
        TaskState::Deleted if task.input != Default::default() || task.result.is_some() => {
            let mut next = task.clone();
            next.input = Default::default();
            next.result = None;
            Ok(write(next))
        }
        TaskState::Deleted => Ok(Change::Nothing),
        TaskState::Queued | TaskState::Assigned | TaskState::Running => Err(Refusal::StillActive),
        TaskState::Completed | TaskState::Failed => Err(Refusal::Ended),
    }
}
