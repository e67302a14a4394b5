//! Creating by events: an app says that each message on a subject is a task. Exactly one task comes of each message,
//! whoever dies meanwhile, and what can be none is a dead letter that says why.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use domain::Scope;
use serde_json::{Value, json};
use tests::Kit;
use tests::accounts::lane;
use tests::apps::App;
use tests::door::{Program, demo, next};
use tests::process::{Beside, Program as Serving};
use tests::proxy::{Conflicts, Proxy};
use tests::stored::Stored;
use tests::wait::until;
use wire::Function;
use wire::topology::source_stream;

/// Publishes a version of an app without processes; its services are `run` and `walk`.
async fn app(kit: &Kit, version: &str, triggers: &str) {
    let manifest = format!(
        "name = \"orders\"\nversion = \"{version}\"\nruntime = \"noop\"\n[services.run]\n[services.walk]\n\
         [workflows.both]\nsteps = [\"run\", \"walk\"]\nrequired = [\"order\"]\n{triggers}"
    );
    App { manifest: &manifest, files: &[] }.publish(&kit.http).await.expect(200);
}

fn trigger(name: &str, lines: &str) -> String {
    format!("[triggers.{name}]\n{lines}\n")
}

/// Publishes a message and gives what its stream acknowledges.
async fn publish(
    program: &Program,
    subject: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Value {
    let mut all = HeaderMap::new();
    for (name, text) in headers {
        all.insert(*name, *text);
    }
    let sent = program.client.request_with_headers(subject.to_owned(), all, body.into().into()).await;
    serde_json::from_slice(&sent.expect("the subject has a stream").payload).unwrap()
}

/// Waits until the app has so many tasks and the source holds no message any more; gives the tasks.
async fn until_settled(kit: &Kit, subject: &str, total: u64) -> Vec<Value> {
    let (program, stored) = (demo(kit).await, Stored::of(kit).await);
    let stream = source_stream(subject);
    until(&format!("{total} tasks of {subject}"), || async {
        let list = program.ask("list", json!({ "app": "orders", "all": true, "limit": 1000 })).await.unwrap();
        let left = stored.messages(&stream).await;
        if list["total"] == total && left == 0 {
            Ok(list["tasks"].as_array().unwrap().clone())
        } else {
            Err((list["total"].clone(), left))
        }
    })
    .await
}

#[tokio::test]
async fn each_message_on_the_subject_of_a_trigger_is_one_task() {
    let mut kit = Kit::start().await;
    let ends = "subject = \"demo.orders\"\nservice = \"run\"";
    app(&kit, "1", &trigger("new", ends)).await;
    let demo = demo(&kit).await;
    let first =
        publish(&demo, "demo.orders", &[("Nats-Msg-Id", "a"), ("Content-Type", "text/x")], "one").await;
    assert_eq!(first["stream"], source_stream("demo.orders"), "{first}");
    // A program with an account of its own, whose user has no right on the app, publishes as well.
    let ann = Program::new(&mut kit, "demo", "ann", "feeder", &[Scope::Tasks]).await;
    assert_eq!(publish(&ann, "demo.orders", &[], "two").await["stream"], first["stream"]);
    publish(&ann, "demo.orders", &[], "two").await;
    let again = publish(&demo, "demo.orders", &[("Nats-Msg-Id", "a")], "one").await;
    assert_eq!(again["duplicate"], true, "{again}");
    let tasks = until_settled(&kit, "demo.orders", 3).await;
    for task in &tasks {
        let told = demo.ask("status", json!({ "id": task["id"], "wait": 30 })).await.unwrap();
        assert_eq!((&told["state"], &told["user"]), (&json!("completed"), &json!("demo")), "{told}");
        assert_eq!((&told["service"], &told["version"]), (&json!("run"), &json!("1")), "{told}");
        assert!(["one", "two"].contains(&told["result"]["text"].as_str().unwrap()), "{told}");
    }

    // Past the broker's own memory for ids the id is still that of the task, and its body counts.
    let stored = Stored::of(&kit).await;
    stored.forget_ids(&source_stream("demo.orders")).await;
    let mut dead = demo.hear("tasklane.v1.dead.demo.demo").await;
    until("the broker takes an id again", || async {
        let told = publish(&demo, "demo.orders", &[("Nats-Msg-Id", "a")], "one").await;
        if told.get("duplicate").is_none() { Ok(()) } else { Err(told) }
    })
    .await;
    until_settled(&kit, "demo.orders", 3).await;
    until("the broker takes it once more", || async {
        let told = publish(&demo, "demo.orders", &[("Nats-Msg-Id", "a")], "other").await;
        if told.get("duplicate").is_none() { Ok(()) } else { Err(told) }
    })
    .await;
    let (_, letter) = next(&mut dead).await;
    assert_eq!(
        (&letter["code"], &letter["trigger"]["name"]),
        (&json!("key_reused"), &json!("new")),
        "{letter}"
    );
    until_settled(&kit, "demo.orders", 3).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_message_is_known_by_what_its_trigger_says_and_one_without_that_is_a_dead_letter() {
    let kit = Kit::start().await;
    let one = |name: &str, more: &str| {
        trigger(name, &format!("subject = \"demo.{name}\"\nservice = \"run\"\n{more}"))
    };
    let triggers = [
        one("header", "dedup = \"header:Order-Id\""),
        one("field", "dedup = \"field:order.id\""),
        one("place", "dedup = \"sequence\""),
        trigger(
            "jobs",
            "subject = \"demo.jobs\"\nservice = \"both\"\nlane = \"jobs\"\ndedup = \"field:order\"",
        ),
    ];
    app(&kit, "1", &triggers.concat()).await;
    let demo = demo(&kit).await;
    let mut dead = demo.hear("tasklane.v1.dead.demo.demo").await;
    let order = r#"{"order":{"id":7}}"#;
    for _ in 0..3 {
        publish(&demo, "demo.header", &[("Order-Id", "7")], "x").await;
        publish(&demo, "demo.field", &[], order).await;
        publish(&demo, "demo.place", &[], "x").await;
        publish(&demo, "demo.jobs", &[], r#"{"order":"7","more":1}"#).await;
    }
    publish(&demo, "demo.field", &[], r#"{"order":{"id":"8"}}"#).await;
    for (subject, body, status, says) in [
        ("demo.header", "x", 400, "no header Order-Id"),
        ("demo.field", "{", 400, "no JSON"),
        ("demo.field", r#"{"order":{}}"#, 400, "field order.id"),
        ("demo.jobs", r#"{"order":null}"#, 400, "field order"),
        ("demo.jobs", "[]", 400, "field order"),
    ] {
        publish(&demo, subject, &[], body).await;
        let (_, letter) = next(&mut dead).await;
        assert_eq!((&letter["status"], &letter["request"]), (&json!(status), &json!(body)), "{letter}");
        assert_eq!(
            (&letter["trigger"]["subject"], &letter["user"]),
            (&json!(subject), &json!("demo")),
            "{letter}"
        );
        assert!(letter["message"].as_str().unwrap().contains(says), "{letter}");
    }
    // One by header, two by field, three by place, one job.
    let tasks = until_settled(&kit, "demo.jobs", 7).await;
    let mut services: BTreeMap<&str, u32> = BTreeMap::new();
    for task in &tasks {
        *services.entry(task["service"].as_str().unwrap()).or_default() += 1;
        let told = demo.ask("status", json!({ "id": task["id"], "wait": 30 })).await.unwrap();
        assert_eq!(told["state"], "completed", "{told}");
    }
    assert_eq!(services, BTreeMap::from([("both", 1), ("run", 6)]));
    let lanes = kit.http.get("/tasklane/v1/lanes").await.expect(200).text();
    assert!(lanes.contains("jobs"), "{lanes}");
    kit.stop().await;
}

#[tokio::test]
async fn the_latest_version_says_which_triggers_are_in_force() {
    let kit = Kit::start().await;
    let of = |name: &str, subject: &str, service: &str| {
        trigger(name, &format!("subject = \"{subject}\"\nservice = \"{service}\""))
    };
    app(&kit, "1", &[of("a", "demo.a", "run"), of("b", "demo.b", "run")].concat()).await;
    let demo = demo(&kit).await;
    publish(&demo, "demo.a", &[], "1").await;
    publish(&demo, "demo.b", &[], "1").await;
    until_settled(&kit, "demo.a", 2).await;

    // One runs another service, one is gone, one is new.
    app(&kit, "2", &[of("a", "demo.a", "walk"), of("c", "demo.c", "run")].concat()).await;
    for subject in ["demo.a", "demo.b", "demo.c"] {
        publish(&demo, subject, &[], "2").await;
    }
    let tasks = until_settled(&kit, "demo.a", 4).await;
    let of_two: Vec<&str> = tasks
        .iter()
        .filter(|task| task["version"] == "2")
        .map(|task| task["service"].as_str().unwrap())
        .collect();
    assert!(of_two.contains(&"walk") && of_two.contains(&"run"), "{of_two:?}");
    let stored = Stored::of(&kit).await;
    assert_eq!(stored.messages(&source_stream("demo.b")).await, 0, "nobody takes it, so nobody keeps it");

    app(&kit, "3", "").await;
    publish(&demo, "demo.a", &[], "3").await;
    assert_eq!(stored.messages(&source_stream("demo.a")).await, 0);
    // The tag goes back to a version with triggers.
    app(&kit, "1", &[of("a", "demo.a", "run"), of("b", "demo.b", "run")].concat()).await;
    publish(&demo, "demo.b", &[], "4").await;
    until_settled(&kit, "demo.b", 5).await;

    let refused = trigger("t", "subject = \"other.a\"\nservice = \"run\"");
    let manifest = format!("name = \"bad\"\nversion = \"1\"\nruntime = \"noop\"\n{refused}");
    let answer = App { manifest: &manifest, files: &[] }.publish(&kit.http).await.expect(400).text();
    assert!(answer.contains("triggers.t.subject") && answer.contains("demo."), "{answer}");
    kit.stop().await;
}

#[tokio::test]
async fn a_message_waits_where_its_lane_is_full() {
    let kit = Kit::start().await;
    app(&kit, "1", &trigger("new", "subject = \"demo.orders\"\nservice = \"run\"")).await;
    let demo = demo(&kit).await;
    lane(&kit.http, "tasks.demo", json!({ "max_running": 0, "max_queued": 1 })).await;
    demo.ask("create", json!({ "app": "orders", "service": "run" })).await.unwrap();
    until("the lane is full", || async {
        match demo.ask("create", json!({ "app": "orders", "service": "run" })).await {
            Err(refused) if refused.status == 429 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let before = demo.ask("list", json!({ "app": "orders" })).await.unwrap()["total"].as_u64().unwrap();
    publish(&demo, "demo.orders", &[], "patient").await;
    lane(&kit.http, "tasks.demo", json!({ "max_running": 4, "max_queued": 1000 })).await;
    until_settled(&kit, "demo.orders", before + 1).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_create_that_is_killed_between_record_and_acknowledgement_makes_no_second_task() {
    let mut kit = Kit::start().await;
    app(&kit, "1", &trigger("new", "subject = \"demo.orders\"\nservice = \"run\"")).await;
    kit.without(Function::Create).await;
    let demo = demo(&kit).await;
    let proxy = Proxy::start(&kit.stack.settings.nats_url, Conflicts::Mixed).await;
    let beside = Beside::of(&kit);
    let mut victim = Serving::start(&mut beside.clone().through(proxy.url()).command(&[Function::Create]));
    publish(&demo, "demo.orders", &[("Nats-Msg-Id", "0")], "0").await;
    until_settled(&kit, "demo.orders", 1).await;

    // Its connection is cut right behind the next record, and it finds no other way to the broker.
    proxy.cut(0);
    publish(&demo, "demo.orders", &[("Nats-Msg-Id", "1")], "1").await;
    until("the connection is cut", || async {
        let counts = proxy.counts();
        if counts.cuts == 1 { Ok(()) } else { Err(counts) }
    })
    .await;
    drop(proxy);
    victim.kill().await;
    let list = demo.ask("list", json!({ "app": "orders" })).await.unwrap();
    let left = Stored::of(&kit).await.messages(&source_stream("demo.orders")).await;
    assert_eq!((&list["total"], left), (&json!(2), 1), "a record, and its message not acknowledged");

    // Two others share the load, one of which is killed at work.
    let mut first = Serving::start(&mut beside.command(&[Function::Create]));
    let _second = Serving::start(&mut beside.command(&[Function::Create]));
    for number in 2..200 {
        if number == 100 {
            first.kill().await;
        }
        let id = number.to_string();
        publish(&demo, "demo.orders", &[("Nats-Msg-Id", &id)], id.clone()).await;
    }
    let tasks = until_settled(&kit, "demo.orders", 200).await;
    let mut bodies = std::collections::BTreeSet::new();
    for task in &tasks {
        let told = demo.ask("status", json!({ "id": task["id"], "wait": 30 })).await.unwrap();
        bodies.insert(told["result"]["text"].as_str().unwrap().parse::<u32>().unwrap());
    }
    assert_eq!(bodies.len(), 200, "each message once");
    kit.stop().await;
}

#[tokio::test]
async fn a_trigger_goes_on_after_a_restart_of_everything_in_one_process_too() {
    let kit = Kit::start_with(|options| options.near = true).await;
    app(&kit, "1", &trigger("new", "subject = \"demo.orders\"\nservice = \"run\"")).await;
    for id in ["1", "2"] {
        publish(&demo(&kit).await, "demo.orders", &[("Nats-Msg-Id", id)], id).await;
    }
    until_settled(&kit, "demo.orders", 2).await;
    let folder = kit.stop().await;
    let kit = Kit::start_in(folder, |options| options.near = true).await;
    for id in ["2", "3"] {
        publish(&demo(&kit).await, "demo.orders", &[("Nats-Msg-Id", id)], id).await;
    }
    until_settled(&kit, "demo.orders", 3).await;
    kit.stop().await;
}
