//! The session-manager API against the whole service: sessions of both runtimes are listed, read, and terminated.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use tests::Kit;
use tests::accounts::{grant, user};
use tests::apps::{App, shell_app};
use tests::http::Http;
use tests::wait::until;

const SERVER: &str = include_str!("sessions/server.py");
const ROOT: &str = "/pro/session-manager/v1/sessions";

async fn warm_app(http: &Http, name: &str) {
    let manifest = format!(
        "name = \"{name}\"\nversion = \"1.0\"\nruntime = \"session\"\n[session]\n\
         command = [\"python3\", \"server.py\", \"--port\", \"{{port}}\"]\nready = \"/api/v2/tasks\"\n"
    );
    App { manifest: &manifest, files: &[("server.py", SERVER)] }.publish(http).await.expect(200);
}

async fn list(http: &Http, query: &str) -> (Vec<Value>, u64) {
    let page = http.get(&format!("{ROOT}/task?{query}")).await.expect(200).json();
    (page["sessions"].as_array().unwrap().clone(), page["total"].as_u64().unwrap())
}

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["session_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn sessions_of_tasks_are_listed_filtered_and_paged() {
    let kit = Kit::start().await;
    let http = &kit.http;
    shell_app(http, "plain", &[("say", "echo $TASKLANE_TASK_ID >&2"), ("bad", "exit 3")]).await;
    warm_app(http, "warm").await;
    let mut created = Vec::new();
    for (app, service) in
        [("plain", "say"), ("plain", "say"), ("plain", "bad"), ("warm", "pid"), ("warm", "pid")]
    {
        let task = http.create(app, service, "").await;
        created.push(http.until_ended(&task).await["sessionId"].as_str().unwrap().to_owned());
    }
    assert_eq!(created[3], created[4], "the warm session ran both");
    created.pop();
    created.reverse();

    let (all, total) = list(http, "").await;
    assert_eq!((ids(&all), total), (created.clone(), 4), "newest first: {all:?}");
    let states: Vec<&str> = all.iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["running", "failed", "finished", "finished"]);
    assert_eq!((&all[0]["app_name"], &all[0]["environment_name"]), (&json!("warm"), &json!("demo")));
    assert!(all[0]["ended_at"].is_null() && all[1]["ended_at"].is_string(), "{all:?}");

    // Pages put together are the list, whatever its order.
    for sort in ["", "sort=created_at", "sort=-state,app_name"] {
        let (whole, _) = list(http, sort).await;
        let mut parts = Vec::new();
        for offset in 0..5 {
            let (page, total) = list(http, &format!("{sort}&offset={offset}&limit=1")).await;
            assert_eq!((page.len(), total), (usize::from(offset < 4), 4), "{sort} {offset}");
            parts.extend(page);
        }
        assert_eq!(ids(&parts), ids(&whole), "{sort}");
        assert_eq!(ids(&parts).into_iter().collect::<BTreeSet<_>>().len(), 4);
    }
    for (query, expected) in [
        ("state=finished", 2),
        ("state=failed,RUNNING", 2),
        ("app_name=warm", 1),
        ("app_name=warm&app_version=2.0", 0),
        ("user_name=demo", 4),
        ("user_name=somebody", 0),
        ("created_after=2020-01-01", 4),
        ("created_before=2020-01-01", 0),
    ] {
        assert_eq!(list(http, query).await.1, expected, "{query}");
    }
    let one = http.get(&format!("{ROOT}/task/{}", created[1])).await.expect(200).json();
    assert_eq!(one, all[1]);
    http.get(&format!("{ROOT}/webui/{}", created[1])).await.expect(404);
    let none = http.get(&format!("{ROOT}/webui")).await.expect(200).json();
    assert_eq!(none, json!({ "sessions": [], "total": 0 }));

    // Another user of the tenant sees the own ones alone.
    let ann = user(http, "demo", "ann", &["Tasks", "Session"]).await;
    grant(http, "plain", "ann", "read,execute").await;
    assert_eq!(list(&ann, "").await.1, 0);
    ann.get(&format!("{ROOT}/task/{}", created[1])).await.expect(404);
    kit.stop().await;
}

#[tokio::test]
async fn the_log_of_a_session_has_the_lines_of_all_its_tasks() {
    let kit = Kit::start().await;
    let http = &kit.http;
    warm_app(http, "warm").await;
    let mut session = String::new();
    for name in ["one", "two"] {
        let task = http.create("warm", "talk", name).await;
        session = http.until_ended(&task).await["sessionId"].as_str().unwrap().to_owned();
    }
    shell_app(http, "plain", &[("say", "for i in 1 2 3 4 5; do echo line $i >&2; done")]).await;
    let task = http.create("plain", "say", "").await;
    let plain = http.until_ended(&task).await["sessionId"].as_str().unwrap().to_owned();

    let lines = until("the lines are stored", || async {
        let page = http.get(&format!("{ROOT}/task/{session}/logs")).await.expect(200).json();
        let text = page.to_string();
        if text.contains("hello from one") && text.contains("hello from two") { Ok(page) } else { Err(page) }
    })
    .await;
    let count = lines["logs"].as_array().unwrap().len() as u64;
    assert_eq!(lines["total"], count, "{lines}");
    let old = http.get(&format!("{ROOT}/logs/task/{session}")).await.expect(200).json();
    assert_eq!(old, lines, "both paths");
    let at = lines["logs"][0]["timestamp"].as_str().unwrap();
    assert_eq!((at.len(), &at[10..11]), (26, " "), "date and clock: {at}");

    let get = |query: &str| {
        let path = format!("{ROOT}/logs/task/{plain}?{query}");
        async move { http.get(&path).await.expect(200).json() }
    };
    let texts = |page: &Value| {
        let lines = page["logs"].as_array().unwrap();
        lines.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let whole = get("").await;
    assert_eq!((texts(&whole).len(), &whole["total"]), (5, &json!(5)));
    let page = get("offset=1&limit=2").await;
    assert_eq!(
        (texts(&page), &page["total"], &page["next"]),
        (vec!["line 2".into(), "line 3".into()], &json!(5), &json!(3))
    );
    let found = get("contains=line%204").await;
    assert_eq!((texts(&found), &found["total"]), (vec!["line 4".into()], &json!(1)));
    let page = get("contains=line&offset=3&limit=1").await;
    assert_eq!((texts(&page), &page["total"]), (vec!["line 4".into()], &json!(5)));
    let third = whole["logs"][2]["timestamp"].as_str().unwrap().replace(' ', "%20");
    let from = get(&format!("begin={third}")).await;
    assert!(texts(&from).contains(&"line 3".into()) && texts(&from).contains(&"line 5".into()), "{from}");
    assert!(texts(&get(&format!("end={third}")).await).contains(&"line 1".into()));
    assert_eq!(get("end=2020-01-01").await["total"], 0);
    let text = http.get(&format!("{ROOT}/task/{plain}/logs/download")).await.expect(200).text();
    assert_eq!(text.lines().filter(|line| line.contains("line ")).count(), 5, "{text}");
    // Tasks have the same filters.
    let found =
        http.get(&format!("/pro-api/v2/tasks/{task}/logs?contains=line%204")).await.expect(200).json();
    assert_eq!(texts(&found), ["line 4"]);
    kit.stop().await;
}

#[tokio::test]
async fn a_terminated_session_has_ended_with_its_task_and_is_not_terminated_again() {
    let kit = Kit::start().await;
    let http = &kit.http;
    shell_app(http, "plain", &[("sleep", "sleep 600 & echo $! $$ >&2; sleep 600")]).await;
    warm_app(http, "warm").await;
    for (app, service, later) in [("plain", "sleep", false), ("warm", "deaf", true)] {
        let id = http.create(app, service, "").await;
        let running = http.until_state(&id, &["running"]).await;
        let session = running["sessionId"].as_str().unwrap();
        let path = format!("{ROOT}/task/{session}");
        let ended = if later {
            http.send(Method::PATCH, &format!("{path}/terminate"), &[], "").await.unwrap()
        } else {
            http.delete(&path).await
        };
        let ended = ended.expect(200).json();
        assert_eq!(
            (&ended["state"], &ended["message"]),
            (&json!("terminated"), &json!("terminated by user demo"))
        );
        assert_eq!(http.get(&path).await.expect(200).json(), ended);
        http.delete(&path).await.expect(409);
        let task = http.task(&id).await;
        assert_eq!(task["state"], "failed", "it has failed by the time of the answer: {task}");
        assert_eq!(task["errorMessage"], "its session was terminated by user demo");
    }
    let (terminated, _) = list(http, "state=terminated").await;
    assert_eq!(terminated.len(), 2, "{terminated:?}");
    let (_, all) = list(http, "").await;
    assert_eq!(all, 2, "none is there twice");

    // Nothing of the process group is left.
    let log = http.get(&format!("{ROOT}/task/{}/logs", ids(&terminated)[1])).await.expect(200).json();
    for pid in log["logs"][0]["message"].as_str().unwrap().split_whitespace() {
        let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
        assert_eq!(nix::sys::signal::kill(pid, None), Err(nix::errno::Errno::ESRCH), "{pid}");
    }

    // A warm session without a task ends as well.
    let task = http.create("warm", "pid", "").await;
    let idle = http.until_ended(&task).await["sessionId"].as_str().unwrap().to_owned();
    let ended = http.delete(&format!("{ROOT}/task/{idle}")).await.expect(200).json();
    assert_eq!(ended["state"], "terminated", "{ended}");
    assert_eq!(http.task(&task).await["state"], "completed");
    kit.stop().await;
}

#[tokio::test]
async fn a_session_whose_runner_was_lost_is_terminated() {
    let kit = Kit::start_with(|options| options.replicas = 1).await;
    let http = &kit.http;
    let runner = wire::Function::Runner;
    let session: domain::SessionId = "00000000-0000-4000-8000-000000000007".parse().unwrap();
    let record = wire::records::SessionRecord {
        id: session,
        kind: domain::SessionKind::Webui,
        state: domain::SessionState::Running,
        of: domain::SessionOf {
            tenant: "demo".into(),
            user: "ann".into(),
            app: "page".into(),
            version: "1.0".into(),
        },
        runner: "00000000-0000-4000-8000-000000000008".parse().unwrap(),
        host: "away".into(),
        created_at: domain::Timestamp::from_micros(1),
        started_at: None,
        ended_at: None,
        tasks: 0,
        message: None,
        process_of: None,
    };
    let broker = kit.stack.connect(runner).await.unwrap();
    let bucket = broker::Bucket::new(&broker, wire::topology::SESSIONS);
    bucket.put(&wire::topology::session_key("demo", session), &record, None).await.unwrap();
    let path = format!("{ROOT}/webui/{session}");
    let shown = http.get(&path).await.expect(200).json();
    assert_eq!(shown["state"], "terminated");
    assert!(shown["ended_at"].is_null() && shown["message"] == "", "{shown}");
    http.delete(&path).await.expect(409);
    kit.stop().await;
}
