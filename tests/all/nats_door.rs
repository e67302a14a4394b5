//! Programs at the NATS door: what they ask, on whose behalf, and what they are told when it can't be done.

use domain::Scope;
use serde_json::{Value, json};
use tests::Kit;
use tests::accounts::{grant, tenant};
use tests::apps::{noop_app, shell_app};
use tests::door::{Program, demo};

#[tokio::test]
async fn a_program_takes_a_task_from_its_creation_to_its_result() {
    let mut kit = Kit::start().await;
    shell_app(&kit.http, "echo", &[("run", "echo working >&2; tr a-z A-Z")]).await;
    let program = Program::new(&mut kit, "demo", "ann", "feeder", &[Scope::Tasks]).await;
    let create = json!({ "app": "echo", "service": "run", "text": "hello", "priority": 3 });

    let refused = program.ask("create", create.clone()).await.unwrap_err();
    assert_eq!(refused.status, 403, "no grant yet: {refused:?}");
    grant(&kit.http, "echo", "ann", "read,execute").await;

    let created = program.ask("create", create).await.unwrap();
    assert_eq!((&created["user"], &created["priority"]), (&json!("ann"), &json!(3)), "{created}");
    let id = &created["id"];
    let ended = program.ask("status", json!({ "id": id, "wait": 30, "tenant": "demo" })).await.unwrap();
    assert_eq!((&ended["state"], &ended["return_code"]), (&json!("completed"), &json!(0)), "{ended}");
    assert_eq!(ended["result"]["text"], "HELLO", "{ended}");

    // It is the same task over REST, and from the demo user, who is the tenant's Admin.
    assert_eq!(kit.http.task(id.as_str().unwrap()).await["state"], "completed");
    let demo = demo(&kit).await;
    assert_eq!(demo.ask("status", json!({ "id": id })).await.unwrap()["result"]["text"], "HELLO");
    kit.stop().await;
}

#[tokio::test]
async fn what_can_not_be_done_is_answered_with_a_reason() {
    let mut kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    tenant(&kit.http, "other").await;
    let task = kit.http.create("noop", "run", "{}").await;
    let ours = demo(&kit).await;
    let strangers = Program::new(&mut kit, "other", "demo", "spy", &[Scope::Tasks, Scope::Admin]).await;
    let absent = "efa680a0-748e-43d0-9099-cf40937b13f4";

    let large = json!({ "app": "noop", "service": "run", "text": "x".repeat(800_000) });
    for (word, request, status, says) in [
        ("create", b"{".to_vec(), 400, "JSON"),
        ("create", b"\xff\xfe".to_vec(), 400, "JSON"),
        ("create", b"".to_vec(), 400, "JSON"),
        ("create", b"[]".to_vec(), 400, "JSON"),
        ("create", br#"{"app":"noop"}"#.to_vec(), 400, "service"),
        ("create", br#"{"app":"noop","service":"run","pririty":1}"#.to_vec(), 400, "pririty"),
        ("create", br#"{"app":"noop","service":"run","priority":11}"#.to_vec(), 400, "priority"),
        ("create", br#"{"app":"noop","service":"no"}"#.to_vec(), 404, "its services are run"),
        ("create", br#"{"app":"nothing","service":"run"}"#.to_vec(), 404, "nothing"),
        ("create", br#"{"tenant":"other","app":"noop","service":"run"}"#.to_vec(), 404, "other"),
        ("create", large.to_string().into_bytes(), 413, "at most"),
        ("status", br#"{"id":"1"}"#.to_vec(), 400, "UUID"),
        ("status", format!(r#"{{"id":"{absent}"}}"#).into_bytes(), 404, absent),
    ] {
        let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        let refused = ours.ask_raw(word, request).await.expect_err(&shown);
        assert_eq!(refused.status, status, "{word} {shown}: {refused:?}");
        assert_eq!(refused.body["status"], status, "{refused:?}");
        let message = refused.body["message"].as_str().unwrap();
        assert!(message.contains(says) && !refused.text.is_empty(), "{word} {shown}: {message}");
    }

    // Another tenant's task looks as if it were not there, and its apps too.
    let theirs = strangers.ask("status", json!({ "id": task })).await.unwrap_err();
    let none = strangers.ask("status", json!({ "id": absent })).await.unwrap_err();
    assert_eq!(theirs.body.to_string().replace(&task, absent), none.body.to_string());
    let create = json!({ "app": "noop", "service": "run" });
    assert_eq!(strangers.ask("create", create).await.unwrap_err().status, 404);
    kit.stop().await;
}

#[tokio::test]
async fn the_functions_are_found_as_micro_services_with_schemas() {
    let mut kit = Kit::start().await;
    let program = Program::new(&mut kit, "demo", "ann", "finder", &[Scope::Tasks]).await;
    let found = everyone(&program, "$SRV.INFO").await;
    for (name, subject) in
        [("tasklane-create", "tasklane.v1.create"), ("tasklane-status", "tasklane.v1.status")]
    {
        let services: Vec<&Value> = found.iter().filter(|service| service["name"] == name).collect();
        assert_eq!(services.len(), 2, "two replicas of {name}: {found:?}");
        let endpoint = &services[0]["endpoints"][0];
        assert_eq!(endpoint["subject"], subject);
        for schema in ["request_schema", "response_schema"] {
            let schema: Value = serde_json::from_str(endpoint["metadata"][schema].as_str().unwrap()).unwrap();
            assert_eq!(schema["type"], "object", "{schema}");
        }
    }
    let _ = program.ask("status", json!({ "id": "x" })).await;
    let counted = everyone(&program, "$SRV.STATS.tasklane-status").await;
    let sum = |field: &str| -> u64 {
        counted.iter().map(|service| service["endpoints"][0][field].as_u64().unwrap()).sum()
    };
    assert_eq!((counted.len(), sum("num_requests"), sum("num_errors")), (2, 1, 1), "{counted:?}");
    assert_eq!(everyone(&program, "$SRV.PING").await.len(), found.len());
    kit.stop().await;
}

/// Every answer to a question to all, until no more come for a moment.
async fn everyone(program: &Program, subject: &str) -> Vec<Value> {
    use futures_util::StreamExt;
    let inbox = program.client.new_inbox();
    let mut answers = program.client.subscribe(inbox.clone()).await.unwrap();
    program.client.publish_with_reply(subject.to_owned(), inbox, "".into()).await.unwrap();
    let mut all = Vec::new();
    while let Ok(Some(answer)) = tokio::time::timeout(std::time::Duration::from_secs(1), answers.next()).await
    {
        all.push(serde_json::from_slice(&answer.payload).unwrap());
    }
    all
}
