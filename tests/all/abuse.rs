//! What no decent client sends, all at once, while a decent one is served: every abuse gets an answer or an end
//! within its time, no answer is our fault, and the memory of the ingress stays bounded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use tests::Kit;
use tests::apps::{noop_app, shell_app};
use tests::http::Http;
use tests::process::{Program, serve_ingress};
use tests::raw::{Raw, Reply};
use tests::stored::Stored;
use tests::wait::{until, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A head must have ended after 10 s, a body must have begun after 20 s, an answer must be taken after 30 s. The
/// rest is for a loaded machine.
const HEAD_BOUND: Duration = Duration::from_secs(14);
const BODY_BOUND: Duration = Duration::from_secs(28);
const ANSWER_BOUND: Duration = Duration::from_secs(45);
const AT_ONCE: Duration = Duration::from_secs(4);
const IDLE_CONNECTIONS: usize = 1000;
const LARGE_ANSWER: usize = 40 << 20;
const MEMORY_BOUND: u64 = 64 << 20;
const CREATE: &str = "POST /pro-api/v2/tasks/noop/run";
const LANE: &str = "PATCH /tasklane/v1/lanes/tasks.demo";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_of_every_kind_hurts_nobody_else() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let kit = Kit::start().await;
    let (mut ingress, http) = serve_ingress(&kit).await;
    noop_app(&http, "noop").await;
    shell_app(&http, "large", &[("run", &format!("head -c {LARGE_ANSWER} /dev/zero"))]).await;
    let large = http.create("large", "run", "").await;
    http.until_ended(&large).await;
    let stored = Stored::of(&kit).await;
    let before = stored.messages(&Stored::bodies()).await;

    let over = AtomicBool::new(false);
    let abuse = async {
        tokio::join!(
            slow_heads(&http),
            slow_bodies(&http),
            idle_connections(&http),
            unread_answer(&http, &large),
            refused_heads(&http),
            refused_bodies(&http),
            broken_uploads(&http),
            legal_oddities(&http),
        );
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(abuse, decent_client(&http, &over), bounded_memory(&ingress, &over));

    until("nothing of the broken uploads is left", || async {
        let now = stored.messages(&Stored::bodies()).await;
        if now == before { Ok(()) } else { Err((before, now)) }
    })
    .await;
    ingress.signal(Signal::SIGTERM);
    assert!(ingress.until_ended().await.success());
    kit.stop().await;
}

/// Creates and reads all the while; each time it is served, and soon.
async fn decent_client(http: &Http, over: &AtomicBool) {
    let mut served = 0;
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let id = http.create("noop", "run", "decent").await;
        assert_eq!(http.until_ended(&id).await["state"], "completed");
        assert_eq!(http.response(&id).await.expect(200).text(), "decent");
        assert!(began.elapsed() < Duration::from_secs(10), "a decent client waited {:?}", began.elapsed());
        served += 1;
    }
    assert!(served > 10, "{served} rounds");
}

async fn bounded_memory(ingress: &Program, over: &AtomicBool) {
    let before = ingress.memory();
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while !over.load(Ordering::Relaxed) {
        looks.tick().await;
        let growth = ingress.memory().saturating_sub(before);
        assert!(growth < MEMORY_BOUND, "the ingress grew by {} MB", growth >> 20);
    }
}

async fn slow_heads(http: &Http) {
    let silent = async {
        let mut raw = Raw::connect(http).await;
        raw.send("GET /pro-api/v2/version HT").await;
        raw.until_closed(HEAD_BOUND).await;
    };
    let dripping = async {
        let mut raw = Raw::connect(http).await;
        let began = Instant::now();
        let mut drip = tokio::time::interval(Duration::from_millis(200));
        raw.send(raw.head("GET /pro-api/v2/version", "X: ")).await;
        while raw.send("y").await {
            assert!(began.elapsed() < HEAD_BOUND, "a dripping head is still taken");
            drip.tick().await;
        }
    };
    let after_a_request = async {
        let mut raw = Raw::connect(http).await;
        raw.send(raw.head("GET /pro-api/v2/version", "\r\n")).await;
        assert_eq!(raw.reply().await.status, 200);
        raw.send("GET /").await;
        raw.until_closed(HEAD_BOUND).await;
    };
    tokio::join!(silent, dripping, after_a_request);
}

async fn slow_bodies(http: &Http) {
    let silent = async {
        let mut raw = Raw::connect(http).await;
        raw.send(raw.head(CREATE, "Content-Length: 1000\r\n\r\n")).await;
        refused(&raw.reply_within(BODY_BOUND).await, &[400, 408]);
    };
    let dripping = async {
        let raw = Raw::connect(http).await;
        let head = raw.head(CREATE, "Content-Length: 1000000\r\n\r\n");
        let (mut reader, mut writer) = raw.stream.into_split();
        writer.write_all(head.as_bytes()).await.unwrap();
        let drip = async {
            let mut drip = tokio::time::interval(Duration::from_millis(200));
            while writer.write_all(b"y").await.is_ok() {
                drip.tick().await;
            }
        };
        let mut start = [0; 12];
        tokio::select! {
            () = drip => panic!("the connection broke before it was answered"),
            read = tokio::time::timeout(BODY_BOUND, reader.read_exact(&mut start)) => {
                read.expect("a dripping body is answered").unwrap();
            }
        }
        assert_eq!(&start, b"HTTP/1.1 400");
    };
    tokio::join!(silent, dripping);
}

async fn idle_connections(http: &Http) {
    let connections = join_all((0..IDLE_CONNECTIONS).map(|_| Raw::connect(http))).await;
    // One more is still served, and so is each of the idle ones.
    let served = join_all(connections.into_iter().step_by(100).map(|mut raw| async move {
        raw.send(raw.head("GET /pro-api/v2/version", "\r\n")).await;
        raw.reply().await.status
    }));
    assert_eq!(served.await, vec![200; IDLE_CONNECTIONS / 100]);
}

/// The client asks for much and takes nothing: it is left, and keeps no memory of ours.
async fn unread_answer(http: &Http, large: &str) {
    let clients = (0..4).map(|_| async {
        let mut raw = Raw::connect(http).await;
        raw.send(raw.head(&format!("GET /pro-api/v2/tasks/{large}/response"), "\r\n")).await;
        raw
    });
    let clients = join_all(clients).await;
    let peers: Vec<_> = clients.iter().map(|raw| raw.stream.local_addr().unwrap().port()).collect();
    within(ANSWER_BOUND, "a client that takes nothing is left", || async {
        let served: Vec<_> = peers.iter().filter(|port| is_served(http, **port)).collect();
        if served.is_empty() { Ok(()) } else { Err(served) }
    })
    .await;
    for mut raw in clients {
        let mut taken = 0;
        let mut buffer = vec![0; 1 << 20];
        while let Ok(count @ 1..) = raw.stream.read(&mut buffer).await {
            taken += count;
        }
        assert!(taken < LARGE_ANSWER, "the whole answer lay in buffers, so nothing was tried");
    }
}

/// Whether the ingress holds its end of the connection from this port.
fn is_served(http: &Http, client: u16) -> bool {
    let server: u16 = http.url().rsplit(':').next().unwrap().parse().unwrap();
    let ends = format!(":{server:04X} 0100007F:{client:04X} 01 ");
    std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&ends)
}

fn refused(reply: &Reply, statuses: &[u16]) {
    assert!(statuses.contains(&reply.status), "{statuses:?} expected, but: {reply:?}");
}

async fn refused_heads(http: &Http) {
    let many = (0..150).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    let huge = format!("X: {}\r\n", "y".repeat(200 << 10));
    let long = format!("GET /{}", "y".repeat(200 << 10));
    let get = "GET /pro-api/v2/version";
    let cases: Vec<(String, &[u16])> = vec![
        (head(http, get, &many).await, &[431]),
        (head(http, get, &huge).await, &[431]),
        (head(http, &long, "").await, &[414, 431]),
        (head(http, "GET no-path", "").await, &[400, 404]),
        (head(http, get, "no colon\r\n").await, &[400]),
        (head(http, get, "X: a\r\n b\r\n").await, &[400]),
        (head(http, get, "X : a\r\n").await, &[400]),
        ("\0\x01\x02\x03\r\n\r\n".to_owned(), &[400]),
        ("GET / HTTP/3.7\r\n\r\n".to_owned(), &[400, 505]),
        // One who speaks another version would not understand an answer; the connection ends.
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[0, 400, 505]),
    ];
    for (bytes, statuses) in cases {
        let mut raw = Raw::connect(http).await;
        raw.send(&bytes).await;
        let reply = raw.reply_within(AT_ONCE).await;
        assert!(statuses.contains(&reply.status), "{statuses:?} expected for {:.80}: {reply:?}", bytes);
    }
}

async fn head(http: &Http, line: &str, headers: &str) -> String {
    Raw::connect(http).await.head(line, headers) + "\r\n"
}

async fn refused_bodies(http: &Http) {
    let deep = "[".repeat(60_000);
    let length = |count: usize| format!("Content-Length: {count}\r\n\r\n");
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let many_chunks = format!("2000\r\n{}\r\n", "y".repeat(0x2000)).repeat(16);
    let cases: Vec<(&str, String, &str, &[u16])> = vec![
        (CREATE, length((256 << 20) + 1), "", &[413]),
        (LANE, length((64 << 10) + 1), "", &[413]),
        (LANE, chunked.to_owned(), &many_chunks, &[413]),
        (LANE, length(deep.len()), &deep, &[400]),
        (LANE, length(3), "{,}", &[400]),
        (CREATE, chunked.to_owned(), "zz\r\nabc\r\n0\r\n\r\n", &[400]),
        (CREATE, chunked.to_owned(), "3\r\nabcdef\r\n0\r\n\r\n", &[400]),
        (CREATE, chunked.to_owned(), "ffffffffffffffffff\r\nabc", &[400]),
        (CREATE, format!("Content-Length: 3\r\n{chunked}"), "3\r\nabc\r\n0\r\n\r\n", &[400]),
        (CREATE, format!("Content-Length: 3\r\n{}", length(4)), "abcd", &[400]),
        (CREATE, "Content-Length: -1\r\n\r\n".to_owned(), "", &[400]),
        (CREATE, "Content-Length: 3, 4\r\n\r\n".to_owned(), "abcd", &[400]),
        (CREATE, "Transfer-Encoding: gzip\r\n\r\n".to_owned(), "abc", &[400, 501]),
        (CREATE, format!("Expect: 100-continue\r\n{}", length((256 << 20) + 1)), "", &[413]),
    ];
    for (line, headers, body, statuses) in cases {
        let mut raw = Raw::connect(http).await;
        raw.send(raw.head(line, &headers)).await;
        raw.send(body).await;
        let reply = raw.reply_within(AT_ONCE).await;
        assert!(
            statuses.contains(&reply.status),
            "{statuses:?} expected for {line} {headers:.60}: {reply:?}"
        );
    }
}

/// Clients that go away in the middle of a large body; what was stored of it is removed again.
async fn broken_uploads(http: &Http) {
    let part = vec![b'x'; 600 << 10];
    let uploads = (0..8).map(|number| {
        let part = &part;
        async move {
            let mut raw = Raw::connect(http).await;
            let framing =
                if number % 2 == 0 { "Content-Length: 9000000" } else { "Transfer-Encoding: chunked" };
            raw.send(raw.head(CREATE, &format!("{framing}\r\n\r\n"))).await;
            if number % 2 == 1 {
                raw.send("100000\r\n").await;
            }
            raw.send(part).await;
        }
    });
    join_all(uploads).await;
}

/// What is rare and legal works.
async fn legal_oddities(http: &Http) {
    let get = head(http, "GET /pro-api/v2/version", "").await;
    let mut raw = Raw::connect(http).await;
    raw.send(get.repeat(20)).await;
    for _ in 0..20 {
        assert_eq!(raw.reply().await.status, 200, "pipelined");
    }

    let mut raw = Raw::connect(http).await;
    raw.send(raw.head(CREATE, "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")).await;
    assert_eq!(raw.reply().await.status, 100);
    raw.send("abc").await;
    assert_eq!(raw.reply().await.status, 200);

    let mut raw = Raw::connect(http).await;
    raw.send("POST /pro-api/v2/tasks/noop/run HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        .await;
    assert_eq!(raw.reply().await.status, 401, "who has no key is not asked for a body");

    // A line may end in LF alone; what matters is that nobody sees another request in it than we do.
    let reply = Raw::exchange(http, get.replace("\r\n", "\n")).await;
    refused(&reply, &[200, 400]);
    let chunked = head(http, CREATE, "Transfer-Encoding: chunked\r\n").await;
    let reply = Raw::exchange(http, format!("{chunked}3\nabc\n0\n\n")).await;
    refused(&reply, &[400]);
    let reply =
        Raw::exchange(http, format!("{chunked}3;extension=1\r\nabc\r\n0\r\nTrailer: x\r\n\r\n")).await;
    refused(&reply, &[200]);

    // To us a task's body is bytes, however deep a JSON reader would have to go.
    let id = http.create("noop", "run", "[".repeat(100_000)).await;
    assert_eq!(http.until_ended(&id).await["state"], "completed");
    http.delete(&format!("/pro-api/v2/tasks/{id}")).await.expect(200);
}
