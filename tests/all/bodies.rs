//! Large bodies: unchanged both ways, never held in memory, and nothing left of one that broke off.

use std::time::Duration;

use nix::sys::signal::Signal;
use sha2::{Digest, Sha256};
use tests::Kit;
use tests::apps::{noop_app, shell_app};
use tests::http::Http;
use tests::process::serve_ingress;
use tests::raw::Raw;
use tests::stored::Stored;
use tests::wait::until;
use tokio::io::AsyncReadExt;

const MEGABYTE: usize = 1024 * 1024;

/// Binary without a pattern that a compressor or a copy of one chunk would hit.
fn binary(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut body = Vec::with_capacity(bytes);
    while body.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        body.extend_from_slice(&state.to_le_bytes());
    }
    body.truncate(bytes);
    body
}

#[tokio::test]
async fn forty_megabytes_pass_an_ingress_unchanged_and_without_being_held() {
    let kit = Kit::start().await;
    let (mut ingress, http) = serve_ingress(&kit).await;
    shell_app(&http, "bytes", &[("copy", "cat")]).await;
    // Warm: what a first body makes the process load once is not what bodies take.
    let warm = http.create("bytes", "copy", binary(MEGABYTE)).await;
    http.until_ended(&warm).await;
    http.response(&warm).await.expect(200);
    let before = ingress.memory();

    let body = binary(40 * MEGABYTE);
    let most = peak(&ingress, async {
        let id = http.create("bytes", "copy", body.clone()).await;
        assert_eq!(http.until_ended(&id).await["state"], "completed");
        let answer = http.response(&id).await.expect(200);
        assert_eq!(answer.headers["content-length"], body.len().to_string());
        assert!(Sha256::digest(&answer.body) == Sha256::digest(&body), "the body came out changed");
    })
    .await;
    let growth = most.saturating_sub(before);
    assert!(growth < 20 * MEGABYTE as u64, "grew by {} MB", growth / MEGABYTE as u64);
    ingress.signal(Signal::SIGTERM);
    assert!(ingress.until_ended().await.success());
    kit.stop().await;
}

/// Sends so many bytes in chunks, as a client that does not know their number, and gives the status.
async fn send_chunked(http: &Http, bytes: usize) -> u16 {
    let mut raw = Raw::connect(http).await;
    raw.send(raw.head("POST /pro-api/v2/tasks/noop/run", "Transfer-Encoding: chunked\r\n\r\n")).await;
    let mut left = bytes;
    let zeros = vec![0; MEGABYTE];
    while left > 0 {
        let count = left.min(MEGABYTE);
        let sent = raw.send(format!("{count:x}\r\n")).await && raw.send(&zeros[..count]).await;
        if !sent || !raw.send("\r\n").await {
            break;
        }
        left -= count;
    }
    raw.send("0\r\n\r\n").await;
    raw.reply().await.status
}

#[tokio::test]
async fn the_largest_body_is_taken_and_one_byte_more_is_not() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "noop").await;
    let most = domain::payload::BODY_BYTES_MAX as usize;
    assert_eq!(most, 256 * MEGABYTE);
    let (mut ingress, http) = serve_ingress(&kit).await;
    let before = ingress.memory();
    let memory = peak(&ingress, async {
        assert_eq!(send_chunked(&http, most).await, 200);
        assert_eq!(send_chunked(&http, most + 1).await, 413);
    })
    .await;
    let growth = memory.saturating_sub(before);
    assert!(growth < 20 * MEGABYTE as u64, "grew by {} MB", growth / MEGABYTE as u64);
    assert_eq!(listed(&http).await, 1, "the one that was refused made no task");
    ingress.signal(Signal::SIGTERM);
    assert!(ingress.until_ended().await.success());
    kit.stop().await;
}

#[tokio::test]
async fn a_whole_log_passes_an_ingress_without_being_held_however_slow_its_client_is() {
    const LINES: usize = 240_000;
    let kit = Kit::start().await;
    let (mut ingress, http) = serve_ingress(&kit).await;
    // A hundred bytes each, in parts that are taken before the next one comes.
    let flood = "read n; for i in $(seq 1 $((n / 2000))); do seq -f %099.0f 1 2000 >&2; sleep 0.05; done";
    shell_app(&http, "talk", &[("flood", flood)]).await;
    let run = async |lines: usize| {
        let id = http.create("talk", "flood", format!("{lines}\n")).await;
        assert_eq!(http.until_ended(&id).await["state"], "completed");
        format!("/pro-api/v2/tasks/{id}/logs/download")
    };
    // Warm, as above.
    let warm = run(2_000).await;
    http.get(&warm).await.expect(200);
    let path = run(LINES).await;
    let before = ingress.memory();
    let most = peak(&ingress, async {
        let slow = async {
            let mut raw = Raw::connect(&http).await;
            raw.send(raw.head(&format!("GET {path}"), "Connection: close\r\n\r\n")).await;
            let (mut piece, mut bytes) = (vec![0; MEGABYTE], 0);
            let mut pace = tokio::time::interval(Duration::from_millis(10));
            while let Ok(count @ 1..) = raw.stream.read(&mut piece).await {
                bytes += count;
                pace.tick().await;
            }
            bytes
        };
        let fast = async {
            let text = http.get(&path).await.expect(200).text();
            let whole = text.lines().filter(|line| line.len() > 100).count();
            let missing = text.lines().last().filter(|line| line.starts_with('('));
            let missing: usize =
                missing.map_or(0, |line| line[1..].split(' ').next().unwrap().parse().unwrap());
            assert_eq!(whole + missing, LINES);
            text.len()
        };
        let (slow, fast) = tokio::join!(slow, fast);
        assert!(fast > 20 * MEGABYTE, "{fast} bytes are no large log");
        assert!(slow > fast, "the slow client got {slow} bytes with the head, of {fast}");
    })
    .await;
    let growth = most.saturating_sub(before);
    assert!(growth < 20 * MEGABYTE as u64, "grew by {} MB", growth / MEGABYTE as u64);
    ingress.signal(Signal::SIGTERM);
    assert!(ingress.until_ended().await.success());
    kit.stop().await;
}

/// The most memory of a program while something is done.
async fn peak(program: &tests::process::Program, work: impl Future<Output = ()>) -> u64 {
    let mut work = std::pin::pin!(work);
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let mut most = 0;
    loop {
        tokio::select! {
            () = &mut work => return most.max(program.memory()),
            _ = looks.tick() => most = most.max(program.memory()),
        }
    }
}

#[tokio::test]
async fn a_body_is_unchanged_on_both_sides_of_every_bound() {
    let kit = Kit::start().await;
    shell_app(&kit.http, "bytes", &[("copy", "cat")]).await;
    let (inline, chunk) = (domain::payload::INLINE_BYTES_MAX, 128 * 1024);
    for around in [1, inline, chunk, 8 * chunk] {
        for size in [around - 1, around, around + 1] {
            let body = binary(size);
            let id = kit.http.create("bytes", "copy", body.clone()).await;
            let task = kit.http.until_ended(&id).await;
            assert_eq!(task["state"], "completed", "{size}: {task}");
            assert!(kit.http.response(&id).await.expect(200).body == body, "{size} bytes came out changed");
        }
    }
    kit.stop().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing_behind() {
    let kit = Kit::start().await;
    shell_app(&kit.http, "bytes", &[("copy", "cat")]).await;
    let stored = Stored::of(&kit).await;
    let mut raw = Raw::connect(&kit.http).await;
    let head =
        raw.head("POST /pro-api/v2/tasks/bytes/copy", &format!("Content-Length: {}\r\n\r\n", 8 * MEGABYTE));
    raw.send(head).await;
    raw.send(binary(4 * MEGABYTE)).await;
    until("a part of it is stored", || async {
        let messages = stored.messages(&Stored::bodies()).await;
        if messages > 8 { Ok(()) } else { Err(messages) }
    })
    .await;
    drop(raw);
    until("nothing of it is left", || async {
        let messages = stored.messages(&Stored::bodies()).await;
        if messages == 0 { Ok(()) } else { Err(messages) }
    })
    .await;
    assert_eq!(listed(&kit.http).await, 0, "no task came of it");
    kit.stop().await;
}

async fn listed(http: &Http) -> u64 {
    http.get("/tasklane/v1/tasks").await.expect(200).json()["total"].as_u64().unwrap()
}

#[tokio::test]
async fn a_task_without_a_result_has_no_response() {
    let kit = Kit::start().await;
    shell_app(&kit.http, "ends", &[("fail", "echo wrong >&2; exit 3"), ("wait", "exec sleep 600")]).await;
    let failed = kit.http.create("ends", "fail", "").await;
    assert_eq!(kit.http.until_ended(&failed).await["state"], "failed");
    kit.http.response(&failed).await.expect(404);
    let running = kit.http.create("ends", "wait", "").await;
    kit.http.until_state(&running, &["running"]).await;
    kit.http.response(&running).await.expect(404);
    kit.http.patch("/tasklane/v1/lanes/tasks.demo", r#"{"max_running": 0}"#).await.expect(200);
    let queued = kit.http.create("ends", "wait", "").await;
    kit.http.response(&queued).await.expect(404);
    kit.stop().await;
}
