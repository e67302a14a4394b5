//! Warm sessions: preferred where there are any, never waited for, and only for their owner and app version.

use super::*;
use crate::session::SessionOf;
use crate::task::state::Runtime;

fn session_task(number: u32) -> Task {
    Task { runtime: Runtime::Session, ..numbered(number) }
}

fn warm_beat(number: u128, slots: u32, sessions: u32) -> Heartbeat {
    let of = SessionOf::task(&session_task(1));
    Heartbeat { warm: vec![Warm { of, sessions }], ..beat(number, slots) }
}

/// Two runners, of which the second has fewer places and so many warm sessions.
fn feed(sessions: u32) -> Feed {
    let mut feed = Feed::new(limits(100));
    feed.board.hear(warm_beat(2, 10, sessions), 0);
    feed
}

fn runners(feed: &mut Feed) -> Vec<u128> {
    feed.claims().into_iter().map(|(_, id)| id.0.as_u128()).collect()
}

#[test]
fn a_warm_session_is_preferred_as_often_as_there_is_one() {
    let mut feed = feed(2);
    (1..=4).for_each(|number| {
        feed.show(session_task(number));
    });
    assert_eq!(runners(&mut feed), [2, 2, 1, 1], "two are warm; nobody waits for one of them");
}

#[test]
fn a_warm_session_of_another_owner_version_or_runtime_is_none() {
    let mut feed = feed(9);
    feed.show(Task { user: "bob".into(), ..session_task(1) });
    feed.show(Task { version: "2.0".into(), ..session_task(2) });
    feed.show(Task { app: "other".into(), ..session_task(3) });
    feed.show(Task { tenant: "else".into(), ..session_task(4) });
    feed.show(numbered(5));
    assert_eq!(runners(&mut feed), [1, 1, 1, 1, 1]);
}

#[test]
fn a_runner_without_a_free_place_or_draining_is_not_chosen_for_its_warm_sessions() {
    let mut feed = feed(2);
    feed.board.hear(warm_beat(2, 1, 2), 0);
    (1..=2).for_each(|number| {
        feed.show(session_task(number));
    });
    assert_eq!(runners(&mut feed), [2, 1], "it has one place");
    feed.board.hear(Heartbeat { draining: true, ..warm_beat(2, 9, 2) }, 0);
    feed.show(session_task(3));
    assert_eq!(runners(&mut feed), [1]);
}

#[test]
fn a_session_that_has_done_its_task_counts_as_warm_until_the_next_heartbeat_tells() {
    let mut feed = feed(1);
    feed.show(session_task(1));
    assert_eq!(runners(&mut feed), [2]);
    let claimed = assigned(&session_task(1), runner(2));
    feed.show(claimed.clone());
    feed.show(ended(&claimed));
    feed.show(session_task(2));
    assert_eq!(runners(&mut feed), [2]);
    feed.board.hear(beat(2, 10), 0);
    feed.show(session_task(3));
    assert_eq!(runners(&mut feed), [1], "the heartbeat says that none is warm");
}

#[test]
fn a_failed_task_leaves_no_warm_session_behind() {
    let mut feed = feed(1);
    feed.show(session_task(1));
    assert_eq!(runners(&mut feed), [2]);
    let claimed = assigned(&session_task(1), runner(2));
    let failed = Task { state: TaskState::Failed, error: Some("its process died".into()), ..claimed.clone() };
    feed.show(claimed);
    feed.show(failed);
    feed.show(session_task(2));
    assert_eq!(runners(&mut feed), [1]);
}
