//! Workflows through the Task Engine's door: steps in order with their outputs, tries again, runners that die
//! between two steps, pause and break; and the order in which jobs start, with settings that change live.

use http::Method;
use serde_json::{Value, json};
use tests::Kit;
use tests::apps::App;
use tests::engine::Engine;
use tests::process::{Program, serve_command};
use tests::stored::Stored;
use tests::wait::{PATIENCE, until, within};
use wire::Function;

/// `large` hands on more than a record takes; `flaky` works at the third try; `hold` waits for a file.
const STEPS: &str = r#"
name = "steps"
version = "1.0"
runtime = "command"
[services.first]
command = ["sh", "-c", "cat; echo one >&2"]
[services.second]
command = ["sh", "-c", "cat"]
[services.large]
command = ["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x"]
[services.count]
command = ["sh", "-c", "wc -c"]
[services.flaky]
command = ["sh", "-c", "f=$(sed 's/.*\"file\":\"\\([^\"]*\\)\".*/\\1/'); echo try >> $f; test $(wc -l < $f) -ge 3 || { echo not yet >&2; exit 3; }"]
[services.never]
command = ["sh", "-c", "echo never works >&2; exit 9"]
[services.mark]
command = ["sh", "-c", "f=$(sed 's/.*\"file\":\"\\([^\"]*\\)\".*/\\1/'); echo ran >> $f"]
[services.hold]
command = ["sh", "-c", "f=$(sed 's/.*\"file\":\"\\([^\"]*\\)\".*/\\1/'); until [ -e $f.go ]; do sleep 0.05; done; echo held"]
[workflows.chain]
steps = ["first", "second", "count"]
required = ["content_id"]
[workflows.large]
steps = ["large", "count"]
[workflows.flaky]
steps = ["flaky"]
[workflows.never]
steps = ["first", "never", "second"]
[workflows.resume]
steps = ["mark", "hold", "second"]
"#;

const NOOP: &str = r#"
name = "noop"
version = "1.0"
runtime = "noop"
[services.run]
[workflows.noop]
steps = ["run"]
"#;

async fn publish(kit: &Kit, manifest: &str) {
    App { manifest, files: &[] }.publish(&kit.http).await.expect(200);
}

#[tokio::test]
async fn steps_run_in_order_each_with_the_output_of_the_one_before() {
    let kit = Kit::start().await;
    publish(&kit, STEPS).await;
    let engine = Engine::new(&kit.http);
    let id = engine.start("chain", json!({ "content_id": "c1" })).await;
    let job = engine.until(id, "completed").await;
    assert_eq!(job["failed"], false, "{job}");
    let first = r#"{"parameters":{"content_id":"c1"},"previous":null}"#;
    let second = format!(r#"{{"parameters":{{"content_id":"c1"}},"previous":{first}}}"#);
    let third = format!(r#"{{"parameters":{{"content_id":"c1"}},"previous":{second}}}"#);
    assert_eq!(engine.result(id).await.trim(), third.len().to_string());
    let expected = [
        "Task 'first' started",
        "one",
        "'first' completed successfully",
        "Task 'second' started",
        "'second' completed successfully",
        "Task 'count' started",
        "'count' completed successfully",
        "job has completed successfully",
    ];
    assert_eq!(engine.trace(id).await, expected);

    // What lies in the store goes when the next output has taken its place.
    let stored = Stored::of(&kit).await;
    let before = stored.messages(&Stored::bodies()).await;
    let id = engine.start("large", json!({})).await;
    engine.until(id, "completed").await;
    let whole = json!({ "parameters": {}, "previous": "x".repeat(100_000) }).to_string();
    assert_eq!(engine.result(id).await.trim(), whole.len().to_string());
    until("the superseded output is gone", || async {
        let now = stored.messages(&Stored::bodies()).await;
        if now == before { Ok(()) } else { Err(now) }
    })
    .await;

    assert!(engine.refused("nothing", json!({})).await.contains("Unknown workflow: nothing"));
    assert!(engine.refused("chain", json!({ "content": 1 })).await.contains("content_id"));
    kit.stop().await;
}

#[tokio::test]
async fn a_step_is_tried_again_up_to_the_limit_and_then_the_job_has_failed() {
    let kit = Kit::start().await;
    publish(&kit, STEPS).await;
    let engine = Engine::new(&kit.http);
    engine.set("retry_delay", json!("0")).await;
    let file = kit.folder.path().join("tries");
    let id = engine.start("flaky", json!({ "file": file })).await;
    let job = engine.until(id, "completed").await;
    assert_eq!(job["failed"], false, "{job}");
    let failed = engine.trace(id).await.iter().filter(|line| *line == "'flaky' failed: not yet").count();
    assert_eq!(failed, 2);

    engine.set("retry_limit", json!(1)).await;
    let id = engine.start("never", json!({})).await;
    let job = engine.until(id, "completed").await;
    assert_eq!(job["failed"], true, "{job}");
    let trace = engine.trace(id).await;
    assert_eq!(trace.iter().filter(|line| *line == "Task 'never' started").count(), 2, "{trace:?}");
    assert_eq!(trace.last().unwrap(), "job has failed");
    assert!(!trace.iter().any(|line| line.contains("second")), "{trace:?}");
    assert_eq!(engine.task(id).await.1["error"], "never works");
    kit.stop().await;
}

#[tokio::test]
async fn a_runner_killed_between_two_steps_costs_no_step_that_has_ended() {
    let mut kit = Kit::start().await;
    publish(&kit, STEPS).await;
    kit.without(Function::Runner).await;
    let runner = |name: &str| {
        let work = kit.folder.path().join(name);
        Program::start(serve_command(&kit, &[Function::Runner]).env("TASKLANE_WORK", work))
    };
    let mut first = runner("first");
    let engine = Engine::new(&kit.http);
    let file = kit.folder.path().join("marks");
    let id = engine.start("resume", json!({ "file": file })).await;
    until("the second step runs", || async {
        let trace = engine.trace(id).await;
        if trace.last().is_some_and(|line| line == "Task 'hold' started") { Ok(()) } else { Err(trace) }
    })
    .await;
    first.kill().await;
    let _second = runner("second");
    std::fs::write(file.with_extension("go"), "").unwrap();
    let job = engine.until(id, "completed").await;
    assert_eq!(job["failed"], false, "{job}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "ran\n", "the first step ran once");
    assert!(engine.result(id).await.contains("held"));
    kit.stop().await;
}

#[tokio::test]
async fn a_job_is_paused_between_two_steps_goes_on_at_the_next_and_can_be_given_up() {
    let kit = Kit::start().await;
    publish(&kit, STEPS).await;
    let engine = Engine::new(&kit.http);
    let file = kit.folder.path().join("paused");
    let held = |trace: &[String]| trace.iter().any(|line| line == "Task 'hold' started");
    let id = engine.start("resume", json!({ "file": file })).await;
    until("the second step runs", || async {
        let trace = engine.trace(id).await;
        if held(&trace) { Ok(()) } else { Err(trace) }
    })
    .await;
    engine.change(id, json!({ "queue_state": "paused" })).await;
    std::fs::write(file.with_extension("go"), "").unwrap();
    until("the running step has ended and no other follows", || async {
        let (task, record) = engine.task(id).await;
        if record["state"] == "paused" { Ok(()) } else { Err((task, record)) }
    })
    .await;
    engine.change(id, json!({ "queue_state": "queued" })).await;
    engine.until(id, "completed").await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "ran\n");

    let file = kit.folder.path().join("broken");
    let id = engine.start("resume", json!({ "file": file })).await;
    until("the second step runs", || async {
        let trace = engine.trace(id).await;
        if held(&trace) { Ok(()) } else { Err(trace) }
    })
    .await;
    engine.change(id, json!({ "queue_state": "broken" })).await;
    assert_eq!(engine.job(id).await["queue_state"], "broken");
    engine.send(Method::PUT, &format!("/jobs/{id}"), json!({ "priority": 1 })).await.expect(400);
    kit.stop().await;
}

#[tokio::test]
async fn the_worked_example_of_slots_with_settings_that_act_at_once_and_survive() {
    let kit = Kit::start().await;
    publish(&kit, STEPS).await;
    let engine = Engine::new(&kit.http);
    for (name, setting) in [("max_jobs", json!("0")), ("priority_slots", json!(2)), ("colour", json!("red"))]
    {
        engine.set(name, setting).await;
    }
    let file = kit.folder.path().join("slots").display().to_string();
    let mut ids = Vec::new();
    for priority in [7, 7, 7, 7, 7, 5, 1] {
        let job = json!({ "workflow": "resume", "priority": priority });
        ids.push(engine.submit(job, json!({ "file": file })).await);
    }
    engine.set("max_jobs", json!(5)).await;
    // Five places, two of them for priorities up to 5: the two priority jobs and three of the others.
    let started = |wanted: Vec<u64>| {
        let (engine, ids) = (&engine, &ids);
        async move {
            until(&format!("{wanted:?} have started"), || async {
                let mut now = Vec::new();
                for id in ids {
                    if engine.job(*id).await["queue_state"] == "started" {
                        now.push(*id);
                    }
                }
                if now == wanted { Ok(()) } else { Err(now) }
            })
            .await;
        }
    };
    started(vec![ids[0], ids[1], ids[2], ids[5], ids[6]]).await;
    engine.set("priority_slots", json!(0)).await;
    engine.set("max_jobs", json!(6)).await;
    started(vec![ids[0], ids[1], ids[2], ids[3], ids[5], ids[6]]).await;

    let lanes = kit.http.get("/tasklane/v1/lanes").await.expect(200).json();
    let jobs = lanes["lanes"].as_array().unwrap().iter().find(|lane| lane["name"] == "jobs").unwrap().clone();
    assert_eq!((&jobs["limits"]["max_running"], &jobs["queued"]), (&6.into(), &1.into()), "{jobs}");
    std::fs::write(format!("{file}.go"), "").unwrap();
    for id in &ids {
        engine.until(*id, "completed").await;
    }
    for (name, setting) in [("max_jobs", "-1"), ("priority_threshold", "0"), ("schedule_interval", "x")] {
        let body = json!({ "name": name, "setting": setting });
        engine.send(Method::POST, "/settings", body).await.expect(400);
    }
    engine.set("schedule_interval", json!(7)).await;
    let off = json!({ "schedule": "queue_scheduled_jobs", "active": false });
    engine.send(Method::PUT, "/scheduler", off).await.expect(200);
    let folder = kit.stop().await;

    let kit = Kit::start_in(folder, |_| {}).await;
    let engine = Engine::new(&kit.http);
    let dashboard = engine.send(Method::GET, "/dashboard", Value::Null).await.expect(200).json();
    assert_eq!(dashboard["max_jobs"], 6);
    let schedules = engine.send(Method::GET, "/schedules", Value::Null).await.expect(200).text();
    assert!(!schedules.contains("queue_scheduled_jobs"), "it was switched off: {schedules}");
    kit.stop().await;
}

#[tokio::test]
async fn a_scheduled_job_waits_for_a_tick_and_no_tick_comes_while_the_scheduler_is_off() {
    let kit = Kit::start().await;
    publish(&kit, NOOP).await;
    let engine = Engine::new(&kit.http);
    let scheduler = |active: bool| json!({ "schedule": "queue_scheduled_jobs", "active": active });
    engine.send(Method::PUT, "/scheduler", scheduler(false)).await.expect(200);
    let run_at = service::clock::now().plus_millis(200).format("%Y-%m-%dT%H:%M:%S.%3f");
    let id = engine.submit(json!({ "workflow": "noop", "run_at": run_at }), json!({})).await;
    assert_eq!(engine.job(id).await["queue_state"], "scheduled");
    until("its time has passed by more than the first tick takes", || async {
        let now = service::clock::now().format("%Y-%m-%dT%H:%M:%S.%3f");
        let due = domain::Timestamp::parse(&format!("{run_at}Z")).unwrap().plus_millis(6_000);
        if service::clock::now() > due { Ok(()) } else { Err(now) }
    })
    .await;
    assert_eq!(engine.job(id).await["queue_state"], "scheduled");
    engine.send(Method::PUT, "/scheduler", scheduler(true)).await.expect(200);
    engine.until(id, "completed").await;
    kit.stop().await;
}

#[tokio::test]
async fn a_thousand_jobs_of_mixed_priority_start_exactly_in_order() {
    let kit = Kit::start().await;
    publish(&kit, NOOP).await;
    let engine = Engine::new(&kit.http);
    engine.set("max_jobs", json!(0)).await;
    for number in 0..1000_u64 {
        engine.submit(json!({ "workflow": "noop", "priority": number * 7 % 10 + 1 }), json!({})).await;
    }
    // One at a time, so that the order in which they start is the order of their claims.
    engine.set("max_jobs", json!(1)).await;
    // The counts are cheap to ask for; the list of all is fetched once.
    within(PATIENCE * 3, "all have ended", || async {
        let health = engine.send(Method::GET, "/health", Value::Null).await.expect(200).json();
        let ended = health["jobs"]["completed"].clone();
        if ended == 1000 { Ok(()) } else { Err(ended) }
    })
    .await;
    let list = kit.http.get("/tasklane/v1/tasks?limit=1000").await.expect(200).json();
    let tasks = list["tasks"].as_array().unwrap().clone();
    assert_eq!(tasks.len(), 1000);
    let text = |task: &Value, field: &str| task[field].as_str().unwrap().to_owned();
    let mut documented: Vec<_> = tasks
        .iter()
        .map(|task| (task["priority"].as_u64().unwrap(), text(task, "created_at"), text(task, "id")))
        .collect();
    documented.sort();
    let mut started: Vec<_> =
        tasks.iter().map(|task| (text(task, "assigned_at"), text(task, "id"))).collect();
    started.sort();
    let started: Vec<String> = started.into_iter().map(|(_, id)| id).collect();
    let documented: Vec<String> = documented.into_iter().map(|(.., id)| id).collect();
    assert_eq!(started, documented);
    kit.stop().await;
}
