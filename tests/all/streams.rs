//! Stream tasks as a customer of the SymetryML API has them: described, started and stopped by name, and their
//! records between two topics.

use serde_json::{Value, json};
use tests::Kit;
use tests::apps::App;
use tests::http::Http;
use tests::symetry::Customer;
use tests::topics::Topics;
use tests::wait::until;

/// Publishes a stream app whose process is this Python program.
async fn stream_app(http: &Http, name: &str, program: &str) {
    let manifest = format!(
        "name = \"{name}\"\nversion = \"1.0\"\nruntime = \"stream\"\n[session]\ncommand = [\"python3\", \"filter.py\"]\n"
    );
    App { manifest: &manifest, files: &[("filter.py", program)] }.publish(http).await.expect(200);
}

/// Answers each line with itself in other words.
const UPPER: &str = "import sys\nfor line in sys.stdin:\n    print(line.rstrip('\\n').upper())\n";

fn customer(kit: &Kit) -> Customer {
    Customer::new(&kit.http, "demo", &kit.stack.signing_secret().unwrap())
}

fn description(name: &str, app: &str, params: &[(&str, &str)]) -> Value {
    let mut all = json!({
        "sml.kstream.source.topic": format!("demo.{name}.in"),
        "sml.kstream.sink.topic": format!("demo.{name}.out"),
    });
    for (param, text) in params {
        all[*param] = json!(text);
    }
    json!({ "type": app, "name": name, "params": all })
}

async fn status(customer: &Customer, name: &str) -> Value {
    let answer = customer.get(&format!("/tasks/{name}")).await.expect(200).json();
    answer["values"]["KSVSMap"]["values"][0].clone()
}

async fn start(customer: &Customer, name: &str) {
    customer.get(&format!("/tasks/{name}/start")).await.expect(200);
    until("its process is alive", || async {
        let status = status(customer, name).await;
        if status["processIsAlive"] == "true" { Ok(()) } else { Err(status) }
    })
    .await;
}

#[tokio::test]
async fn records_move_from_topic_to_topic_between_start_and_stop() {
    let kit = Kit::start().await;
    stream_app(&kit.http, "upper", UPPER).await;
    let (customer, topics) = (customer(&kit), Topics::of(&kit).await);
    let created = customer.create(&description("one", "upper", &[]), false).await.expect(202).json();
    assert_eq!(created["statusCode"], "CREATED");
    let told = status(&customer, "one").await;
    assert_eq!(
        told,
        json!({ "status": "stopped", "startDateTime": "", "processIsAlive": "false", "lastError": "" })
    );

    // What comes before the start waits for it.
    topics.publish("demo.one.in", (0..3).map(|i| format!("early {i}"))).await;
    let mut out = topics.listen("demo.one.out").await;
    start(&customer, "one").await;
    assert_eq!(out.take(3).await, ["EARLY 0", "EARLY 1", "EARLY 2"]);
    topics.publish("demo.one.in", (0..2_000).map(|i| format!("record {i}"))).await;
    let expected: Vec<String> = (0..2_000).map(|i| format!("RECORD {i}")).collect();
    assert_eq!(out.take(2_000).await, expected, "all of them, in order, once");
    let told = status(&customer, "one").await;
    assert_eq!((told["status"].clone(), told["lastError"].clone()), (json!("running"), json!("")));
    assert!(told["startDateTime"].as_str().unwrap().starts_with("20"), "{told}");

    customer.get("/tasks/one/stop").await.expect(200);
    assert_eq!(status(&customer, "one").await["status"], "stopped");
    topics.publish("demo.one.in", ["while it was stopped".to_owned()]).await;
    start(&customer, "one").await;
    assert_eq!(out.next().await, "WHILE IT WAS STOPPED");

    let names = customer.get("/tasks").await.expect(200).json();
    assert_eq!(names["values"], json!({ "stringList": { "values": ["one"] } }));
    customer.delete("/tasks/one").await.expect(200);
    let gone = customer.get("/tasks/one").await.expect(400).json();
    assert_eq!(gone["statusString"], "Cannot Find Task id[one] for Customer id [demo]");
    let names = customer.get("/tasks").await.expect(200).json();
    assert_eq!(names["values"], json!({ "stringList": { "values": [] } }));
    kit.stop().await;
}

#[tokio::test]
async fn a_name_is_one_task_until_it_is_deleted() {
    let kit = Kit::start().await;
    stream_app(&kit.http, "upper", UPPER).await;
    let (customer, topics) = (customer(&kit), Topics::of(&kit).await);
    let mut out = topics.listen("demo.n.out").await;
    customer.create(&description("n", "upper", &[]), false).await.expect(202);
    let taken = customer.create(&description("n", "upper", &[]), false).await.expect(409).json();
    assert_eq!(taken["statusCode"], "CONFLICT");
    assert_eq!(taken["statusString"], "Customer [demo] already have Task with name [n]");
    start(&customer, "n").await;
    topics.publish("demo.n.in", ["one".to_owned()]).await;
    assert_eq!(out.next().await, "ONE");

    // Described anew it is stopped, and goes on where it was.
    customer.create(&description("n", "upper", &[("sml.task.instances", "2")]), true).await.expect(202);
    assert_eq!(status(&customer, "n").await["status"], "stopped");
    topics.publish("demo.n.in", ["two".to_owned()]).await;
    start(&customer, "n").await;
    assert_eq!(out.next().await, "TWO");

    // Deleted while it runs, it is stopped first; the name is free, and nothing of the old task is left.
    customer.delete("/tasks/n").await.expect(200);
    customer.get("/tasks/n/start").await.expect(400);
    for _ in 0..3 {
        customer.create(&description("n", "upper", &[]), false).await.expect(202);
        customer.delete("/tasks/n").await.expect(200);
    }
    customer.create(&description("n", "upper", &[]), true).await.expect(202);
    start(&customer, "n").await;
    topics.publish("demo.n.in", ["three".to_owned()]).await;
    assert_eq!(out.next().await, "THREE");
    kit.stop().await;
}

#[tokio::test]
async fn as_many_run_as_the_lane_has_places_and_the_limit_changes_live() {
    let kit = Kit::start().await;
    stream_app(&kit.http, "upper", UPPER).await;
    let customer = customer(&kit);
    for i in 0..7 {
        customer.create(&description(&format!("t{i}"), "upper", &[]), false).await.expect(202);
    }
    let starts = (0..6).map(|i| {
        let customer = customer.clone();
        async move { customer.get(&format!("/tasks/t{i}/start")).await }
    });
    let answers = futures_util::future::join_all(starts).await;
    let mut codes: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [200, 200, 200, 200, 409, 409], "{answers:?}");
    let refused = answers.iter().find(|answer| answer.status == 409).unwrap();
    assert_eq!(refused.json()["statusString"], "Maximum number of running tasks reached [4]");
    let mut running = 0;
    for i in 0..6 {
        running += u32::from(status(&customer, &format!("t{i}")).await["status"] == "running");
    }
    assert_eq!(running, 4, "those that were refused are stopped");
    customer.get("/tasks/t6/start").await.expect(409);
    kit.http.patch("/tasklane/v1/lanes/streams", r#"{"max_running":5}"#).await.expect(200);
    start(&customer, "t6").await;
    kit.stop().await;
}

#[tokio::test]
async fn what_can_not_be_started_says_why() {
    let kit = Kit::start().await;
    tests::apps::noop_app(&kit.http, "noop").await;
    stream_app(&kit.http, "upper", UPPER).await;
    let customer = customer(&kit);
    let ends = |source: &str, sink: &str| json!({ "sml.kstream.source.topic": source, "sml.kstream.sink.topic": sink });
    let on_kafka = |servers: &str, name: &str, text: &str| {
        let mut params = ends("orders", "scores");
        params["bootstrap.servers"] = json!(servers);
        params[name] = json!(text);
        params
    };
    for (name, app, params, said) in [
        ("a", "missing", ends("demo.x", "demo.y"), "App missing with latest tag doesn't exist"),
        ("b", "noop", ends("demo.x", "demo.y"), "app noop 1.0 has no stream to run"),
        ("c", "upper", json!({}), "parameter 'sml.kstream.source.topic' is missing"),
        ("d", "upper", ends("other.x", "demo.y"), "is no topic of yours"),
        ("e", "upper", ends("demo.x", "demo.*"), "is no topic of yours"),
        ("f", "upper", ends("demo.x", "demo.x"), "the same topic"),
        ("g", "upper", on_kafka("kafka", "", ""), "parameter 'bootstrap.servers' must be host:port"),
        ("h", "upper", on_kafka("10.0.0.1:9092", "", ""), "10.0.0.1 is not a public address"),
        ("i", "upper", on_kafka("kafka.example:9092", "sasl.mechanism", "PLAIN"), "without SASL and TLS"),
    ] {
        let described = json!({ "type": app, "name": name, "params": params });
        customer.create(&described, false).await.expect(202);
        let refused = customer.get(&format!("/tasks/{name}/start")).await.expect(400).json();
        let text = refused["statusString"].as_str().unwrap().to_owned();
        assert!(text.contains(said), "{text}");
        let told = status(&customer, name).await;
        assert_eq!((&told["status"], &told["lastError"]), (&json!("stopped"), &json!(text)));
    }
    for (described, said) in [
        (json!({ "type": "upper", "params": {} }), "field 'name' is missing"),
        (json!({ "type": "upper", "name": "a/b" }), "name"),
        (json!({ "type": "upper", "name": "a\u{7}" }), "name"),
        (json!({ "type": "upper", "name": "z", "params": { "sml.task.heap.max": "lots" } }), "heap.max"),
        (
            json!({ "type": "upper", "name": "z", "params": { "sml.task.heap.min": "4g", "sml.task.heap.max": "1g" } }),
            "above",
        ),
    ] {
        let refused = customer.create(&described, false).await.expect(400).json();
        assert!(refused["statusString"].as_str().unwrap().contains(said), "{refused}");
    }
    let names = customer.get("/tasks").await.expect(200).json();
    assert_eq!(names["values"]["stringList"]["values"], json!(["a", "b", "c", "d", "e", "f", "g", "h", "i"]));
    kit.stop().await;
}

/// Dies of some records, goes silent at others, and says too much about one.
const MOODY: &str = r#"
import sys, time
for line in sys.stdin:
    line = line.rstrip("\n")
    if "poison" in line:
        sys.stderr.write("can't stomach " + line + "\n")
        sys.exit(3)
    if "sleepy" in line:
        time.sleep(60)
    print("" if "nothing" in line else "ok " + line)
"#;

#[tokio::test]
async fn records_on_which_the_process_fails_are_set_aside_and_the_others_go_on() {
    let kit = Kit::start().await;
    stream_app(&kit.http, "moody", MOODY).await;
    let (customer, topics) = (customer(&kit), Topics::of(&kit).await);
    let mut out = topics.listen("demo.m.out").await;
    customer.create(&description("m", "moody", &[("sml.task.answer.ms", "300")]), false).await.expect(202);
    start(&customer, "m").await;
    let records = ["1", "poison 2", "3", "nothing 4", "a\nb", "{\n\"n\": 5\n}", "sleepy 6", "7"];
    topics.publish("demo.m.in", records.map(str::to_owned)).await;
    assert_eq!(out.take(4).await, ["ok 1", "ok 3", "ok {\"n\":5}", "ok 7"]);
    let told = status(&customer, "m").await;
    assert!(told["lastError"].as_str().unwrap().contains("was set aside"), "{told}");
    assert_eq!(told["status"], "running");
    let aside = tests::stored::Stored::of(&kit).await.messages(wire::topology::ASIDE).await;
    assert_eq!(aside, 3, "the poison, the sleepy one and the one that is no line");
    kit.stop().await;
}

#[tokio::test]
async fn the_records_of_one_key_go_to_one_process_in_their_order() {
    let kit = Kit::start().await;
    let program =
        "import os, sys\nfor line in sys.stdin:\n    print(str(os.getpid()) + ' ' + line.rstrip())\n";
    stream_app(&kit.http, "pids", program).await;
    let (customer, topics) = (customer(&kit), Topics::of(&kit).await);
    let mut out = topics.listen("demo.k.out").await;
    customer.create(&description("k", "pids", &[("sml.task.instances", "3")]), false).await.expect(202);
    start(&customer, "k").await;
    for i in 0..300 {
        let key = format!("key {}", i % 10);
        topics.publish_with_key("demo.k.in", &key, format!("{} {i}", i % 10)).await;
    }
    let mut of_key: std::collections::BTreeMap<String, (String, i64)> = Default::default();
    let mut pids = std::collections::BTreeSet::new();
    for record in out.take(300).await {
        let words: Vec<&str> = record.split(' ').collect();
        let number: i64 = words[2].parse().unwrap();
        pids.insert(words[0].to_owned());
        let (pid, last) = of_key.entry(words[1].to_owned()).or_insert((words[0].to_owned(), -1));
        assert_eq!(pid, words[0], "one process for one key");
        assert!(number > *last, "{record} after {last}");
        *last = number;
    }
    assert_eq!((of_key.len(), pids.len()), (10, 3), "the load is shared");
    kit.stop().await;
}

#[tokio::test]
async fn what_one_task_writes_another_reads() {
    let kit = Kit::start().await;
    stream_app(&kit.http, "upper", UPPER).await;
    stream_app(&kit.http, "moody", MOODY).await;
    let (customer, topics) = (customer(&kit), Topics::of(&kit).await);
    let mut out = topics.listen("demo.end").await;
    for (name, app, source, sink) in
        [("p", "moody", "demo.begin", "demo.middle"), ("q", "upper", "demo.middle", "demo.end")]
    {
        let params = json!({ "sml.kstream.source.topic": source, "sml.kstream.sink.topic": sink });
        customer.create(&json!({ "type": app, "name": name, "params": params }), false).await.expect(202);
        start(&customer, name).await;
    }
    topics.publish("demo.begin", (0..500).map(|i| format!("x{i}"))).await;
    let expected: Vec<String> = (0..500).map(|i| format!("OK X{i}")).collect();
    assert_eq!(out.take(500).await, expected);
    kit.stop().await;
}
