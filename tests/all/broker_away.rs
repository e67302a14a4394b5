//! The broker dead, frozen, full, or on a full disk: a clear refusal within a bounded time, nothing that was
//! acknowledged is lost, and everything goes on by itself.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use http::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::Kit;
use tests::apps::{noop_app, shell_app};
use tests::history::History;
use tests::http::{Answer, Http};
use tests::stored::Stored;
use tests::wait::until;

/// The longest that a caller waits for an answer while the broker is away.
const BOUND: Duration = Duration::from_secs(12);
/// What a create may be answered while it can't be taken (design §11).
const REFUSALS: [u16; 5] = [429, 502, 503, 504, 507];

async fn history(kit: &Kit) -> History {
    History::follow(&kit.stack.settings.nats_url, &kit.stack.settings.keys).await
}

async fn try_create(http: &Http, service: &str, body: Vec<u8>) -> Answer {
    let path = format!("/pro-api/v2/tasks/{service}");
    http.send(Method::POST, &path, &[], body).await.expect("an ingress that is up answers")
}

/// The id of a create that was accepted; a refused one must be refused as the contract says.
fn accepted(answer: &Answer) -> Option<String> {
    if answer.status == 200 {
        return Some(answer.json()["id"].as_str().unwrap().to_owned());
    }
    assert!(REFUSALS.contains(&answer.status.as_u16()), "{answer:?}");
    assert!(answer.json()["message"].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
    None
}

/// Asks everything at once; every answer is a refusal within the bound.
async fn everything_is_refused(http: &Http, id: &str) {
    let large = vec![b'x'; 1024 * 1024];
    let task = format!("/pro-api/v2/tasks/{id}");
    let response = format!("{task}/response");
    let asks = [
        (Method::POST, "/pro-api/v2/tasks/noop/run", b"small".to_vec()),
        (Method::POST, "/pro-api/v2/tasks/noop/run", large),
        (Method::GET, &task, Vec::new()),
        (Method::GET, "/pro-api/v2/tasks", Vec::new()),
        (Method::GET, &response, Vec::new()),
        (Method::PUT, &task, Vec::new()),
        (Method::DELETE, &task, Vec::new()),
        (Method::GET, "/tasklane/v1/health", Vec::new()),
    ];
    let asked = asks.map(|(method, path, body)| async move {
        let began = Instant::now();
        let answer = http.send(method.clone(), path, &[], body).await.unwrap();
        assert!(began.elapsed() < BOUND, "{method} {path} took {:?}", began.elapsed());
        let status = answer.status.as_u16();
        assert!(status == 503 || status == 504, "{method} {path}: {status} {}", answer.text());
    });
    futures_util::future::join_all(asked).await;
}

#[tokio::test]
async fn a_dead_or_frozen_broker_is_a_503_and_all_goes_on_when_it_is_back() {
    let mut kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    shell_app(&kit.http, "slow", &[("run", "sleep 1; echo done")]).await;
    let history = history(&kit).await;
    let mut ids = vec![kit.http.create("noop", "run", "before").await];
    kit.http.until_ended(&ids[0]).await;
    for _ in 0..6 {
        ids.push(kit.http.create("slow", "run", "").await);
    }
    kit.http.until_state(&ids[1], &["running"]).await;

    kit.stack.server.as_mut().unwrap().kill();
    everything_is_refused(&kit.http, &ids[0]).await;
    kit.stack.server.as_mut().unwrap().restart().unwrap();
    ids.push(created_again(&kit.http).await);

    let broker = Pid::from_raw(kit.stack.server.as_ref().unwrap().pid().cast_signed());
    kill(broker, Signal::SIGSTOP).unwrap();
    everything_is_refused(&kit.http, &ids[0]).await;
    kill(broker, Signal::SIGCONT).unwrap();
    ids.push(created_again(&kit.http).await);

    history.until_ended(&ids).await;
    // The first may be deleted by now: what timed out may have been done.
    for id in &ids[1..] {
        assert_eq!(kit.http.until_ended(id).await["state"], "completed", "{id}");
    }
    history.check();
    kit.stop().await;
}

/// Creates until one is accepted.
async fn created_again(http: &Http) -> String {
    until("a create is accepted again", || async {
        let answer = try_create(http, "noop/run", b"again".to_vec()).await;
        accepted(&answer).ok_or(answer)
    })
    .await
}

#[tokio::test]
async fn a_full_store_for_bodies_is_a_507_and_deleting_makes_room() {
    let kit = Kit::start_with(|options| options.settings.sizes.storage_bytes = 64 << 20).await;
    shell_app(&kit.http, "count", &[("run", "wc -c")]).await;
    let history = history(&kit).await;
    let body = vec![b'x'; 4 << 20];
    let (ids, refused) = fill(&kit.http, "count/run", &body, 20).await;
    assert_eq!(refused.status, 507, "{refused:?}");
    assert!(refused.text().contains("delete"), "{}", refused.text());
    history.until_ended(&ids).await;
    for id in &ids {
        assert_eq!(kit.http.response(id).await.expect(200).text().trim(), body.len().to_string());
    }
    // What was refused left nothing behind, so one deleted body is the room for one.
    kit.http.delete(&format!("/pro-api/v2/tasks/{}", ids[0])).await.expect(200);
    kit.http.delete(&format!("/pro-api/v2/tasks/{}", ids[1])).await.expect(200);
    let next = until("there is room again", || async {
        let answer = try_create(&kit.http, "count/run", body.clone()).await;
        accepted(&answer).ok_or(answer)
    })
    .await;
    assert_eq!(kit.http.until_ended(&next).await["state"], "completed");
    history.check();
    kit.stop().await;
}

/// Creates tasks until one is refused, at most so many.
async fn fill(http: &Http, service: &str, body: &[u8], most: usize) -> (Vec<String>, Answer) {
    let mut ids = Vec::new();
    for _ in 0..most {
        let answer = try_create(http, service, body.to_vec()).await;
        match accepted(&answer) {
            Some(id) => ids.push(id),
            None => return (ids, answer),
        }
    }
    panic!("{most} were accepted, and the store is still not full");
}

#[tokio::test]
async fn a_full_store_for_records_refuses_creates_and_ends_what_it_took_in() {
    let kit = Kit::start_with(|options| options.settings.sizes.storage_bytes = 64 << 20).await;
    shell_app(&kit.http, "count", &[("run", "wc -c")]).await;
    kit.http.patch("/tasklane/v1/lanes/tasks.demo", json!({"max_running": 0}).to_string()).await.expect(200);
    let history = history(&kit).await;
    let fillers = std::iter::repeat_with(|| fill(&kit.http, "count/run", &[b'x'; 8 << 10], 4000)).take(8);
    let filled = futures_util::future::join_all(fillers).await;
    let mut ids = Vec::new();
    for (some, refused) in filled {
        assert_eq!(refused.status, 507, "{refused:?}");
        ids.extend(some);
    }
    assert!(ids.len() > 500, "{} were taken in", ids.len());
    // Most are deleted, which needs room too; the rest runs.
    let kept = ids.split_off(ids.len() - 24);
    for id in &kept {
        assert_eq!(kit.http.task(id).await["state"], "queued");
    }
    kit.http.patch("/tasklane/v1/lanes/tasks.demo", json!({"max_running": 8}).to_string()).await.expect(200);
    history.until_ended(&ids[..8]).await;
    for chunk in ids[8..].chunks(16) {
        let http = &kit.http;
        let deletes = chunk.iter().map(|id| async move {
            let path = format!("/pro-api/v2/tasks/{id}");
            // One that runs at this moment can't be deleted, and needs not be.
            let status = http.delete(&path).await.status.as_u16();
            assert!(status == 200 || status == 405, "{status}");
        });
        futures_util::future::join_all(deletes).await;
    }
    created_by(&kit.http, "count/run").await;
    history.until_ended(&kept).await;
    history.check();
    kit.stop().await;
}

async fn created_by(http: &Http, service: &str) -> String {
    until("a create is accepted again", || async {
        let answer = try_create(http, service, b"again".to_vec()).await;
        accepted(&answer).ok_or(answer)
    })
    .await
}

/// A small disk of its own, gone with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Needs root; without it there is none, which the caller says loudly.
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Longer than a runner waits for the broker to store one piece of a result.
const FROZEN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_large_result_waits_for_a_frozen_broker() {
    let kit = Kit::start().await;
    let script = "read -r file; while [ ! -e \"$file\" ]; do sleep 0.02; done; head -c 300000 /dev/zero; : > \"$file.done\"";
    shell_app(&kit.http, "large", &[("run", script)]).await;
    let file = kit.folder.path().join("go");
    let id = kit.http.create("large", "run", format!("{}\n", file.display())).await;
    kit.http.until_state(&id, &["running"]).await;
    let broker = Pid::from_raw(kit.stack.server.as_ref().unwrap().pid().cast_signed());
    kill(broker, Signal::SIGSTOP).unwrap();
    std::fs::write(&file, "").unwrap();
    until("the process is done", || async {
        file.with_extension("done").try_exists().ok().filter(|is| *is).ok_or(())
    })
    .await;
    tokio::time::sleep(FROZEN).await;
    kill(broker, Signal::SIGCONT).unwrap();
    let task = kit.http.until_ended(&id).await;
    assert_eq!(task["state"], "completed", "{task}");
    assert_eq!(kit.http.response(&id).await.expect(200).body.len(), 300_000);
    kit.stop().await;
}

#[tokio::test]
async fn a_full_disk_refuses_creates_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount("96m") else {
        eprintln!("SKIPPED: a full disk needs root, to mount a small one");
        return;
    };
    let mut kit = Kit::start_with(|options| options.data = disk.path().join("data")).await;
    noop_app(&kit.http, "noop").await;
    let history = history(&kit).await;
    kit.http.patch("/tasklane/v1/lanes/tasks.demo", json!({"max_running": 0}).to_string()).await.expect(200);
    let mut ids = vec![kit.http.create("noop", "run", "before").await];

    // Somebody else fills the disk.
    let filler = disk.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    drop(file);
    until("a create is refused", || async {
        let answer = try_create(&kit.http, "noop/run", vec![b'x'; 4096]).await;
        match accepted(&answer) {
            None => Ok(()),
            Some(id) => Err(id),
        }
    })
    .await;

    std::fs::remove_file(&filler).unwrap();
    kit.stack.server.as_mut().unwrap().restart().unwrap();
    ids.push(created_again(&kit.http).await);
    kit.http.patch("/tasklane/v1/lanes/tasks.demo", json!({"max_running": 4}).to_string()).await.expect(200);
    history.until_ended(&ids).await;
    assert_eq!(kit.http.response(&ids[0]).await.expect(200).text(), "before");
    let stored = Stored::of(&kit).await.messages(&Stored::records()).await;
    assert!(stored >= 2, "{stored}");
    history.check();
    kit.stop().await;
}
