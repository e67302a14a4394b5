//! Delayed and recurring tasks: never early, hardly late, every instant once with two schedulers, and a series
//! that ends with its last run.

use serde_json::Value;
use tests::Kit;
use tests::apps::noop_app;
use tests::http::Http;
use tests::wait::until;

fn seconds(task: &Value, field: &str) -> f64 {
    let text = task[field].as_str().unwrap_or_else(|| panic!("{field} of {task}")).replace(' ', "T") + "Z";
    domain::Timestamp::parse(&text).expect("a time").micros() as f64 / 1e6
}

async fn create(http: &Http, query: &str) -> Value {
    http.post(&format!("/pro-api/v2/tasks/noop/run?{query}"), "{}").await.expect(200).json()
}

async fn runs(http: &Http, id: &str) -> Vec<Value> {
    let list = http.get("/pro-api/v2/tasks?limit=1000&sort=createdAt").await.expect(200).json();
    let rows = list["current_batch"].as_array().expect("a list").clone();
    rows.into_iter().filter(|row| row["id"] == id).collect()
}

#[tokio::test]
async fn a_task_runs_at_its_time_and_never_before() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    let created = create(&kit.http, "scheduleIn=PT1S").await;
    assert_eq!(created["state"], "queued");
    assert_eq!(created["scheduleInterval"], Value::Null);
    assert_eq!(created["groupIndex"], Value::Null);
    let id = created["id"].as_str().unwrap();
    let waiting = kit.http.get(&format!("/tasklane/v1/tasks/{id}")).await.expect(200).json();
    assert_eq!(waiting["state"], "scheduled");
    assert!(waiting["waiting"]["reason"].as_str().unwrap().starts_with("scheduled for"), "{waiting}");
    let ended = kit.http.until_ended(id).await;
    let late = seconds(&ended, "assignedAt") - seconds(&created, "scheduleFor");
    assert!((0.0..2.0).contains(&late), "{late} s late");
    kit.stop().await;
}

#[tokio::test]
async fn a_series_keeps_its_phase_runs_each_instant_once_and_ends_with_its_last_run() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    let first = create(&kit.http, "scheduleIn=PT1S&scheduleInterval=1+seconds").await;
    assert_eq!((&first["groupIndex"], &first["scheduleInterval"]), (&0.into(), &"1 seconds".into()));
    let id = first["id"].as_str().unwrap();
    until("three runs have ended", || async {
        let rows = runs(&kit.http, id).await;
        let ended = rows.iter().filter(|row| row["state"] == "completed").count();
        if ended >= 3 { Ok(()) } else { Err(rows.len()) }
    })
    .await;
    // Without an index the last run is meant: the one that waits for its time.
    until("the waiting run is deleted", || async {
        let deleted = kit.http.delete(&format!("/pro-api/v2/tasks/{id}")).await;
        // The run may have become due between the look and the delete; then the next one is the last.
        if deleted.status == 200 { Ok(()) } else { Err(deleted.text()) }
    })
    .await;
    let rows = until("nothing runs any more", || async {
        let rows = runs(&kit.http, id).await;
        let all_ended = rows.iter().all(|row| row["state"] == "completed");
        if all_ended { Ok(rows) } else { Err(rows.len()) }
    })
    .await;
    let mut indexes: Vec<u64> = rows.iter().map(|row| row["groupIndex"].as_u64().unwrap()).collect();
    indexes.sort_unstable();
    let expected: Vec<u64> = (0..rows.len() as u64).collect();
    assert_eq!(indexes, expected, "every run is there once");
    for row in &rows {
        let planned = seconds(&first, "scheduleFor") + row["groupIndex"].as_f64().unwrap();
        assert!((seconds(row, "scheduleFor") - planned).abs() < 1e-5, "the phase is kept: {row}");
        assert!(seconds(row, "assignedAt") >= seconds(row, "scheduleFor"), "{row} is early");
    }
    let one = kit.http.get(&format!("/pro-api/v2/tasks/{id}?groupIndex=1")).await.expect(200).json();
    assert_eq!(one["groupIndex"], 1);
    kit.http.get(&format!("/pro-api/v2/tasks/{id}?groupIndex=999")).await.expect(404);
    assert_eq!(kit.http.get(&format!("/pro-api/v2/tasks/{id}/response?groupIndex=0")).await.text(), "{}");
    kit.stop().await;
}

#[tokio::test]
async fn schedules_survive_a_restart_and_what_was_missed_runs_once() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    let first = create(&kit.http, "scheduleIn=PT1S&scheduleInterval=1+seconds").await;
    let id = first["id"].as_str().unwrap().to_owned();
    let folder = kit.stop().await;
    let began = seconds(&first, "scheduleFor");
    until("two instants have passed", || async {
        let now = service::clock::now().micros() as f64 / 1e6;
        if now > began + 2.2 { Ok(()) } else { Err(now) }
    })
    .await;
    let kit = Kit::start_in(folder, |_| {}).await;
    let rows = until("the first two runs have ended", || async {
        let rows = runs(&kit.http, &id).await;
        let ended = rows.iter().filter(|row| row["state"] == "completed").count();
        if ended >= 2 { Ok(rows) } else { Err(ended) }
    })
    .await;
    let at = |index: u64| {
        let row = rows.iter().find(|row| row["groupIndex"] == index).expect("the run is there");
        seconds(row, "scheduleFor") - began
    };
    assert!(at(1) > 2.0, "the instants that were missed are one late run: {}", at(1));
    assert!((at(1) - at(1).round()).abs() < 1e-5, "the phase is kept");
    kit.stop().await;
}
