//! How sessions end: by their age, with their runner, and by what they answer. Whatever ends one, its tasks have one
//! result or one message at the most, and the next task runs.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::Kit;
use tests::apps::App;
use tests::history::History;
use tests::http::Http;
use tests::process::serve;
use tests::wait::until;
use wire::Function;

const SERVER: &str = include_str!("sessions/server.py");

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

/// A session as it is shown once it has ended.
async fn until_over(http: &Http, id: &Value) -> Value {
    let path = format!("/pro/session-manager/v1/sessions/task/{}", id.as_str().unwrap());
    until("the session has ended", || async {
        let shown = http.get(&path).await.expect(200).json();
        if shown["ended_at"].is_null() { Err(shown) } else { Ok(shown) }
    })
    .await
}

#[tokio::test]
async fn a_session_ends_at_its_age_whether_it_is_busy_or_rests() {
    let kit = Kit::start().await;
    publish(&kit.http, "ageing", "max_age = \"2s\"").await;
    let first = run(&kit.http, "ageing", "pid", "").await;
    assert_eq!(first["state"], "completed", "{first}");
    // It has never rested for long when its time comes.
    let next = until("another session runs the tasks", || async {
        let task = run(&kit.http, "ageing", "pid", "").await;
        assert_eq!(task["state"], "completed", "{task}");
        if task["sessionId"] == first["sessionId"] { Err(task) } else { Ok(task) }
    })
    .await;
    for task in [&first, &next] {
        let ended = until_over(&kit.http, &task["sessionId"]).await;
        assert_eq!(
            (&ended["state"], &ended["message"]),
            (&json!("finished"), &json!("ended at the age of 2s")),
            "{ended}"
        );
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_runner_that_drains_ends_its_sessions_and_its_tasks_go_to_others() {
    let mut kit = Kit::start().await;
    kit.without(Function::Runner).await;
    publish(&kit.http, "moving", "").await;
    let mut old = serve(&kit, Function::Runner);
    let warm = run(&kit.http, "moving", "pid", "").await;
    let short = kit.http.create("moving", "sleep", "2").await;
    let long = kit.http.create("moving", "sleep", "8").await;
    for id in [&short, &long] {
        kit.http.until_state(id, &["running"]).await;
    }
    let _new = serve(&kit, Function::Runner);
    until("both runners are known", || async {
        let shown = kit.http.get("/tasklane/v1/sessions").await.expect(200).json();
        if shown["runners"].as_array().is_some_and(|all| all.len() == 2) { Ok(()) } else { Err(shown) }
    })
    .await;
    let of_old: Vec<Value> = [kit.http.task(&short).await, kit.http.task(&long).await]
        .map(|task| task["sessionId"].clone())
        .into();
    assert!(of_old.contains(&warm["sessionId"]), "the first of them found it warm: {of_old:?}");
    old.signal(Signal::SIGTERM);
    // While it drains, and after it, others take what comes.
    let during = run(&kit.http, "moving", "pid", "").await;
    assert_eq!(during["state"], "completed", "{during}");
    assert!(!of_old.contains(&during["sessionId"]), "a runner that drains takes nothing: {during}");
    assert!(old.until_ended().await.success());

    let short = kit.http.until_ended(&short).await;
    assert_eq!(
        (&short["state"], of_old.contains(&short["sessionId"])),
        (&json!("completed"), true),
        "{short}"
    );
    let long = kit.http.until_ended(&long).await;
    assert_eq!((&long["state"], of_old.contains(&long["sessionId"])), (&json!("completed"), false), "{long}");
    for session in &of_old {
        let ended = until_over(&kit.http, session).await;
        let message = ended["message"].as_str().unwrap();
        let expected = if *session == short["sessionId"] {
            "ended because its runner stops"
        } else {
            "ended with its task, which was stopped"
        };
        assert_eq!(message, expected, "{ended}");
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_killed_runner_takes_its_sessions_along_and_their_tasks_have_one_result_elsewhere() {
    let mut kit = Kit::start().await;
    let history = History::follow(&kit.stack.settings.nats_url, &kit.stack.settings.keys).await;
    kit.without(Function::Runner).await;
    publish(&kit.http, "mortal", "").await;
    let mut old = serve(&kit, Function::Runner);
    let resting = run(&kit.http, "mortal", "pid", "").await;
    let tasks =
        [kit.http.create("mortal", "sleep", "4").await, kit.http.create("mortal", "sleep", "4").await];
    for id in &tasks {
        kit.http.until_state(id, &["running"]).await;
    }
    let pids = until("one runs in the session that was warm, and one in another", || async {
        let shown = kit.http.get("/tasklane/v1/sessions").await.expect(200).json()["sessions"].clone();
        let pids: Vec<i64> = shown.as_array().unwrap().iter().filter_map(|one| one["pid"].as_i64()).collect();
        if pids.len() == 2 { Ok(pids) } else { Err(shown) }
    })
    .await;
    old.kill().await;
    until("no process of its sessions is left", || async {
        let is_left = |pid: &&i64| std::fs::exists(format!("/proc/{pid}")).unwrap();
        let left: Vec<&i64> = pids.iter().filter(is_left).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    let _new = serve(&kit, Function::Runner);
    for id in &tasks {
        let task = kit.http.until_ended(id).await;
        assert_eq!(task["state"], "completed", "{task}");
        let answered: i64 = kit.http.response(id).await.expect(200).text().parse().unwrap();
        assert!(!pids.contains(&answered), "the process that was killed has answered: {task}");
        assert_eq!(history.task(id).unwrap().epoch.0, 2, "{task}");
    }
    history.until_ended(&tasks).await;
    history.check();
    let lost = format!("/pro/session-manager/v1/sessions/task/{}", resting["sessionId"].as_str().unwrap());
    assert_eq!(kit.http.get(&lost).await.expect(200).json()["state"], "terminated");
    kit.http.delete(&lost).await.expect(409);
    kit.stop().await;
}

#[tokio::test]
async fn a_session_that_claims_its_end_twice_gives_one_result() {
    let kit = Kit::start().await;
    publish(&kit.http, "twice", "").await;
    for round in 0..5 {
        let task = run(&kit.http, "twice", "twice", "").await;
        let id = task["id"].as_str().unwrap();
        if task["state"] == "completed" {
            assert_eq!(task["returnCode"], 0, "the first claim counts: {task}");
            assert_eq!(kit.http.response(id).await.expect(200).text(), "the first claim");
        } else {
            let message = task["errorMessage"].as_str().unwrap();
            assert!(message.contains("the session"), "{message}");
        }
        // What it was is not changed by anything that the session says later.
        let next = run(&kit.http, "twice", "echo", "still here").await;
        assert_eq!(next["state"], "completed", "round {round}: {next}");
        assert_eq!(kit.http.response(next["id"].as_str().unwrap()).await.expect(200).text(), "STILL HERE");
        assert_eq!(kit.http.task(id).await, task);
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_session_that_is_hostile_at_its_first_and_last_answer_fails_its_task_alone() {
    let kit = Kit::start().await;
    publish(&kit.http, "hostile", "").await;
    let cases = [
        ("mute", "did not answer POST /api/v2/tasks/mute within 30 s"),
        ("leaving", "the session broke off during GET /api/v2/tasks/"),
        ("hanging_up", "it closed the connection before the answer was whole"),
        ("failing", "500 Internal Server Error with \"Traceback: no licence\""),
        ("dripping_response", "/response within 30 s"),
        ("endless_response", "the response is larger than 256 MB"),
        ("huge_response_head", "its head is longer than 64 KB"),
    ];
    let tasks = cases.iter().map(|(service, expected)| {
        let http = kit.http.clone();
        async move {
            let task = run(&http, "hostile", service, "x").await;
            assert_eq!(task["state"], "failed", "{service}: {task}");
            let message = task["errorMessage"].as_str().unwrap();
            assert!(message.contains(expected), "{service}: {message}");
            let ended = until_over(&http, &task["sessionId"]).await;
            assert_eq!(ended["message"], task["errorMessage"], "{service}: its session is not used again");
        }
    });
    futures_util::future::join_all(tasks).await;
    let good = run(&kit.http, "hostile", "echo", "still here").await;
    assert_eq!(good["state"], "completed", "{good}");
    kit.stop().await;
}

#[tokio::test]
async fn tasks_that_come_together_wait_for_the_one_warm_session() {
    // One runner, since two would have a session each. A task waits for a busy session as long as the start of another
    // would take, which is so long here that no load of the machine makes a wait of it.
    let kit = Kit::start_with(|options| options.replicas = 1).await;
    let manifest = "name = \"one\"\nversion = \"1.0\"\nruntime = \"session\"\n[session]\n\
                    command = [\"sh\", \"-c\", \"sleep 10; exec python3 server.py --port {port}\"]\n\
                    ready = \"/api/v2/tasks\"\n";
    App { manifest, files: &[("server.py", SERVER)] }.publish(&kit.http).await.expect(200);
    let first = run(&kit.http, "one", "pid", "").await;
    // Often they find it just taken, or just free again, and never is that a reason to start another.
    for _ in 0..40 {
        let tasks = (0..4).map(|_| run(&kit.http, "one", "pid", ""));
        for task in futures_util::future::join_all(tasks).await {
            assert_eq!(task["sessionId"], first["sessionId"], "{task}");
        }
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_server_that_sends_head_and_body_apart_is_not_held_up() {
    let kit = Kit::start_with(|options| options.replicas = 1).await;
    publish(&kit.http, "apart", "").await;
    let mut times = Vec::new();
    for _ in 0..20 {
        let task = run(&kit.http, "apart", "pid", "").await;
        times.push(task["runTime"].as_f64().unwrap());
    }
    // The first answers on a connection are acknowledged at once in any case. Each of a later one that waited for
    // its acknowledgement would take 40 ms.
    let fastest = times[10..].iter().copied().fold(f64::MAX, f64::min);
    assert!(fastest < 0.03, "{times:?}");
    kit.stop().await;
}
