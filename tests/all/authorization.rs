//! Who may do what: a matrix over every route of every dialect, and how fast revocation and grants act.

use dialects::{ALL, Access, Dialect, Route};
use domain::Scope;
use http::Method;
use serde_json::json;
use tests::Kit;
use tests::accounts::{grant, key, key_until, tenant, until_answers, user};
use tests::apps::{App, noop_app, shell_app};
use tests::http::{Answer, Http};

/// What callers with a valid key of the right scope get, who are not allowed all the same.
struct Row {
    /// A user whose right on the app is read alone.
    read_only: &'static [u16],
    /// A user without any right on the app.
    no_rights: &'static [u16],
    /// An Admin of another tenant.
    stranger: &'static [u16],
}

/// One row per operation. A route without one fails the test, so nobody can add a route without deciding this.
fn row(call: &Call) -> Option<Row> {
    let row = |read_only, no_rights, stranger| Some(Row { read_only, no_rights, stranger });
    let same = |status| row(status, status, status);
    let operation = call.route.operation;
    if call.dialect.name() == "task_engine" {
        // Jobs are of whole tenants, and this stack has none: whoever has the scope is told so.
        return match operation {
            "alive" | "health" | "dashboard" | "list_jobs" | "list_schedules" | "push_jobs" => same(&[200]),
            "get_job" | "get_logs" | "rerun_job" | "update_job" | "patch_job" => same(&[400]),
            "create_job" | "set_scheduler" => same(&[400]),
            // The API's own document lets every client set what all clients share.
            "set_setting" => same(&[200]),
            _ => None,
        };
    }
    match operation {
        "create_task" | "create_task_latest_version" => row(&[403], &[403], &[404]),
        "start_session" => row(&[403], &[403], &[404]),
        "get_task" | "get_task_response" | "get_logs" | "tail_logs" | "get_task_logs"
        | "download_task_logs" => row(&[200], &[404], &[404]),
        // Sessions are seen by their own user and by an Admin, whatever the rights on the app.
        "get_webui_session"
        | "terminate_webui_session"
        | "webui_session_terminate"
        | "get_webui_session_logs"
        | "webui_session_logs"
        | "download_webui_session_logs"
        | "get_task_session"
        | "terminate_task_session"
        | "task_session_terminate"
        | "get_task_session_logs"
        | "task_session_logs"
        | "download_task_session_logs"
        | "get_session"
        | "terminate_session"
        | "get_session_logs"
        | "tail_session_logs" => same(&[404]),
        "delete_task" | "interrupt_task" => row(&[403], &[404], &[404]),
        // Lists and what is only about the caller answer everybody; what they show is checked apart.
        "get_tasks" | "list_tasks" | "list_apps" | "list_lanes" | "list_sessions" | "get_webui_sessions"
        | "get_task_sessions" => row(&[200], &[200], &[200]),
        "get_version" | "get_current_user" | "get_openapi_specification" | "health" => {
            row(&[200], &[200], &[200])
        }
        // These need an Admin key, which neither of the two users has; a stranger's reaches its own tenant alone.
        "create_tenant" => row(&[403], &[403], &[403]),
        "create_key" | "list_keys" => row(&[403], &[403], &[404]),
        "revoke_key" | "grant" | "set_lane" => row(&[403], &[403], &[404]),
        "list_tenants" => row(&[403], &[403], &[200]),
        "publish_app" => row(&[403], &[403], &[400]),
        _ => None,
    }
}

/// A route as a request on things that exist, so that only the key decides.
struct Call {
    dialect: &'static dyn Dialect,
    route: &'static Route,
    path: String,
    body: String,
}

fn calls(task: &str, session: &str, key_id: &str) -> Vec<Call> {
    let with_keys = ALL.iter().filter(|dialect| dialect.signing().is_none());
    let routes = with_keys.flat_map(|dialect| dialect.routes().iter().map(|route| (*dialect, route)));
    routes
        .map(|(dialect, route)| {
            let mut path = route.path.to_owned();
            let task = if dialect.name() == "task_engine" { "999999" } else { task };
            for (name, value) in [
                ("{appName}", "guarded"),
                ("{projectName}", "guarded"),
                ("{app}", "guarded"),
                ("{appVersion}", "1.0"),
                ("{projectVersion}", "1.0"),
                ("{serviceName}", "run"),
                ("{service}", "run"),
                ("{id}", task),
                ("{session_id}", session),
                ("{key_id}", key_id),
                ("{user}", "ann"),
                ("{name}", "tasks.demo"),
            ] {
                path = path.replace(name, value);
            }
            assert!(!path.contains('{'), "{path}: the test has no value for a parameter of this route");
            if route.operation == "list_keys" {
                path.push_str("?tenant=demo");
            }
            let body = match route.operation {
                "create_tenant" => json!({ "name": "newcomer" }),
                "create_key" => json!({ "tenant": "demo", "user": "ann", "scopes": ["Tasks"] }),
                "grant" => json!({ "rights": "read" }),
                "set_lane" => json!({ "retry_limit": 3 }),
                "update_job" | "patch_job" => json!({ "priority": 1 }),
                "set_setting" => json!({ "name": "max_jobs", "setting": "2" }),
                "start_session" => json!({ "app": "spoken" }),
                "set_scheduler" => json!({ "schedules": [] }),
                _ => return Call { dialect, route, path, body: String::new() },
            };
            Call { dialect, route, path, body: body.to_string() }
        })
        .collect()
}

/// The session of a task of the demo user, which has ended.
async fn session(admin: &Http) -> String {
    shell_app(admin, "spoken", &[("say", "echo said >&2")]).await;
    let task = admin.create("spoken", "say", "").await;
    admin.until_ended(&task).await["sessionId"].as_str().unwrap().to_owned()
}

impl Call {
    async fn by(&self, http: &Http) -> Answer {
        self.of("demo", http).await
    }

    /// As a client of a tenant sends it: the Task Engine's clients say who they are beside their key.
    async fn of(&self, tenant: &str, http: &Http) -> Answer {
        let (name, key) = match self.dialect.name() {
            "task_engine" => ("api-key", http.key()),
            _ => ("apikey", http.key()),
        };
        let mut headers = vec![("client", tenant)];
        headers.extend(key.map(|key| (name, key)));
        let http = http.with_key(None);
        http.send(self.route.method.clone(), &self.path, &headers, self.body.clone()).await.unwrap()
    }

    fn scope(&self) -> Option<Scope> {
        match self.route.access {
            Access::Open | Access::AnyKey => None,
            Access::Scope(scope) | Access::Optional(scope) => Some(scope),
        }
    }
}

/// The error object of every dialect that there is so far.
fn check_error(who: &str, call: &Call, answer: &Answer) {
    let error = answer.json();
    let at = format!("{who}: {} {}: {error}", call.route.method, call.path);
    let message = if call.dialect.name() == "task_engine" {
        // Its health says so under another name.
        error.get("error").unwrap_or(&error["result"])
    } else {
        assert_eq!(error["errorCode"], answer.status.as_u16(), "{at}");
        assert!(error["errorId"].is_string(), "{at}");
        &error["message"]
    };
    assert!(message.as_str().is_some_and(|text| text.len() > 10), "{at}");
    assert_eq!(answer.headers["content-type"], "application/json", "{at}");
}

#[tokio::test]
async fn every_route_refuses_every_key_that_may_not() {
    let kit = Kit::start().await;
    let admin = &kit.http;
    noop_app(admin, "guarded").await;
    let task = admin.create("guarded", "run", "{}").await;
    admin.until_ended(&task).await;

    let soon = service::clock::now().plus_millis(1_500);
    let expiring = key_until(admin, "demo", "late", &ALL_SCOPES, json!(soon.to_string())).await;
    let expired = admin.with_key(Some(&expiring.text));
    let revoked_key = key(admin, "demo", "gone", &ALL_SCOPES).await;
    let revoked = admin.with_key(Some(&revoked_key.text));
    revoked.get("/pro-api/v2/version").await.expect(200);
    admin.delete(&format!("/tasklane/v1/keys/{}", revoked_key.id)).await.expect(200);
    until_answers(&revoked, "/pro-api/v2/version", 401).await;
    until_answers(&expired, "/pro-api/v2/version", 401).await;

    let valid = admin.key().unwrap();
    let mut forged = valid.to_owned();
    let last = forged.pop().unwrap();
    forged.push(if last == 'a' { 'b' } else { 'a' });
    let long = "x".repeat(10_000);
    let nobody: Vec<(&str, Http)> = [
        ("no key", None),
        ("an empty key", Some("")),
        ("a word", Some("secret")),
        ("a key of the documents", Some("11111111111111111111111111111111111111111111")),
        ("a very long key", Some(long.as_str())),
        ("a key with another checksum", Some(forged.as_str())),
        ("a key with a space", Some("tl1_ abc")),
        ("wildcards", Some("tl1_*.>_x")),
    ]
    .into_iter()
    .map(|(who, key)| (who, admin.with_key(key)))
    .chain([
        ("an unknown key", admin.with_key(Some(&foreign_key()))),
        ("a revoked key", revoked),
        ("an expired key", expired),
    ])
    .collect();

    let all = calls(&task, &session(admin).await, &revoked_key.id);
    for call in all.iter().filter(|call| call.route.access != Access::Open) {
        let is_open = matches!(call.route.access, Access::Optional(_));
        for (who, http) in nobody.iter().filter(|(_, http)| !is_open || http.key().is_some()) {
            let answer = call.by(http).await;
            assert_eq!(answer.status, 401, "{who}: {} {}: {}", call.route.method, call.path, answer.text());
            check_error(who, call, &answer);
        }
    }
    for call in &all {
        if let Some(scope) = call.scope() {
            let others: Vec<&str> =
                ALL_SCOPES.into_iter().filter(|other| *other != scope.to_string()).collect();
            let http = user(admin, "demo", "narrow", &others).await;
            let answer = call.by(&http).await;
            // The Task Engine's document knows no 403.
            let expected = if call.dialect.name() == "task_engine" { 401 } else { 403 };
            assert_eq!(answer.status, expected, "{} {} with {others:?}", call.route.method, call.path);
            check_error("wrong scope", call, &answer);
        }
    }
    nothing_unsigned_passes(admin).await;
    kit.stop().await;
}

/// Where requests are signed, a valid key is worth nothing; what a signature must be is in `signatures`.
async fn nothing_unsigned_passes(http: &Http) {
    for dialect in ALL.iter().filter(|dialect| dialect.signing().is_some()) {
        for route in dialect.routes() {
            let path = route.path.replace("{cid}", "demo").replace("{tid}", "any");
            let answer = http.send(route.method.clone(), &path, &[], "{}").await.unwrap();
            assert!(matches!(answer.status.as_u16(), 400 | 401), "{path}: {}", answer.text());
        }
    }
}

const ALL_SCOPES: [&str; 5] = ["Tasks", "Session", "Jobs", "Streams", "Admin"];
const USER_SCOPES: [&str; 4] = ["Tasks", "Session", "Jobs", "Streams"];

/// A well-formed key that this service never made.
fn foreign_key() -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pepper");
    std::fs::write(&path, service::keys::Pepper::generate().unwrap()).unwrap();
    service::keys::Pepper::read(&path).unwrap().new_key().unwrap().text
}

#[tokio::test]
async fn every_route_lets_a_valid_key_do_what_its_user_may() {
    let kit = Kit::start().await;
    let admin = &kit.http;
    tenant(admin, "other").await;
    noop_app(admin, "guarded").await;
    let task = admin.create("guarded", "run", "{}").await;
    admin.until_ended(&task).await;
    let reader = user(admin, "demo", "reader", &USER_SCOPES).await;
    let nobody = user(admin, "demo", "nobody", &USER_SCOPES).await;
    let stranger = user(admin, "other", "demo", &ALL_SCOPES).await;
    grant(admin, "guarded", "reader", "read").await;
    until_answers(&reader, &format!("/pro-api/v2/tasks/{task}"), 200).await;

    let kept = key(admin, "demo", "kept", &["Tasks"]).await;
    let mut wrong = Vec::new();
    let session = session(admin).await;
    for call in calls(&task, &session, &kept.id) {
        let operation = call.route.operation;
        let row = row(&call).unwrap_or_else(|| panic!("{operation} has no row in this test: add one"));
        let rows = [
            ("reader", &reader, row.read_only),
            ("nobody", &nobody, row.no_rights),
            ("stranger", &stranger, row.stranger),
        ];
        for (who, http, expected) in rows {
            let answer = call.of(if who == "stranger" { "other" } else { "demo" }, http).await;
            if !expected.contains(&answer.status.as_u16()) {
                let at = format!("{who}: {} {}", call.route.method, call.path);
                wrong.push(format!("{at} is {} instead of {expected:?}: {}", answer.status, answer.text()));
            }
            if !answer.status.is_success() {
                check_error(who, &call, &answer);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    lists_show_what_may_be_seen(admin, &reader, &nobody, &stranger, &task).await;

    // Nothing of what was tried has happened.
    let task = admin.task(&task).await;
    assert_eq!((&task["state"], &task["username"]), (&json!("completed"), &json!("demo")), "{task}");
    admin.with_key(Some(&kept.text)).get("/pro-api/v2/version").await.expect(200);
    kit.stop().await;
}

async fn lists_show_what_may_be_seen(
    admin: &Http,
    reader: &Http,
    nobody: &Http,
    stranger: &Http,
    task: &str,
) {
    for (who, http, seen) in
        [("admin", admin, 2), ("reader", reader, 1), ("nobody", nobody, 0), ("stranger", stranger, 0)]
    {
        let list = http.get("/pro-api/v2/tasks?listAll=true").await.expect(200).json();
        assert_eq!(list["total_tasks"], seen, "{who}: {list}");
        let apps = http.get("/tasklane/v1/apps").await.expect(200).json();
        assert_eq!(apps["apps"].as_array().map(Vec::len), Some(seen), "{who}: {apps}");
        let own = http.get("/pro-api/v2/tasks").await.expect(200).json();
        assert_eq!(own["total_tasks"], if who == "admin" { 2 } else { 0 }, "{who}: {own}");
    }
    let keys = stranger.get("/tasklane/v1/keys").await.expect(200).text();
    assert!(!keys.contains("\"demo\",\"user\":\"kept\"") && keys.contains("other"), "{keys}");
    let tenants = stranger.get("/tasklane/v1/tenants").await.expect(200).json();
    assert_eq!(tenants["tenants"].as_array().map(Vec::len), Some(1), "{tenants}");
    // Not yours and not there look the same.
    let yours = stranger.get(&format!("/pro-api/v2/tasks/{task}")).await.expect(404).text();
    let absent = "efa680a0-748e-43d0-9099-cf40937b13f4";
    let absent_text = stranger.get(&format!("/pro-api/v2/tasks/{absent}")).await.expect(404).text();
    assert_eq!(yours.replace(task, absent), absent_text);
}

#[tokio::test]
async fn a_revoked_key_ends_everywhere_also_across_a_restart_of_the_broker() {
    let mut kit = Kit::start().await;
    let one = key(&kit.http, "demo", "ann", &["Tasks"]).await;
    let two = key(&kit.http, "demo", "ann", &["Tasks"]).await;
    let doors = doors(&kit).await;
    for door in &doors {
        for key in [&one, &two] {
            door.with_key(Some(&key.text)).get("/pro-api/v2/version").await.expect(200);
        }
    }
    kit.http.delete(&format!("/tasklane/v1/keys/{}", one.id)).await.expect(200);
    for door in &doors {
        until_answers(&door.with_key(Some(&one.text)), "/pro-api/v2/version", 401).await;
        door.with_key(Some(&two.text)).get("/pro-api/v2/version").await.expect(200);
    }
    // Twice is not an error, and what was revoked stays so.
    kit.http.delete(&format!("/tasklane/v1/keys/{}", one.id)).await.expect(200);
    kit.http.delete(&format!("/tasklane/v1/keys/{}", two.id)).await.expect(200);
    let server = kit.stack.server.as_mut().unwrap();
    server.kill();
    server.restart().unwrap();
    for door in &doors {
        until_answers(&door.with_key(Some(&one.text)), "/pro-api/v2/version", 401).await;
        until_answers(&door.with_key(Some(&two.text)), "/pro-api/v2/version", 401).await;
    }
    kit.stop().await;
}

/// A client for the first door, and for one more that is opened here.
async fn doors(kit: &Kit) -> Vec<Http> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // It stops with the stack's broker; nothing of it is needed after the test.
    std::mem::forget(kit.stack.replica(wire::Function::Ingress, Some(listener)).await.unwrap());
    vec![kit.http.clone(), Http::new(&url, None)]
}

#[tokio::test]
async fn grants_act_on_live_keys_per_app_and_cover_later_versions() {
    let kit = Kit::start().await;
    let admin = &kit.http;
    noop_app(admin, "one").await;
    noop_app(admin, "two").await;
    let ann = user(admin, "demo", "ann", &["Tasks"]).await;
    let create = |app: &'static str| {
        let ann = ann.clone();
        async move { ann.post(&format!("/pro-api/v2/tasks/{app}/run"), "x").await }
    };
    create("one").await.expect(403);
    grant(admin, "one", "ann", "read,execute").await;
    let id = tests::wait::within(tests::accounts::EFFECTIVE, "the grant acts", || async {
        let answer = create("one").await;
        if answer.status == 200 {
            Ok(answer.json()["id"].as_str().unwrap().to_owned())
        } else {
            Err(answer.text())
        }
    })
    .await;
    until_answers(&ann, &format!("/pro-api/v2/tasks/{id}"), 200).await;
    create("two").await.expect(403);

    let manifest = "name = \"one\"\nversion = \"2.0\"\nruntime = \"noop\"\n[services.run]\n";
    App { manifest, files: &[] }.publish(admin).await.expect(200);
    let later = create("one").await.expect(200).json();
    assert_eq!(later["appVersion"], "2.0", "the grant is on the name, not on a version");

    grant(admin, "one", "ann", "read").await;
    tests::wait::within(tests::accounts::EFFECTIVE, "execute is gone", || async {
        let answer = ann.send(Method::PUT, &format!("/pro-api/v2/tasks/{id}"), &[], "").await.unwrap();
        if answer.status == 403 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    create("one").await.expect(403);
    ann.get(&format!("/pro-api/v2/tasks/{id}")).await.expect(200);
    grant(admin, "one", "ann", "").await;
    until_answers(&ann, &format!("/pro-api/v2/tasks/{id}"), 404).await;
    let list = ann.get("/pro-api/v2/tasks").await.expect(200).json();
    assert_eq!(list["total_tasks"], 0, "{list}");
    kit.stop().await;
}

#[tokio::test]
async fn keys_are_made_only_with_what_makes_sense() {
    let kit = Kit::start_with(|options| options.replicas = 1).await;
    let table = [
        (json!({"tenant": "demo", "user": "ann", "scopes": []}), 400),
        (json!({"tenant": "demo", "user": "ann", "scopes": ["Tasks", "Everything"]}), 400),
        (json!({"tenant": "nowhere", "user": "ann", "scopes": ["Tasks"]}), 404),
        (json!({"tenant": "demo", "user": "a.b", "scopes": ["Tasks"]}), 400),
        (json!({"tenant": "demo.*", "user": "ann", "scopes": ["Tasks"]}), 400),
        (json!({"tenant": "demo", "user": "", "scopes": ["Tasks"]}), 400),
        (json!({"tenant": "demo", "user": "ann", "scopes": ["Tasks"], "expires_at": "2020-01-01"}), 400),
        (json!({"tenant": "demo", "user": "ann", "scopes": ["Tasks"], "expires_at": "2999-01-01"}), 400),
        (json!({"tenant": "demo", "user": "ann", "scopes": ["Tasks"], "expires_at": "soon"}), 400),
        (json!({"tenant": "demo", "user": "ann", "scopes": ["Tasks"], "secret": "mine"}), 400),
        (json!(["demo"]), 400),
    ];
    for (body, status) in table {
        let answer = kit.http.post("/tasklane/v1/keys", body.to_string()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    for name in ["tasklane", "SYS", "a.b", "", "a b", "*", ">"] {
        let answer = kit.http.post("/tasklane/v1/tenants", json!({ "name": name }).to_string()).await;
        assert_eq!(answer.status, 400, "{name:?}: {}", answer.text());
    }
    kit.http.post("/tasklane/v1/tenants", json!({ "name": "demo" }).to_string()).await.expect(409);
    kit.stop().await;
}
