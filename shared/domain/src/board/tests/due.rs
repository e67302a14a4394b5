//! Tasks whose time has not come, and claims that nobody knows of.

use super::*;
use crate::task::timing::Timing;
use crate::time::Timestamp;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(0).plus_millis(millis)
}

fn scheduled(number: u32, run_at: Timestamp, gate: Option<&str>, by_tick: bool) -> Task {
    let timing = Timing { run_at, gate: gate.map(str::to_owned), every: None, by_tick };
    Task { state: TaskState::Scheduled, timing: Some(timing), ..numbered(number) }
}

#[test]
fn what_is_due_is_said_once_in_the_order_of_time_and_again_if_nothing_comes_of_it() {
    let mut board = Board::new();
    for (number, millis) in [(1, 300), (2, 100), (3, 200)] {
        board.learn(u64::from(number), scheduled(number, at(millis), None, false), 0);
    }
    assert_eq!(board.next_due(), Some(at(100)));
    assert_eq!(board.due(at(99), 0), []);
    let due = |number| Action::Due(numbered(number).key());
    assert_eq!(board.due(at(200), 0), [due(2), due(3)]);
    assert_eq!(board.due(at(200), 999), [], "said already");
    assert_eq!(board.next_due(), Some(at(300)));
    board.learn(4, Task { state: TaskState::Queued, ..scheduled(2, at(100), None, false) }, 10);
    assert_eq!(board.repair(1_000), []);
    assert_eq!(board.due(at(250), 1_000), [due(3)], "nothing came of it");
    assert_eq!(board.lanes()[0].scheduled, 2);
}

#[test]
fn a_task_moved_by_ticks_waits_for_them_and_a_gate_is_asked_first() {
    let mut board = Board::new();
    board.learn(1, scheduled(1, at(100), None, true), 0);
    board.learn(2, scheduled(2, at(100), Some("http://gate"), true), 0);
    assert_eq!(board.due(at(500), 0), []);
    let expected = [Action::Due(numbered(1).key()), Action::AskGate(numbered(2).key())];
    assert_eq!(board.due_by_tick(at(500), 0), expected);
    board.gate_closed(&numbered(2).key(), 500);
    board.repair(500);
    let gate = Action::AskGate(numbered(2).key());
    assert!(board.due_by_tick(at(600), 600).contains(&gate), "it is asked again at the next tick");
    let reason = board.waiting(&numbered(2).key(), 0).unwrap().reason;
    assert!(reason.contains("semaphore"), "{reason}");
}

#[test]
fn a_gate_that_stays_closed_is_asked_less_and_less_often() {
    let mut board = Board::new();
    board.learn(1, scheduled(1, at(100), Some("http://gate"), false), 0);
    let (key, mut now) = (numbered(1).key(), 0);
    for rest in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        assert_eq!(board.due(at(500), now), [Action::AskGate(key.clone())]);
        board.gate_closed(&key, now);
        board.repair(now + rest - 1);
        assert_eq!(board.due(at(500), now + rest - 1), [], "{rest} ms are not over");
        now += rest;
        board.repair(now);
    }
}

#[test]
fn a_claim_on_a_task_that_is_not_live_is_looked_at_once_two_heartbeats_told_of_it() {
    let mut board = Board::new();
    let held = Held { key: numbered(1).key(), epoch: Epoch(1), interrupted: None };
    let beat = Heartbeat { runner: runner(1), slots: 4, draining: false, held: vec![held], warm: Vec::new() };
    board.hear(beat.clone(), 0);
    assert_eq!(board.repair(0), [], "it may have ended since");
    board.hear(beat, 500);
    assert_eq!(board.repair(500), [Action::CheckClaim(numbered(1).key(), Epoch(1), runner(1))]);
    assert_eq!(board.repair(600), [], "at a bounded rate");
}
