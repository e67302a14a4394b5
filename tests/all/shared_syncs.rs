//! Records whose writes share their syncs, on a broker that syncs every message: each write keeps its own
//! compare-and-set and its own outcome, whatever becomes of those that went with it.

use broker::{Broker, Bucket, WriteError};
use futures_util::future::join_all;
use serde_json::{Value, json};
use service::Durability;
use tests::Kit;
use tests::wait::until;
use wire::Function;
use wire::topology::TASKS;

/// More than go alone, so that most of them go in batches.
const WRITES: usize = 200;

async fn strict() -> Kit {
    Kit::start_with(|options| options.settings.durability = Durability::Strict).await
}

/// The records as documents of any shape, under keys that no function knows as tasks.
async fn records(kit: &Kit) -> Bucket<Value> {
    let broker: Broker = kit.stack.connect(Function::Create).await.unwrap();
    Bucket::new(&broker, TASKS)
}

fn key(number: usize) -> String {
    format!("demo.record-{number}")
}

#[tokio::test]
async fn writes_that_go_together_have_their_own_revisions() {
    let kit = strict().await;
    let records = records(&kit).await;
    let writes = join_all((0..WRITES).map(|number| {
        let records = records.clone();
        async move { records.write(&key(number), 0, &json!({ "number": number })).await.unwrap() }
    }))
    .await;
    for (number, revision) in writes.into_iter().enumerate() {
        let stored = records.get(&key(number)).await.unwrap();
        assert_eq!(stored, Some((revision, json!({ "number": number }))));
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_conflict_is_told_to_its_own_writer_alone() {
    let kit = strict().await;
    let records = records(&kit).await;
    let mut revisions = Vec::new();
    for number in [3, 77, 150] {
        revisions.push((number, records.write(&key(number), 0, &json!("first")).await.unwrap()));
    }
    let outcomes = join_all((0..WRITES).map(|number| {
        let records = records.clone();
        async move { records.write(&key(number), 0, &json!("second")).await }
    }))
    .await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        match revisions.iter().find(|(taken, _)| *taken == number) {
            Some((_, revision)) => {
                assert_eq!(outcome, Err(WriteError::Conflict), "{number}");
                let stored = records.get(&key(number)).await.unwrap();
                assert_eq!(stored, Some((*revision, json!("first"))));
            }
            None => {
                let stored = records.get(&key(number)).await.unwrap();
                assert_eq!(stored, Some((outcome.unwrap(), json!("second"))), "{number}");
            }
        }
    }
    kit.stop().await;
}

#[tokio::test]
async fn of_many_writers_of_one_key_one_wins() {
    let kit = strict().await;
    let records = records(&kit).await;
    let outcomes = join_all((0..WRITES).map(|number| {
        let records = records.clone();
        // Four writers per key, all with the same revision in mind.
        async move { (number, records.write(&key(number / 4), 0, &json!(number)).await) }
    }))
    .await;
    for four in outcomes.chunks(4) {
        let won: Vec<_> = four.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
        assert_eq!(won.len(), 1, "{four:?}");
        assert_eq!(four.iter().filter(|(_, outcome)| *outcome == Err(WriteError::Conflict)).count(), 3);
        let (number, outcome) = won[0];
        let stored = records.get(&key(number / 4)).await.unwrap();
        assert_eq!(stored, Some((outcome.clone().unwrap(), json!(number))));
    }
    kit.stop().await;
}

#[tokio::test]
async fn what_is_acknowledged_outlives_a_kill_of_the_broker_and_the_rest_is_unknown() {
    let mut kit = strict().await;
    let records = records(&kit).await;
    let writes: Vec<_> = (0..WRITES * 20)
        .map(|number| {
            let records = records.clone();
            async move { records.write(&key(number), 0, &json!(number)).await }
        })
        .collect();
    let writing = tokio::spawn(join_all(writes));
    until("the first writes are stored", || async {
        let sequence = records.last_sequence().await;
        if sequence.as_ref().is_ok_and(|sequence| *sequence > 100) { Ok(()) } else { Err(sequence) }
    })
    .await;
    let server = kit.stack.server.as_mut().unwrap();
    server.kill();
    server.restart().unwrap();
    let outcomes = writing.await.unwrap();
    until("the connection heals", || records.get("demo.none")).await;
    assert!(outcomes.iter().any(Result::is_ok), "the broker was killed too early to tell anything");
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let stored = records.get(&key(number)).await.unwrap();
        match outcome {
            Ok(revision) => assert_eq!(stored, Some((revision, json!(number)))),
            Err(WriteError::Unknown(_)) => assert!(stored.is_none_or(|(_, value)| value == json!(number))),
            Err(error) => panic!("{number}: {error}"),
        }
    }
    kit.stop().await;
}
