//! Reading how far a bucket is: the newest write that is still there, at a cost that does not grow with the keys.

use std::time::Duration;

use broker::Bucket;
use serde_json::{Value, json};
use tests::Kit;
use tests::stored::Stored;
use tests::wait::until;
use wire::Function;
use wire::subjects::bucket_stream;
use wire::topology::DELIVERIES;

#[tokio::test]
async fn the_last_sequence_is_that_of_a_write_that_a_follower_can_still_see() {
    let kit = Kit::start().await;
    let broker = kit.stack.connect(Function::Callbacks).await.unwrap();
    let bucket = Bucket::<Value>::new(&broker, DELIVERIES);
    assert_eq!(bucket.last_sequence().await, Ok(0));
    let first = bucket.put("demo.first", &json!(1), None).await.unwrap();
    assert_eq!(bucket.last_sequence().await, Ok(first));
    let second = bucket.put("demo.second", &json!(2), Some(Duration::from_secs(1))).await.unwrap();
    assert_eq!(bucket.last_sequence().await, Ok(second));

    // A follower that begins now never hears of the second one, so nobody may wait for it.
    let stored = Stored::of(&kit).await;
    until("the second write is gone", || async {
        let left = stored.messages(&bucket_stream(DELIVERIES)).await;
        if left == 1 { Ok(()) } else { Err(left) }
    })
    .await;
    assert_eq!(bucket.last_sequence().await, Ok(first));
    kit.stop().await;
}
