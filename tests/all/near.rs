//! Functions of one process that hand each other their calls and read buckets in common: as `dev` runs them, while
//! replicas come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broker::{Bucket, Feed, News};
use domain::lane::LaneLimits;
use serde_json::json;
use tests::Kit;
use tests::apps::noop_app;
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
