//! Logs: every line in order or counted as missing, secrets hidden, paged, tailed and as one text; and a task
//! that talks too much is not slowed by it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use http::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::apps::{noop_app, shell_app};
use tests::http::Http;
use tests::wait::until;
use tests::{Kit, program};
use tokio::process::Command;

/// A hundred bytes each: numbers with leading zeros, so that their order as texts is their order.
const COUNT: &str = "read count; seq -f %099.0f 1 $count >&2";

async fn page(http: &Http, id: &str, offset: u64) -> Value {
    http.get(&format!("/pro-api/v2/tasks/{id}/logs?limit=1000&offset={offset}")).await.expect(200).json()
}

/// Every line that is there, and how many are missing. The lines come in the order in which they were written.
async fn whole(http: &Http, id: &str) -> (u64, u64) {
    let (mut stored, mut offset, mut last) = (0, 0, String::new());
    loop {
        let page = page(http, id, offset).await;
        for line in page["logs"].as_array().unwrap() {
            let message = line["message"].as_str().unwrap();
            assert!(*last < *message, "{message} after {last}");
            message.clone_into(&mut last);
            stored += 1;
        }
        let next = page["next"].as_u64().unwrap();
        if page["end"] == true {
            return (stored, page["dropped"].as_u64().unwrap());
        }
        assert!(next > offset, "a task that has ended has no empty page before its last: {page}");
        offset = next;
    }
}

/// The command line following a log, until the task ends: its lines, and what it says beside.
async fn follow(http: &Http, id: &str) -> (u64, String) {
    let followed = Command::new(program())
        .args(["task", "logs", "-f", id])
        .env("TASKLANE_URL", http.url())
        .env("TASKLANE_API_KEY", http.key().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output();
    let followed = followed.await.unwrap();
    let notes = String::from_utf8_lossy(&followed.stderr).into_owned();
    assert!(followed.status.success(), "{notes}");
    (followed.stdout.iter().filter(|byte| **byte == b'\n').count() as u64, notes)
}

#[tokio::test]
async fn a_flood_of_lines_blocks_nothing_and_every_line_is_stored_or_counted() {
    const LINES: u64 = 1_000_000;
    let kit = Kit::start().await;
    shell_app(&kit.http, "flood", &[("run", COUNT)]).await;
    noop_app(&kit.http, "noop").await;
    let id = kit.http.create("flood", "run", format!("{LINES}\n")).await;
    let followed = tokio::spawn({
        let (http, id) = (kit.http.clone(), id.clone());
        async move { follow(&http, &id).await }
    });
    until("the first lines are there", || async {
        let page = page(&kit.http, &id, 0).await;
        if page["next"].as_u64() > Some(0) { Ok(()) } else { Err(page) }
    })
    .await;
    // While it floods, its state is told and other tasks go their way.
    let began = Instant::now();
    assert_eq!(kit.http.task(&id).await["state"], "running");
    let other = kit.http.create("noop", "run", "x").await;
    kit.http.until_ended(&other).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    assert_eq!(kit.http.until_ended(&id).await["state"], "completed");
    let (stored, dropped) = whole(&kit.http, &id).await;
    assert_eq!(stored + dropped, LINES, "{stored} are stored and {dropped} counted as dropped");
    let (shown, notes) = followed.await.unwrap();
    assert_eq!(shown, stored, "{notes}");
    assert_eq!(!notes.is_empty(), dropped > 0, "{notes}");
    kit.stop().await;
}

#[tokio::test]
async fn a_frozen_broker_costs_lines_but_no_time_and_the_lines_are_counted() {
    const LINES: u64 = 200_000;
    let kit = Kit::start().await;
    let script = format!(
        "read go; touch $go.up; while [ ! -e $go ]; do sleep 0.02; done; echo {LINES} | ( {COUNT} ); touch $go.done"
    );
    shell_app(&kit.http, "flood", &[("run", &script)]).await;
    let go = kit.folder.path().join("go");
    let file = |end: &str| kit.folder.path().join(format!("go{end}"));
    let there = async |end: &str| {
        let path = file(end);
        until(&format!("{} is there", path.display()), || async {
            path.exists().then_some(()).ok_or("not yet")
        })
        .await;
    };
    let id = kit.http.create("flood", "run", format!("{}\n", go.display())).await;
    kit.http.until_state(&id, &["running"]).await;
    there(".up").await;

    let broker = Pid::from_raw(kit.stack.server.as_ref().unwrap().pid().cast_signed());
    kill(broker, Signal::SIGSTOP).unwrap();
    std::fs::write(&go, "").unwrap();
    // The process writes everything it has although nothing can be stored.
    there(".done").await;
    kill(broker, Signal::SIGCONT).unwrap();

    assert_eq!(kit.http.until_ended(&id).await["state"], "completed");
    let (stored, dropped) = whole(&kit.http, &id).await;
    assert_eq!(stored + dropped, LINES, "{stored} are stored and {dropped} counted as dropped");
    assert!(dropped > 0, "20 MB are more than may wait");
    let text = kit.http.get(&format!("/pro-api/v2/tasks/{id}/logs/download")).await.expect(200).text();
    assert_eq!(text.lines().count() as u64, stored + 1);
    let last = format!("({dropped} lines came too fast and are not kept)");
    assert_eq!(text.lines().last(), Some(last.as_str()));
    let (shown, notes) = follow(&kit.http, &id).await;
    assert_eq!(shown, stored);
    assert!(notes.contains(&format!("({dropped} lines came too fast")), "{notes}");
    kit.stop().await;
}

#[tokio::test]
async fn a_log_is_paged_tailed_and_one_text_without_secrets() {
    let kit = Kit::start().await;
    let key = kit.http.key().unwrap().to_owned();
    let script = "echo one >&2; echo \"key $(cat)\" >&2; echo nats://u:p4ss@h >&2; sleep 1; echo late >&2";
    shell_app(&kit.http, "talk", &[("run", script)]).await;
    let id = kit.http.create("talk", "run", key).await;
    let path = format!("/pro-api/v2/tasks/{id}/logs");
    let three = until("three lines are there", || async {
        let page = kit.http.get(&path).await.expect(200).json();
        if page["next"] == 3 { Ok(page) } else { Err(page) }
    })
    .await;
    let messages: Vec<&Value> =
        three["logs"].as_array().unwrap().iter().map(|line| &line["message"]).collect();
    assert_eq!(messages, [&json!("one"), &json!("key [redacted]"), &json!("nats://u:[redacted]@h")]);
    assert_eq!(three["end"], false);

    // The tail: nothing is there yet, and the answer comes with the line.
    let headers = [("prefer", "wait=30")];
    let tail = kit.http.send(Method::GET, &format!("{path}?offset=3"), &headers, "").await.unwrap();
    let tail = tail.expect(200).json();
    assert_eq!((&tail["logs"][0]["message"], &tail["next"]), (&json!("late"), &json!(4)), "{tail}");

    kit.http.until_ended(&id).await;
    let two = kit.http.get(&format!("{path}?offset=1&limit=2")).await.expect(200).json();
    assert_eq!(
        (two["logs"].as_array().unwrap().len(), &two["next"], &two["end"]),
        (2, &json!(3), &json!(false))
    );
    let last = kit.http.get(&format!("{path}?offset=3")).await.expect(200).json();
    assert_eq!((&last["logs"][0]["message"], &last["end"]), (&json!("late"), &json!(true)), "{last}");
    let own = kit.http.get(&format!("/tasklane/v1/tasks/{id}/logs")).await.expect(200).json();
    assert_eq!(own["lines"][1]["text"], "key [redacted]");

    let text = kit.http.get(&format!("{path}/download")).await.expect(200);
    assert_eq!(text.headers["content-type"], "text/plain; charset=utf-8");
    let lines: Vec<String> = text.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    let first = &three["logs"][0];
    let at = first["timestamp"].as_str().unwrap();
    assert_eq!(lines[0], format!("{} one", &at[..at.len() - 3]), "to the millisecond");
    kit.stop().await;
}
