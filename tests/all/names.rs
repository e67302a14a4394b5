//! What callers may write wherever a name, a number, a date or a body goes: it is handled or refused with a
//! reason, never misrouted and never a server error.

use http::Method;
use serde_json::{Value, json};
use tests::Kit;
use tests::accounts::lane;
use tests::apps::{App, noop_app, shell_app};
use tests::http::{Answer, Http, percent_encoded};

/// Texts that could break a subject, a key, a header, a path or a log.
fn odd_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "a.b",
        "*",
        ">",
        "a.*",
        "a.>",
        "$JS.API.INFO",
        "$KV",
        "_INBOX",
        "tasklane",
        "a b",
        " ",
        " a",
        "a\r\nb",
        "\n",
        "a\tb",
        "%",
        "%41",
        "%zz",
        "%00",
        "ü",
        "数独",
        "🚚",
        "a/b",
        "..",
        ".",
        "../../etc/passwd",
        "a\\b",
        "=",
        "=2E",
        "latest",
        "null",
        "-1",
        "'; drop",
        "<b>",
        "\"",
        "\u{202e}x",
        "\u{7f}",
        "\u{0}",
    ]
    .map(str::to_owned)
    .into();
    texts.push("x".repeat(128));
    texts.push("x".repeat(129));
    texts.push("x".repeat(10_000));
    texts
}

/// A refusal of what the caller did, in the API's own shape, with a sentence.
fn check_refusal(what: &str, answer: &Answer, statuses: &[u16]) {
    assert!(statuses.contains(&answer.status.as_u16()), "{what}: {} {}", answer.status, answer.text());
    let error = answer.json();
    assert_eq!(error["errorCode"], answer.status.as_u16(), "{what}: {error}");
    assert!(error["errorId"].is_string(), "{what}: {error}");
    let message = error["message"].as_str().unwrap();
    assert!((10..1_000).contains(&message.len()), "{what}: {message}");
    assert!(!message.chars().any(char::is_control), "{what}: {message:?}");
}

#[tokio::test]
async fn odd_names_in_paths_and_queries_are_refused_or_unknown() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "plain").await;
    for text in odd_texts() {
        let odd = percent_encoded(&text);
        let shown: String = text.chars().take(20).collect();
        for (method, path) in [
            (Method::POST, format!("/pro-api/v2/tasks/{odd}/run")),
            (Method::POST, format!("/pro-api/v2/tasks/plain/{odd}")),
            (Method::POST, format!("/pro-api/v2/tasks/{odd}/1.0/run")),
            (Method::POST, format!("/pro-api/v2/tasks/plain/1.0/{odd}")),
            (Method::GET, format!("/pro-api/v2/tasks/{odd}")),
            (Method::DELETE, format!("/pro-api/v2/tasks/{odd}")),
            (Method::PUT, format!("/pro-api/v2/tasks/{odd}")),
            (Method::GET, format!("/pro-api/v2/tasks/{odd}/response")),
            (Method::GET, format!("/tasklane/v1/tasks/{odd}/logs")),
            (Method::DELETE, format!("/tasklane/v1/keys/{odd}")),
        ] {
            let answer = kit.http.send(method.clone(), &path, &[], "").await.unwrap();
            check_refusal(
                &format!("{method} {shown:?} in {}", path.replace(&odd, "…")),
                &answer,
                &[400, 404],
            );
        }
        // `latest` is no version's name and stands for the tagged one.
        let answer = kit.http.post(&format!("/pro-api/v2/tasks/plain/{odd}/run"), "").await;
        if text == "latest" {
            assert_eq!(answer.expect(200).json()["appVersion"], "1.0");
        } else {
            check_refusal(&format!("version {shown:?}"), &answer, &[400, 404]);
        }
        for name in ["appName", "appVersion"] {
            let answer = kit.http.get(&format!("/pro-api/v2/tasks?{name}={odd}")).await;
            match answer.status.as_u16() {
                200 => assert_eq!(answer.json()["total_tasks"], 0, "{name} {shown:?}"),
                _ => check_refusal(&format!("{name} {shown:?}"), &answer, &[400]),
            }
        }
        for name in
            ["states", "sort", "before", "after", "offset", "limit", "listAll", "prettyFormat", "groupIndex"]
        {
            let path = format!("/pro-api/v2/tasks?{name}={odd}");
            let answer = kit.http.get(&path).await;
            assert!(matches!(answer.status.as_u16(), 200 | 400), "{name} {shown:?}: {}", answer.text());
        }
    }
    kit.http.get("/tasklane/v1/health").await.expect(200);
    kit.stop().await;
}

#[tokio::test]
async fn an_app_may_have_any_name_that_is_one_and_its_tasks_are_its_own() {
    let kit = Kit::start().await;
    let names = ["a.b", "a", "b", "*", ">", "My App", "=2E", "a=2Eb", "üöä 数独", "%41", "A", "x%2Fy", "🚚"];
    for name in names {
        let manifest =
            format!("name = {name:?}\nversion = \"1.*\"\nruntime = \"noop\"\n[services.\"run >\"]\n");
        let published = App { manifest: &manifest, files: &[] }.publish(&kit.http).await;
        assert_eq!(published.status, 200, "{name}: {}", published.text());
    }
    for name in names {
        let odd = percent_encoded(name);
        let path = format!("/pro-api/v2/tasks/{odd}/{}", percent_encoded("run >"));
        let task = kit.http.post(&path, name).await.expect(200).json();
        assert_eq!((&task["appName"], &task["appVersion"]), (&json!(name), &json!("1.*")), "{task}");
        let id = task["id"].as_str().unwrap();
        assert_eq!(kit.http.until_ended(id).await["state"], "completed", "{name}");
        assert_eq!(kit.http.response(id).await.expect(200).text(), name);
    }
    for name in names {
        let list =
            kit.http.get(&format!("/pro-api/v2/tasks?appName={}", percent_encoded(name))).await.expect(200);
        let list = list.json();
        assert_eq!(
            (&list["total_tasks"], &list["current_batch"][0]["appName"]),
            (&json!(1), &json!(name)),
            "{list}"
        );
    }
    kit.stop().await;
}

#[tokio::test]
async fn slashes_and_the_case_of_the_key_header_do_not_matter() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "plain").await;
    let key = kit.http.key().unwrap().to_owned();
    let bare = kit.http.with_key(None);
    for name in ["apiKey", "apikey", "APIKEY", "ApiKey"] {
        let path = "//pro-api/v2//tasks/plain///1.0/run//";
        let task = bare.send(Method::POST, path, &[(name, &key)], "x").await.unwrap().expect(200).json();
        let id = task["id"].as_str().unwrap();
        bare.send(Method::GET, &format!("/pro-api/v2/tasks/{id}/"), &[(name, &key)], "")
            .await
            .unwrap()
            .expect(200);
    }
    let twice = [("apiKey", key.as_str()), ("apikey", key.as_str())];
    let answer = bare.send(Method::GET, "/pro-api/v2/version", &twice, "").await.unwrap();
    check_refusal("two keys", &answer, &[401]);
    for path in ["/pro-api/v2/nowhere", "/pro-api/v3/tasks", "/pro-api", "/pro-api/v2/tasks/a/b/c/d"] {
        check_refusal(path, &kit.http.get(path).await, &[404]);
    }
    let answer = kit.http.patch("/pro-api/v2/tasks", "").await;
    check_refusal("a method that is not there", &answer, &[405]);
    assert!(answer.headers.contains_key("allow"));
    kit.stop().await;
}

#[tokio::test]
async fn latest_is_resolved_once_and_missing_it_has_its_own_words() {
    let kit = Kit::start().await;
    let publish = |version: &'static str, query: &'static str| {
        let http = kit.http.clone();
        async move {
            let manifest =
                format!("name = \"Testapp\"\nversion = \"{version}\"\nruntime = \"noop\"\n[services.run]\n");
            http.post(&format!("/tasklane/v1/apps{query}"), App { manifest: &manifest, files: &[] }.pack())
                .await
        }
    };
    publish("1.0", "").await.expect(200);
    for app in ["Testapp", "Nobody"] {
        let answer = kit.http.post(&format!("/pro-api/v2/tasks/{app}/run"), "").await.expect(404);
        assert_eq!(answer.json()["message"], format!("App {app} with latest tag doesn't exist"));
    }
    publish("1.0", "?latest=true").await.expect(200);
    lane(&kit.http, "tasks.demo", json!({ "max_running": 0 })).await;
    let old = kit.http.create("Testapp", "run", "").await;
    publish("2.0", "?latest=true").await.expect(200);
    let new = kit.http.create("Testapp", "run", "").await;
    assert_eq!(kit.http.task(&old).await["appVersion"], "1.0", "resolved at its creation");
    assert_eq!(kit.http.task(&new).await["appVersion"], "2.0");
    check_refusal("another version", &kit.http.post("/pro-api/v2/tasks/Testapp/3.0/run", "").await, &[404]);
    check_refusal("another service", &kit.http.post("/pro-api/v2/tasks/Testapp/1.0/Run", "").await, &[404]);
    kit.stop().await;
}

#[tokio::test]
async fn interrupt_and_delete_answer_by_the_state_of_the_task() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "n").await;
    shell_app(&kit.http, "stay", &[("run", "exec sleep 600"), ("fail", "exit 3")]).await;
    let path = |id: &str| format!("/pro-api/v2/tasks/{id}");
    let running = kit.http.create("stay", "run", "").await;
    kit.http.until_state(&running, &["running"]).await;
    check_refusal("delete running", &kit.http.delete(&path(&running)).await, &[405]);
    check_refusal("response of a running one", &kit.http.response(&running).await, &[404]);
    for body in
        ["{}", "[]", "null", "\"interrupt-solve\"", r#"{"setstatus":"stop"}"#, r#"{"setstatus":null}"#]
    {
        check_refusal(&format!("PUT {body}"), &kit.http.put(&path(&running), body).await, &[400, 405]);
    }
    for body in ["{", "setstatus=interrupt-solve", "\u{1}", "[[[["] {
        check_refusal(&format!("PUT {body}"), &kit.http.put(&path(&running), body).await, &[400]);
    }
    check_refusal("a long PUT", &kit.http.put(&path(&running), vec![b' '; 70_000]).await, &[413]);
    assert_eq!(kit.http.task(&running).await["state"], "running", "nothing refused has acted");
    check_refusal(
        "no such run",
        &kit.http.put(&format!("{}?groupIndex=1", path(&running)), "").await,
        &[404],
    );
    check_refusal("no run", &kit.http.get(&format!("{}?groupIndex=x", path(&running))).await, &[400]);
    kit.http.get(&format!("{}?groupIndex=0", path(&running))).await.expect(200);
    let put = kit.http.put(&path(&running), r#"{"setstatus":"interrupt-solve"}"#).await.expect(200);
    assert!(put.body.is_empty(), "{put:?}");
    assert_eq!(kit.http.until_ended(&running).await["state"], "completed");
    kit.http.put(&path(&running), "").await.expect(200);
    assert_eq!(
        kit.http.task(&running).await["state"],
        "completed",
        "to repeat what has happened is no error"
    );

    let failed = kit.http.create("stay", "fail", "").await;
    let task = kit.http.until_ended(&failed).await;
    assert_eq!((&task["state"], &task["returnCode"]), (&json!("failed"), &json!(3)), "{task}");
    check_refusal("response of a failed one", &kit.http.response(&failed).await, &[404]);
    kit.http.put(&path(&failed), "").await.expect(200);
    assert_eq!(kit.http.task(&failed).await, task, "a wish that comes after the end changes nothing");
    lane(&kit.http, "tasks.demo", json!({ "max_running": 0 })).await;
    let queued = kit.http.create("n", "run", "").await;
    check_refusal("interrupt queued", &kit.http.put(&path(&queued), "").await, &[405]);
    for id in [&running, &failed, &queued] {
        assert!(kit.http.delete(&path(id)).await.expect(200).body.is_empty());
        check_refusal("deleted", &kit.http.get(&path(id)).await, &[404]);
        check_refusal("deleted twice", &kit.http.delete(&path(id)).await, &[404]);
        check_refusal("interrupt deleted", &kit.http.put(&path(id), "").await, &[404]);
        check_refusal("response of a deleted one", &kit.http.response(id).await, &[404]);
    }
    kit.stop().await;
}

/// Rows of a list by what `query` asks for, as ids.
async fn ids(http: &Http, query: &str) -> (Vec<String>, u64) {
    let list = http.get(&format!("/pro-api/v2/tasks?{query}")).await.expect(200).json();
    let rows = list["current_batch"].as_array().unwrap();
    let ids = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    (ids, list["total_tasks"].as_u64().unwrap())
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged_as_asked() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "a").await;
    shell_app(&kit.http, "b", &[("run", "exit 1")]).await;
    let mut made = Vec::new();
    for app in ["a", "b", "a", "b", "a"] {
        let id = kit.http.create(app, "run", "").await;
        kit.http.until_ended(&id).await;
        made.push(id);
    }
    let pick = |indexes: &[usize]| indexes.iter().map(|index| made[*index].clone()).collect::<Vec<_>>();
    for (query, rows, total) in [
        ("", &[4, 3, 2, 1, 0][..], 5),
        ("offset=0&limit=0", &[4, 3, 2, 1, 0], 5),
        ("offset=1&limit=2", &[3, 2], 5),
        ("offset=4", &[0], 5),
        ("offset=99", &[], 5),
        ("limit=1000000", &[4, 3, 2, 1, 0], 5),
        ("sort=createdAt", &[0, 1, 2, 3, 4], 5),
        ("sort=-appName,createdAt", &[1, 3, 0, 2, 4], 5),
        ("sort=state,-createdAt", &[4, 2, 0, 3, 1], 5),
        ("states=failed", &[3, 1], 2),
        ("states=completed,failed&limit=1", &[4], 5),
        ("states=queued,assigned,running,solving", &[], 0),
        ("appName=a&appVersion=1.0", &[4, 2, 0], 3),
        ("appName=a&appVersion=9", &[], 0),
        ("appName=none", &[], 0),
        ("after=2020-01-01&before=2999-01-01", &[4, 3, 2, 1, 0], 5),
        ("before=2020-01-01", &[], 0),
        ("after=2999-12-31", &[], 0),
        ("listAll=true&prettyFormat=true", &[4, 3, 2, 1, 0], 5),
    ] {
        assert_eq!(ids(&kit.http, query).await, (pick(rows), total), "{query}");
    }
    let third = kit.http.task(&made[2]).await;
    let moment = percent_encoded(third["createdAt"].as_str().unwrap());
    assert_eq!(ids(&kit.http, &format!("after={moment}")).await.0, pick(&[4, 3, 2]), "on and after");
    assert_eq!(ids(&kit.http, &format!("before={moment}")).await.0, pick(&[1, 0]), "before");
    let pretty = kit.http.get("/pro-api/v2/tasks?prettyFormat=true&limit=1").await.expect(200).text();
    assert!(pretty.contains("\n  ") && pretty.contains("\"queueTime\": 0."), "{pretty}");
    kit.stop().await;
}

/// Seconds of a time as the API writes it, `YYYY-MM-DD hh:mm:ss.ffffff`, within its day.
fn seconds(value: &Value) -> f64 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no time"));
    assert_eq!(text.len(), 26, "{text}");
    let moment = domain::Timestamp::parse(&format!("{}Z", text.replace(' ', "T"))).expect("a moment");
    moment.seconds_since(domain::Timestamp::from_micros(0))
}

#[tokio::test]
async fn the_task_object_has_its_fields_in_order_and_times_that_add_up() {
    let kit = Kit::start().await;
    shell_app(&kit.http, "nap", &[("run", "sleep 0.2; echo done")]).await;
    lane(&kit.http, "tasks.demo", json!({ "max_running": 0 })).await;
    let created = kit.http.post("/pro-api/v2/tasks/nap/run", "").await.expect(200);
    let text = created.text();
    let fields = [
        "id",
        "appName",
        "appVersion",
        "serviceName",
        "state",
        "createdAt",
        "assignedAt",
        "runningAt",
        "endedAt",
        "queueTime",
        "runTime",
        "returnCode",
        "errorMessage",
        "sessionId",
        "username",
        "userEnvironment",
        "scheduleFor",
        "scheduleInterval",
        "groupIndex",
    ];
    let places: Vec<usize> =
        fields.iter().map(|field| text.find(&format!("\"{field}\":")).expect(field)).collect();
    assert!(places.is_sorted(), "{text}");
    let task = created.json();
    assert_eq!(task.as_object().unwrap().len(), fields.len(), "{text}");
    for field in ["assignedAt", "runningAt", "endedAt", "returnCode", "errorMessage", "sessionId"] {
        assert!(task[field].is_null(), "{field} before the start: {text}");
    }
    let id = task["id"].as_str().unwrap();
    let waited = kit.http.task(id).await["queueTime"].as_f64().unwrap();
    assert!(kit.http.task(id).await["queueTime"].as_f64().unwrap() > waited, "a waiting task's time grows");
    lane(&kit.http, "tasks.demo", json!({ "max_running": 1 })).await;
    let task = kit.http.until_ended(id).await;
    let at = |name: &str| seconds(&task[name]);
    let (queue, run) = (task["queueTime"].as_f64().unwrap(), task["runTime"].as_f64().unwrap());
    assert!((queue - (at("assignedAt") - at("createdAt"))).abs() < 1e-5, "{task}");
    assert!((run - (at("endedAt") - at("runningAt"))).abs() < 1e-5 && run >= 0.2, "{task}");
    assert!(at("createdAt") <= at("assignedAt") && at("assignedAt") <= at("runningAt"), "{task}");
    assert_eq!((&task["returnCode"], &task["errorMessage"]), (&json!(0), &Value::Null), "{task}");
    kit.stop().await;
}
