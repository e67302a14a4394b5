//! Programs at the NATS door: what they ask, on whose behalf, and what they are told when it can't be done.

use std::collections::HashSet;

use async_nats::RequestErrorKind;
use data_encoding::BASE64;
use domain::Scope;
use serde_json::{Value, json};
use tests::Kit;
use tests::accounts::{grant, lane, tenant};
use tests::apps::{noop_app, shell_app};
use tests::door::{Program, demo, next};
use tests::stored::Stored;
use tests::wait::until;
use wire::Function;
use wire::door::words;

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
async fn tasks_are_listed_followed_interrupted_and_deleted() {
    let kit = Kit::start().await;
    let nap = "trap 'echo stopping >&2; echo best; exit 0' INT; echo one >&2; echo two >&2; while :; do sleep 0.1; done";
    shell_app(&kit.http, "app", &[("nap", nap), ("big", "head -c 1500000 /dev/zero | tr '\\0' x")]).await;
    let program = demo(&kit).await;
    let create = |service: &str| json!({ "app": "app", "service": service });
    let nap = program.ask("create", create("nap")).await.unwrap()["id"].clone();
    let big = program.ask("create", create("big")).await.unwrap()["id"].clone();

    let page = program.ask("logs", json!({ "id": nap, "limit": 1, "wait": 30 })).await.unwrap();
    assert_eq!(
        (&page["lines"][0]["text"], &page["next"], &page["end"]),
        (&json!("one"), &json!(1), &json!(false))
    );
    let rest = program.ask("logs", json!({ "id": nap, "offset": 1, "wait": 30 })).await.unwrap();
    assert_eq!(rest["lines"][0]["text"], "two", "{rest}");

    let told = program.ask("interrupt", json!({ "id": nap })).await.unwrap();
    assert_eq!(told["interrupted"], true, "{told}");
    let ended = program.ask("status", json!({ "id": nap, "wait": 30 })).await.unwrap();
    assert_eq!(
        (&ended["state"], &ended["result"]["text"]),
        (&json!("completed"), &json!("best\n")),
        "{ended}"
    );

    // A large response comes in parts.
    let ended = program.ask("status", json!({ "id": big, "wait": 30 })).await.unwrap();
    assert_eq!((&ended["result"]["size"], ended["result"].get("text")), (&json!(1_500_000), None), "{ended}");
    let (mut whole, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let part = program.ask("response", json!({ "id": big, "cursor": cursor })).await.unwrap();
        whole.extend(BASE64.decode(part["base64"].as_str().unwrap().as_bytes()).unwrap());
        cursor = part["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert!(whole.len() == 1_500_000 && whole.iter().all(|byte| *byte == b'x'), "{}", whole.len());
    let wrong = program.ask("response", json!({ "id": big, "cursor": "x" })).await.unwrap_err();
    assert_eq!(wrong.status, 400);

    let list = program.ask("list", json!({ "limit": 1 })).await.unwrap();
    assert_eq!(
        (&list["tasks"][0]["id"], &list["total"], &list["next"]),
        (&big, &json!(2), &json!(1)),
        "{list}"
    );
    let list = program.ask("list", json!({ "states": ["failed"], "all": true })).await.unwrap();
    assert_eq!((&list["total"], list.get("next")), (&json!(0), None), "{list}");
    program.ask("delete", json!({ "id": nap })).await.unwrap();
    assert_eq!(program.ask("status", json!({ "id": nap })).await.unwrap_err().status, 404);
    assert_eq!(program.ask("list", json!({})).await.unwrap()["total"], 1);
    for (word, request) in [
        ("list", json!({ "limit": 0 })),
        ("list", json!({ "states": ["done"] })),
        ("logs", json!({ "id": big, "limit": 1001 })),
        ("interrupt", json!({ "id": big, "kind": "kill" })),
    ] {
        assert_eq!(program.ask(word, request.clone()).await.unwrap_err().status, 400, "{word} {request}");
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_program_hears_how_its_tasks_change() {
    let mut kit = Kit::start().await;
    shell_app(&kit.http, "my.app", &[("run", "cat"), ("fail", "echo no >&2; exit 3")]).await;
    noop_app(&kit.http, "hidden").await;
    grant(&kit.http, "my.app", "ann", "read,execute").await;
    let program = Program::hearing(&mut kit, "demo", "ann", "ears", &[Scope::Tasks], &["my.app"]).await;
    let mut heard = program.hear("tasklane.v1.event.demo.my=2Eapp.*").await;
    kit.http.until_ended(&kit.http.create("hidden", "run", "{}").await).await;
    let created = program.ask("create", json!({ "app": "my.app", "service": "fail" })).await.unwrap();
    let id = created["id"].as_str().unwrap();

    let mut seen = Vec::new();
    let last = loop {
        let (subject, event) = next(&mut heard).await;
        assert_eq!(subject, format!("tasklane.v1.event.demo.my=2Eapp.{id}"), "of nothing else: {event}");
        seen.push((event["state"].as_str().unwrap().to_owned(), event["revision"].as_u64().unwrap()));
        if event["state"] == "failed" {
            break event;
        }
    };
    let states: Vec<&str> = seen.iter().map(|(state, _)| state.as_str()).collect();
    assert!(states.starts_with(&["queued", "assigned"]), "{states:?}");
    assert!(seen.is_sorted_by_key(|(_, revision)| *revision), "{seen:?}");
    assert_eq!((&last["return_code"], &last["error"]), (&json!(3), &json!("no")), "{last}");
    assert_eq!((&last["tenant"], &last["user"]), (&json!("demo"), &json!("ann")), "{last}");
    kit.stop().await;
}

#[tokio::test]
async fn a_submission_becomes_one_task_or_a_dead_letter_that_says_why() {
    let mut kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    grant(&kit.http, "noop", "ann", "read,execute").await;
    let program = Program::new(&mut kit, "demo", "ann", "feeder", &[Scope::Tasks]).await;
    let mut dead = program.hear("tasklane.v1.dead.demo.ann").await;
    let order = json!({ "app": "noop", "service": "run", "input": [1, 2] }).to_string();

    let first = program.submit(Some("order-1"), order.clone()).await;
    assert_eq!(first["stream"], "SUBMISSIONS", "{first}");
    let again = program.submit(Some("order-1"), order.clone()).await;
    assert_eq!((&again["seq"], &again["duplicate"]), (&first["seq"], &json!(true)), "{again}");
    program.submit(None, order.clone()).await;
    program.submit(None, order.clone()).await;
    let list = until_listed(&program, 3).await;
    let task = program.ask("status", json!({ "id": list["tasks"][0]["id"], "wait": 30 })).await.unwrap();
    assert_eq!((&task["result"]["text"], &task["user"]), (&json!("[1,2]"), &json!("ann")), "{task}");

    // Past the broker's own memory for ids the id still gives the same task.
    let stored = Stored::of(&kit).await;
    let neighbour = Program::new(&mut kit, "demo", "ann", "second", &[Scope::Tasks]).await;
    neighbour.submit(Some("order-2"), order.clone()).await;
    until_listed(&program, 4).await;
    stored.forget_ids("SUBMISSIONS").await;
    until_stored(&program, "order-2", &order).await;
    let other = json!({ "app": "noop", "service": "run", "input": 3 }).to_string();

    for (id, submission, status, says) in [
        (Some("bad-1"), "{".to_owned(), 400, "JSON"),
        (Some("bad-2"), r#"{"tenant":"other","app":"noop","service":"run"}"#.to_owned(), 404, "other"),
        (Some("bad-3"), r#"{"app":"absent","service":"run"}"#.to_owned(), 404, "absent"),
        (
            None,
            json!({ "app": "noop", "service": "run", "text": "x".repeat(900_000) }).to_string(),
            413,
            "at most",
        ),
    ] {
        program.submit(id, submission.clone()).await;
        let (_, letter) = next(&mut dead).await;
        assert_eq!(
            (&letter["status"], letter.get("message_id").and_then(Value::as_str)),
            (&json!(status), id),
            "{letter}"
        );
        assert!(letter["message"].as_str().unwrap().contains(says), "{letter}");
        assert!(submission.starts_with(letter["request"].as_str().unwrap()), "{letter}");
    }
    until_stored(&program, "order-2", &other).await;
    assert_eq!(next(&mut dead).await.1["code"], "key_reused");

    assert_eq!(until_listed(&program, 4).await["total"], 4, "nothing twice");
    let page = program.ask("dead_letters", json!({ "limit": 4 })).await.unwrap();
    assert_eq!(page["letters"].as_array().unwrap().len(), 4, "{page}");
    let rest = program.ask("dead_letters", json!({ "cursor": page["cursor"] })).await.unwrap();
    assert_eq!(rest["letters"][0]["code"], "key_reused", "{rest}");
    until("the stream of submissions is empty", || async {
        match stored.messages("SUBMISSIONS").await {
            0 => Ok(()),
            left => Err(left),
        }
    })
    .await;
    kit.stop().await;
}

/// Submits until the broker does not remember the id any more.
async fn until_stored(program: &Program, id: &str, submission: &str) {
    until("the broker takes an id again", || async {
        let acknowledged = program.submit(Some(id), submission).await;
        if acknowledged.get("duplicate").is_none() { Ok(()) } else { Err(acknowledged) }
    })
    .await;
}

/// Waits until the program's user has so many tasks.
async fn until_listed(program: &Program, total: u64) -> Value {
    until(&format!("{total} tasks"), || async {
        let list = program.ask("list", json!({})).await.unwrap();
        if list["total"] == total { Ok(list) } else { Err(list) }
    })
    .await
}

#[tokio::test]
async fn a_submission_outlives_every_function_that_could_take_it() {
    let mut kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    let program = demo(&kit).await;
    while let Some(at) = kit.stack.replicas.iter().position(|replica| replica.function == Function::Create) {
        kit.stack.replicas.remove(at).abort().await;
    }
    let order = json!({ "app": "noop", "service": "run" }).to_string();
    assert_eq!(program.submit(Some("early"), order.clone()).await["stream"], "SUBMISSIONS");
    let unheard =
        program.client.request("tasklane.v1.create", order.into()).await.map_err(|error| error.kind());
    assert!(matches!(unheard, Err(RequestErrorKind::NoResponders)), "said at once: {unheard:?}");
    let replica = kit.stack.replica(Function::Create, None).await.unwrap();
    kit.stack.replicas.push(replica);
    let list = until_listed(&program, 1).await;
    program.ask("status", json!({ "id": list["tasks"][0]["id"], "wait": 30 })).await.unwrap();
    kit.stop().await;
}

#[tokio::test]
async fn a_submission_waits_where_it_can_not_be_taken_in_yet() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    let program = demo(&kit).await;
    lane(&kit.http, "tasks.demo", json!({ "max_running": 0, "max_queued": 1 })).await;
    let order = json!({ "app": "noop", "service": "run" });
    program.ask("create", order.clone()).await.unwrap();
    // How full the lane is `create` hears once a second.
    until("the lane is full", || async {
        match program.ask("create", order.clone()).await {
            Err(refused) if refused.status == 429 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let before = program.ask("list", json!({})).await.unwrap()["total"].as_u64().unwrap();
    program.submit(Some("patient"), order.to_string()).await;
    lane(&kit.http, "tasks.demo", json!({ "max_running": 4, "max_queued": 1000 })).await;
    until_listed(&program, before + 1).await;
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
    let services = Function::ALL.into_iter().filter(|function| !words(*function).is_empty()).count();
    let found = answers(&program, "$SRV.INFO", 2 * services).await;
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
    let counted = answers(&program, "$SRV.STATS.tasklane-status", 2).await;
    let sum = |field: &str| -> u64 {
        counted.iter().map(|service| service["endpoints"][0][field].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("num_requests"), sum("num_errors")), (1, 1), "{counted:?}");
    let pings = answers(&program, "$SRV.PING", 2 * services).await;
    let ids: HashSet<&str> = pings.iter().map(|ping| ping["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2 * services, "each has its own id: {pings:?}");
    kit.stop().await;
}

/// So many answers to a question to all.
async fn answers(program: &Program, subject: &str, count: usize) -> Vec<Value> {
    let inbox = program.client.new_inbox();
    let mut heard = program.hear(&inbox).await;
    program.client.publish_with_reply(subject.to_owned(), inbox, "".into()).await.unwrap();
    let mut all = Vec::new();
    while all.len() < count {
        all.push(next(&mut heard).await.1);
    }
    all
}
