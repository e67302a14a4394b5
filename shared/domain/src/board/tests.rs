//! The board on its own: who starts, in which order, and what of it is counted. Claims,
//! repair and the comparison with a naive model lie beside this file.

use std::time::{Duration, Instant};

use super::*;
use crate::fixtures::{body, numbered, runner};
use crate::payload::{Payload, Place};

mod claims;
mod coming;
mod due;
mod model;
mod repairs;
mod warm;

/// A board and the revision of its last news.
struct Feed {
    board: Board,
    revision: u64,
}

impl Feed {
    /// A board whose lane `lane` has these limits, with one runner of many slots.
    fn new(limits: LaneLimits) -> Self {
        let mut board = Board::new();
        board.set_limits("lane", Some(limits));
        board.hear(beat(1, 1000), 0);
        Self { board, revision: 0 }
    }

    fn show(&mut self, task: Task) -> u64 {
        self.show_at(task, 0)
    }

    fn show_at(&mut self, task: Task, now: Millis) -> u64 {
        self.revision += 1;
        self.board.learn(self.revision, task, now);
        self.revision
    }

    /// The numbers of the tasks that start now, in order.
    fn started(&mut self) -> Vec<u128> {
        self.claims().into_iter().map(|(key, _)| key.id.0.as_u128()).collect()
    }

    fn claims(&mut self) -> Vec<(TaskKey, RunnerId)> {
        let claim = |action| {
            let Action::Claim(key, runner) = action else { panic!("admit wants {action:?}") };
            (key, runner)
        };
        self.board.admit(0).into_iter().map(claim).collect()
    }

    fn running(&self) -> u32 {
        self.board.lanes().iter().map(|lane| lane.running).sum()
    }

    fn queued(&self) -> u64 {
        self.board.lanes().iter().map(|lane| lane.queued).sum()
    }
}

fn limits(max_running: u32) -> LaneLimits {
    LaneLimits { max_running, ..Default::default() }
}

fn beat(number: u128, slots: u32) -> Heartbeat {
    Heartbeat { runner: runner(number), slots, draining: false, held: Vec::new(), warm: Vec::new() }
}

/// The task after its claim for a runner.
fn assigned(task: &Task, to: RunnerId) -> Task {
    Task { state: TaskState::Assigned, epoch: task.epoch.next(), runner: Some(to), ..task.clone() }
}

fn requeued(task: &Task) -> Task {
    Task { state: TaskState::Queued, runner: None, ..task.clone() }
}

fn ended(task: &Task) -> Task {
    Task { state: TaskState::Completed, ..task.clone() }
}

#[test]
fn the_order_is_top_of_queue_then_priority_then_creation() {
    let mut feed = Feed::new(limits(100));
    let with = |number, priority, top_of_queue| Task { priority, top_of_queue, ..numbered(number) };
    let tasks =
        [with(1, 5, false), with(2, 5, false), with(3, 1, false), with(4, 10, true), with(5, 9, true)];
    for task in tasks.into_iter().rev() {
        feed.show(task);
    }
    assert_eq!(feed.started(), [5, 4, 3, 1, 2]);
}

#[test]
fn a_limit_acts_live_whether_it_is_zero_raised_or_lowered() {
    let mut feed = Feed::new(limits(0));
    (1..=6).for_each(|number| {
        feed.show(numbered(number));
    });
    assert_eq!(feed.started(), []);
    feed.board.set_limits("lane", Some(limits(2)));
    assert_eq!(feed.started(), [1, 2]);
    feed.board.set_limits("lane", Some(limits(3)));
    assert_eq!(feed.started(), [3]);
    feed.board.set_limits("lane", Some(limits(1)));
    for number in 1..=2 {
        feed.show(ended(&numbered(number)));
        assert_eq!(feed.started(), [], "one more than the lowered limit still runs");
    }
    feed.show(ended(&numbered(3)));
    assert_eq!(feed.started(), [4]);
    feed.board.set_limits("lane", None);
    assert_eq!(feed.started(), [5, 6], "the default limit is 4");
}

#[test]
fn places_for_priority_tasks_stay_free_for_them() {
    let priority = LaneLimits { priority_slots: 1, priority_threshold: 2, ..limits(3) };
    let mut feed = Feed::new(priority);
    (1..=4).for_each(|number| {
        feed.show(numbered(number));
    });
    assert_eq!(feed.started(), [1, 2]);
    feed.show(Task { priority: 2, ..numbered(5) });
    feed.show(Task { priority: 1, ..numbered(6) });
    assert_eq!(feed.started(), [6], "the third place is the last one, for priority tasks too");
    feed.show(ended(&numbered(1)));
    assert_eq!(feed.started(), [5]);
    feed.board.set_limits("lane", Some(LaneLimits { priority_slots: 0, ..limits(5) }));
    assert_eq!(feed.started(), [3, 4], "the running ones are counted anew");
}

#[test]
fn a_task_at_the_top_that_may_not_start_does_not_keep_priority_tasks_waiting() {
    let mut feed = Feed::new(LaneLimits { priority_slots: 1, priority_threshold: 2, ..limits(1) });
    feed.show(Task { top_of_queue: true, priority: 9, ..numbered(1) });
    feed.show(Task { priority: 5, ..numbered(2) });
    assert_eq!(feed.started(), [], "the only place is for priority tasks");
    feed.show(Task { priority: 2, ..numbered(3) });
    assert_eq!(feed.started(), [3]);
}

#[test]
fn lanes_take_turns() {
    let mut feed = Feed::new(limits(100));
    for number in 1..=9 {
        let lane = ["a", "b", "c"][(number as usize - 1) / 3];
        feed.show(Task { lane: lane.into(), ..numbered(number) });
    }
    assert_eq!(feed.started(), [1, 4, 7, 2, 5, 8, 3, 6, 9]);
}

#[test]
fn a_lane_that_is_full_does_not_stop_another() {
    let mut feed = Feed::new(limits(1));
    feed.board.set_limits("other", Some(limits(2)));
    for number in 1..=6 {
        feed.show(Task { lane: if number < 4 { "lane" } else { "other" }.into(), ..numbered(number) });
    }
    assert_eq!(feed.started(), [1, 4, 5]);
}

#[test]
fn a_runner_gets_as_many_as_it_has_places_and_the_freest_gets_the_next() {
    let mut feed = Feed::new(limits(100));
    feed.board.hear(beat(1, 1), 0);
    feed.board.hear(beat(2, 3), 0);
    (1..=6).for_each(|number| {
        feed.show(numbered(number));
    });
    let claims = feed.claims();
    let mut runners: Vec<u128> = claims.iter().map(|(_, id)| id.0.as_u128()).collect();
    assert_eq!(runners[..2], [2, 2], "the freest gets the next");
    runners.sort_unstable();
    assert_eq!(runners, [1, 2, 2, 2]);
    let done = numbered(claims[0].0.id.0.as_u128() as u32);
    feed.show(ended(&done));
    assert_eq!(feed.claims().len(), 1, "the place that got free is taken again");
}

#[test]
fn a_runner_that_drains_or_is_gone_gets_nothing() {
    let mut feed = Feed::new(limits(100));
    feed.show(numbered(1));
    feed.board.hear(Heartbeat { draining: true, ..beat(1, 4) }, 0);
    assert_eq!(feed.started(), []);
    feed.board.hear(beat(1, 4), 0);
    assert_eq!(feed.board.admit(RUNNER_LEASE_MS + 1), [], "it was last heard a lease ago");
    assert_eq!(feed.started(), [1]);
}

#[test]
fn a_runner_heard_of_late_already_has_the_load_that_the_records_give_it() {
    let mut feed = Feed::new(limits(100));
    feed.board.hear(beat(1, 0), 0);
    feed.show(assigned(&numbered(1), runner(7)));
    feed.show(numbered(2));
    feed.show(numbered(3));
    feed.board.hear(beat(7, 2), 0);
    assert_eq!(feed.started(), [2]);
}

#[test]
fn older_news_are_ignored() {
    let mut feed = Feed::new(limits(5));
    feed.board.learn(7, assigned(&numbered(1), runner(1)), 0);
    feed.board.learn(7, numbered(1), 0);
    feed.board.learn(6, numbered(1), 0);
    assert_eq!((feed.running(), feed.queued()), (1, 0));
    assert_eq!(feed.board.record(&numbered(1).key()).unwrap().0, 7);
}

#[test]
fn a_record_with_a_large_body_is_kept_without_it() {
    let mut feed = Feed::new(limits(5));
    feed.show(Task { input: body(&"x".repeat(1024)), ..numbered(1) });
    feed.show(Task { input: body(&"x".repeat(1025)), ..numbered(2) });
    let stored = Payload { size: 1 << 20, place: Place::Object("body".into()), content_type: None };
    feed.show(Task { input: stored, ..numbered(3) });
    let whole = |number| feed.board.record(&numbered(number).key()).is_some();
    assert_eq!([whole(1), whole(2), whole(3)], [true, false, true]);
    assert_eq!(feed.started(), [1, 2, 3]);
}

#[test]
fn why_a_task_waits_can_be_asked() {
    let mut feed = Feed::new(LaneLimits { priority_slots: 1, ..limits(2) });
    (1..=3).for_each(|number| {
        feed.show(numbered(number));
    });
    let why = |feed: &Feed, number, now| feed.board.waiting(&numbered(number).key(), now).unwrap();
    let gone = RUNNER_LEASE_MS + 1;
    assert_eq!(why(&feed, 1, 0).reason, "position 1 in lane lane, 0 of 2 running; it is about to start");
    assert!(why(&feed, 2, gone).reason.ends_with("; no runner is up"));
    feed.board.hear(beat(1, 0), 0);
    assert!(why(&feed, 2, 0).reason.ends_with("; every place of every runner is taken"));
    feed.board.hear(beat(1, 9), 0);
    assert_eq!(feed.started(), [1]);
    assert_eq!(why(&feed, 1, 0).reason, "position 1 in lane lane, 1 of 2 running; it is being started");
    let third = why(&feed, 3, 0);
    assert_eq!((third.position, third.running, third.max_running), (2, 1, 2));
    assert!(third.reason.ends_with("; the free places are kept for priority tasks"), "{}", third.reason);
    feed.board.set_limits("lane", Some(limits(1)));
    assert_eq!(why(&feed, 3, 0).reason, "position 2 in lane lane, 1 of 1 running");
    feed.board.set_limits("lane", Some(limits(0)));
    assert!(why(&feed, 3, 0).reason.contains("limit is 0"));
    feed.show(assigned(&numbered(1), runner(1)));
    assert_eq!(feed.board.waiting(&numbered(1).key(), 0), None, "it does not wait");
    assert_eq!(feed.board.waiting(&numbered(99).key(), 0), None, "nobody knows it");
}

/// Starts and ends the next task of the lane a number of times.
fn time_of_rounds(feed: &mut Feed, rounds: u32) -> Duration {
    let begun = Instant::now();
    for _ in 0..rounds {
        let (key, runner) = feed.claims().pop().unwrap();
        let (_, task) = feed.board.record(&key).unwrap();
        let claimed = assigned(task, runner);
        feed.show(claimed.clone());
        feed.show(ended(&claimed));
    }
    begun.elapsed()
}

#[test]
fn deciding_costs_the_same_whether_a_hundred_or_a_hundred_thousand_wait() {
    let [mut few, mut many] = [Feed::new(limits(1)), Feed::new(limits(1))];
    (1..=700).for_each(|number| {
        few.show(numbered(number));
    });
    (1..=100_000).for_each(|number| {
        many.show(numbered(number));
    });
    let few = (0..5).map(|_| time_of_rounds(&mut few, 100)).min().unwrap();
    let many = (0..5).map(|_| time_of_rounds(&mut many, 100)).min().unwrap();
    // Anything linear would be a hundred times slower. The best of five on each side keeps a busy machine
    // from deciding the test.
    assert!(many < few * 20, "100 rounds took {few:?} with few tasks and {many:?} with many");
}
