//! The processes of the runners: they start, end by themselves or because somebody wants it.

use domain::payload::{Payload, Place};
use domain::task::input::{Ending, Report};
use domain::task::state::{InterruptKind, Phase};
use domain::{Epoch, Task, TaskKey};

use crate::runner::{Stage, ToRunner};
use crate::world::{Event, World, short};

impl World {
    pub fn process_started(&mut self, number: usize, key: TaskKey, epoch: Epoch) {
        let Some(claim) = self.claim(number, &key, epoch).filter(|claim| claim.stage == Stage::Starting)
        else {
            return;
        };
        claim.stage = Stage::Running;
        let (endless, interrupted) = (claim.endless, claim.interrupted);
        let (id, lasts) = (self.runners[number].id, self.random.between(0, 2_500));
        // A task that ends at once needs no report of its start.
        if endless || lasts > 300 {
            self.report(number, key.clone(), epoch, Report::Started { at: self.time(), session: None });
            if self.random.chance(300) {
                self.report(number, key.clone(), epoch, Report::Phase(Phase::Solving));
            }
        }
        if let Some(kind) = interrupted {
            self.end_early(number, key, epoch, kind);
        } else if !endless {
            self.after(lasts, Event::Runner(id, ToRunner::ProcessEnded(key, epoch, None)));
        }
    }

    pub fn interrupted(&mut self, number: usize, task: &Task) {
        let Some(kind) = task.interrupt.map(|wish| wish.kind) else { return };
        let Some(claim) = self.claim(number, &task.key(), task.epoch) else { return };
        if kind.exceeds(claim.interrupted) {
            claim.interrupted = Some(kind);
            if claim.stage == Stage::Running {
                self.end_early(number, task.key(), task.epoch, kind);
            }
        }
    }

    /// A solve that is interrupted still has a result; a process that is ended has none.
    fn end_early(&mut self, number: usize, key: TaskKey, epoch: Epoch, kind: InterruptKind) {
        if kind == InterruptKind::Solve && self.claim(number, &key, epoch).is_none_or(|claim| claim.stubborn)
        {
            return;
        }
        let error = (kind == InterruptKind::Execution).then(|| "interrupted".to_owned());
        let (id, pause) = (self.runners[number].id, self.random.between(1, 1_000));
        self.note(|_| format!("{} is ended early in epoch {epoch}", short(&key)));
        self.after(pause, Event::Runner(id, ToRunner::ProcessEnded(key.clone(), epoch, error)));
    }

    pub fn process_ended(&mut self, number: usize, key: TaskKey, epoch: Epoch, error: Option<String>) {
        let text = format!("by {} in epoch {epoch}", self.runners[number].id);
        let body = Payload { content_type: None, size: text.len() as u64, place: Place::Text(text) };
        let Some(claim) = self.claim(number, &key, epoch).filter(|claim| claim.stage == Stage::Running)
        else {
            return;
        };
        let ending =
            Ending { started_at: None, session: None, result: Some(body), return_code: Some(0), error };
        claim.stage = Stage::Over(Report::Ended(ending));
        self.report_end(number, key, epoch, false);
    }

    /// The runner is about to stop: it ends its processes and puts their tasks back.
    pub fn give_all_back(&mut self, number: usize) {
        let mut given_back = Vec::new();
        for (key, claim) in &mut self.runners[number].held {
            if !matches!(claim.stage, Stage::Over(_)) {
                claim.stage = Stage::Over(Report::GivenBack);
                given_back.push((key.clone(), claim.epoch));
            }
        }
        for (key, epoch) in given_back {
            self.check.saw("a runner about to stop gave its tasks back");
            self.report_end(number, key, epoch, false);
        }
    }
}
