//! The processes of one stream task: while one of them fails the others work and the task is alive, and who kills one
//! from outside says nothing about the record that it had.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::Kit;
use tests::apps::App;
use tests::process::{Program, serve_command};
use tests::stored::Stored;
use tests::symetry::Customer;
use tests::topics::Topics;
use tests::wait::until;
use wire::Function;
use wire::topology::ASIDE;

/// Publishes a stream app, and starts a task of it from `demo.p.in` to `demo.p.out`.
async fn task(kit: &Kit, program: &str, params: &[(&str, &str)]) -> Customer {
    let manifest = "name = \"app\"\nversion = \"1.0\"\nruntime = \"stream\"\n[session]\n\
                    command = [\"python3\", \"filter.py\"]\n";
    App { manifest, files: &[("filter.py", program)] }.publish(&kit.http).await.expect(200);
    let mut all = json!({ "sml.kstream.source.topic": "demo.p.in", "sml.kstream.sink.topic": "demo.p.out" });
    for (param, text) in params {
        all[*param] = json!(text);
    }
    let customer = Customer::new(&kit.http, "demo", &kit.stack.signing_secret().unwrap());
    customer.create(&json!({ "type": "app", "name": "p", "params": all }), false).await.expect(202);
    customer.get("/tasks/p/start").await.expect(200);
    customer
}

async fn status(customer: &Customer) -> Value {
    let answer = customer.get("/tasks/p").await.expect(200).json();
    answer["values"]["KSVSMap"]["values"][0].clone()
}

/// Tells its number, and dies of what is bad.
const PIDS: &str = r#"
import os, sys
for line in sys.stdin:
    if "bad" in line:
        sys.exit("can't take it")
    print(os.getpid(), line.rstrip())
"#;

#[tokio::test]
async fn while_one_process_fails_the_others_work_and_the_task_is_alive() {
    let kit = Kit::start().await;
    let customer =
        task(&kit, PIDS, &[("sml.task.instances", "2"), ("sml.kstream.record.poll.max", "10")]).await;
    let topics = Topics::of(&kit).await;
    let mut out = topics.listen("demo.p.out").await;
    let mut pids = Vec::new();
    for key in 0..16 {
        topics.publish_with_key("demo.p.in", &format!("key {key}"), key.to_string()).await;
        pids.push(out.next().await.split(' ').next().unwrap().to_owned());
    }
    until("its process is seen", || async {
        let told = status(&customer).await;
        if told["processIsAlive"] == json!("true") { Ok(()) } else { Err(told) }
    })
    .await;
    let bad = "key 0".to_owned();
    let other = pids.iter().position(|pid| *pid != pids[0]).expect("two processes share the keys");
    let good = format!("key {other}");
    // Each of these is tried three times, with pauses that grow to some seconds.
    for _ in 0..2 {
        topics.publish_with_key("demo.p.in", &bad, "bad".to_owned()).await;
    }
    until("a process fails", || async {
        let told = status(&customer).await;
        if told["lastError"].as_str().unwrap().contains("can't take it") { Ok(()) } else { Err(told) }
    })
    .await;
    topics.publish_with_key("demo.p.in", &bad, "behind them".to_owned()).await;
    for number in 0..50 {
        topics.publish_with_key("demo.p.in", &good, number.to_string()).await;
    }
    let expected: Vec<String> = (0..50).map(|number| format!("{} {number}", pids[other])).collect();
    assert_eq!(out.take(50).await, expected, "the other process goes on through several batches");
    let told = status(&customer).await;
    assert_eq!((&told["status"], &told["processIsAlive"]), (&json!("running"), &json!("true")));
    let aside = Stored::of(&kit).await.messages(ASIDE).await;
    assert!(aside < 2, "the process with the bad records is still at them");
    assert!(out.next().await.ends_with("behind them"), "and then gets on itself");
    kit.stop().await;
}

/// Is at work on some records for long enough to be killed, and shows it by a process of its own.
const SLOW: &str = r#"
import subprocess, sys
for line in sys.stdin:
    if "slow" in line:
        subprocess.run(["sleep", "2"])
    print("done", line.rstrip())
"#;

#[tokio::test]
async fn kills_from_outside_are_no_tries_of_a_record() {
    let mut kit = Kit::start().await;
    kit.without(Function::Runner).await;
    let work = kit.folder.path().join("work of the runner");
    let runner = Program::start(serve_command(&kit, &[Function::Runner]).env("TASKLANE_WORK", work));
    let customer = task(&kit, SLOW, &[]).await;
    let topics = Topics::of(&kit).await;
    let mut out = topics.listen("demo.p.out").await;
    topics.publish("demo.p.in", ["slow one".to_owned(), "next".to_owned()]).await;
    for _ in 0..4 {
        let at_work = until("the process is at work on the record", || async {
            at_work(runner.pid()).ok_or("none is at work")
        })
        .await;
        kill(Pid::from_raw(at_work), Signal::SIGKILL).unwrap();
    }
    assert_eq!(out.take(2).await, ["done slow one", "done next"]);
    assert_eq!(Stored::of(&kit).await.messages(ASIDE).await, 0);
    assert!(status(&customer).await["lastError"].as_str().unwrap().contains("SIGKILL"));
    kit.stop().await;
}

/// The living process below this one that has started a `sleep`.
fn at_work(runner: u32) -> Option<i32> {
    let sleeps = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
    };
    let sleeper = keeper::live_descendants(runner).into_iter().find(sleeps)?;
    let stat = std::fs::read_to_string(format!("/proc/{sleeper}/stat")).ok()?;
    // Behind the name come the state and the parent.
    let parent: i32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
    let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
    name.starts_with("python3").then_some(parent)
}
