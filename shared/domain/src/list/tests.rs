//! Which rows a filter keeps, how long a task waited and ran, and that an order makes clean pages.

use super::*;
use crate::fixtures::numbered;

const NOW: Timestamp = Timestamp::from_micros(100_000_000);

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn row(number: u32, state: TaskState) -> Summary {
    Summary::from(&Task { state, ..numbered(number) })
}

#[test]
fn each_state_is_kept_by_its_own_filter_and_no_other() {
    let solving = Summary { phase: Phase::Solving, ..row(1, TaskState::Running) };
    let cases = [
        (StateFilter::Queued, row(1, TaskState::Queued)),
        (StateFilter::Assigned, row(1, TaskState::Assigned)),
        (StateFilter::Running, row(1, TaskState::Running)),
        (StateFilter::Solving, solving),
        (StateFilter::Completed, row(1, TaskState::Completed)),
        (StateFilter::Failed, row(1, TaskState::Failed)),
    ];
    for (filter, _) in &cases {
        let query = Query { states: vec![*filter], ..Query::default() };
        for (of_row, row) in &cases {
            assert_eq!(query.keeps(row), filter == of_row, "{filter:?} on {row:?}");
        }
    }
    let both = Query { states: vec![StateFilter::Failed, StateFilter::Queued], ..Query::default() };
    assert!(both.keeps(&cases[0].1) && both.keeps(&cases[5].1) && !both.keeps(&cases[4].1));
}

#[test]
fn a_deleted_task_is_in_no_list() {
    assert!(Query::default().keeps(&row(1, TaskState::Completed)));
    assert!(!Query::default().keeps(&row(1, TaskState::Deleted)));
}

#[test]
fn every_condition_of_a_query_has_to_hold() {
    let row = Summary { created_at: at(5), ..row(1, TaskState::Queued) };
    let keeps = |query: Query| query.keeps(&row);
    let text = |text: &str| Some(text.to_owned());
    assert!(keeps(Query { app: text("app"), version: text("1.0"), ..Query::default() }));
    assert!(!keeps(Query { app: text("app"), version: text("1"), ..Query::default() }));
    assert!(!keeps(Query { app: text("App"), ..Query::default() }));
    assert!(keeps(Query { after: Some(at(5)), before: Some(at(6)), ..Query::default() }));
    assert!(!keeps(Query { before: Some(at(5)), ..Query::default() }), "before is before");
    assert!(!keeps(Query { after: Some(at(6)), ..Query::default() }));
}

#[test]
fn times_end_with_the_claim_with_the_end_or_now() {
    let new = Summary { created_at: at(10), ..row(1, TaskState::Queued) };
    assert_eq!((new.queue_seconds(NOW), new.run_seconds(NOW)), (90.0, 0.0));
    let running = Summary { assigned_at: Some(at(12)), running_at: Some(at(15)), ..new.clone() };
    assert_eq!((running.queue_seconds(NOW), running.run_seconds(NOW)), (2.0, 85.0));
    let ended = Summary { ended_at: Some(at(20)), ..running };
    assert_eq!((ended.queue_seconds(NOW), ended.run_seconds(NOW)), (2.0, 5.0));
    let never_claimed = Summary { ended_at: Some(at(11)), ..new };
    assert_eq!((never_claimed.queue_seconds(NOW), never_claimed.run_seconds(NOW)), (1.0, 0.0));
}

#[test]
fn unasked_the_newest_come_first() {
    let mut rows: Vec<Summary> = (1..=3).map(|number| row(number, TaskState::Queued)).collect();
    rows.sort_by(|a, b| Query::default().order(a, b, NOW));
    let ids: Vec<u128> = rows.iter().map(|row| row.id.0.as_u128()).collect();
    assert_eq!(ids, [3, 2, 1]);
}

const FIELDS: [SortField; 15] = [
    SortField::Id,
    SortField::User,
    SortField::App,
    SortField::Version,
    SortField::Service,
    SortField::State,
    SortField::CreatedAt,
    SortField::AssignedAt,
    SortField::RunningAt,
    SortField::EndedAt,
    SortField::QueueTime,
    SortField::RunTime,
    SortField::ReturnCode,
    SortField::Error,
    SortField::Session,
];

/// Rows with many equal fields, so that ties happen in every order.
fn many_rows() -> Vec<Summary> {
    let name = |number: u32| ["x", "y"][number as usize % 2].to_owned();
    (0..48u32)
        .map(|number| {
            let state = TaskState::ALL[number as usize % 5];
            let started = (number % 3 > 0).then(|| at(i64::from(number % 3)));
            Summary {
                user: name(number / 2).into(),
                app: name(number / 4).into(),
                created_at: at(i64::from(number / 6)),
                running_at: started,
                error: (number % 4 == 0).then(|| name(number)),
                return_code: (number % 4 > 1).then_some(number as i32 % 3),
                ..row(number, state)
            }
        })
        .collect()
}

#[test]
fn every_order_is_total_so_pages_neither_overlap_nor_skip() {
    let rows = many_rows();
    for field in FIELDS {
        for descending in [false, true] {
            let query = Query { sort: vec![(field, descending)], ..Query::default() };
            let mut sorted: Vec<&Summary> = rows.iter().collect();
            sorted.sort_by(|a, b| query.order(a, b, NOW));
            for pair in sorted.windows(2) {
                let order = query.order(pair[0], pair[1], NOW);
                assert_eq!(order, Ordering::Less, "{field:?} leaves {} and {} equal", pair[0].id, pair[1].id);
                let by = by_field(field, pair[0], pair[1], NOW);
                let wrong = if descending { Ordering::Less } else { Ordering::Greater };
                assert_ne!(by, wrong, "{field:?} descending {descending}");
            }
            let mut from_behind: Vec<&Summary> = rows.iter().rev().collect();
            from_behind.sort_by(|a, b| query.order(a, b, NOW));
            assert_eq!(sorted, from_behind, "{field:?}: the order depends on where the rows lay before");
        }
    }
}

#[test]
fn a_second_field_decides_where_the_first_is_equal() {
    let query = Query { sort: vec![(SortField::User, true), (SortField::Id, false)], ..Query::default() };
    let mut rows = many_rows();
    rows.sort_by(|a, b| query.order(a, b, NOW));
    let key = |row: &Summary| (std::cmp::Reverse(row.user.clone()), row.id);
    assert!(rows.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
}
