//! The `session` runtime: warm processes that speak the session protocol, and those that break it.

use domain::Caller;
use domain::task::state::InterruptKind;
use serde_json::{Value, json};
use tests::Kit;
use tests::apps::{App, shell_app};
use tests::http::Http;
use tests::wait::until;
use wire::calls::interrupt::InterruptRequest;
use wire::runner::Told;
use wire::{Function, subjects};

const SERVER: &str = include_str!("sessions/server.py");

/// Publishes the test's session app under a name, with more lines for its `[session]`.
async fn publish(http: &Http, name: &str, more: &str) {
    let manifest = format!(
        "name = \"{name}\"\nversion = \"1.0\"\nruntime = \"session\"\n[session]\n\
         command = [\"python3\", \"server.py\", \"--port\", \"{{port}}\"]\nready = \"/api/v2/tasks\"\n{more}\n"
    );
    App { manifest: &manifest, files: &[("server.py", SERVER)] }.publish(http).await.expect(200);
}

async fn run(http: &Http, app: &str, service: &str, body: &str) -> Value {
    let id = http.create(app, service, body.to_owned()).await;
    http.until_ended(&id).await
}

async fn answer(http: &Http, task: &Value) -> String {
    http.response(task["id"].as_str().unwrap()).await.expect(200).text()
}

async fn sessions(http: &Http) -> Vec<Value> {
    http.get("/tasklane/v1/sessions").await.expect(200).json()["sessions"].as_array().unwrap().clone()
}

async fn until_idle(http: &Http) -> Value {
    until("one warm session is shown", || async {
        let shown = sessions(http).await;
        match shown.as_slice() {
            [only] if only["activity"] == "idle" => Ok(only.clone()),
            _ => Err(shown),
        }
    })
    .await
}

#[tokio::test]
async fn a_second_task_runs_in_the_warm_session_of_the_first() {
    let kit = Kit::start().await;
    publish(&kit.http, "warm", "").await;
    let first = run(&kit.http, "warm", "pid", "").await;
    assert_eq!(first["state"], "completed", "{first}");
    assert_eq!(first["returnCode"], json!(0));
    let shown = until_idle(&kit.http).await;
    assert_eq!(shown["session"], first["sessionId"]);
    assert_eq!((&shown["kind"], &shown["tasks"]), (&json!("task"), &json!(1)));
    let second = run(&kit.http, "warm", "pid", "").await;
    assert_eq!(second["sessionId"], first["sessionId"]);
    assert_eq!(answer(&kit.http, &first).await, answer(&kit.http, &second).await, "the same process");
    let echoed = run(&kit.http, "warm", "echo", "hello").await;
    let response = kit.http.response(echoed["id"].as_str().unwrap()).await.expect(200);
    assert_eq!(
        (response.text().as_str(), &response.headers["content-type"]),
        ("HELLO", &"text/x-test".parse().unwrap())
    );
    kit.stop().await;
}

#[tokio::test]
async fn a_session_is_told_its_idle_time_and_the_id_of_its_task_and_ends_by_itself() {
    let kit = Kit::start().await;
    publish(&kit.http, "short", "idle = \"1s\"").await;
    let task = run(&kit.http, "short", "headers", "").await;
    let told: Value = serde_json::from_str(&answer(&kit.http, &task).await).unwrap();
    assert_eq!(told["x-aimms-max-idle-time"], "1");
    assert_eq!(told["x-tasklane-task-id"], task["id"]);
    until_idle(&kit.http).await;
    until("the idle session has ended", || async {
        let shown = sessions(&kit.http).await;
        if shown.is_empty() { Ok(()) } else { Err(shown) }
    })
    .await;
    let next = run(&kit.http, "short", "pid", "").await;
    assert_ne!(next["sessionId"], task["sessionId"]);
    kit.stop().await;
}

#[tokio::test]
async fn a_session_that_takes_no_more_tasks_or_has_run_its_number_is_not_used_again() {
    let kit = Kit::start().await;
    publish(&kit.http, "willing", "").await;
    publish(&kit.http, "limited", "max_tasks = 1").await;
    for (app, service) in [("willing", "last"), ("willing", "last_by_header"), ("limited", "pid")] {
        let first = run(&kit.http, app, service, "").await;
        let second = run(&kit.http, app, service, "").await;
        assert_eq!((&first["state"], &second["state"]), (&json!("completed"), &json!("completed")));
        assert_ne!(first["sessionId"], second["sessionId"], "{app}");
    }
    kit.stop().await;
}

#[tokio::test]
async fn large_bodies_go_both_ways_and_logs_go_to_their_task() {
    let kit = Kit::start().await;
    publish(&kit.http, "bodies", "").await;
    let large = "abc".repeat(700_000);
    let task = run(&kit.http, "bodies", "echo", &large).await;
    assert_eq!(task["state"], "completed", "{task}");
    assert!(answer(&kit.http, &task).await == large.to_uppercase());
    let first = run(&kit.http, "bodies", "talk", "one").await;
    let second = run(&kit.http, "bodies", "talk", "two").await;
    for (task, name) in [(&first, "one"), (&second, "two")] {
        let id = task["id"].as_str().unwrap();
        let logs = kit.http.get(&format!("/tasklane/v1/tasks/{id}/logs")).await.expect(200).text();
        assert!(logs.contains(&format!("hello from {name}")) && logs.contains("and an error"), "{logs}");
        let other = if name == "one" { "from two" } else { "from one" };
        assert!(!logs.contains(other), "{logs}");
    }
    kit.stop().await;
}

#[tokio::test]
async fn an_interrupt_is_passed_on_and_a_forced_stop_ends_the_session() {
    let kit = Kit::start().await;
    publish(&kit.http, "solver", "").await;
    let id = kit.http.create("solver", "solve", "").await;
    kit.http.until_state(&id, &["solving"]).await;
    kit.http.put(&format!("/pro-api/v2/tasks/{id}"), r#"{"setstatus":"interrupt-solve"}"#).await.expect(200);
    let task = kit.http.until_ended(&id).await;
    assert_eq!((&task["state"], &task["returnCode"]), (&json!("completed"), &json!(7)), "{task}");
    assert_eq!(answer(&kit.http, &task).await, "best so far");
    let id = kit.http.create("solver", "deaf", "").await;
    kit.http.until_state(&id, &["running"]).await;
    let caller = Caller { tenant: "demo".to_owned(), user: String::new(), admin: true };
    let stop =
        InterruptRequest { caller, id: id.parse().unwrap(), kind: InterruptKind::Execution, run: None };
    kit.stack.connect(Function::Ingress).await.unwrap().call(&stop).await.unwrap();
    let task = kit.http.until_ended(&id).await;
    assert_eq!(
        (&task["state"], &task["errorMessage"]),
        (&json!("failed"), &json!("it was stopped by force"))
    );
    kit.stop().await;
}

#[tokio::test]
async fn a_session_that_breaks_the_protocol_fails_its_task_with_a_message_for_its_author() {
    let kit = Kit::start().await;
    publish(&kit.http, "hostile", "").await;
    let cases = [
        ("nowhere", "service not found: the app's session answered 403 for service nowhere"),
        ("fail", "no solution for x"),
        ("wrong_json", "it is not JSON"),
        ("wrong_state", "the state \"done\" is unknown"),
        ("other", "it is about the task \"task-of-another\""),
        ("endless", "it is longer than 256 KB"),
        ("huge_headers", "its head is longer than 64 KB"),
        ("closing", "it closed the connection before the answer was whole"),
        ("no_http", "it is not HTTP"),
        ("cut_response", "it closed the connection before the answer was whole"),
        ("never", "did not answer GET"),
        ("die", "it ended with exit code 3; its last words: out of luck"),
    ];
    let tasks = cases.iter().map(|(service, expected)| {
        let http = kit.http.clone();
        async move {
            let task = run(&http, "hostile", service, "x").await;
            assert_eq!(task["state"], "failed", "{service}: {task}");
            let message = task["errorMessage"].as_str().unwrap();
            assert!(message.contains(expected), "{service}: {message}");
        }
    });
    futures_util::future::join_all(tasks).await;
    // An id that comes twice needs one session for both.
    let first = run(&kit.http, "hostile", "same_id", "").await;
    assert_eq!(first["state"], "completed", "{first}");
    until("a warm session gives an id again", || async {
        let task = run(&kit.http, "hostile", "same_id", "").await;
        let message = task["errorMessage"].as_str().unwrap_or_default().to_owned();
        if message.contains("which an earlier task of it had") { Ok(()) } else { Err(task) }
    })
    .await;
    let good = run(&kit.http, "hostile", "echo", "still here").await;
    assert_eq!(good["state"], "completed", "{good}");
    kit.stop().await;
}

#[tokio::test]
async fn a_session_killed_from_outside_costs_its_lane_a_loss_and_never_gives_two_results() {
    let kit = Kit::start().await;
    publish(&kit.http, "mortal", "").await;
    let id = kit.http.create("mortal", "sleep", "1").await;
    kit.http.until_state(&id, &["running"]).await;
    let pid = until("its process is shown", || async {
        let shown = sessions(&kit.http).await;
        shown.iter().find_map(|s| if s["task"] == json!(id) { s["pid"].as_i64() } else { None }).ok_or(shown)
    })
    .await;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let task = kit.http.until_ended(&id).await;
    assert_eq!(task["state"], "completed", "the lane allows losses: {task}");
    assert_ne!(answer(&kit.http, &task).await, pid.to_string(), "the second process answered");
    let task = run(&kit.http, "mortal", "kill", "").await;
    assert_eq!(task["state"], "failed", "each process was killed: {task}");
    let message = task["errorMessage"].as_str().unwrap();
    let expected = "the session's process ended before the task was done: the process was ended by SIGKILL";
    assert!(message.starts_with(expected), "{task}");
    kit.stop().await;
}

#[tokio::test]
async fn a_session_that_does_not_start_says_why() {
    let kit = Kit::start().await;
    let manifest = |command: &str| {
        format!(
            "name = \"bad\"\nversion = \"1.0\"\nruntime = \"session\"\n[session]\ncommand = {command}\nready = \"/\"\n"
        )
    };
    let manifest = manifest(r#"["sh", "-c", "echo no licence >&2; exit 4"]"#);
    App { manifest: &manifest, files: &[] }.publish(&kit.http).await.expect(200);
    let task = run(&kit.http, "bad", "any", "").await;
    assert_eq!(
        task["errorMessage"],
        "the session's process ended before it was ready: it ended with exit code 4; its last words: no licence"
    );
    kit.stop().await;
}

#[tokio::test]
async fn no_process_of_a_session_outlives_its_stack() {
    let kit = Kit::start().await;
    publish(&kit.http, "tidy", "").await;
    let task = run(&kit.http, "tidy", "pid", "").await;
    let pid: i32 = answer(&kit.http, &task).await.parse().unwrap();
    kit.stop().await;
    let gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None);
    assert_eq!(gone, Err(nix::errno::Errno::ESRCH), "a stopped stack leaves no warm session behind");
}

#[tokio::test]
async fn a_task_whose_session_is_ended_fails_and_names_who_did_it() {
    let kit = Kit::start().await;
    publish(&kit.http, "ended", "").await;
    shell_app(&kit.http, "plain", &[("sleep", "sleep 600")]).await;
    let broker = kit.stack.connect(Function::Interrupt).await.unwrap();
    for (app, service) in [("ended", "deaf"), ("plain", "sleep")] {
        let id = kit.http.create(app, service, "").await;
        let running = kit.http.until_state(&id, &["running"]).await;
        let shown = until("its session is shown", || async {
            let shown = sessions(&kit.http).await;
            shown.iter().find(|session| session["task"] == json!(id)).cloned().ok_or(shown)
        })
        .await;
        assert_eq!(shown["session"], running["sessionId"]);
        let session = shown["session"].as_str().unwrap().parse().unwrap();
        let runner = shown["runner"].as_str().unwrap().parse().unwrap();
        let end = Told::EndSession { session, why: "terminated by user ann".to_owned() };
        broker.tell(subjects::runner(runner), &end).await;
        let task = kit.http.until_ended(&id).await;
        assert_eq!(task["state"], "failed", "{task}");
        assert_eq!(task["errorMessage"], "its session was terminated by user ann", "{task}");
    }
    kit.stop().await;
}
