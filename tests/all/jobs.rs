//! Jobs as a client of the Task Engine API sees them: taken in, run step by step, logged, changed, run anew.

use http::Method;
use serde_json::{Value, json};
use tests::Kit;
use tests::apps::App;
use tests::http::{Answer, Http};
use tests::receiver::{Answers, Receiver};
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

/// The rows of a job's log.
async fn rows(http: &Http, id: &str) -> Vec<Value> {
    let rows = http.with_key(None).get(&format!("/logs/{id}")).await.expect(200).json();
    rows.as_array().expect("rows").clone()
}

/// Ids rise, and each row names its job and its step.
fn assert_rows_are_numbered(rows: &[Value], number: u64) {
    let (first, last) = (number * 1000 + 1, number * 1000 + 2);
    for row in rows {
        assert_eq!((&row["job_id"], &row["visible"]), (&number.into(), &true.into()));
        let is_late = row["message"].as_str().unwrap().contains("pack") || row["progname"] == "controller";
        let task = match row["progname"].as_str().unwrap() {
            "api" | "scheduler" => 0,
            _ if is_late || row["message"].as_str().unwrap().starts_with("the end") => last,
            _ => first,
        };
        assert_eq!(row["task_id"], task, "{row}");
        let failed = row["message"].as_str().unwrap().contains("answered 500");
        assert_eq!(row["severity_description"], if failed { "ERROR" } else { "INFO" });
    }
    let ids: Vec<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[tokio::test]
async fn the_log_tells_who_asked_when_it_may_run_and_whom_it_was_told() {
    let kit = kit().await;
    let receiver = Receiver::answering(Answers { first: [500].into(), ..Answers::default() }).await;
    let gate = Receiver::answering(Answers { first: [404].into(), ..Answers::default() }).await;
    for (name, setting) in [("retry_delay", "0"), ("schedule_interval", "1")] {
        let setting = json!({ "name": name, "setting": setting });
        ask(&kit.http, Method::POST, "/settings", setting).await.expect(200);
    }
    let body = json!({
        "client": "demo",
        "job": { "workflow": "publish", "run_at": "2040-06-06T10:00:00.000", "semaphore_url": gate.url },
        "parameters": { "content_id": "c1", "rest_endpoints": [format!("{}/told?token=secret", receiver.url)] },
    });
    let answer = ask(&kit.http, Method::POST, "/job", body.clone()).await.expect(200).json();
    let id = answer["id"].as_str().unwrap();
    let change = json!({ "run_at": "2020-01-01T00:00:00.000" });
    ask(&kit.http, Method::PUT, &format!("/jobs/{id}"), change.clone()).await.expect(200);
    until_state(&kit.http, id, "completed").await;
    let rows = until("the end of the job was told", || async {
        let rows = rows(&kit.http, id).await;
        let last = rows.last().unwrap()["message"].as_str().unwrap().to_owned();
        if last.starts_with("the end of the job was told to ") { Ok(rows) } else { Err(rows) }
    })
    .await;

    let message = |row: &Value| -> Value { serde_json::from_str(row["message"].as_str().unwrap()).unwrap() };
    let (created, changed) = (message(&rows[0]), message(&rows[2]));
    let key = kit.http.key().unwrap();
    let masked = format!("{}{}", "*".repeat(key.len() - 4), &key[key.len() - 4..]);
    assert_eq!((&created["path"], &created["payload"]), (&"POST /job".into(), &"job_created".into()));
    assert_eq!((&created["remote_addr"], &created["parameters"]), (&"127.0.0.1".into(), &body));
    assert_eq!(created["headers"]["HTTP_API_KEY"], masked);
    assert_eq!(created["headers"]["HTTP_CLIENT"], "demo");
    assert!(rows.iter().all(|row| !row["message"].as_str().unwrap().contains(key)), "the key is nowhere");
    assert_eq!((&changed["payload"], &changed["parameters"]), (&"job_updated".into(), &change));

    let told = |progname: &str| -> Vec<String> {
        let of = rows.iter().filter(|row| row["progname"] == progname);
        of.map(|row| row["message"].as_str().unwrap().to_owned()).collect()
    };
    let scheduler = [
        "Job will run at: \"2040-06-06T10:00:00.000\"",
        "Job will run at: \"2020-01-01T00:00:00.000\"",
        "the semaphore is closed: it answered 404",
        "Job is queued: its time has come",
    ];
    assert_eq!(told("scheduler"), scheduler);
    let to = format!("told to {}/told", receiver.url);
    let callbacks = [
        format!("that 'fetch' has started was not {to} (try 1): it answered 500"),
        format!("that 'fetch' has started was {to}"),
        format!("that 'fetch' is complete was {to}"),
        format!("that 'pack' has started was {to}"),
        format!("that 'pack' is complete was {to}"),
        format!("the end of the job was {to}"),
    ];
    assert_eq!(told("callback"), callbacks);
    assert_eq!(told("controller"), ["job has completed successfully"]);
    assert_eq!(told("worker").len(), 5);
    assert_rows_are_numbered(&rows, id.parse().unwrap());
    let again =
        ask(&kit.http, Method::POST, &format!("/jobs/{id}/rerun"), Value::Null).await.expect(200).json();
    let rows = self::rows(&kit.http, again["id"].as_str().unwrap()).await;
    assert_eq!(message(&rows[0])["path"], format!("POST /jobs/{id}/rerun"));
    kit.stop().await;
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind_and_the_jobs_of_others_are_not_there() {
    let kit = kit().await;
    let http = &kit.http;
    let whole = json!({ "content_id": "c1" });
    for (job, parameters) in [
        (json!({ "workflow": "nobody's" }), whole.clone()),
        (json!({ "workflow": "publish" }), json!({})),
        (json!({ "workflow": "publish" }), json!({ "content_id": null })),
        (json!({ "workflow": "publish", "priority": 0 }), whole.clone()),
        (json!({ "workflow": "publish", "priority": "eleven" }), whole.clone()),
        (json!({ "workflow": "publish", "run_at": "2040-02-30T00:00:00.000" }), whole.clone()),
        (json!({ "workflow": "publish", "semaphore_url": "http://10.0.0.1/" }), whole.clone()),
        (
            json!({ "workflow": "publish" }),
            json!({ "content_id": "c1", "rest_endpoints": ["http://10.0.0.1/"] }),
        ),
    ] {
        let body = json!({ "job": job, "parameters": parameters });
        let refused = ask(http, Method::POST, "/job", body).await.expect(400).json();
        assert_eq!(refused.get("id"), Some(&Value::Null), "{refused}");
        assert!(refused["error"].as_str().is_some_and(|text| !text.is_empty()), "{refused}");
    }
    assert_eq!(ask(http, Method::GET, "/jobs", Value::Null).await.expect(200).json(), json!([]));

    let later = submit(http, json!({ "workflow": "publish", "run_at": "2040-06-06T10:00:00.000" })).await;
    let path = format!("/jobs/{later}");
    let before = ask(http, Method::GET, &path, Value::Null).await.expect(200).json();
    for change in [
        json!({ "priority": 2, "run_at": "soon" }),
        json!({ "priority": 2, "semaphore_url": "http://10.0.0.1/" }),
        json!({ "run_at": "2041-01-01T00:00:00.000", "queue_state": "queued" }),
        json!({ "workflow": "other", "id": 7 }),
    ] {
        let refused = ask(http, Method::PUT, &path, change).await.expect(400).json();
        assert_eq!(refused["id"], later.as_str(), "{refused}");
    }
    assert_eq!(ask(http, Method::GET, &path, Value::Null).await.expect(200).json(), before);

    tests::accounts::tenant(http, "other").await;
    let key = tests::accounts::key(http, "other", "eve", &["Jobs"]).await.text;
    let headers = [("client", "other"), ("api-key", key.as_str())];
    let there = format!("Job not found: {later}");
    let log = format!("/logs/{later}");
    let rerun = format!("{path}/rerun");
    let change = r#"{"priority":1}"#;
    for (method, path, body) in [
        (Method::GET, &path, ""),
        (Method::GET, &log, ""),
        (Method::PUT, &path, change),
        (Method::PATCH, &path, change),
        (Method::POST, &rerun, ""),
    ] {
        let answer = http.with_key(None).send(method, path, &headers, body).await.unwrap().expect(400).json();
        assert_eq!(answer["error"], there, "{answer}");
    }
    assert_eq!(ask(http, Method::GET, &path, Value::Null).await.expect(200).json(), before);
    kit.stop().await;
}
