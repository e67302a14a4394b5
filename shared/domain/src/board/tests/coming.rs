//! Tasks that are announced before their records are written: who gets a place at once, and what becomes of it.

use super::*;

fn announced(feed: &mut Feed, number: u32) -> Reception {
    feed.board.announce(Announcement::of(&numbered(number)), 0)
}

/// With how many announced tasks a lane with this limit takes in at once.
fn taken_at_once(max_running: u32) -> u32 {
    let mut feed = Feed::new(limits(max_running));
    let places = (1..=20).take_while(|number| announced(&mut feed, *number) == Reception::Place(runner(1)));
    places.count() as u32
}

#[test]
fn a_quarter_of_the_lane_is_left_to_those_who_come_through_the_queue() {
    let found = [0, 1, 2, 4, 8, 10].map(taken_at_once);
    assert_eq!(found, [0, 0, 1, 3, 6, 7]);
}

#[test]
fn the_runner_is_told_once_the_record_is_there() {
    let mut feed = Feed::new(limits(4));
    assert_eq!(announced(&mut feed, 1), Reception::Place(runner(1)));
    assert_eq!(feed.board.admit(0), []);
    assert_eq!(feed.running(), 1, "its place is taken from the announcement on");
    feed.show(assigned(&numbered(1), runner(1)));
    let told = feed.board.admit(0);
    assert_eq!(told, [Action::TellAssign(numbered(1).key(), runner(1))]);
    assert_eq!(feed.board.admit(0), [], "once");
    assert_eq!(feed.running(), 1);
    feed.show(ended(&numbered(1)));
    assert_eq!(feed.running(), 0);
}

#[test]
fn one_that_was_changed_before_it_was_seen_is_no_more_assigned() {
    let mut feed = Feed::new(limits(4));
    announced(&mut feed, 1);
    feed.show(Task { runner: Some(runner(1)), ..ended(&numbered(1)) });
    assert_eq!((feed.board.admit(0), feed.running()), (vec![], 0));
}

#[test]
fn nobody_who_waits_is_overtaken() {
    let mut feed = Feed::new(limits(4));
    feed.board.hear(beat(1, 0), 0);
    assert_eq!(announced(&mut feed, 1), Reception::Queue, "no runner has a place");
    feed.board.hear(beat(1, 10), 0);
    assert_eq!(announced(&mut feed, 2), Reception::Queue, "the first is on its way into the queue");
    feed.show(numbered(1));
    assert_eq!(announced(&mut feed, 3), Reception::Queue, "the first waits, the second is on its way");
    assert_eq!(feed.started(), [1]);
    feed.show(numbered(2));
    feed.board.withdraw(&numbered(3).key());
    assert_eq!(feed.started(), [2]);
    assert_eq!(announced(&mut feed, 4), Reception::Place(runner(1)), "nobody waits any more");
}

#[test]
fn what_is_known_is_not_noted_twice() {
    let mut feed = Feed::new(limits(8));
    announced(&mut feed, 1);
    assert_eq!(announced(&mut feed, 1), Reception::Known);
    feed.show(assigned(&numbered(2), runner(1)));
    assert_eq!(announced(&mut feed, 2), Reception::Known);
    assert_eq!(feed.running(), 2);
}

#[test]
fn the_place_of_one_that_does_not_come_is_free_again() {
    let mut feed = Feed::new(limits(2));
    announced(&mut feed, 1);
    feed.board.withdraw(&numbered(1).key());
    feed.board.withdraw(&numbered(1).key());
    assert_eq!(feed.running(), 0);
    announced(&mut feed, 2);
    feed.board.repair(30_000);
    assert_eq!(feed.running(), 1, "its create may still write");
    feed.board.repair(30_001);
    assert_eq!(feed.running(), 0, "all its deadlines are over");
}

#[test]
fn places_that_are_kept_count_with_new_limits_and_new_runners() {
    let mut feed = Feed::new(limits(8));
    (1..=3).for_each(|number| {
        announced(&mut feed, number);
    });
    feed.board.set_limits("lane", Some(limits(4)));
    (4..=6).for_each(|number| {
        feed.show(numbered(number));
    });
    assert_eq!(feed.started(), [4], "three of the four places are kept");
}

#[test]
fn places_for_priority_tasks_are_not_given_to_others() {
    let mut feed = Feed::new(LaneLimits { priority_slots: 2, priority_threshold: 2, ..limits(4) });
    assert_eq!(announced(&mut feed, 1), Reception::Place(runner(1)));
    assert_eq!(announced(&mut feed, 2), Reception::Queue, "the other open place is left to the queue");
    feed.board.withdraw(&numbered(2).key());
    let first = Task { priority: 1, ..numbered(3) };
    assert_eq!(feed.board.announce(Announcement::of(&first), 0), Reception::Place(runner(1)));
}
