//! The rules that no fault may break, checked at every write, and counters that show the faults happened.

use std::collections::{BTreeMap, BTreeSet};

use domain::task::input::{Input, Report};
use domain::task::state::InterruptKind;
use domain::{Epoch, Task, TaskKey, TaskState};

/// What has to have happened in some world, or the simulation shows less than it claims.
pub const SOMETIMES: [&str; 45] = [
    "a stale end was refused",
    "an end was reported again",
    "an end was accepted again",
    "a claim met a conflict",
    "a function met a conflict",
    "a claim of unknown fate was written",
    "a claim of unknown fate was not written",
    "a create of unknown fate was written",
    "a create was repeated",
    "another request under the same id was refused",
    "a lost task waits again",
    "a task failed after too many losses",
    "an interrupted task failed since its runner was lost",
    "an interrupted task failed since it was given back",
    "an interrupted task completed",
    "an assignment came twice",
    "an assignment was sent again",
    "an interrupt was sent again",
    "a runner was told to drop a claim",
    "a runner gave a claim back",
    "a runner held an older claim of the task it got",
    "a runner about to stop gave its tasks back",
    "a runner lost a claim and did not know",
    "a runner noticed a gap in its clock",
    "a runner found a claim to be void",
    "a zombie reported its end",
    "a runner crashed with claims",
    "a scheduler began from scratch",
    "a scheduler forgave its own silence",
    "the feed began anew",
    "the feed left out a revision",
    "the feed showed the end before the claim was answered",
    "a sweeper had bodies removed",
    "a waiting task was deleted",
    "a claim on a task that was given up was found",
    "a scheduled task came due",
    "a task was paused while it waited",
    "a task was paused after it was lost or given back",
    "a paused task went on",
    "a running task was given up",
    "an ended task was superseded",
    "a task was created with its claim",
    "a task was announced twice",
    "a task that came with its claim was assigned",
    "a create died with its scheduler",
];

#[derive(Default)]
pub struct Check {
    /// The first rule that was broken.
    pub violation: Option<String>,
    /// How often each thing of `SOMETIMES` happened.
    pub seen: BTreeMap<&'static str, u64>,
    ends: BTreeMap<TaskKey, u32>,
    by_request: BTreeMap<String, TaskKey>,
    acknowledged: BTreeSet<TaskKey>,
}

impl Check {
    pub fn saw(&mut self, what: &'static str) {
        assert!(SOMETIMES.contains(&what), "'{what}' is in no list");
        *self.seen.entry(what).or_default() += 1;
    }

    pub fn fail(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// Judges one write.
    pub fn wrote(&mut self, old: Option<&Task>, new: &Task, input: &Input) {
        let verdict = path(old, new, input)
            .and_then(|()| epochs(old, new, input))
            .and_then(|()| fenced(old, input))
            .and_then(|()| kept(old, new))
            .and_then(|()| self.one_end(new, input))
            .and_then(|()| self.one_record_per_request(new));
        if let Err(why) = verdict {
            self.fail(format!("{why}: {} by {input:?}", new.key()));
        }
        self.count(old, new, input);
    }

    /// At most one end of a task is accepted.
    fn one_end(&mut self, new: &Task, input: &Input) -> Result<(), String> {
        let Input::Report { report: Report::Ended(ending), .. } = input else { return Ok(()) };
        let ends = self.ends.entry(new.key()).or_default();
        *ends += 1;
        if *ends > 1 {
            return Err("a second end was accepted".into());
        }
        if new.result != ending.result {
            return Err("the result is not the one that was reported".into());
        }
        Ok(())
    }

    fn one_record_per_request(&mut self, new: &Task) -> Result<(), String> {
        let key = self.by_request.entry(new.request_digest.clone()).or_insert_with(|| new.key());
        if *key == new.key() { Ok(()) } else { Err("a request has two tasks".into()) }
    }

    /// A create was acknowledged; its record is looked for now and at every later step.
    pub fn acknowledged(&mut self, key: TaskKey) {
        self.acknowledged.insert(key);
    }

    /// Every acknowledged task has a record.
    pub fn acknowledged_are_there(&mut self, is_there: impl Fn(&TaskKey) -> bool) {
        if let Some(key) = self.acknowledged.iter().find(|key| !is_there(key)) {
            self.violation.get_or_insert(format!("an acknowledged task has no record: {key}"));
        }
    }

    fn count(&mut self, old: Option<&Task>, new: &Task, input: &Input) {
        let interrupted = new.interrupt.is_some();
        match (input, new.state) {
            (Input::Lost { .. }, TaskState::Queued) => self.saw("a lost task waits again"),
            (Input::Lost { .. }, _) if interrupted => {
                self.saw("an interrupted task failed since its runner was lost");
            }
            (Input::Lost { .. }, _) => self.saw("a task failed after too many losses"),
            (Input::Release { .. }, TaskState::Failed) => {
                self.saw("an interrupted task failed since it was given back");
            }
            (Input::Report { .. }, TaskState::Completed)
                if new.interrupt.is_some_and(|wish| wish.kind == InterruptKind::Solve) =>
            {
                self.saw("an interrupted task completed");
            }
            (Input::Delete, _) if old.is_some_and(|old| old.state == TaskState::Queued) => {
                self.saw("a waiting task was deleted");
            }
            (Input::Due, TaskState::Queued) => self.saw("a scheduled task came due"),
            (Input::Amend(_), TaskState::Paused) => self.saw("a task was paused while it waited"),
            (Input::Amend(_), TaskState::Queued | TaskState::Scheduled)
                if old.is_some_and(|old| old.state == TaskState::Paused) =>
            {
                self.saw("a paused task went on");
            }
            (_, TaskState::Paused) => self.saw("a task was paused after it was lost or given back"),
            (_, TaskState::Broken) if old.is_some_and(|old| old.state.is_active()) => {
                self.saw("a running task was given up");
            }
            (Input::Supersede, TaskState::Completed | TaskState::Failed) => {
                self.saw("an ended task was superseded");
            }
            _ => {}
        }
    }
}

/// The history of a record is a path of the state machine.
fn path(old: Option<&Task>, new: &Task, input: &Input) -> Result<(), String> {
    use TaskState::{
        Assigned, Broken, Completed, Deleted, Failed, Paused, Queued, Running, Scheduled, Stopped,
    };
    let Some(old) = old else {
        let claimed = matches!(input, Input::CreateClaimed { .. });
        let born = matches!((new.state, claimed), (Queued | Scheduled, false) | (Assigned | Scheduled, true));
        return if born { Ok(()) } else { Err(format!("born as {:?}", new.state)) };
    };
    let legal: &[TaskState] = match old.state {
        Scheduled => &[Scheduled, Queued, Paused, Broken, Deleted],
        Queued => &[Assigned, Paused, Broken, Deleted],
        Assigned => &[Assigned, Running, Queued, Paused, Completed, Failed, Broken],
        Running => &[Running, Queued, Paused, Completed, Failed, Broken],
        Paused => &[Queued, Scheduled, Broken, Deleted],
        Stopped => &[],
        // An ended task is only ever marked as superseded, or deleted.
        Completed => &[Completed, Deleted],
        Failed => &[Failed, Deleted],
        Broken => &[Broken, Deleted],
        Deleted => &[Deleted],
    };
    if !legal.contains(&new.state) {
        return Err(format!("{:?} became {:?}", old.state, new.state));
    }
    if old.interrupt.is_some() && matches!(new.state, Queued | Paused) {
        return Err("an interrupted task waits again".into());
    }
    Ok(())
}

/// The epoch rises by one with each claim and never otherwise.
fn epochs(old: Option<&Task>, new: &Task, input: &Input) -> Result<(), String> {
    let before = old.map_or(Epoch(0), |old| old.epoch);
    let is_claim = match input {
        Input::Claim { .. } => true,
        Input::CreateClaimed { .. } => new.state == TaskState::Assigned,
        _ => false,
    };
    let expected = if is_claim { before.next() } else { before };
    if new.epoch == expected { Ok(()) } else { Err(format!("epoch {before} became {}", new.epoch)) }
}

/// Only what is said about the claim in force moves the task.
fn fenced(old: Option<&Task>, input: &Input) -> Result<(), String> {
    let (Input::Report { epoch, .. } | Input::Release { epoch } | Input::Lost { epoch }) = input else {
        return Ok(());
    };
    let in_force = old.is_some_and(|old| old.epoch == *epoch && old.state.is_active());
    if in_force { Ok(()) } else { Err("a word about a claim that is not in force was accepted".into()) }
}

/// What an accepted wish or a terminal record says stays.
fn kept(old: Option<&Task>, new: &Task) -> Result<(), String> {
    let Some(old) = old else { return Ok(()) };
    if old.request_digest != new.request_digest || old.created_at != new.created_at {
        return Err("the task became another one".into());
    }
    if old.interrupt.is_some() && new.interrupt.is_none() {
        return Err("an interrupt was forgotten".into());
    }
    if old.state.is_terminal() {
        let outcome = |task: &Task| (task.ended_at, task.return_code, task.error.clone(), task.runner);
        let same_result = new.result == old.result || new.state == TaskState::Deleted;
        if outcome(old) != outcome(new) || !same_result {
            return Err("the outcome of an ended task changed".into());
        }
    }
    Ok(())
}
