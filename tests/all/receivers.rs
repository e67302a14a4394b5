//! Receivers of callbacks, and gates, that speak TLS: those whose certificate the machine trusts are spoken to, and
//! others are told nothing.

use http::Method;
use serde_json::{Value, json};
use tests::Kit;
use tests::apps::App;
use tests::engine::Engine;
use tests::process::{Program, serve_command};
use tests::receiver::{Received, Receiver};
use tests::wait::until;
use wire::Function;

const STEPS: &str = r#"
name = "steps"
version = "1.0"
runtime = "command"
[services.only]
command = ["true"]
[workflows.one]
steps = ["only"]
"#;

/// A kit whose `callbacks` is a program of its own that trusts one certificate.
async fn kit_that_trusts(certificate: &str) -> (Kit, Program) {
    let mut kit = Kit::start().await;
    kit.without(Function::Callbacks).await;
    let file = kit.folder.path().join("trusted.pem");
    std::fs::write(&file, certificate).unwrap();
    let mut command = serve_command(&kit, &[Function::Callbacks]);
    command.env("SSL_CERT_FILE", file).env("TASKLANE_OUTBOUND_ALLOW", "127.0.0.1");
    let program = Program::start(&mut command);
    App { manifest: STEPS, files: &[] }.publish(&kit.http).await.expect(200);
    (kit, program)
}

async fn log_until(engine: &Engine<'_>, id: u64, text: &str) {
    until(&format!("the log of job {id} says {text}"), || async {
        let rows = engine.send(Method::GET, &format!("/logs/{id}"), Value::Null).await.expect(200).text();
        if rows.contains(text) { Ok(()) } else { Err(rows) }
    })
    .await;
}

#[tokio::test]
async fn callbacks_and_gates_go_through_tls_to_whom_the_machine_trusts_and_to_nobody_else() {
    let (trusted, certificate) = Receiver::secure().await;
    let (other, _) = Receiver::secure().await;
    let (kit, _callbacks) = kit_that_trusts(&certificate).await;
    let engine = Engine::new(&kit.http);
    for (name, setting) in [("schedule_interval", 1), ("retry_limit", 0), ("retry_delay", 0)] {
        engine.set(name, json!(setting)).await;
    }
    let url = |receiver: &Receiver, path: &str| format!("{}{path}", receiver.url);
    let endpoints = json!({ "rest_endpoints": [url(&trusted, "/told"), url(&other, "/told")] });
    let gated = |gate: String| json!({ "workflow": "one", "semaphore_url": gate });
    let open = engine.submit(gated(url(&trusted, "/gate")), endpoints).await;
    let held = engine.submit(gated(url(&other, "/gate")), json!({})).await;

    engine.until(open, "completed").await;
    log_until(&engine, open, &format!("the end of the job was told to {}/told", trusted.url)).await;
    let last = format!("the end of the job was not told to {}/told (try 1): TLS failed", other.url);
    log_until(&engine, open, &last).await;
    log_until(&engine, held, "the semaphore is closed: TLS failed").await;
    assert_eq!(engine.job(held).await["queue_state"], "scheduled");

    let received = trusted.received();
    assert!(received.iter().any(|one| one.method == Method::GET && one.path == "/gate"), "{received:?}");
    let told = received.iter().filter(|one| one.path == "/told").map(Received::json);
    let told: Vec<Value> = told.map(|one| one["event"].as_str().or(one["status"].as_str()).into()).collect();
    assert_eq!(told, ["start", "complete", "completed"]);
    assert!(other.received().is_empty(), "{:?}", other.received());
    kit.stop().await;
}
