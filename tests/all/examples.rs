//! The example apps: their own tests, and the warm session that saves its second task the start of a process.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::Kit;
use tests::symetry::Customer;
use tests::topics::Topics;
use tokio::io::{AsyncBufReadExt, BufReader};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

/// Runs the tests that an example brings with it.
fn unittest(name: &str) {
    let output = Command::new("python3").args(["-B", "-m", "unittest"]).current_dir(folder(name)).output();
    let output = output.expect("python3 is there");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_tests_of_routing_pass() {
    unittest("routing");
}

#[test]
fn the_tests_of_routing_session_pass() {
    unittest("routing-session");
}

#[test]
fn the_tests_of_echo_page_pass() {
    unittest("echo-page");
}

#[test]
fn the_tests_of_scoring_pass() {
    unittest("scoring");
}

/// What the committed script of the example itself takes each flower for.
fn predictions() -> Vec<Value> {
    let output =
        Command::new("python3").args(["-B", "train.py", "--predict"]).current_dir(folder("scoring")).output();
    let output = output.expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The flowers of the example as records.
fn flowers() -> Vec<Value> {
    let text = std::fs::read_to_string(folder("scoring").join("data/iris.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let record = |(id, line): (usize, Vec<&str>)| {
        let measures = names.iter().zip(&line).take(4);
        let mut record: serde_json::Map<String, Value> =
            measures.map(|(name, text)| ((*name).to_owned(), json!(text.parse::<f64>().unwrap()))).collect();
        record.insert("id".to_owned(), json!(id));
        Value::Object(record)
    };
    lines.enumerate().map(record).collect()
}

#[tokio::test]
async fn scoring_says_of_each_flower_what_its_own_script_says_and_tail_shows_both_ends() {
    let kit = Kit::start().await;
    let bundle = bundle::pack_directory(&folder("scoring"), &bundle::Bounds::default()).unwrap();
    kit.http.post("/tasklane/v1/apps?latest=true", bundle.bytes).await.expect(200);
    let customer = Customer::new(&kit.http, "demo", &kit.stack.signing_secret().unwrap());
    let params =
        json!({ "sml.kstream.source.topic": "demo.flowers", "sml.kstream.sink.topic": "demo.species" });
    let task = json!({ "type": "scoring", "name": "iris", "params": params });
    customer.create(&task, false).await.expect(202);
    customer.get("/tasks/iris/start").await.expect(200);

    let flowers = flowers();
    let password = kit.stack.files.demo_user().unwrap().password;
    let nats = kit.stack.settings.nats_url.replacen("nats://", &format!("nats://demo:{password}@"), 1);
    let count = (2 * flowers.len()).to_string();
    let mut tail = tokio::process::Command::new(tests::program());
    tail.args(["stream", "tail", "--nats", &nats, "demo.flowers", "demo.species", "--count", &count]);
    tail.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).kill_on_drop(true);
    let mut tail = tail.spawn().unwrap();
    let mut said = BufReader::new(tail.stderr.take().unwrap()).lines();
    let said = said.next_line().await.unwrap().unwrap();
    assert_eq!(said, "listening to demo.flowers, demo.species; Ctrl-C ends it");

    let topics = Topics::of(&kit).await;
    let mut species = topics.listen("demo.species").await;
    topics.publish("demo.flowers", flowers.iter().map(Value::to_string)).await;
    let predictions = predictions();
    assert_eq!(predictions.len(), 150);
    for (id, (predicted, scored)) in predictions.iter().zip(species.take(150).await).enumerate() {
        let scored: Value = serde_json::from_str(&scored).unwrap();
        let expected =
            json!({ "id": id, "species": predicted["species"], "probability": predicted["probability"] });
        assert_eq!(scored, expected);
    }
    let shown = String::from_utf8(tail.wait_with_output().await.unwrap().stdout).unwrap();
    let of = |topic: &str| shown.lines().filter(|line| line.starts_with(topic)).count();
    assert_eq!((of("demo.flowers  {"), of("demo.species  {")), (150, 150), "{shown}");
    kit.stop().await;
}

#[tokio::test]
async fn the_second_task_of_routing_session_runs_in_the_process_of_the_first() {
    let kit = Kit::start().await;
    let bundle = bundle::pack_directory(&folder("routing-session"), &bundle::Bounds::default()).unwrap();
    kit.http.post("/tasklane/v1/apps?latest=true", bundle.bytes).await.expect(200);
    let mut ended = Vec::new();
    for seed in 1..=2 {
        let request = json!({ "instance": "berlin52", "seed": seed }).to_string();
        let id = kit.http.create("routing-session", "solve", request).await;
        let task = kit.http.until_ended(&id).await;
        assert_eq!(task["state"], "completed", "{task}");
        assert_eq!(kit.http.response(&id).await.expect(200).json()["length"], json!(7542));
        ended.push(task);
    }
    assert_eq!(ended[0]["sessionId"], ended[1]["sessionId"]);
    let id = kit.http.create("routing-session", "solve", r#"{"instance":"pcb442","seconds":300}"#).await;
    kit.http.until_state(&id, &["solving"]).await;
    kit.http.put(&format!("/pro-api/v2/tasks/{id}"), r#"{"setstatus":"interrupt-solve"}"#).await.expect(200);
    let task = kit.http.until_ended(&id).await;
    assert_eq!((&task["state"], &task["sessionId"]), (&json!("completed"), &ended[0]["sessionId"]), "{task}");
    assert_eq!(kit.http.response(&id).await.expect(200).json()["interrupted"], json!(true));
    kit.stop().await;
}

#[test]
fn app_check_passes_the_example_and_names_what_another_gets_wrong() {
    let check = |folder: &Path, service: &str, input: &str| {
        let mut command = Command::new(tests::program());
        command.args(["app", "check", "--json", "--service", service, "--input", input]).arg(folder);
        let output = command.output().expect("the program runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), serde_json::from_str::<serde_json::Value>(&text).expect("it prints JSON"))
    };
    let (is_good, said) = check(&folder("routing-session"), "solve", r#"{"instance":"berlin52"}"#);
    assert!(is_good, "{said}");
    let bad = tempfile::tempdir().unwrap();
    let manifest = std::fs::read_to_string(folder("routing-session").join("app.toml")).unwrap();
    std::fs::write(bad.path().join("app.toml"), manifest).unwrap();
    std::fs::write(bad.path().join("server.py"), include_str!("sessions/server.py")).unwrap();
    let (is_good, said) = check(bad.path(), "wrong_json", "x");
    assert!(!is_good);
    let checks = said["checks"].as_array().unwrap();
    let problem =
        |check: &serde_json::Value| check["problem"].as_str().is_some_and(|p| p.contains("not JSON"));
    assert!(checks.iter().any(problem), "{said}");
    assert!(checks.iter().any(|check| check["ok"] == json!(true)), "{said}");
}
