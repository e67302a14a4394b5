//! Claims of our own under way: what counts while nobody knows yet, and late or failed answers.

use super::*;

#[test]
fn a_runner_that_gave_a_claim_back_is_asked_again_after_its_next_heartbeat() {
    let mut feed = Feed::new(limits(100));
    feed.show(numbered(1));
    assert_eq!(feed.started(), [1]);
    let claimed = assigned(&numbered(1), runner(1));
    feed.show(claimed.clone());
    feed.show(requeued(&claimed));
    assert_eq!(feed.started(), []);
    feed.board.hear(beat(1, 1000), 1);
    assert_eq!(feed.started(), [1]);
}

#[test]
fn a_claim_counts_from_the_decision_on_and_once_only() {
    let mut feed = Feed::new(limits(2));
    (1..=3).for_each(|number| {
        feed.show(numbered(number));
    });
    assert_eq!(feed.started(), [1, 2]);
    assert_eq!((feed.running(), feed.queued()), (2, 1));
    let one = assigned(&numbered(1), runner(1));
    feed.revision += 1;
    feed.board.claimed(feed.revision, one.clone(), 0);
    assert_eq!((feed.running(), feed.queued()), (2, 1));
    feed.board.learn(feed.revision, one, 0);
    assert_eq!((feed.running(), feed.queued()), (2, 1), "the feed shows what the answer said");
    assert_eq!(feed.started(), []);
}

#[test]
fn the_feed_may_show_the_claim_and_the_end_before_the_claim_is_answered() {
    let mut feed = Feed::new(limits(1));
    feed.show(numbered(1));
    feed.show(numbered(2));
    assert_eq!(feed.started(), [1]);
    let one = assigned(&numbered(1), runner(1));
    let claimed_at = feed.show(one.clone());
    feed.show(ended(&one));
    feed.board.claimed(claimed_at, one, 0);
    assert_eq!((feed.running(), feed.queued()), (0, 1), "no ghost of the task that has ended");
    assert_eq!(feed.board.record(&numbered(1).key()), None);
    assert_eq!(feed.started(), [2]);
}

#[test]
fn a_late_answer_to_an_earlier_claim_does_not_end_the_claim_under_way() {
    let mut feed = Feed::new(limits(1));
    feed.show(numbered(1));
    feed.show(numbered(2));
    assert_eq!(feed.started(), [1]);
    let first = assigned(&numbered(1), runner(1));
    let first_at = feed.show(first.clone());
    feed.show(Task { losses: 1, ..requeued(&first) });
    assert_eq!(feed.started(), [1], "claimed again");
    feed.board.claimed(first_at, first, 0);
    assert_eq!((feed.running(), feed.started()), (1, vec![]));
}

#[test]
fn a_failed_claim_keeps_its_place_until_the_feed_tells_or_it_has_rested() {
    let mut feed = Feed::new(limits(1));
    feed.show(numbered(1));
    feed.show(numbered(2));
    assert_eq!(feed.started(), [1]);
    feed.board.not_claimed(&numbered(1).key());
    feed.board.repair(100);
    assert_eq!((feed.running(), feed.started()), (1, vec![]), "it may have been written all the same");
    feed.board.repair(1_100);
    assert_eq!(feed.started(), [1], "no news came, so it is tried again");
    feed.board.not_claimed(&numbered(1).key());
    feed.show(assigned(&numbered(1), runner(9)));
    feed.board.repair(1_200);
    feed.board.repair(9_000);
    assert_eq!((feed.running(), feed.started()), (1, vec![]), "another one has it");
}

#[test]
fn a_board_that_forgot_its_tasks_counts_what_it_is_told_anew() {
    let mut feed = Feed::new(limits(2));
    (1..=3).for_each(|number| {
        feed.show(numbered(number));
    });
    assert_eq!(feed.started(), [1, 2]);
    feed.board.forget_tasks();
    assert_eq!((feed.running(), feed.queued(), feed.started()), (0, 0, vec![]));
    feed.board.learn(4, assigned(&numbered(1), runner(1)), 0);
    feed.board.learn(2, numbered(2), 0);
    feed.board.learn(3, numbered(3), 0);
    assert_eq!((feed.running(), feed.queued(), feed.started()), (1, 2, vec![2]));
}
