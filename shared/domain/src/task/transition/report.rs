//! What a runner's report makes of a task. Every report is fenced: a runner that lost its claim can change
//! nothing any more.

use super::{fail, let_go, write};
use crate::id::{Epoch, SessionId};
use crate::task::input::{Change, Ending, Refusal, Report};
use crate::task::state::{Phase, Runtime, Task, TaskState};
use crate::task::transition::claim::{give_back, lose_process};
use crate::task::workflow::StepEnding;
use crate::time::Timestamp;

pub(super) fn report(task: &Task, epoch: Epoch, report: &Report, now: Timestamp) -> Result<Change, Refusal> {
    if epoch != task.epoch {
        return Err(Refusal::StaleEpoch);
    }
    match task.state {
        TaskState::Assigned | TaskState::Running => Ok(held(task, report, now)),
        TaskState::Scheduled | TaskState::Queued | TaskState::Paused | TaskState::Stopped => {
            Err(Refusal::StaleEpoch)
        }
        TaskState::Completed | TaskState::Failed => repeated(task, report),
        TaskState::Broken => Err(Refusal::Ended),
        TaskState::Deleted => Err(Refusal::NotFound),
    }
}

/// The answer to the first report of the end was lost, so the runner repeats it.
fn repeated(task: &Task, report: &Report) -> Result<Change, Refusal> {
    match report {
        Report::Ended(_) => Ok(Change::Nothing),
        Report::Step(_) if task.workflow.is_some() => Ok(Change::Nothing),
        Report::Step(_)
        | Report::Started { .. }
        | Report::Phase(_)
        | Report::Trouble(_)
        | Report::ProcessLost { .. }
        | Report::GivenBack => Err(Refusal::Ended),
    }
}

fn held(task: &Task, report: &Report, now: Timestamp) -> Change {
    let runs = task.state == TaskState::Running;
    match report {
        Report::Started { at, session } if !runs => write(started(task, *at, *session)),
        Report::Started { .. } => Change::Nothing,
        Report::Phase(phase) if runs && *phase != task.phase => write(Task { phase: *phase, ..task.clone() }),
        Report::Phase(_) => Change::Nothing,
        Report::Trouble(error) if *error != task.error => {
            write(Task { error: error.clone(), ..task.clone() })
        }
        Report::Trouble(_) => Change::Nothing,
        Report::Step(ending) => step(task, ending, now),
        // A stream does not end, so whatever its runner says of an end, it can be started again.
        Report::Ended(ending) if task.runtime == Runtime::Stream => {
            write(Task { error: ending.error.clone(), interrupt: None, ..let_go(task, TaskState::Stopped) })
        }
        Report::Ended(ending) => write(end(task, ending, now)),
        Report::ProcessLost { error } => lose_process(task, error, now),
        Report::GivenBack => give_back(task, now),
    }
}

fn started(task: &Task, at: Timestamp, session: Option<SessionId>) -> Task {
    let session = session.or(task.session);
    Task { state: TaskState::Running, running_at: Some(at), session, ..task.clone() }
}

fn end(task: &Task, ending: &Ending, now: Timestamp) -> Task {
    let mut next = task.clone();
    next.state = if ending.error.is_none() { TaskState::Completed } else { TaskState::Failed };
    (next.phase, next.pause) = (Phase::Running, false);
    next.running_at = task.running_at.or(ending.started_at);
    next.session = ending.session.or(task.session);
    next.ended_at = Some(now);
    next.result = ending.result.clone();
    next.return_code = ending.return_code;
    next.error = ending.error.clone();
    next
}

/// A step that ended well is done for ever; the last one ends the task. One that failed is tried again up to
/// the limit. Between two steps a task can be paused.
fn step(task: &Task, ending: &StepEnding, now: Timestamp) -> Change {
    let Some(workflow) = &task.workflow else { return Change::Nothing };
    let counted = ending.error.is_some() && ending.attempt <= workflow.failures;
    if ending.step != workflow.done || counted {
        return Change::Nothing;
    }
    let mut next =
        if task.state == TaskState::Running { task.clone() } else { started(task, ending.started_at, None) };
    let Some(workflow) = &mut next.workflow else { return Change::Nothing };
    match &ending.error {
        None => {
            (workflow.done, workflow.failures) = (workflow.done.saturating_add(1), 0);
            workflow.output = ending.output.clone();
            // A workflow that was asked to end early ends with the step that was running.
            if workflow.done >= workflow.count() || task.interrupt.is_some() {
                workflow.output = None;
                let whole = Ending {
                    started_at: Some(ending.started_at),
                    session: None,
                    result: ending.output.clone(),
                    return_code: ending.return_code,
                    error: None,
                };
                return write(end(&next, &whole, now));
            }
        }
        Some(error) => {
            workflow.failures = ending.attempt;
            if workflow.failures > workflow.retry_limit || task.interrupt.is_some() {
                next.return_code = ending.return_code;
                return write(fail(&next, error.clone(), now));
            }
        }
    }
    write(if next.pause { let_go(&next, TaskState::Paused) } else { next })
}
