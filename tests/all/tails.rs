//! Logs that are followed as server-sent events: whoever loses the connection goes on without a gap or a double.

use http::Method;
use tests::Kit;
use tests::apps::shell_app;
use tests::raw::Raw;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;

/// What a client has seen of a stream.
#[derive(Debug, Default)]
struct Seen {
    texts: Vec<String>,
    last_id: Option<String>,
    ended: bool,
    dropped: bool,
}

async fn connect(kit: &Kit, path: &str, seen: &Seen) -> Lines<BufReader<TcpStream>> {
    let mut raw = Raw::connect(&kit.http).await;
    let again = seen.last_id.as_ref().map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    let head = raw.head(&format!("GET {path}"), &format!("{again}\r\n"));
    assert!(raw.send(head).await);
    let mut lines = BufReader::new(raw.stream).lines();
    let status = lines.next_line().await.unwrap().unwrap();
    assert!(status.contains(" 200 "), "{status}");
    lines
}

/// Reads until so many lines have come in this connection, or the end.
async fn read(lines: &mut Lines<BufReader<TcpStream>>, seen: &mut Seen, most: usize) {
    let (mut count, mut event, mut id) = (0, String::new(), None);
    while count < most {
        let Some(line) = lines.next_line().await.unwrap() else { return };
        if let Some(name) = line.strip_prefix("event: ") {
            event = name.to_owned();
        } else if let Some(value) = line.strip_prefix("id: ") {
            id = Some(value.to_owned());
        } else if let Some(data) = line.strip_prefix("data: ") {
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            match event.as_str() {
                "" => {
                    seen.texts.push(data["text"].as_str().unwrap().to_owned());
                    count += 1;
                }
                "end" => {
                    seen.last_id = id.take();
                    seen.ended = true;
                    return;
                }
                "dropped" => seen.dropped = true,
                other => panic!("an event of another kind: {other}"),
            }
            event.clear();
            seen.last_id = id.take().or(seen.last_id.take());
        }
    }
}

#[tokio::test]
async fn a_followed_log_has_every_line_once_however_often_its_client_is_cut_off() {
    const LINES: usize = 400;
    let kit = Kit::start().await;
    let script = format!(
        "for i in $(seq {LINES}); do echo line $i >&2; [ $((i % 20)) = 0 ] && sleep 0.05; done; sleep 1; echo late >&2"
    );
    shell_app(&kit.http, "talk", &[("run", &script)]).await;
    let id = kit.http.create("talk", "run", "").await;
    let session = kit.http.until_state(&id, &["running"]).await["sessionId"].as_str().unwrap().to_owned();
    let paths =
        [format!("/tasklane/v1/tasks/{id}/logs/tail"), format!("/tasklane/v1/sessions/{session}/logs/tail")];
    for (path, cuts) in paths.iter().zip([vec![1, 7, 13, 50, 120], vec![3, 200]]) {
        let mut seen = Seen::default();
        for cut in cuts {
            let mut lines = connect(&kit, path, &seen).await;
            read(&mut lines, &mut seen, cut).await;
        }
        let mut lines = connect(&kit, path, &seen).await;
        read(&mut lines, &mut seen, usize::MAX).await;
        let expected: Vec<String> =
            (1..=LINES).map(|number| format!("line {number}")).chain(["late".to_owned()]).collect();
        assert_eq!(seen.texts, expected, "{path}");
        assert!(seen.ended && !seen.dropped, "{path}: {:?}", seen.last_id);

        // Who has seen the end is told not to come again.
        let last = seen.last_id.unwrap();
        let headers = [("last-event-id", last.as_str())];
        kit.http.send(Method::GET, path, &headers, "").await.unwrap().expect(204);
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_followed_log_does_not_keep_the_service_from_stopping() {
    let kit = Kit::start().await;
    shell_app(&kit.http, "talk", &[("run", "echo up >&2; sleep 600")]).await;
    let id = kit.http.create("talk", "run", "").await;
    let mut seen = Seen::default();
    let mut lines = connect(&kit, &format!("/tasklane/v1/tasks/{id}/logs/tail"), &seen).await;
    read(&mut lines, &mut seen, 1).await;
    assert_eq!(seen.texts, ["up"]);
    let began = std::time::Instant::now();
    kit.stop().await;
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_followed_flood_gives_what_is_kept_of_it_and_no_line_twice() {
    let kit = Kit::start().await;
    shell_app(&kit.http, "flood", &[("run", "seq -f %099.0f 1 300000 >&2")]).await;
    let id = kit.http.create("flood", "run", "").await;
    let path = format!("/tasklane/v1/tasks/{id}/logs/tail");
    let mut seen = Seen::default();
    let mut connections = 0;
    while !seen.ended {
        let mut lines = connect(&kit, &path, &seen).await;
        read(&mut lines, &mut seen, 3_999).await;
        connections += 1;
    }
    assert!(connections > 2, "{connections}");
    let whole = kit.http.get(&format!("/pro-api/v2/tasks/{id}/logs/download")).await.expect(200).text();
    let kept: Vec<&str> =
        whole.lines().filter_map(|line| line.get(24..)).filter(|text| text.len() == 99).collect();
    assert!(
        seen.texts.iter().zip(&seen.texts[1..]).all(|(one, next)| one < next),
        "a line came twice or too early"
    );
    assert!(seen.texts == kept, "{} lines came, and {} are kept", seen.texts.len(), kept.len());
    assert_eq!(seen.dropped, kept.len() < 300_000, "what is missing is told");
    kit.stop().await;
}
