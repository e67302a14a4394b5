//! Jobs as a client of the Task Engine API sees them: taken in, run step by step, logged, changed, run anew.

use http::Method;
use serde_json::{Value, json};
use tests::Kit;
use tests::apps::App;
use tests::http::{Answer, Http};
use tests::wait::until;

const MANIFEST: &str = r#"
name = "media"
version = "1.0"
runtime = "command"

[services.fetch]
command = ["sh", "fetch.sh"]

[services.pack]
command = ["sh", "pack.sh"]

[workflows.publish]
steps = ["fetch", "pack"]
required = ["content_id"]
"#;

async fn kit() -> Kit {
    let kit = Kit::start().await;
    let files = [("fetch.sh", "echo fetching >&2; printf 7"), ("pack.sh", "cat")];
    App { manifest: MANIFEST, files: &files }.publish(&kit.http).await.expect(200);
    kit
}

async fn ask(http: &Http, method: Method, path: &str, body: Value) -> Answer {
    let key = http.key().expect("the kit has a key").to_owned();
    let headers = [("client", "demo"), ("api-key", key.as_str())];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    http.with_key(None).send(method, path, &headers, body).await.expect("an answer")
}

async fn submit(http: &Http, job: Value) -> String {
    let body = json!({ "client": "demo", "job": job, "parameters": { "content_id": "c1" } });
    let answer = ask(http, Method::POST, "/job", body).await.expect(200).json();
    assert_eq!(answer["result"], "accepted");
    answer["id"].as_str().expect("the id is a text").to_owned()
}

async fn until_state(http: &Http, id: &str, state: &str) -> Value {
    until(&format!("job {id} is {state}"), || async {
        let job = http.with_key(None).get(&format!("/jobs/{id}")).await.expect(200).json();
        if job["queue_state"] == state { Ok(job) } else { Err(job) }
    })
    .await
}

#[tokio::test]
async fn a_job_runs_its_steps_and_its_log_tells_them() {
    let kit = kit().await;
    let id = submit(&kit.http, json!({ "workflow": "publish", "priority": "2" })).await;
    let job = until_state(&kit.http, &id, "completed").await;
    assert_eq!(
        (&job["failed"], &job["priority"], &job["client"]),
        (&json!(false), &json!(2), &json!("demo"))
    );
    assert_eq!(job["parameters"], json!({ "content_id": "c1" }));
    let rows = kit.http.with_key(None).get(&format!("/logs/{id}")).await.expect(200).json();
    let rows = rows.as_array().expect("rows");
    let told = |text: &str| rows.iter().any(|row| row["message"].as_str().is_some_and(|m| m.contains(text)));
    assert_eq!(rows[0]["progname"], "api");
    assert!(told("job_created") && told("'fetch'") && told("fetching") && told("'pack'"), "{rows:#?}");
    assert!(told("job has completed successfully"), "{rows:#?}");
    let list = kit.http.with_key(None).get("/jobs?state=2&search=C1").await.expect(200).json();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    kit.stop().await;
}

#[tokio::test]
async fn a_job_is_scheduled_paused_let_go_given_up_and_run_anew() {
    let kit = kit().await;
    let http = &kit.http;
    let later = submit(http, json!({ "workflow": "publish", "run_at": "2040-06-06T10:00:00.000" })).await;
    let job = until_state(http, &later, "scheduled").await;
    assert_eq!(job["run_at"], "2040-06-06T10:00:00.000Z");
    let path = format!("/jobs/{later}");
    let put = |body: Value| ask(http, Method::PUT, &path, body);
    let paused = put(json!({ "queue_state": "paused", "priority": 3 })).await.expect(200).json();
    assert_eq!(paused["result"], "Performed updates: queue_state, priority");
    assert_eq!(until_state(http, &later, "paused").await["priority"], 3);
    put(json!({ "queue_state": "queued", "run_at": "2020-01-01T00:00:00.000" })).await.expect(200);
    let dashboard = http.with_key(None).get("/dashboard").await.expect(200).json();
    assert_eq!(dashboard["max_jobs"], 2);
    until_state(http, &later, "completed").await;
    put(json!({ "queue_state": "paused" })).await.expect(400);
    let again = ask(http, Method::POST, &format!("{path}/rerun"), Value::Null).await.expect(200).json();
    assert_ne!(again["id"], later.as_str());
    until_state(http, &later, "broken").await;
    until_state(http, again["id"].as_str().expect("an id"), "completed").await;
    let health = ask(http, Method::GET, "/health", Value::Null).await.expect(200).json();
    assert_eq!((&health["jobs"]["completed"], &health["jobs"]["broken"]), (&json!(1), &json!(1)), "{health}");
    kit.stop().await;
}

#[tokio::test]
async fn a_task_of_another_door_is_seen_with_a_key_alone() {
    let kit = kit().await;
    tests::apps::noop_app(&kit.http, "noop").await;
    kit.http.create("noop", "run", "{}").await;
    let open = kit.http.with_key(None).get("/jobs").await.expect(200).json();
    assert_eq!(open, json!([]));
    let own = ask(&kit.http, Method::GET, "/jobs", Value::Null).await.expect(200).json();
    assert_eq!(own[0]["workflow"], "run");
    let number = own[0]["id"].as_u64().expect("a number");
    kit.http.with_key(None).get(&format!("/jobs/{number}")).await.expect(400);
    let settings = json!({ "name": "max_jobs", "setting": "5" });
    ask(&kit.http, Method::POST, "/settings", settings).await.expect(200);
    let dashboard = kit.http.with_key(None).get("/dashboard").await.expect(200).json();
    assert_eq!(dashboard["max_jobs"], 5);
    kit.stop().await;
}
