//! Sessions that serve a page: started by a call, reached through the ingress, and ended.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tests::Kit;
use tests::accounts::{grant, key, until_answers, user};
use tests::apps::{App, shell_app};
use tests::http::Http;
use tests::raw::Raw;
use tests::wait::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ROOT: &str = "/pro/session-manager/v1/sessions/webui";

async fn publish(http: &Http, name: &str, idle: &str) {
    let manifest = format!(
        "name = \"{name}\"\nversion = \"1.0\"\nruntime = \"webui\"\n[session]\n\
         command = [\"python3\", \"-B\", \"server.py\", \"--port\", \"{{port}}\"]\nready = \"/health\"\nidle = \"{idle}\"\n"
    );
    let files = [
        ("server.py", include_str!("../../examples/echo-page/server.py")),
        ("websocket.py", include_str!("../../examples/echo-page/websocket.py")),
        ("page.html", include_str!("../../examples/echo-page/page.html")),
    ];
    App { manifest: &manifest, files: &files }.publish(http).await.expect(200);
}

async fn start(http: &Http, app: &str) -> Value {
    http.post("/tasklane/v1/sessions", json!({ "app": app }).to_string()).await.expect(201).json()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is missing: {value}"))
}

#[tokio::test]
async fn a_page_is_started_seen_and_terminated() {
    let kit = Kit::start().await;
    let http = &kit.http;
    publish(http, "page", "5m").await;
    let started = start(http, "page").await;
    let (id, path) = (text(&started, "session_id"), text(&started, "path"));
    assert_eq!(text(&started, "url"), format!("{}{path}", http.url()));
    let page = http.get(path).await.expect(200);
    assert!(page.text().contains("new WebSocket"), "{}", page.text());
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    http.get(&format!("{path}health?x=1")).await.expect(200);
    http.get(&format!("{path}nothing")).await.expect(404);
    let whole = http.get(path.trim_end_matches('/')).await.expect(308);
    assert_eq!(whole.headers["location"], path);

    let shown = http.get(&format!("{ROOT}/{id}")).await.expect(200).json();
    assert_eq!((&shown["state"], &shown["app_name"]), (&json!("running"), &json!("page")), "{shown}");
    assert_eq!((&shown["ended_at"], &shown["message"]), (&Value::Null, &json!("")));
    let list = http.get(&format!("{ROOT}?state=running")).await.expect(200).json();
    assert_eq!((&list["total"], &list["sessions"][0]["session_id"]), (&json!(1), &json!(id)));
    let none = http.get("/pro/session-manager/v1/sessions/task").await.expect(200).json();
    assert_eq!(none["total"], 0, "{none}");
    until("its log has a line", || async {
        let log =
            http.get(&format!("/pro/session-manager/v1/sessions/logs/webui/{id}")).await.expect(200).json();
        let said = log["logs"][0]["message"].as_str().is_some_and(|text| text.contains("served on port"));
        if said { Ok(()) } else { Err(log) }
    })
    .await;

    let ended = http.delete(&format!("{ROOT}/{id}")).await.expect(200).json();
    assert_eq!(
        (&ended["state"], &ended["ended_at"], &ended["message"]),
        (&json!("terminated"), &Value::Null, &json!("")),
        "{ended}"
    );
    http.delete(&format!("{ROOT}/{id}")).await.expect(409);
    until("its page is gone", || async {
        let answer = http.get(path).await;
        if answer.status == 404 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    kit.stop().await;
}

#[tokio::test]
async fn a_page_is_shown_to_its_owner_by_key_or_ticket_and_to_nobody_else() {
    let kit = Kit::start().await;
    let http = &kit.http;
    publish(http, "page", "5m").await;
    grant(http, "page", "ann", "read,execute").await;
    grant(http, "page", "bob", "read").await;
    let made = key(http, "demo", "ann", &["Session"]).await;
    let ann = http.with_key(Some(&made.text));
    let bob = user(http, "demo", "bob", &["Session", "Tasks"]).await;
    let narrow = user(http, "demo", "ann", &["Tasks"]).await;
    tests::accounts::tenant(http, "other").await;
    let stranger = user(http, "other", "ann", &["Session", "Admin"]).await;
    let started = until("the grant acts", || async {
        let body = json!({ "app": "page" }).to_string();
        let answer = ann.post("/tasklane/v1/sessions", body).await;
        if answer.status == 201 { Ok(answer.json()) } else { Err(answer.text()) }
    })
    .await;
    let path = text(&started, "path").to_owned();
    ann.get(&path).await.expect(200);
    http.get(&path).await.expect(200);
    bob.get(&path).await.expect(404);
    stranger.get(&path).await.expect(404);
    narrow.get(&path).await.expect(403);
    let nobody = http.with_key(None);
    nobody.get(&path).await.expect(401);
    bob.post("/tasklane/v1/sessions", json!({ "app": "page" }).to_string()).await.expect(403);
    narrow.post("/tasklane/v1/sessions", json!({ "app": "page" }).to_string()).await.expect(403);

    // A browser shows the ticket once, and then the cookie that it became.
    let open = text(&started, "open_url").strip_prefix(http.url()).unwrap().to_owned();
    let redirect = nobody.get(&open).await.expect(303);
    assert_eq!(redirect.headers["location"], path.as_str());
    let cookie = redirect.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains(&format!("Path={path}")) && cookie.contains("HttpOnly"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let visit = |cookie: String| {
        let (nobody, path) = (nobody.clone(), path.clone());
        async move { nobody.send(Method::GET, &path, &[("cookie", &cookie)], "").await.unwrap() }
    };
    visit(cookie.clone()).await.expect(200);
    visit(format!("{cookie}0")).await.expect(401);
    visit(cookie.replace("=", "=x")).await.expect(401);
    visit("tasklane_page=".to_owned()).await.expect(401);
    // It opens this page alone, and nothing else.
    let second = start(&ann, "page").await;
    let other = nobody.send(Method::GET, text(&second, "path"), &[("cookie", &cookie)], "").await.unwrap();
    other.expect(401);
    nobody.send(Method::GET, "/pro-api/v2/version", &[("cookie", &cookie)], "").await.unwrap().expect(401);
    // With the key that it was made from it ends.
    http.delete(&format!("/tasklane/v1/keys/{}", made.id)).await.expect(200);
    until_answers(&ann, &path, 401).await;
    visit(cookie).await.expect(401);
    kit.stop().await;
}

#[tokio::test]
async fn a_web_socket_passes_both_ways_keeps_its_page_and_ends_with_its_session() {
    let kit = Kit::start().await;
    publish(&kit.http, "page", "5s").await;
    let started = start(&kit.http, "page").await;
    let mut raw = Raw::connect(&kit.http).await;
    let headers = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Version: 13\r\n\r\n";
    let head = raw.head(&format!("GET {}socket", text(&started, "path")), headers);
    assert!(raw.send(head).await);
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(raw.stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    // Longer apart than a head may take, since what passes now is no request; and longer than the idle time.
    for wait in [0, 11] {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let frame = [0x81, 0x85, 1, 2, 3, 4, b'h' ^ 1, b'e' ^ 2, b'l' ^ 3, b'l' ^ 4, b'o' ^ 1];
        raw.stream.write_all(&frame).await.unwrap();
        let mut echo = [0; 7];
        raw.stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"\x81\x05hello");
    }
    kit.http.delete(&format!("{ROOT}/{}", text(&started, "session_id"))).await.expect(200);
    let ended = tokio::time::timeout(Duration::from_secs(10), raw.stream.read(&mut [0; 64])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    kit.stop().await;
}

#[tokio::test]
async fn a_page_that_nobody_looks_at_ends_and_one_that_is_looked_at_stays() {
    let kit = Kit::start().await;
    publish(&kit.http, "page", "4s").await;
    let (seen, left) = tokio::join!(start(&kit.http, "page"), start(&kit.http, "page"));
    until("the page that is left ends", || async {
        kit.http.get(text(&seen, "path")).await.expect(200);
        let shown = kit.http.get(&format!("{ROOT}/{}", text(&left, "session_id"))).await.expect(200).json();
        if shown["state"] == "terminated" { Ok(()) } else { Err(shown) }
    })
    .await;
    let shown = kit.http.get(&format!("{ROOT}/{}", text(&seen, "session_id"))).await.expect(200).json();
    assert_eq!(shown["state"], "running", "{shown}");
    kit.stop().await;
}

/// Answers with a line each half second, as a page does that sends events.
const EVENTS: &str = "
import http.server, sys, time
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.end_headers()
        for number in range(1 if self.path == '/' else 20):
            self.wfile.write(b'data: %d\\n\\n' % number)
            time.sleep(0.5)
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Page).serve_forever()
";

#[tokio::test]
async fn a_page_whose_answer_goes_on_stays_and_the_answer_ends_with_its_session() {
    let kit = Kit::start().await;
    let manifest = "name = \"events\"\nversion = \"1.0\"\nruntime = \"webui\"\n[session]\n\
                    command = [\"python3\", \"page.py\", \"{port}\"]\nready = \"/\"\nidle = \"3s\"\n";
    App { manifest, files: &[("page.py", EVENTS)] }.publish(&kit.http).await.expect(200);
    let started = start(&kit.http, "events").await;
    let (id, path) = (text(&started, "session_id"), format!("{}events", text(&started, "path")));
    let whole = kit.http.get(&path).await.expect(200).text();
    assert_eq!(whole.matches("data: ").count(), 20, "ten seconds at an idle time of three: {whole}");

    let mut raw = Raw::connect(&kit.http).await;
    assert!(raw.send(raw.head(&format!("GET {path}"), "\r\n")).await);
    raw.stream.read_u8().await.unwrap();
    kit.http.delete(&format!("{ROOT}/{id}")).await.expect(200);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), raw.stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the answer goes on although its session has ended");
    kit.stop().await;
}

#[tokio::test]
async fn what_can_not_be_started_says_why() {
    let kit = Kit::start().await;
    let http = &kit.http;
    shell_app(http, "plain", &[("say", "true")]).await;
    let manifest = "name = \"bad\"\nversion = \"1.0\"\nruntime = \"webui\"\n[session]\ncommand = [\"sh\", \"-c\", \"echo no licence >&2; exit 4\"]\n";
    App { manifest, files: &[] }.publish(http).await.expect(200);
    let order = |body: Value| async move { http.post("/tasklane/v1/sessions", body.to_string()).await };
    let refused = order(json!({ "app": "plain" })).await.expect(400).json();
    assert_eq!(refused["message"], "app plain 1.0 serves no page; run its services as tasks");
    order(json!({ "app": "bad", "version": "2.0" })).await.expect(404);
    let failed = order(json!({ "app": "bad" })).await.expect(409).json();
    assert!(text(&failed, "message").contains("no licence"), "{failed}");
    let task = http.post("/pro-api/v2/tasks/bad/any", "").await.expect(400).json();
    assert!(text(&task, "message").contains("serves a page"), "{task}");
    kit.stop().await;
}

#[tokio::test]
async fn no_process_of_a_page_outlives_its_stack() {
    let kit = Kit::start().await;
    publish(&kit.http, "page", "5m").await;
    start(&kit.http, "page").await;
    let live = kit.http.get("/tasklane/v1/sessions").await.expect(200).json();
    let pid =
        nix::unistd::Pid::from_raw(i32::try_from(live["sessions"][0]["pid"].as_i64().unwrap()).unwrap());
    assert!(nix::sys::signal::kill(pid, None).is_ok());
    kit.stop().await;
    assert_eq!(nix::sys::signal::kill(pid, None), Err(nix::errno::Errno::ESRCH));
}
