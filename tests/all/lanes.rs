//! Lanes: who starts when, how many at once, why one waits, and what happens when a lane is full.

use serde_json::{Value, json};
use tests::Kit;
use tests::accounts::lane;
use tests::apps::{noop_app, shell_app};
use tests::http::{Answer, Http};
use tests::wait::until;
use wire::Function;
use wire::calls::create::CreateRequest;

const LANE: &str = "tasks.demo";

/// The task as our own API shows it, with the reason why it waits.
async fn shown(http: &Http, id: &str) -> Value {
    http.get(&format!("/tasklane/v1/tasks/{id}")).await.expect(200).json()
}

/// Creates a task with a priority, which the AIMMS API has no word for: by the call that its door sends.
async fn create_with(kit: &Kit, app: &str, priority: u8) -> String {
    let ingress = kit.stack.connect(Function::Ingress).await.unwrap();
    // Written as JSON, as any program would send it: what it does not name has a default.
    let request: CreateRequest = serde_json::from_value(json!({
        "caller": { "tenant": "demo", "user": "demo", "admin": true },
        "id": service::ids::random().unwrap().to_string(),
        "app": app,
        "service": "run",
        "priority": priority,
        "input": domain::Payload::default(),
        "input_digest": "",
    }))
    .unwrap();
    ingress.call(&request).await.unwrap().task.id.to_string()
}

/// When tasks were assigned, in order.
async fn order_of(http: &Http, ids: &[String]) -> Vec<usize> {
    let mut started = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let task = http.until_ended(id).await;
        assert_eq!(task["state"], "completed", "{task}");
        started.push((task["assignedAt"].as_str().unwrap().to_owned(), index));
    }
    started.sort();
    started.into_iter().map(|(_, index)| index).collect()
}

#[tokio::test]
async fn tasks_start_by_priority_and_then_in_the_order_of_their_creation() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "n").await;
    lane(&kit.http, LANE, json!({ "max_running": 0 })).await;
    let mut ids = Vec::new();
    for priority in [5, 5, 9, 1, 5, 1, 10, 2] {
        ids.push(create_with(&kit, "n", priority).await);
    }
    ids.push(kit.http.create("n", "run", "").await);
    until("all wait", || async {
        let last = shown(&kit.http, &ids[6]).await;
        if last["waiting"]["position"] == 9 { Ok(()) } else { Err(last) }
    })
    .await;
    lane(&kit.http, LANE, json!({ "max_running": 1 })).await;
    assert_eq!(order_of(&kit.http, &ids).await, [3, 5, 7, 0, 1, 4, 8, 2, 6]);
    kit.stop().await;
}

#[tokio::test]
async fn the_limit_is_changed_live_and_never_exceeded() {
    let kit = Kit::start().await;
    shell_app(&kit.http, "nap", &[("run", "sleep 0.15")]).await;
    lane(&kit.http, LANE, json!({ "max_running": 0 })).await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(kit.http.create("nap", "run", "").await);
    }
    let waits = until("position and limit are told", || async {
        let task = shown(&kit.http, &ids[11]).await;
        if task["waiting"]["position"] == 12 { Ok(task["waiting"].clone()) } else { Err(task) }
    })
    .await;
    assert_eq!(
        (&waits["lane"], &waits["running"], &waits["max_running"]),
        (&json!(LANE), &json!(0), &json!(0))
    );
    let reason = waits["reason"].as_str().unwrap();
    assert!(reason.contains("12") && reason.contains(LANE) && reason.contains("0 of 0"), "{reason}");
    for id in &ids {
        assert_eq!(kit.http.task(id).await["state"], "queued", "a limit of 0 runs nothing");
    }

    lane(&kit.http, LANE, json!({ "max_running": 2 })).await;
    kit.http.until_ended(&ids[1]).await;
    lane(&kit.http, LANE, json!({ "max_running": 4 })).await;
    let mut spans = Vec::new();
    for id in &ids {
        let task = kit.http.until_ended(id).await;
        assert_eq!(task["state"], "completed", "{task}");
        spans.push((text(&task["assignedAt"]), text(&task["endedAt"])));
    }
    // Times have microseconds and are texts of one form, so their order is that of the moments. Who ended and
    // who took the place are told apart by the record: a place is free once the end is written.
    let most =
        spans.iter().map(|(at, _)| spans.iter().filter(|(from, to)| from <= at && at < to).count()).max();
    assert_eq!(most, Some(4), "four at once, and never more: {spans:?}");
    let listed = kit.http.get("/tasklane/v1/lanes").await.expect(200).json();
    let own = listed["lanes"].as_array().unwrap().iter().find(|lane| lane["name"] == LANE).unwrap();
    assert_eq!(own["limits"]["max_running"], 4, "{listed}");
    kit.stop().await;
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn lowering_the_limit_lets_what_runs_go_on_and_a_raise_starts_at_once() {
    let kit = Kit::start().await;
    shell_app(&kit.http, "gate", &[("run", "gate=$(cat); while [ ! -e \"$gate\" ]; do sleep 0.02; done")])
        .await;
    let gate = kit.folder.path().join("open").display().to_string();
    lane(&kit.http, LANE, json!({ "max_running": 2 })).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(kit.http.create("gate", "run", gate.clone()).await);
    }
    for id in &ids[..2] {
        kit.http.until_state(id, &["running"]).await;
    }
    let third = shown(&kit.http, &ids[2]).await;
    let waiting = &third["waiting"];
    assert_eq!(
        (&waiting["position"], &waiting["running"], &waiting["max_running"]),
        (&json!(1), &json!(2), &json!(2))
    );
    lane(&kit.http, LANE, json!({ "max_running": 0 })).await;
    until("the new limit is in force", || async {
        let task = shown(&kit.http, &ids[3]).await;
        if task["waiting"]["max_running"] == 0 { Ok(()) } else { Err(task) }
    })
    .await;
    for id in &ids[..2] {
        assert_eq!(kit.http.task(id).await["state"], "running", "a lower limit ends nothing");
    }
    lane(&kit.http, LANE, json!({ "max_running": 4 })).await;
    for id in &ids[2..] {
        kit.http.until_state(id, &["running"]).await;
    }
    std::fs::write(&gate, "").unwrap();
    for id in &ids {
        assert_eq!(kit.http.until_ended(id).await["state"], "completed");
    }
    kit.stop().await;
}

#[tokio::test]
async fn priority_slots_are_kept_for_priority_tasks() {
    let kit = Kit::start().await;
    // Each waits for a file of its own name, which it never gets; it is interrupted at the end.
    shell_app(&kit.http, "stay", &[("run", "exec sleep 600")]).await;
    lane(&kit.http, LANE, json!({ "max_running": 3, "priority_slots": 1, "priority_threshold": 2 })).await;
    let mut common = Vec::new();
    for _ in 0..3 {
        common.push(create_with(&kit, "stay", 5).await);
    }
    for id in &common[..2] {
        kit.http.until_state(id, &["running"]).await;
    }
    let third = shown(&kit.http, &common[2]).await;
    assert_eq!((&third["state"], &third["waiting"]["running"]), (&json!("queued"), &json!(2)), "{third}");
    let urgent = create_with(&kit, "stay", 2).await;
    kit.http.until_state(&urgent, &["running"]).await;
    let second_urgent = create_with(&kit, "stay", 1).await;
    let waits = shown(&kit.http, &second_urgent).await;
    assert_eq!(
        (&waits["waiting"]["position"], &waits["waiting"]["running"]),
        (&json!(1), &json!(3)),
        "{waits}"
    );
    assert_eq!(kit.http.task(&common[2]).await["state"], "queued");
    // Without the slot for priority tasks there is a place for the common one.
    lane(&kit.http, LANE, json!({ "max_running": 5, "priority_slots": 0 })).await;
    for id in [&common[2], &second_urgent] {
        kit.http.until_state(id, &["running"]).await;
    }
    for id in common.iter().chain([&urgent, &second_urgent]) {
        kit.http.put(&format!("/pro-api/v2/tasks/{id}"), "").await.expect(200);
        kit.http.until_ended(id).await;
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_full_lane_refuses_and_takes_again_when_it_has_room() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "n").await;
    lane(&kit.http, LANE, json!({ "max_running": 0, "max_queued": 3 })).await;
    let mut taken = Vec::new();
    let full = until("the lane is full", || async {
        let answer = kit.http.post("/pro-api/v2/tasks/n/run", "").await;
        if answer.status == 429 { Ok(answer) } else { Err(answer.expect(200).json()["id"].clone()) }
    })
    .await;
    assert!(full.headers.contains_key("retry-after"), "{full:?}");
    let error = full.json();
    assert_eq!((&error["errorCode"], &error["errorId"]), (&json!(429), &json!("LANE_FULL")), "{error}");
    assert!(error["message"].as_str().unwrap().contains("try again"), "{error}");
    let list = kit.http.get("/pro-api/v2/tasks?limit=1000").await.expect(200).json();
    for task in list["current_batch"].as_array().unwrap() {
        taken.push(task["id"].as_str().unwrap().to_owned());
    }
    assert!(taken.len() >= 3, "{list}");
    lane(&kit.http, LANE, json!({ "max_running": 4 })).await;
    for id in &taken {
        assert_eq!(kit.http.until_ended(id).await["state"], "completed", "what was taken in is done");
    }
    until("there is room again", || async {
        let answer: Answer = kit.http.post("/pro-api/v2/tasks/n/run", "").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    kit.stop().await;
}

#[tokio::test]
async fn wrong_limits_are_refused_and_unknown_lanes_are_not_there() {
    let kit = Kit::start_with(|options| options.replicas = 1).await;
    for (name, body, status) in [
        (LANE, json!({}), 400),
        (LANE, json!({ "max_running": -1 }), 400),
        (LANE, json!({ "max_running": 1.5 }), 400),
        (LANE, json!({ "max_running": "4" }), 400),
        (LANE, json!({ "max_running": 4_294_967_296_u64 }), 400),
        (LANE, json!({ "priority_threshold": 11 }), 400),
        (LANE, json!({ "speed": 3 }), 400),
        (LANE, json!([1]), 400),
        ("tasks.nobody", json!({ "max_running": 1 }), 404),
        ("elsewhere", json!({ "max_running": 1 }), 404),
        ("tasks.a%2Ab", json!({ "max_running": 1 }), 404),
        ("tasks.", json!({ "max_running": 1 }), 404),
        ("%0D%0A", json!({ "max_running": 1 }), 400),
    ] {
        let answer = kit.http.patch(&format!("/tasklane/v1/lanes/{name}"), body.to_string()).await;
        assert_eq!(answer.status, status, "{name} {body}: {}", answer.text());
    }
    kit.stop().await;
}
