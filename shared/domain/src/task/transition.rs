//! The one function that moves a task: no I/O, no clock. Whoever writes a record asks it first.

mod claim;
mod create;
mod delete;
mod report;
mod stream;
mod wish;

use crate::task::hook;
use crate::task::input::{Change, Effect, Input, Refusal};
use crate::task::state::{Phase, Task, TaskState};
use crate::time::Timestamp;

pub(crate) use delete::has_bodies;

/// Decides what an input makes of a task. `None` is a task that has no record.
pub fn transition(task: Option<&Task>, input: &Input, now: Timestamp) -> Result<Change, Refusal> {
    // Two steps in one write: whoever is told of changes is told of both.
    if let (None, Input::CreateClaimed { task: new, runner, session }) = (task, input) {
        return create_claimed(new, &Input::Claim { runner: *runner, session: *session }, now);
    }
    let mut change = decide(task, input, now)?;
    if let Change::Write(next, _) = &mut change {
        next.updated_at = now;
        hook::note(task, next, now);
    }
    Ok(change)
}

fn create_claimed(new: &Task, claim: &Input, now: Timestamp) -> Result<Change, Refusal> {
    let created = transition(None, &Input::Create(Box::new(new.clone())), now)?;
    match &created {
        Change::Write(task, _) if task.state == TaskState::Queued => transition(Some(task), claim, now),
        // One that has to wait for its time is created all the same.
        Change::Write(..) | Change::Nothing => Ok(created),
    }
}

fn decide(task: Option<&Task>, input: &Input, now: Timestamp) -> Result<Change, Refusal> {
    let Some(task) = task else {
        return match input {
            Input::Create(new) | Input::CreateClaimed { task: new, .. } => Ok(create::create(new, now)),
            Input::Claim { .. }
            | Input::Report { .. }
            | Input::Release { .. }
            | Input::Lost { .. }
            | Input::Interrupt(_)
            | Input::Due
            | Input::Amend(_)
            | Input::Start(_)
            | Input::NotStarted(_)
            | Input::Stop
            | Input::Replace(_)
            | Input::Supersede
            | Input::Delete
            | Input::BodiesRemoved => Err(Refusal::NotFound),
        };
    };
    if task.state == TaskState::Deleted && *input != Input::BodiesRemoved {
        return Err(Refusal::NotFound);
    }
    match input {
        Input::Create(new) | Input::CreateClaimed { task: new, .. } => create::repeat(task, new),
        Input::Claim { runner, session } => claim::claim(task, *runner, *session, now),
        Input::Report { epoch, report } => report::report(task, *epoch, report, now),
        Input::Release { epoch } => claim::release(task, *epoch, now),
        Input::Lost { epoch } => claim::lose(task, *epoch, now),
        Input::Interrupt(kind) => wish::interrupt(task, *kind, now),
        Input::Due => wish::due(task, now),
        Input::Amend(amendment) => wish::amend(task, amendment, now),
        Input::Start(program) => stream::start(task, program),
        Input::NotStarted(why) => stream::not_started(task, why),
        Input::Stop => stream::stop(task),
        Input::Replace(new) => stream::replace(task, new, now),
        Input::Supersede => wish::supersede(task, now),
        Input::Delete => delete::delete(task),
        Input::BodiesRemoved => delete::bodies_removed(task),
    }
}

fn write(task: Task) -> Change {
    Change::Write(Box::new(task), Vec::new())
}

/// Nobody holds it any more: it stands in `state` without a trace of its last claim.
fn let_go(task: &Task, state: TaskState) -> Task {
    let mut next = task.clone();
    (next.state, next.phase, next.pause) = (state, Phase::Running, false);
    (next.runner, next.session, next.assigned_at, next.running_at) = (None, None, None, None);
    next
}

/// It waits again, or is held back if its owner wished so meanwhile.
fn requeue(task: &Task) -> Task {
    let_go(task, if task.pause { TaskState::Paused } else { TaskState::Queued })
}

fn fail(task: &Task, error: String, now: Timestamp) -> Task {
    let mut next = task.clone();
    (next.state, next.phase, next.pause) = (TaskState::Failed, Phase::Running, false);
    next.ended_at = Some(now);
    next.error = Some(error);
    next
}

/// The message for the runner whose claim is void now.
fn drop_claim(task: &Task) -> Option<Effect> {
    let runner = task.runner.filter(|_| task.state.is_active())?;
    Some(Effect::TellDrop(runner, task.epoch))
}
