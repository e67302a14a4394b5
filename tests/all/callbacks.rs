//! Hooks and gates with real receivers: each change in its order, none lost over a restart, nobody slowed by a
//! receiver that is dead, and nothing dialled that only we can reach.

use std::collections::VecDeque;
use std::time::Duration;

use domain::task::hook::{Hook, HookKind};
use domain::task::state::Origin;
use domain::task::timing::Timing;
use domain::{Caller, Payload, TaskId, TaskKey};
use http::Method;
use serde_json::{Value, json};
use service::outbound::Outbound;
use service::{clock, ids, keys};
use tests::Kit;
use tests::apps::{App, noop_app, shell_app};
use tests::http::Answer;
use tests::receiver::{Answers, Received, Receiver};
use tests::wait::until;
use tokio::time::Instant;
use wire::Function;
use wire::calls::callbacks::{CallbacksReply, CallbacksRequest, Delivery};
use wire::calls::create::{CreateRequest, Target};

/// The states of a task without a process.
const LIFE: [&str; 3] = ["queued", "assigned", "completed"];

async fn create_with_hook(kit: &Kit, hook: &str) -> Answer {
    kit.http.send(Method::POST, "/pro-api/v2/tasks/noop/run", &[("taskStateHook", hook)], "{}").await.unwrap()
}

fn states(received: &[Received]) -> Vec<String> {
    received.iter().filter_map(|one| one.parameter("task_state")).collect()
}

async fn until_told(receiver: &Receiver) -> Vec<Received> {
    until("the end is told", || async {
        let received = receiver.received();
        if states(&received).iter().any(|state| state == "completed") { Ok(received) } else { Err(received) }
    })
    .await
}

/// A task as the Task Engine's door makes it, with hooks and a gate.
async fn create(kit: &Kit, hooks: &[&str], gate: Option<String>) -> TaskKey {
    let broker = kit.stack.connect(Function::Ingress).await.unwrap();
    broker.call(&request(hooks, gate)).await.unwrap().task.key()
}

fn request(hooks: &[&str], gate: Option<String>) -> CreateRequest {
    let hook = |url: &&str| Hook { kind: HookKind::RestEndpoint, url: (*url).to_owned() };
    let timing =
        gate.map(|url| Timing { run_at: clock::now(), gate: Some(url), every: None, by_tick: false });
    CreateRequest {
        caller: Caller { tenant: "demo".to_owned(), user: "admin".to_owned(), admin: true },
        id: TaskId(ids::random().unwrap()),
        app: "noop".to_owned(),
        version: None,
        service: "run".to_owned(),
        target: Target::Service,
        priority: None,
        timing,
        hooks: hooks.iter().map(hook).collect(),
        origin: Origin::TaskEngine,
        input: Payload::default(),
        input_digest: String::new(),
        idempotency_key: None,
        name: None,
        force: false,
    }
}

async fn deliveries(kit: &Kit, key: &TaskKey) -> Vec<Delivery> {
    let broker = kit.stack.connect(Function::Schedule).await.unwrap();
    match broker.call(&CallbacksRequest::Deliveries { key: key.clone() }).await.unwrap() {
        CallbacksReply::Deliveries(all) => all,
        CallbacksReply::Gate(_) => panic!("a gate"),
    }
}

#[tokio::test]
async fn every_state_is_told_once_in_order_and_signed_by_the_key_of_the_url() {
    let kit = Kit::start().await;
    shell_app(&kit.http, "noop", &[("run", "cat")]).await;
    let receiver = Receiver::start().await;
    let hook = format!("{}/told?a=b%20c&key=s%C3%A9cret&d", receiver.url);
    let task = create_with_hook(&kit, &hook).await.expect(200).json();
    let id = task["id"].as_str().unwrap();
    let received = until_told(&receiver).await;
    assert_eq!(states(&received), ["queued", "assigned", "running", "completed"]);
    for one in &received {
        assert_eq!(one.method, Method::PUT);
        assert!(one.path.starts_with("/told?a=b%20c&d&task_uuid="), "{}", one.path);
        assert_eq!(one.parameter("task_uuid").as_deref(), Some(id));
        assert_eq!(one.parameter("key"), None);
        assert_eq!(one.parameter("hmac"), Some(keys::signature("sécret".as_bytes(), id.as_bytes())));
        assert!(domain::Timestamp::parse(&one.parameter("at").unwrap()).is_some());
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again_and_one_state_is_tried_once() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "callback secret\n").unwrap();
    let kit = Kit::start_with(|options| options.settings.callback_secret = Some(secret)).await;
    noop_app(&kit.http, "noop").await;
    let failing = || Answers { first: VecDeque::from([500, 503]), ..Answers::default() };
    let (endpoint, hook) = (Receiver::answering(failing()).await, Receiver::answering(failing()).await);
    let key = create(&kit, &[&endpoint.url], None).await;
    create_with_hook(&kit, &hook.url).await.expect(200);
    let received = until("the job's end is taken", || async {
        let received = endpoint.received();
        if received.len() >= 3 { Ok(received) } else { Err(deliveries(&kit, &key).await) }
    })
    .await;
    for one in &received {
        assert_eq!((&one.method, &one.body), (&Method::POST, &received[0].body));
        let signature = one.headers["x-tasklane-signature"].to_str().unwrap();
        assert_eq!(signature, keys::signature(b"callback secret", &one.body));
    }
    let job = received[2].json();
    assert_eq!((&job["status"], &job["client"]), (&"completed".into(), &"demo".into()));
    let told = until("the word is kept", || async {
        let told = deliveries(&kit, &key).await;
        if told.first().is_some_and(|hook| hook.delivered == 1) { Ok(told) } else { Err(told) }
    })
    .await;
    assert_eq!((told[0].failed, told[0].attempts), (0, 0));
    assert_eq!(told[0].last_error.as_deref(), Some("it answered 503"));
    let shown = kit.http.get(&format!("/tasklane/v1/tasks/{}", key.id)).await.expect(200).json();
    assert_eq!(shown["deliveries"][0]["delivered"], 1, "{shown}");
    assert_eq!(states(&until_told(&hook).await), LIFE, "what failed is not told again");
    kit.stop().await;
}

const STEPS: &str = r#"
name = "steps"
version = "1.0"
runtime = "command"
[services.first]
command = ["sh", "-c", "cat"]
[services.never]
command = ["sh", "-c", "echo no more >&2; exit 9"]
[services.last]
command = ["sh", "-c", "echo '{\"files\":[\"a.mp4\"],\"metadata\":{\"duration\":7}}'"]
[workflows.good]
steps = ["first", "last"]
[workflows.bad]
steps = ["first", "never", "last"]
"#;

async fn submit(kit: &Kit, workflow: &str, receiver: &Receiver) -> u64 {
    let parameters = json!({
        "content_id": "c1", "custom_data": { "x": 1 }, "rest_endpoints": [format!("{}/cb", receiver.url)],
    });
    let body = json!({ "client": "demo", "job": { "workflow": workflow }, "parameters": parameters });
    let key = kit.http.key().unwrap_or_default();
    let headers = [("client", "demo"), ("api-key", key), ("Content-Type", "application/json")];
    let answer = kit.http.send(Method::POST, "/job", &headers, body.to_string()).await.unwrap();
    assert!(answer.status.is_success(), "{answer:?}");
    answer.json()["id"].as_str().unwrap().parse().unwrap()
}

/// The callbacks of a job, once its end is among them: each as its event or status, with the id of the step.
async fn told_of_job(receiver: &Receiver, job: u64) -> (Vec<String>, Value) {
    until("the end of the job is told", || async {
        let all: Vec<Value> = receiver.received().iter().map(Received::json).collect();
        let words = all.iter().map(|one| match one["event"].as_str() {
            Some(event) => format!("{} {event}", one["task_id"].as_u64().unwrap() - job * 1_000),
            None => one["status"].as_str().unwrap().to_owned(),
        });
        let words: Vec<String> = words.collect();
        match all.last() {
            Some(last) if last["status"].is_string() => Ok((words, last.clone())),
            Some(_) | None => Err(words),
        }
    })
    .await
}

#[tokio::test]
async fn a_job_tells_each_step_and_its_end_in_order() {
    let kit = Kit::start().await;
    App { manifest: STEPS, files: &[] }.publish(&kit.http).await.expect(200);
    kit.http.patch("/tasklane/v1/lanes/jobs", r#"{"retry_limit":0}"#).await.expect(200);
    let good = Receiver::start().await;
    let job = submit(&kit, "good", &good).await;
    let (words, end) = told_of_job(&good, job).await;
    assert_eq!(words, ["1 start", "1 complete", "2 start", "2 complete", "completed"]);
    assert_eq!((&end["job_id"], &end["content_id"]), (&job.into(), &"c1".into()));
    assert_eq!((&end["files"], &end["metadata"]["duration"]), (&json!(["a.mp4"]), &7.into()));
    assert_eq!(end["custom_data"], json!({ "x": 1 }));
    let bad = Receiver::start().await;
    let job = submit(&kit, "bad", &bad).await;
    let (words, end) = told_of_job(&bad, job).await;
    assert_eq!(words, ["1 start", "1 complete", "2 start", "2 fail", "failed"]);
    assert_eq!(end["workflow"], "bad");
    kit.stop().await;
}

#[tokio::test]
async fn receivers_that_are_dead_or_slow_hold_up_nobody() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    // It listens and never accepts, so a request to it lasts until its time-out.
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", dead.local_addr().unwrap());
    let slow = Receiver::answering(Answers { delay: Duration::from_secs(60), ..Answers::default() }).await;
    for _ in 0..40 {
        create_with_hook(&kit, &dead).await.expect(200);
        create_with_hook(&kit, &slow.url).await.expect(200);
    }
    let quick = Receiver::start().await;
    let key = create(&kit, &[&slow.url, &quick.url], None).await;
    let began = Instant::now();
    create_with_hook(&kit, &quick.url).await.expect(200);
    until_told(&quick).await;
    until("the other endpoint of the same job is told", || async {
        let told = deliveries(&kit, &key).await;
        if told.get(1).is_some_and(|hook| hook.delivered == 1) { Ok(()) } else { Err(told) }
    })
    .await;
    // Were they in one queue, eighty time-outs would come first.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    kit.stop().await;
}

#[tokio::test]
async fn a_restart_in_between_loses_nothing() {
    let mut kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    let receiver = Receiver::answering(Answers { first: VecDeque::from([500]), ..Answers::default() }).await;
    let key = create(&kit, &[&receiver.url], None).await;
    until("one try has failed", || async { if receiver.received().is_empty() { Err(()) } else { Ok(()) } })
        .await;
    let (ended, left) = std::mem::take(&mut kit.stack.replicas)
        .into_iter()
        .partition(|replica| replica.function == Function::Callbacks);
    kit.stack.replicas = left;
    let ended: Vec<cli::stack::boot::Replica> = ended;
    assert_eq!(ended.len(), 2);
    for replica in ended {
        replica.abort().await;
    }
    let hook = Receiver::start().await;
    create_with_hook(&kit, &hook.url).await.expect(200);
    let replica = kit.stack.replica(Function::Callbacks, None).await.unwrap();
    kit.stack.replicas.push(replica);
    assert_eq!(states(&until_told(&hook).await), LIFE, "what happened meanwhile is told");
    until("the job's end is taken", || async {
        let told = deliveries(&kit, &key).await;
        if told.first().is_some_and(|hook| hook.delivered == 1) { Ok(()) } else { Err(told) }
    })
    .await;
    kit.stop().await;
}

#[tokio::test]
async fn redirections_are_not_followed() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    let aim = Receiver::start().await;
    let first = VecDeque::from([302, 307, 308]);
    let answers = Answers { first, location: Some(aim.url.clone()), ..Answers::default() };
    let receiver = Receiver::answering(answers).await;
    create_with_hook(&kit, &receiver.url).await.expect(200);
    assert_eq!(states(&until_told(&receiver).await), LIFE);
    let last = Receiver::start().await;
    create_with_hook(&kit, &last.url).await.expect(200);
    until_told(&last).await;
    assert!(aim.received().is_empty(), "{:?}", aim.received());
    kit.stop().await;
}

#[tokio::test]
async fn a_hook_to_an_inner_address_is_refused_and_nothing_is_created() {
    let kit = Kit::start_with(|options| options.settings.outbound = Outbound::default()).await;
    noop_app(&kit.http, "noop").await;
    for hook in [
        "http://127.0.0.1:4222/",
        "http://2130706433/",
        "http://localhost:8080/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/",
        "https://user@example.org/",
        "ftp://example.org/",
    ] {
        let answer = create_with_hook(&kit, hook).await.expect(400);
        assert!(!answer.text().is_empty(), "{hook}");
    }
    let list = kit.http.get("/pro-api/v2/tasks").await.expect(200).json();
    assert_eq!(list["total_tasks"], 0, "{list}");
    kit.stop().await;
}

#[tokio::test]
async fn a_gate_lets_its_task_through_once_it_is_open() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    // A redirection opens it and is not followed.
    let answers = Answers { first: VecDeque::from([404, 503, 302]), ..Answers::default() };
    let gate = Receiver::answering(answers).await;
    let key = create(&kit, &[], Some(gate.url.clone())).await;
    kit.http.until_state(&key.id.to_string(), &["completed"]).await;
    let asked = gate.received();
    assert!(asked.len() >= 3 && asked.iter().all(|one| one.method == Method::GET), "{asked:?}");
    kit.stop().await;
}

#[tokio::test]
async fn a_thousand_gates_that_never_answer_delay_no_due_task() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    // It listens and never accepts.
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gate = format!("http://{}", dead.local_addr().unwrap());
    let broker = kit.stack.connect(Function::Ingress).await.unwrap();
    let creates = (0..1_000).map(|_| {
        let (broker, request) = (&broker, request(&[], Some(gate.clone())));
        async move { broker.call(&request).await.unwrap() }
    });
    let held = futures_util::future::join_all(creates).await;
    let created = kit.http.post("/pro-api/v2/tasks/noop/run?scheduleIn=PT1S", "{}").await.expect(200).json();
    let id = created["id"].as_str().unwrap();
    kit.http.until_ended(id).await;
    let task = kit.http.get(&format!("/tasklane/v1/tasks/{id}")).await.expect(200).json();
    let time = |value: &Value| domain::Timestamp::parse(value.as_str().unwrap()).unwrap();
    let late = time(&task["assigned_at"]).seconds_since(time(&task["timing"]["run_at"]));
    assert!(late < 2.0, "{late} s late: {task}");
    for held in held.iter().map(|reply| reply.task.id) {
        let task = kit.http.get(&format!("/tasklane/v1/tasks/{held}")).await.expect(200).json();
        assert_eq!(task["state"], "scheduled", "a gate that does not answer is closed");
    }
    kit.stop().await;
}
