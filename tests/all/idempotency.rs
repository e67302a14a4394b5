//! The same `Idempotency-Key` is the same task: one after another, two at once, for large bodies, and across
//! a restart of everything.

use futures_util::future::join_all;
use http::Method;
use serde_json::Value;
use tests::Kit;
use tests::accounts::{grant, user};
use tests::apps::noop_app;
use tests::http::{Answer, Http};

const PAIRS: usize = 60;

async fn create(http: &Http, path: &str, key: &str, body: impl Into<bytes::Bytes>) -> Answer {
    http.send(Method::POST, &format!("/pro-api/v2/tasks/{path}"), &[("Idempotency-Key", key)], body)
        .await
        .unwrap()
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn count(http: &Http) -> u64 {
    let list = http.get("/pro-api/v2/tasks?listAll=true").await.expect(200).json();
    list["total_tasks"].as_u64().unwrap()
}

#[tokio::test]
async fn one_key_is_one_task_also_after_a_restart_of_everything() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "once").await;
    let first = create(&kit.http, "once/run", "order-1", "body").await.expect(200);
    let large = vec![7_u8; 700_000];
    let first_large = create(&kit.http, "once/run", "large-1", large.clone()).await.expect(200);
    for _ in 0..3 {
        let again = create(&kit.http, "once/run", "order-1", "body").await.expect(200);
        assert_eq!(again.text(), first.text());
        let again = create(&kit.http, "once/run", "large-1", large.clone()).await.expect(200);
        assert_eq!(again.text(), first_large.text());
    }
    // Whoever repeats it after its end gets the answer of the beginning too, and no new task.
    kit.http.until_ended(&id(&first)).await;
    kit.http.until_ended(&id(&first_large)).await;
    let ended = create(&kit.http, "once/run", "order-1", "body").await.expect(200);
    assert_eq!((ended.text(), &ended.json()["state"]), (first.text(), &Value::from("queued")));

    let folder = kit.stop().await;
    let kit = Kit::start_in(folder, |_| {}).await;
    let after = create(&kit.http, "once/run", "order-1", "body").await.expect(200);
    assert_eq!(after.text(), first.text());
    let after = create(&kit.http, "once/run", "large-1", large.clone()).await.expect(200);
    assert_eq!(after.text(), first_large.text());
    assert_eq!(kit.http.response(&id(&first_large)).await.expect(200).body, large);
    assert_eq!(count(&kit.http).await, 2);
    kit.stop().await;
}

#[tokio::test]
async fn two_at_once_are_one_task_every_time() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "once").await;
    for pair in 0..PAIRS {
        let key = format!("pair-{pair}");
        let body = vec![b'x'; if pair % 10 == 0 { 300_000 } else { 10 }];
        let both = (0..3).map(|_| create(&kit.http, "once/1.0/run", &key, body.clone()));
        let answers: Vec<Answer> =
            join_all(both).await.into_iter().map(|answer| answer.expect(200)).collect();
        assert!(answers.iter().all(|answer| answer.text() == answers[0].text()), "{answers:?}");
    }
    assert_eq!(count(&kit.http).await, PAIRS as u64);
    kit.stop().await;
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_user() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "once").await;
    noop_app(&kit.http, "other").await;
    let first = create(&kit.http, "once/run", "k", "body").await.expect(200);
    let many = vec![1_u8; 300_000];
    create(&kit.http, "once/run", "big", many.clone()).await.expect(200);
    let mut others = many.clone();
    others[299_999] = 2;
    for (what, path, key, body) in [
        ("another body", "once/run", "k", "Body".into()),
        ("no body", "once/run", "k", bytes::Bytes::new()),
        ("another app", "other/run", "k", "body".into()),
        ("a version instead of latest", "once/1.0/run", "k", "body".into()),
        ("another large body", "once/run", "big", others.into()),
    ] {
        let refused = create(&kit.http, path, key, body).await;
        assert_eq!(refused.status, 422, "{what}: {}", refused.text());
        let error = refused.json();
        assert_eq!(error["errorId"], "IDEMPOTENCY_KEY_REUSED", "{what}: {error}");
        assert!(error["message"].as_str().unwrap().contains("use a new key"), "{what}: {error}");
    }
    // Keys of two users never meet, and their case counts.
    let ann = user(&kit.http, "demo", "ann", &["Tasks"]).await;
    grant(&kit.http, "once", "ann", "read,execute").await;
    let hers = create(&ann, "once/run", "k", "body").await.expect(200);
    let upper = create(&kit.http, "once/run", "K", "body").await.expect(200);
    assert_ne!(id(&hers), id(&first));
    assert_ne!(id(&upper), id(&first));
    // A key whose task was deleted is free again.
    kit.http.until_ended(&id(&first)).await;
    kit.http.delete(&format!("/pro-api/v2/tasks/{}", id(&first))).await.expect(200);
    let anew = create(&kit.http, "once/run", "k", "another body").await.expect(200);
    assert_ne!(id(&anew), id(&first));
    assert_eq!(id(&create(&kit.http, "once/run", "k", "another body").await.expect(200)), id(&anew));
    kit.stop().await;
}
