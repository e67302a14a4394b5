//! Health and dashboard of the Task Engine against the records themselves, while jobs run.

use std::collections::BTreeMap;

use broker::{Broker, Bucket, Feed, News};
use http::Method;
use serde_json::{Value, json};
use tests::Kit;
use tests::apps::App;
use tests::engine::Engine;
use tests::wait::until;
use wire::Function;
use wire::topology::TASKS;

const MIXED: &str = r#"
name = "mixed"
version = "1.0"
runtime = "command"
[services.good]
command = ["sleep", "0.05"]
[services.bad]
command = ["false"]
[workflows.good]
steps = ["good"]
[workflows.two]
steps = ["good", "good"]
[workflows.bad]
steps = ["bad"]
"#;

const JOBS: u64 = 120;
const MAX_JOBS: usize = 5;
const STATES: [&str; 7] = ["completed", "failed", "broken", "queued", "started", "scheduled", "paused"];

/// How many records stand in which state, in the words in which `/health` counts them: a job that has failed is
/// no completed one there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Counts {
    of: BTreeMap<String, u64>,
}

impl Counts {
    /// Read from the broker, every record.
    async fn of_records(broker: &Broker) -> Self {
        let mut feed = Feed::follow(&Bucket::<Value>::new(broker, TASKS));
        let mut records = BTreeMap::new();
        loop {
            match feed.next().await.expect("the records can be read") {
                News::Reset => records.clear(),
                News::Value { key, value, .. } => drop(records.insert(key, value)),
                News::CaughtUp { .. } => break,
            }
        }
        let mut counts = Self::default();
        for record in records.values() {
            let state = match record["state"].as_str().unwrap() {
                "assigned" | "running" => "started",
                other => other,
            };
            *counts.of.entry(state.to_owned()).or_default() += 1;
        }
        counts
    }

    /// As `/health` says it.
    async fn told(engine: &Engine<'_>) -> Self {
        let health = engine.send(Method::GET, "/health", Value::Null).await.expect(200).json();
        let jobs = &health["jobs"];
        let count = |state: &str| jobs[state].as_u64().unwrap();
        let of = STATES.iter().map(|state| ((*state).to_owned(), count(state)));
        Self { of: of.filter(|(_, count)| *count > 0).collect() }
    }

    fn ended(&self) -> u64 {
        ["completed", "failed", "broken"].iter().filter_map(|state| self.of.get(*state)).sum()
    }

    fn all(&self) -> u64 {
        self.of.values().sum()
    }
}

async fn dashboard(engine: &Engine<'_>) -> Value {
    engine.send(Method::GET, "/dashboard", Value::Null).await.expect(200).json()
}

fn ids(dashboard: &Value, state: &str) -> Vec<u64> {
    dashboard[state].as_array().unwrap().iter().map(|job| job["id"].as_u64().unwrap()).collect()
}

async fn submit_all(engine: &Engine<'_>) {
    for number in 0..JOBS {
        let workflow = ["good", "two", "bad"][usize::try_from(number % 3).unwrap()];
        let mut job = json!({ "workflow": workflow, "priority": number % 10 + 1 });
        if number % 10 == 9 {
            job["run_at"] = json!("2099-01-01T00:00:00Z");
        }
        let id = engine.submit(job, json!({})).await;
        if number % 10 == 4 {
            // One that has been quick enough to end can't be paused any more.
            engine.send(Method::PUT, &format!("/jobs/{id}"), json!({ "queue_state": "paused" })).await;
        }
    }
}

#[tokio::test]
async fn health_and_dashboard_say_what_the_records_say_while_jobs_run() {
    let kit = Kit::start().await;
    App { manifest: MIXED, files: &[] }.publish(&kit.http).await.expect(200);
    let engine = Engine::new(&kit.http);
    engine.set("retry_limit", json!(0)).await;
    engine.set("max_jobs", json!(MAX_JOBS)).await;
    let broker = kit.stack.connect(Function::Status).await.unwrap();

    // While they run what is told lies between the records before and after it: what has ended stays so.
    let mut looks = 0;
    let look = async {
        loop {
            let before = Counts::of_records(&broker).await;
            let told = Counts::told(&engine).await;
            let shown = dashboard(&engine).await;
            let after = Counts::of_records(&broker).await;
            let between = |name: &str, count: fn(&Counts) -> u64| {
                let [low, told, high] = [&before, &told, &after].map(count);
                assert!(low <= told && told <= high, "{name}: {low} <= {told} <= {high}");
            };
            between("ended", Counts::ended);
            between("failed", |counts| counts.of.get("failed").copied().unwrap_or(0));
            between("all", Counts::all);
            assert!(ids(&shown, "started").len() <= MAX_JOBS, "{shown}");
            looks += 1;
        }
    };
    tokio::select! {
        () = submit_all(&engine) => {}
        () = look => {}
    }
    assert!(looks >= 10, "{looks} looks");

    // Where nothing moves they are the same to the last job.
    engine.set("max_jobs", json!(0)).await;
    let waiting = [engine.start("good", json!({})).await, engine.start("two", json!({})).await];
    until("nothing runs any more", || async {
        let started = dashboard(&engine).await["started"].clone();
        if started == json!([]) { Ok(()) } else { Err(started) }
    })
    .await;
    let (told, records) = (Counts::told(&engine).await, Counts::of_records(&broker).await);
    assert_eq!(told, records);
    assert_eq!(told.all(), JOBS + 2);
    assert!(
        told.of["failed"] > 0 && told.of["completed"] > 0 && told.of["scheduled"] == JOBS / 10,
        "{told:?}"
    );
    let shown = dashboard(&engine).await;
    let queued = ids(&shown, "queued");
    assert_eq!((queued.len() as u64, ids(&shown, "scheduled").len() as u64), (told.of["queued"], JOBS / 10));
    assert!(waiting.iter().all(|id| queued.contains(id)), "{shown}");
    kit.stop().await;
}
