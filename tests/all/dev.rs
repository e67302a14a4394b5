//! `tasklane dev` as a program of its own: killed with its whole group, with its broker killed under it, started
//! twice, and stopped in order.

use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::Task;
use http::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::apps::shell_app;
use tests::history::History;
use tests::http::Http;
use tests::process::{Dev, Family, dev_command, group_of, task_processes};
use tests::wait::{until, within};
use tokio::net::TcpListener;

/// Holds at its first attempt, if it is told to. Each run that comes to its end leaves a line in a file.
const WORK: &str = r#"
read -r what
[ "$what $TASKLANE_ATTEMPT" = "hold 1" ] && sleep 600
echo "$what done at attempt $TASKLANE_ATTEMPT"
"#;

/// One task that runs and holds, and `count` that wait behind it.
async fn one_runs_and_others_wait(http: &Http, count: usize) -> Vec<String> {
    shell_app(http, "work", &[("run", WORK)]).await;
    http.patch("/tasklane/v1/lanes/tasks.demo", json!({"max_running": 1}).to_string()).await.expect(200);
    let mut ids = vec![http.create("work", "run", "hold\n").await];
    http.until_state(&ids[0], &["running"]).await;
    for number in 0..count {
        ids.push(http.create("work", "run", format!("{number}\n")).await);
    }
    ids
}

/// Every task has completed with one result: the one of its last claim.
async fn all_completed_once(http: &Http, history: &History, ids: &[String]) {
    history.until_ended(ids).await;
    for id in ids {
        assert_eq!(http.task(id).await["state"], "completed", "{id}");
        let record = history.task(id).unwrap();
        let answer = http.response(id).await.expect(200).text();
        assert!(answer.ends_with(&format!("done at attempt {}\n", record.epoch)), "{answer} {record:?}");
    }
    history.check();
}

async fn history(dev: &Dev, data: &Path) -> History {
    History::follow(&format!("nats://{}", address(dev)), &data.join("keys")).await
}

fn address(dev: &Dev) -> String {
    dev.ready["nats"].as_str().unwrap().rsplit_once('@').unwrap().1.to_owned()
}

async fn killed_and_started_again(class: &str) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut dev = Dev::start(&data, &["--durability", class]).await;
    let before = history(&dev, &data).await;
    let ids = one_runs_and_others_wait(&dev.http, 20).await;

    // A task runs from the moment at which its shell does, and the shell has yet to start its sleep.
    let family = until("the broker, a keeper, a shell and its sleep run", || async {
        let family = Family::of(&dev.program, &data.join("work"));
        if family.count() >= 4 { Ok(family) } else { Err(family.alive()) }
    })
    .await;
    assert!(!task_processes(&data.join("work")).is_empty());
    dev.program.kill_group().await;
    within(Duration::from_secs(2), "nothing is left of the group", || async {
        let alive = family.alive();
        if alive.is_empty() { Ok(()) } else { Err(alive) }
    })
    .await;
    before.check();

    let mut dev = Dev::start(&data, &["--durability", class]).await;
    let after = history(&dev, &data).await;
    all_completed_once(&dev.http, &after, &ids).await;
    let held = dev.http.response(&ids[0]).await.text();
    assert_eq!(held, "hold done at attempt 2\n", "the one that ran was taken over");
    stopped_in_order(&mut dev, Signal::SIGTERM, &data).await;
}

/// How many tasks are created at once, and how many are acknowledged before the end.
const CREATORS: usize = 4;
const ACKNOWLEDGED: usize = 60;

/// Creates tasks until the service is gone; those that were acknowledged count.
async fn create_until_killed(http: Http, acknowledged: Arc<Mutex<Vec<String>>>) {
    for number in 0.. {
        let created = http.send(Method::POST, "/pro-api/v2/tasks/work/run", &[], format!("{number}\n")).await;
        let Ok(answer) = created else { return };
        let id = answer.expect(200).json()["id"].as_str().unwrap().to_owned();
        acknowledged.lock().unwrap().push(id);
    }
}

#[tokio::test]
async fn tasks_that_were_created_with_their_claims_outlive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut dev = Dev::start(&data, &["--durability", "strict"]).await;
    let before = history(&dev, &data).await;
    shell_app(&dev.http, "work", &[("run", WORK)]).await;
    dev.http.patch("/tasklane/v1/lanes/tasks.demo", json!({"max_running": 16}).to_string()).await.expect(200);
    let acknowledged = Arc::<Mutex<Vec<String>>>::default();
    let create = || tokio::spawn(create_until_killed(dev.http.clone(), Arc::clone(&acknowledged)));
    let creators: Vec<_> = (0..CREATORS).map(|_| create()).collect();
    until("many are acknowledged", || async {
        let many = acknowledged.lock().unwrap().len();
        if many >= ACKNOWLEDGED { Ok(()) } else { Err(many) }
    })
    .await;
    dev.program.kill_group().await;
    for creator in creators {
        creator.await.unwrap();
    }
    before.check();
    let at_once = |task: &Task| task.assigned_at == Some(task.created_at);
    assert!(before.tasks().iter().any(at_once), "none was created with its claim");

    let mut dev = Dev::start(&data, &["--durability", "strict"]).await;
    let after = history(&dev, &data).await;
    let ids = std::mem::take(&mut *acknowledged.lock().unwrap());
    all_completed_once(&dev.http, &after, &ids).await;
    stopped_in_order(&mut dev, Signal::SIGTERM, &data).await;
}

async fn stopped_in_order(dev: &mut Dev, signal: Signal, data: &Path) {
    let family = Family::of(&dev.program, &data.join("work"));
    dev.program.signal(signal);
    assert!(dev.program.until_ended().await.success(), "{signal} stops it with status 0");
    assert_eq!(family.alive(), [], "nothing is left after {signal}");
}

#[tokio::test]
async fn a_killed_group_loses_nothing_and_leaves_nothing_strict() {
    killed_and_started_again("strict").await;
}

#[tokio::test]
async fn a_killed_group_loses_nothing_and_leaves_nothing_interval() {
    killed_and_started_again("interval").await;
}

#[tokio::test]
async fn a_killed_broker_is_started_again_and_everything_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut dev = Dev::start(&data, &[]).await;
    let history = history(&dev, &data).await;
    let ids = one_runs_and_others_wait(&dev.http, 20).await;

    let broker = dev.broker_pid();
    assert_eq!(group_of(broker), dev.program.pid(), "the broker is in dev's own group");
    kill(Pid::from_raw(broker.cast_signed()), Signal::SIGKILL).unwrap();
    until("the service answers again", || async {
        match dev.http.send(http::Method::GET, "/tasklane/v1/health", &[], "").await {
            Ok(answer) if answer.status == 200 && dev.broker_pid() != broker => Ok(()),
            other => Err(other.map(|answer| answer.text())),
        }
    })
    .await;
    let late = dev.http.create("work", "run", "late\n").await;
    // The one that held went on all the while: the broker's death is no reason to lose a runner's work.
    assert_eq!(dev.http.until_state(&ids[0], &["running"]).await["state"], "running");
    dev.http.delete(&format!("/pro-api/v2/tasks/{late}")).await.expect(200);
    dev.http.put(&format!("/pro-api/v2/tasks/{}?setstatus=interrupt-execution", ids[0]), "").await;
    history.until_ended(&ids).await;
    all_completed_once(&dev.http, &history, &ids[1..]).await;
    stopped_in_order(&mut dev, Signal::SIGINT, &data).await;
}

#[tokio::test]
async fn a_second_start_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut dev = Dev::start(&data, &["--durability", "interval"]).await;
    let refused = refused_start(&data, &[]).await;
    assert!(refused.contains("is in use by process") && refused.contains("--data"), "{refused}");
    dev.http.get("/tasklane/v1/health").await.expect(200);

    // The signal of a terminal reaches the broker too, which then is gone before the functions have ended.
    shell_app(&dev.http, "work", &[("run", "sleep 600")]).await;
    let id = dev.http.create("work", "run", "").await;
    dev.http.until_state(&id, &["running"]).await;
    let family = Family::of(&dev.program, &data.join("work"));
    dev.program.signal_group(Signal::SIGINT);
    assert!(dev.program.until_ended().await.success(), "status 0 though the broker got the signal too");
    assert_eq!(family.alive(), []);

    let mut dev = Dev::start(&data, &[]).await;
    let history = history(&dev, &data).await;
    until("the task is known again", || async { history.task(&id).ok_or(()) }).await;
    assert_eq!(history.task(&id).unwrap().losses, 0, "it was given back in order");
    stopped_in_order(&mut dev, Signal::SIGTERM, &data).await;
}

#[tokio::test]
async fn a_running_task_is_given_back_by_a_stop_and_ends_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut dev = Dev::start(&data, &[]).await;
    let ids = one_runs_and_others_wait(&dev.http, 3).await;
    stopped_in_order(&mut dev, Signal::SIGINT, &data).await;
    let mut dev = Dev::start(&data, &[]).await;
    let history = history(&dev, &data).await;
    all_completed_once(&dev.http, &history, &ids).await;
    assert_eq!(history.task(&ids[0]).unwrap().losses, 0, "a stop in order costs no loss");
    stopped_in_order(&mut dev, Signal::SIGTERM, &data).await;
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_error_and_a_given_one_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = refused_start(&data, &["--http", &address]).await;
    assert!(refused.contains(&address) && refused.contains("--http"), "{refused}");
    let url = format!("nats://{address}");
    let refused = refused_start(&data, &["--nats", &url]).await;
    assert!(refused.contains(&address) && refused.contains("--nats"), "{refused}");
    let refused = refused_start(&data, &["--nats", "nats://nowhere"]).await;
    assert!(refused.contains("--nats") && refused.contains("nats://ADDRESS:PORT"), "{refused}");

    drop(taken);
    let mut dev = Dev::start(&data, &["--nats", &url]).await;
    assert_eq!(self::address(&dev), address, "the broker listens where it was told to");
    stopped_in_order(&mut dev, Signal::SIGTERM, &data).await;
}

/// What a start that fails says; it leaves no process and prints no line.
async fn refused_start(data: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = dev_command(data, arguments).output().await.unwrap();
    assert!(!status.success());
    assert_eq!(String::from_utf8_lossy(&stdout), "", "no line where nothing is ready");
    String::from_utf8_lossy(&stderr).into_owned()
}
