//! What the board mends: lost assignments, lost runners, unheard interrupts, stale claims, left bodies.

use super::*;
use crate::id::Epoch;
use crate::task::state::Interrupt;
use crate::time::Timestamp;

/// Long enough after a record was learnt at 0 for a heartbeat to say something about it.
const LATER: Millis = ASSIGN_GRACE_MS + 500;

fn held(task: &Task) -> Held {
    Held { key: task.key(), epoch: task.epoch, interrupted: None }
}

fn hear_holding(feed: &mut Feed, held: &[Held], now: Millis) {
    feed.board.hear(Heartbeat { held: held.to_vec(), ..beat(1, 4) }, now);
}

/// A board that knows one task in this state, claimed for runner 1 at time 0.
fn with_active(state: TaskState) -> (Feed, Task) {
    let mut feed = Feed::new(limits(4));
    let task = Task { state, ..assigned(&numbered(1), runner(1)) };
    feed.show(task.clone());
    (feed, task)
}

fn interrupted(task: &Task, kind: InterruptKind) -> Task {
    Task { interrupt: Some(Interrupt { kind, at: Timestamp::from_micros(1) }), ..task.clone() }
}

#[test]
fn an_assignment_that_did_not_arrive_is_sent_again_at_a_bounded_rate() {
    let (mut feed, task) = with_active(TaskState::Assigned);
    let again = [Action::TellAssign(task.key(), runner(1))];
    hear_holding(&mut feed, &[], 500);
    assert_eq!(feed.board.repair(LATER), [], "the heartbeat may have left before the assignment came");
    hear_holding(&mut feed, &[], LATER);
    assert_eq!(feed.board.repair(LATER), again);
    assert_eq!(feed.board.repair(LATER + 999), []);
    assert_eq!(feed.board.repair(LATER + 1000), again);
    hear_holding(&mut feed, &[held(&task)], LATER + 2000);
    assert_eq!(feed.board.repair(LATER + 2000), [], "it has it now");
}

#[test]
fn a_running_task_that_its_runner_does_not_hold_is_lost() {
    let (mut feed, task) = with_active(TaskState::Running);
    hear_holding(&mut feed, &[], LATER);
    assert_eq!(feed.board.repair(LATER), [Action::Lose(task.key(), task.epoch)]);
}

#[test]
fn a_claim_of_another_epoch_is_not_the_claim_that_is_looked_for() {
    let (mut feed, task) = with_active(TaskState::Running);
    hear_holding(&mut feed, &[Held { epoch: Epoch(9), ..held(&task) }], LATER);
    assert_eq!(feed.board.repair(LATER), [Action::Lose(task.key(), task.epoch)]);
}

#[test]
fn a_runner_that_is_silent_for_a_lease_loses_its_tasks() {
    for state in [TaskState::Assigned, TaskState::Running] {
        let (mut feed, task) = with_active(state);
        hear_holding(&mut feed, &[held(&task)], 500);
        assert_eq!(feed.board.repair(500 + RUNNER_LEASE_MS), []);
        let lose = [Action::Lose(task.key(), task.epoch)];
        assert_eq!(feed.board.repair(501 + RUNNER_LEASE_MS), lose);
        assert_eq!(feed.board.repair(502 + RUNNER_LEASE_MS), [], "at a bounded rate");
        assert_eq!(feed.board.repair(1501 + RUNNER_LEASE_MS), lose);
    }
}

#[test]
fn a_runner_never_heard_of_has_a_lease_from_when_its_task_was_seen() {
    let mut feed = Feed::new(limits(4));
    let task = assigned(&numbered(1), runner(7));
    feed.show_at(task.clone(), 1000);
    assert_eq!(feed.board.repair(1000 + RUNNER_LEASE_MS), []);
    assert_eq!(feed.board.repair(1001 + RUNNER_LEASE_MS), [Action::Lose(task.key(), task.epoch)]);
}

#[test]
fn after_own_deafness_every_runner_gets_a_fresh_lease() {
    let (mut feed, task) = with_active(TaskState::Running);
    hear_holding(&mut feed, &[held(&task)], 0);
    let unheard = assigned(&numbered(2), runner(7));
    feed.show(unheard.clone());
    feed.board.forgive_silence(60_000);
    assert_eq!(feed.board.repair(60_000 + RUNNER_LEASE_MS), []);
    let lost = feed.board.repair(60_001 + RUNNER_LEASE_MS);
    assert_eq!(lost.len(), 2);
    assert!(lost.contains(&Action::Lose(task.key(), task.epoch)));
    assert!(lost.contains(&Action::Lose(unheard.key(), unheard.epoch)), "nobody ever heard of its runner");
}

#[test]
fn an_interrupt_is_told_until_the_runner_says_that_it_heard() {
    let (mut feed, task) = with_active(TaskState::Running);
    feed.show(interrupted(&task, InterruptKind::Solve));
    let tell = [Action::TellInterrupt(task.key(), runner(1))];
    hear_holding(&mut feed, &[held(&task)], LATER);
    assert_eq!(feed.board.repair(LATER), tell);
    let heard = |kind| Held { interrupted: Some(kind), ..held(&task) };
    hear_holding(&mut feed, &[heard(InterruptKind::Solve)], LATER + 1000);
    assert_eq!(feed.board.repair(LATER + 1000), []);
    feed.show_at(interrupted(&task, InterruptKind::Execution), LATER + 1000);
    hear_holding(&mut feed, &[heard(InterruptKind::Solve)], 2 * LATER + 1000);
    assert_eq!(feed.board.repair(2 * LATER + 1000), tell, "the stronger wish is news to it");
    hear_holding(&mut feed, &[heard(InterruptKind::Execution)], 3 * LATER + 1000);
    assert_eq!(feed.board.repair(3 * LATER + 1000), []);
}

#[test]
fn a_claim_that_the_record_has_left_behind_is_dropped_at_a_bounded_rate() {
    let old = assigned(&numbered(1), runner(1));
    let waiting = Task { losses: 1, ..requeued(&old) };
    for now_stands in [waiting.clone(), assigned(&waiting, runner(2))] {
        let mut feed = Feed::new(limits(0));
        let there = now_stands.runner.map(|_| held(&now_stands)).into_iter().collect();
        feed.board.hear(Heartbeat { held: there, ..beat(2, 1) }, LATER);
        feed.show(now_stands);
        hear_holding(&mut feed, &[held(&old)], LATER);
        let drop = [Action::TellDrop(old.key(), old.epoch, runner(1))];
        assert_eq!(feed.board.repair(LATER), drop);
        assert_eq!(feed.board.repair(LATER + 999), []);
        assert_eq!(feed.board.repair(LATER + 1000), drop);
    }
}

#[test]
fn a_claim_of_a_task_that_nobody_knows_is_left_to_the_runner() {
    let mut feed = Feed::new(limits(4));
    hear_holding(&mut feed, &[held(&assigned(&numbered(1), runner(1)))], LATER);
    assert_eq!(feed.board.repair(LATER), []);
}

#[test]
fn the_bodies_of_a_deleted_task_are_removed_even_if_the_one_who_deleted_it_crashed() {
    let mut feed = Feed::new(limits(4));
    let tombstone = Task { state: TaskState::Deleted, ..numbered(1) };
    feed.show(tombstone.clone());
    let remove = [Action::RemoveBodies(tombstone.key())];
    assert_eq!(feed.board.repair(999), [], "it is about to do so itself");
    assert_eq!(feed.board.repair(1000), remove);
    assert_eq!(feed.board.repair(1999), []);
    assert_eq!(feed.board.repair(2000), remove);
    feed.show(Task { input: Default::default(), ..tombstone });
    assert_eq!(feed.board.repair(9000), []);
}

#[test]
fn a_runner_is_forgotten_once_it_is_gone_and_holds_nothing() {
    let (mut feed, task) = with_active(TaskState::Running);
    feed.board.repair(9_000);
    assert_eq!(feed.board.runners.len(), 1, "its task has yet to be taken back");
    feed.show(Task { losses: 1, ..requeued(&task) });
    feed.board.repair(10_000);
    assert!(feed.board.runners.is_empty());
}
