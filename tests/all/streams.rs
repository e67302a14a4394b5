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
