//! Functions of one process that hand each other their calls and read buckets in common: as `dev` runs them, while
//! replicas come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker::{Bucket, Feed, Known, News, Tasks};
use domain::lane::LaneLimits;
use domain::task::input::Input;
use domain::task::state::InterruptKind;
use domain::{RunnerId, SessionId, Task, TaskState};
use http::Method;
use serde_json::json;
use service::{clock, ids};
use tests::Kit;
use tests::apps::noop_app;
use tests::history::History;
use tests::wait::within;
use wire::Function;
use wire::topology::LANES;

const CLIENTS: usize = 3;

/// Creates tasks one after the other; each create has to be answered well at the first try.
async fn create_until(over: Arc<AtomicBool>, http: tests::http::Http) -> Vec<String> {
    let mut ids = Vec::new();
    while !over.load(Ordering::Relaxed) {
        ids.push(http.create("noop", "run", format!("{}", ids.len())).await);
    }
    ids
}

#[tokio::test]
async fn replicas_come_and_go_and_no_call_between_them_is_lost() {
    let mut kit = Kit::start_with(|options| options.near = true).await;
    noop_app(&kit.http, "noop").await;
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(create_until(Arc::clone(&over), kit.http.clone()))).collect();
    for function in
        [Function::Create, Function::Status, Function::Report, Function::Schedule, Function::Runner]
    {
        let place = kit.stack.replicas.iter().position(|replica| replica.function == function).unwrap();
        kit.stack.replicas.remove(place).stop().await;
        let fresh = kit.stack.replica(function, None).await.unwrap();
        kit.stack.replicas.push(fresh);
        let id = kit.http.create("noop", "run", function.name()).await;
        let task = kit.http.until_ended(&id).await;
        assert_eq!(task["state"], "completed", "{task}");
        assert_eq!(kit.http.response(&id).await.expect(200).text(), function.name());
    }
    over.store(true, Ordering::Relaxed);
    let mut count = 0;
    for client in clients {
        for (number, id) in client.await.unwrap().into_iter().enumerate() {
            assert_eq!(kit.http.until_ended(&id).await["state"], "completed");
            assert_eq!(kit.http.response(&id).await.expect(200).json(), json!(number));
            count += 1;
        }
    }
    assert!(count >= CLIENTS, "{count}");
    kit.stop().await;
}

/// As `dev` has them: one of each function, in one process.
async fn near_kit() -> Kit {
    Kit::start_with(|options| (options.near, options.replicas) = (true, 1)).await
}

#[tokio::test]
async fn a_task_that_may_start_at_once_is_created_with_its_claim() {
    let kit = near_kit().await;
    let history = History::follow(&kit.stack.settings.nats_url, &kit.stack.settings.keys).await;
    noop_app(&kit.http, "noop").await;
    let lane = "/tasklane/v1/lanes/tasks.demo";
    for (max_running, at_once) in [(1, false), (4, true), (0, false), (4, true)] {
        kit.http.patch(lane, json!({ "max_running": max_running }).to_string()).await.expect(200);
        let created = kit.http.post("/pro-api/v2/tasks/noop/run", "body").await.expect(200).json();
        let id = created["id"].as_str().unwrap().to_owned();
        assert_eq!((&created["state"], &created["queueTime"]), (&json!("queued"), &json!(0.0)), "{created}");
        if max_running == 0 {
            assert_eq!(kit.http.task(&id).await["state"], "queued", "nothing of the lane runs");
            kit.http.patch(lane, json!({ "max_running": 1 }).to_string()).await.expect(200);
        }
        assert_eq!(kit.http.until_ended(&id).await["state"], "completed");
        history.until_ended(std::slice::from_ref(&id)).await;
        let record = history.task(&id).unwrap();
        let claimed_when_created = record.assigned_at == Some(record.created_at);
        assert_eq!((claimed_when_created, record.epoch.0), (at_once, 1), "limit {max_running}: {record:?}");
    }
    history.check();
    kit.stop().await;
}

/// A create that is repeated keeps no second place, or three of these would fill the lane.
#[tokio::test]
async fn a_repeated_create_leaves_the_lane_as_it_is() {
    let kit = near_kit().await;
    noop_app(&kit.http, "noop").await;
    let path = "/pro-api/v2/tasks/noop/run";
    let first = kit.http.send(Method::POST, path, &[("idempotency-key", "once")], "body").await.unwrap();
    let first = first.expect(200).json();
    kit.http.until_ended(first["id"].as_str().unwrap()).await;
    for _ in 0..8 {
        let again = kit.http.send(Method::POST, path, &[("idempotency-key", "once")], "body").await.unwrap();
        assert_eq!(again.expect(200).json()["id"], first["id"]);
        let other = kit.http.send(Method::POST, path, &[("idempotency-key", "once")], "other").await.unwrap();
        assert_eq!(other.status, 422, "{}", other.text());
    }
    // Long before a place is given up whose task never came.
    within(Duration::from_secs(10), "nothing counts as running", || async {
        let lanes = kit.http.get("/tasklane/v1/lanes").await.expect(200).json()["lanes"].clone();
        let running = lanes.as_array().unwrap().iter().find(|lane| lane["name"] == "tasks.demo");
        if running.is_some_and(|lane| lane["running"] == 0) { Ok(()) } else { Err(lanes) }
    })
    .await;
    kit.stop().await;
}

const LANES_WRITTEN: u32 = 40;
/// Enough that a follower that hears nothing meanwhile falls out of those who read in common.
const WRITES: u32 = 20_000;

/// What a follower has heard in the end, having heard every lane in the order in which it was written.
async fn hear_all(mut feed: Feed<LaneLimits>) -> BTreeMap<String, u32> {
    let (mut last, mut heard) = (0, BTreeMap::new());
    while heard.len() < LANES_WRITTEN as usize || heard.values().sum::<u32>() < written_in_all() {
        match feed.next().await.expect("the feed lasts") {
            News::Value { key, revision, value } => {
                assert!(revision > last, "{revision} after {last}");
                last = revision;
                heard.insert(key, value.max_running);
            }
            News::Reset => heard.clear(),
            News::CaughtUp { .. } => {}
        }
    }
    heard
}

/// Each lane's last limit is the number of the last round.
fn written_in_all() -> u32 {
    LANES_WRITTEN * (WRITES / LANES_WRITTEN)
}

#[tokio::test]
async fn followers_read_in_common_and_miss_nothing_when_one_goes_or_is_slow() {
    let kit = Kit::start_with(|options| options.near = true).await;
    let admin = Bucket::<LaneLimits>::new(&kit.stack.connect(Function::Admin).await.unwrap(), LANES);
    let follow = async || {
        let broker = kit.stack.connect(Function::Schedule).await.unwrap();
        (Feed::follow(&Bucket::<LaneLimits>::new(&broker, LANES)), broker)
    };
    // The slow one is not listened to before everything is written.
    let (slow, _slow_connection) = follow().await;
    let (mut first, first_connection) = follow().await;
    let (other, _other_connection) = follow().await;
    let other = tokio::spawn(hear_all(other));
    let write = |round: u32| {
        let admin = &admin;
        async move {
            let writes = (0..LANES_WRITTEN).map(|lane| async move {
                let limits = LaneLimits { max_running: round, ..LaneLimits::of("common") };
                admin.put(&format!("lane-{lane}"), &limits, None).await.unwrap();
            });
            futures_util::future::join_all(writes).await;
        }
    };
    let rounds = WRITES / LANES_WRITTEN;
    for round in 1..=rounds {
        write(round).await;
        if round == rounds / 3 {
            // The function that may read for the others goes, and its connection with it.
            while first.next().await.expect("the feed lasts") == News::Reset {}
            drop(first);
            first_connection.close().await;
            (first, _) = follow().await;
        }
    }
    let expected: BTreeMap<String, u32> =
        (0..LANES_WRITTEN).map(|lane| (format!("lane-{lane}"), rounds)).collect();
    assert_eq!(other.await.unwrap(), expected);
    assert_eq!(hear_all(first).await, expected);
    assert_eq!(hear_all(slow).await, expected);
    kit.stop().await;
}

/// The next record of a task, with its revision.
async fn next_of(feed: &mut Feed<Task>, id: &str) -> (u64, Arc<Task>) {
    loop {
        if let News::Value { revision, value, .. } = feed.next().await.expect("the feed lasts")
            && value.id.to_string() == id
        {
            return (revision, value);
        }
    }
}

/// What a process wrote it need not read again, as long as nobody else wrote after it.
#[tokio::test]
async fn a_record_that_was_written_here_is_known_until_another_writes_it() {
    let mut kit = near_kit().await;
    noop_app(&kit.http, "noop").await;
    // Nobody but the test moves the task on.
    kit.without(Function::Schedule).await;
    let create = kit.stack.connect(Function::Create).await.unwrap();
    let schedule = kit.stack.connect(Function::Schedule).await.unwrap();
    let mut feed = Feed::follow(Tasks::new(&schedule).bucket());
    while !matches!(feed.next().await.expect("the feed lasts"), News::CaughtUp { .. }) {}

    let id = kit.http.create("noop", "run", "body").await;
    let (queued_at, queued) = next_of(&mut feed, &id).await;
    assert_eq!((queued.state, queued.number), (TaskState::Queued, None));
    let (here, key) = (Tasks::new(&create), queued.key());
    assert_eq!(here.written(&key), None, "nobody here asks for it again");

    let claim =
        Input::Claim { runner: RunnerId(ids::random().unwrap()), session: SessionId(ids::random().unwrap()) };
    let known = Known::Record(queued_at, queued);
    let claimed = here.apply(&key, &claim, clock::now(), known).await.unwrap();
    let (revision, assigned) = next_of(&mut feed, &id).await;
    assert_eq!((revision, &assigned), (claimed.revision, &claimed.task));
    assert!(Arc::ptr_eq(&assigned, &claimed.task), "whoever follows here has it from whoever wrote it");
    assert_eq!(assigned.number, Some(queued_at));
    assert_eq!(here.written(&key), Some((revision, assigned)));

    // As a process of its own, which shares nothing with this one.
    let settings = &kit.stack.settings;
    let away = service::connect(settings, Function::Interrupt).await.unwrap();
    let wish = Input::Interrupt(InterruptKind::Execution);
    Tasks::new(&away).apply(&key, &wish, clock::now(), Known::Nothing).await.unwrap();
    let (_, interrupted) = next_of(&mut feed, &id).await;
    assert!(interrupted.interrupt.is_some());
    assert_eq!(here.written(&key), None, "another wrote it since");
    kit.stop().await;
}
