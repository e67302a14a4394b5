//! A task from REST to its result, on two of each function.

use serde_json::json;
use tests::Kit;
use tests::apps::{noop_app, shell_app};

#[tokio::test]
async fn a_task_goes_from_rest_to_its_result() {
    let kit = Kit::start().await;
    shell_app(&kit.http, "echo", &[("run", "echo working >&2; tr a-z A-Z")]).await;
    let id = kit.http.create("echo", "run", "hello").await;
    let task = kit.http.until_ended(&id).await;
    assert_eq!(task["state"], "completed", "{task}");
    assert_eq!(task["returnCode"], json!(0));
    assert_eq!(kit.http.response(&id).await.expect(200).text(), "HELLO");
    kit.stop().await;
}

#[tokio::test]
async fn a_noop_task_answers_with_its_input() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    let id = kit.http.create("noop", "run", r#"{"a":1}"#).await;
    assert_eq!(kit.http.until_ended(&id).await["state"], "completed");
    assert_eq!(kit.http.response(&id).await.expect(200).json(), json!({"a": 1}));
    kit.stop().await;
}
