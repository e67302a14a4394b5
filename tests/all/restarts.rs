//! Every function and the broker killed under load, each a process of its own, two of each; and runners that die
//! or sleep through their lease. Nothing acknowledged is lost, and no task has two results.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{Epoch, TaskState};
use http::Method;
use nix::sys::signal::Signal;
use serde_json::json;
use tests::Kit;
use tests::accounts::lane;
use tests::apps::{noop_app, shell_app};
use tests::history::History;
use tests::http::Http;
use tests::process::{Family, Program, serve, serve_command, serve_ingress};
use tests::wait::{until, within};
use wire::Function;

/// What is promised for tasks whose runner died.
const TAKEOVER: Duration = Duration::from_secs(5);
const REPLICAS: usize = 2;
const CLIENTS: usize = 3;
/// How often each client creates a task.
const PACE: Duration = Duration::from_millis(60);

async fn history(kit: &Kit) -> History {
    History::follow(&kit.stack.settings.nats_url, &kit.stack.settings.keys).await
}

/// Every function but `provision` in processes of its own, two of each, instead of those of the kit.
struct Fleet {
    programs: Vec<(Function, Program)>,
    doors: Arc<Mutex<Vec<Http>>>,
}

impl Fleet {
    async fn start(kit: &mut Kit) -> Self {
        let mut fleet = Self { programs: Vec::new(), doors: Arc::default() };
        for function in Function::ALL.into_iter().filter(|function| *function != Function::Provision) {
            for _ in 0..REPLICAS {
                fleet.add(kit, function).await;
            }
        }
        while let Some(replica) = kit.stack.replicas.pop() {
            replica.stop().await;
        }
        kit.stack.until_ready().await.unwrap();
        fleet
    }

    async fn add(&mut self, kit: &Kit, function: Function) {
        let program = if function == Function::Ingress {
            let (program, http) = serve_ingress(kit).await;
            self.doors.lock().unwrap().push(http);
            program
        } else {
            serve(kit, function)
        };
        self.programs.push((function, program));
    }

    /// Kills the oldest replica of a function.
    async fn kill_one(&mut self, function: Function) {
        let place = self.programs.iter().position(|(other, _)| *other == function).unwrap();
        let (_, mut program) = self.programs.remove(place);
        program.kill().await;
        if function == Function::Ingress {
            self.doors.lock().unwrap().remove(0);
        }
    }
}

/// The tasks that were acknowledged, each under the key of its request.
type Acknowledged = Arc<Mutex<BTreeMap<String, String>>>;

/// Creates one task under a key, through any door, until it is acknowledged.
async fn create(doors: &Mutex<Vec<Http>>, service: &str, key: &str) -> String {
    let mut turn = 0;
    until("a create is acknowledged", || {
        turn += 1;
        let door = {
            let doors = doors.lock().unwrap();
            doors[turn % doors.len()].clone()
        };
        async move {
            let path = format!("/pro-api/v2/tasks/{service}");
            let answer = door.send(Method::POST, &path, &[("Idempotency-Key", key)], key.to_owned()).await?;
            if answer.status == 200 {
                return Ok(answer.json()["id"].as_str().unwrap().to_owned());
            }
            assert!(answer.status.is_server_error() && answer.status != 500, "{answer:?}");
            Err(answer.text())
        }
    })
    .await
}

async fn load(
    client: usize,
    doors: Arc<Mutex<Vec<Http>>>,
    acknowledged: Acknowledged,
    over: Arc<AtomicBool>,
) {
    let mut pace = tokio::time::interval(PACE);
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        pace.tick().await;
        number += 1;
        let service = if number % 4 == 0 { "shell/run" } else { "noop/run" };
        let key = format!("{client}-{number}");
        let id = create(&doors, service, &key).await;
        acknowledged.lock().unwrap().insert(key, id);
    }
}

/// A task created now ends.
async fn probe(fleet: &Fleet, history: &History, acknowledged: &Acknowledged, key: String) {
    let id = create(&fleet.doors, "shell/run", &key).await;
    history.until_ended(std::slice::from_ref(&id)).await;
    acknowledged.lock().unwrap().insert(key, id);
}

#[tokio::test]
async fn every_function_and_the_broker_may_be_killed_under_load() {
    let mut kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    shell_app(&kit.http, "shell", &[("run", "cat; echo \" $TASKLANE_ATTEMPT\"")]).await;
    let history = history(&kit).await;
    let mut fleet = Fleet::start(&mut kit).await;
    let acknowledged = Acknowledged::default();
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            tokio::spawn(load(client, Arc::clone(&fleet.doors), Arc::clone(&acknowledged), Arc::clone(&over)))
        })
        .collect();

    for function in Function::ALL.into_iter().filter(|function| *function != Function::Provision) {
        for replica in 0..REPLICAS {
            fleet.kill_one(function).await;
            probe(&fleet, &history, &acknowledged, format!("{function}-{replica}")).await;
            fleet.add(&kit, function).await;
        }
    }
    for time in 0..2 {
        kit.stack.server.as_mut().unwrap().kill();
        kit.stack.server.as_mut().unwrap().restart().unwrap();
        probe(&fleet, &history, &acknowledged, format!("broker-{time}")).await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    all_ended_once(&fleet, &history, &acknowledged).await;
    for (_, program) in &mut fleet.programs {
        program.signal(Signal::SIGTERM);
    }
    for (function, program) in &mut fleet.programs {
        assert!(program.until_ended().await.success(), "{function} stops in order");
    }
    kit.stop().await;
}

async fn all_ended_once(fleet: &Fleet, history: &History, acknowledged: &Acknowledged) {
    let all = acknowledged.lock().unwrap().clone();
    let ids: Vec<String> = all.values().cloned().collect();
    assert!(ids.len() > 200, "{} tasks are no load", ids.len());
    history.until_ended(&ids).await;
    history.check();
    let http = fleet.doors.lock().unwrap()[0].clone();
    let listed = http.get("/pro-api/v2/tasks?limit=1").await.expect(200);
    let total = http.get("/tasklane/v1/tasks?limit=1").await.expect(200).json()["total"].clone();
    assert_eq!(total, ids.len(), "one task per key, and none besides; {}", listed.text());
    for (key, id) in &all {
        let record = history.task(id).unwrap();
        assert_eq!(record.state, TaskState::Completed, "{record:?}");
        let answer = http.response(id).await.expect(200).text();
        let expected = if record.app == "noop" { key.clone() } else { format!("{key} {}\n", record.epoch) };
        assert_eq!(answer, expected, "the result is that of the last claim");
    }
}

/// Waits for a file that the test makes, another one at each attempt.
const WAITS: &str = r#"
read -r file
while [ ! -e "$file.$TASKLANE_ATTEMPT" ]; do sleep 0.05; done
echo "attempt $TASKLANE_ATTEMPT"
"#;

/// A kit whose runners are processes of their own: one now, in a work folder of its own.
async fn with_a_runner_apart() -> (Kit, History, Program) {
    let mut kit = Kit::start().await;
    shell_app(&kit.http, "waits", &[("run", WAITS)]).await;
    let history = history(&kit).await;
    let replicas = std::mem::take(&mut kit.stack.replicas);
    for replica in replicas {
        if replica.function == Function::Runner {
            replica.stop().await
        } else {
            kit.stack.replicas.push(replica)
        }
    }
    let first = runner(&kit, "first");
    (kit, history, first)
}

fn runner(kit: &Kit, name: &str) -> Program {
    let work = kit.folder.path().join(name);
    Program::start(serve_command(kit, &[Function::Runner]).env("TASKLANE_WORK", work))
}

async fn until_runners(kit: &Kit, count: usize) {
    until(&format!("{count} live runners"), || async {
        let runners = kit.http.get("/tasklane/v1/sessions").await.expect(200).json()["runners"].clone();
        if runners.as_array().is_some_and(|all| all.len() == count) { Ok(()) } else { Err(runners) }
    })
    .await;
}

/// Waits until these tasks run under this claim.
async fn run_under(history: &History, ids: &[String], epoch: u64, patience: Duration) {
    within(patience, &format!("tasks run under claim {epoch}"), || async {
        let now: Vec<_> =
            ids.iter().map(|id| history.task(id).map(|task| (task.state, task.epoch))).collect();
        let there = now.iter().all(|now| *now == Some((TaskState::Running, Epoch(epoch))));
        if there { Ok(()) } else { Err(now) }
    })
    .await;
}

fn make(path: &Path) {
    std::fs::write(path, "").unwrap();
}

#[tokio::test]
async fn tasks_of_a_killed_runner_run_again_within_five_seconds() {
    let (kit, history, mut first) = with_a_runner_apart().await;
    let file = kit.folder.path().join("go");
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(kit.http.create("waits", "run", format!("{}\n", file.display())).await);
    }
    run_under(&history, &ids, 1, tests::wait::PATIENCE).await;
    let second = runner(&kit, "second");
    until_runners(&kit, 2).await;

    let family = Family::of(&first, &kit.folder.path().join("first"));
    assert!(family.count() >= 8, "a keeper and a shell for each");
    first.kill().await;
    let gone = within(Duration::from_secs(2), "no process of it is left", || async {
        let alive = family.alive();
        if alive.is_empty() { Ok(()) } else { Err(alive) }
    });
    tokio::join!(gone, run_under(&history, &ids, 2, TAKEOVER));

    make(&file.with_extension("2"));
    history.until_ended(&ids).await;
    for id in &ids {
        assert_eq!(kit.http.response(id).await.expect(200).text(), "attempt 2\n");
        assert_eq!(history.task(id).unwrap().losses, 1);
    }
    history.check();
    stopped(second).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_task_that_costs_more_runners_than_its_lane_allows_is_given_up() {
    let (kit, history, mut first) = with_a_runner_apart().await;
    lane(&kit.http, "tasks.demo", json!({ "retry_limit": 1 })).await;
    let ids =
        [kit.http.create("waits", "run", format!("{}\n", kit.folder.path().join("never").display())).await];
    run_under(&history, &ids, 1, tests::wait::PATIENCE).await;
    let mut second = runner(&kit, "second");
    until_runners(&kit, 2).await;
    first.kill().await;
    run_under(&history, &ids, 2, TAKEOVER).await;
    second.kill().await;
    let task = kit.http.until_ended(&ids[0]).await;
    assert_eq!(task["state"], "failed", "{task}");
    assert_eq!(task["errorMessage"], "its runner was lost 2 times; the task may bring runners down");
    history.check();
    kit.stop().await;
}

async fn stopped(mut program: Program) {
    program.signal(Signal::SIGTERM);
    assert!(program.until_ended().await.success());
}

/// The first runner is frozen for longer than its lease. One of its tasks comes to its end meanwhile, the other
/// one runs on: once the runner is awake the result of the one is refused and the process of the other ended.
#[tokio::test]
async fn a_runner_that_slept_through_its_lease_changes_nothing_any_more() {
    let (kit, history, first) = with_a_runner_apart().await;
    let (ends, runs) = (kit.folder.path().join("ends"), kit.folder.path().join("runs"));
    let mut ids = Vec::new();
    for file in [&ends, &runs] {
        ids.push(kit.http.create("waits", "run", format!("{}\n", file.display())).await);
    }
    run_under(&history, &ids, 1, tests::wait::PATIENCE).await;
    let second = runner(&kit, "second");
    until_runners(&kit, 2).await;

    let family = Family::of(&first, &kit.folder.path().join("first"));
    first.signal(Signal::SIGSTOP);
    run_under(&history, &ids, 2, TAKEOVER).await;
    let before = family.alive().len();
    make(&ends.with_extension("1"));
    until("the first run of one ends", || async {
        let alive = family.alive();
        if alive.len() < before { Ok(()) } else { Err(alive) }
    })
    .await;
    first.signal(Signal::SIGCONT);
    until("nothing is left of the first runs", || async {
        let alive = family.alive();
        if alive.is_empty() { Ok(()) } else { Err(alive) }
    })
    .await;
    until_runners(&kit, 2).await;
    run_under(&history, &ids, 2, Duration::ZERO).await;

    make(&ends.with_extension("2"));
    make(&runs.with_extension("2"));
    history.until_ended(&ids).await;
    for id in &ids {
        assert_eq!(kit.http.task(id).await["state"], "completed");
        assert_eq!(kit.http.response(id).await.expect(200).text(), "attempt 2\n");
    }
    history.check();
    stopped(first).await;
    stopped(second).await;
    kit.stop().await;
}
