//! What the document of the session-manager promises, against what the service does: every operation in it is asked,
//! and what is answered is what it says.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use tests::Kit;
use tests::accounts::user;
use tests::apps::{App, shell_app};
use tests::http::{Answer, Http};

const MOUNT: &str = "/pro/session-manager/v1";
/// No session has it.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// Every operation: method, path, and what the document says of it.
fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter().map(move |(method, said)| {
            (method.to_ascii_uppercase().parse().unwrap(), path.clone(), said.clone())
        })
    });
    all.collect()
}

/// The paths and methods that the text in YAML has, by its indentation.
fn of_yaml(text: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let (mut within, mut path) = (false, String::new());
    for line in text.lines() {
        let bare = line.trim().trim_end_matches(':').trim_matches(['"', '\'']).to_owned();
        match line.len() - line.trim_start().len() {
            0 => within = bare == "paths",
            2 if within => path = bare,
            4 if within => drop(found.insert((bare.to_ascii_uppercase(), path.clone()))),
            _ => {}
        }
    }
    found
}

/// A value has every field that its schema requires, and none that the schema does not know.
fn matches(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let known = document.pointer(reference.trim_start_matches('#')).unwrap();
        return matches(document, known, value, place);
    }
    if let Some(items) = schema.get("items") {
        for item in value.as_array().unwrap_or_else(|| panic!("{place} is no list: {value}")) {
            matches(document, items, item, place);
        }
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    let fields = value.as_object().unwrap_or_else(|| panic!("{place} is no object: {value}"));
    for name in fields.keys() {
        assert!(properties.contains_key(name), "{place}: {name} is not documented: {value}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(fields.contains_key(name.as_str().unwrap()), "{place}: {name} is missing: {value}");
    }
    for (name, schema) in properties {
        if let Some(value) = fields.get(name).filter(|value| !value.is_null()) {
            matches(document, schema, value, &format!("{place}.{name}"));
        }
    }
}

/// The status of an answer is documented, its media type too, and JSON is as its schema says.
fn is_as_said(document: &Value, said: &Value, answer: &Answer) {
    let (operation, status) = (said["operationId"].as_str().unwrap(), answer.status.as_u16().to_string());
    let documented = &said["responses"][&status];
    assert!(documented.is_object(), "{operation}: {status} is not documented: {}", answer.text());
    let kind = answer.headers["content-type"].to_str().unwrap().split(';').next().unwrap();
    let schema = &documented["content"][kind]["schema"];
    assert!(schema.is_object(), "{operation}: {status} with {kind} is not documented: {documented}");
    if kind == "application/json" {
        matches(document, schema, &answer.json(), operation);
    }
}

async fn ask(http: &Http, method: &Method, path: &str, id: &str) -> Answer {
    let path = format!("{MOUNT}{}", path.replace("{session_id}", id));
    http.send(method.clone(), &path, &[], "").await.unwrap()
}

/// Sessions that run: so many of tasks, and so many with a page.
async fn sessions(http: &Http, count: usize) -> (Vec<String>, Vec<String>) {
    let (mut of_tasks, mut with_pages) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let task = http.create("plain", "sleep", "").await;
        let running = http.until_state(&task, &["running"]).await;
        of_tasks.push(running["sessionId"].as_str().unwrap().to_owned());
        let started = http.post("/tasklane/v1/sessions", json!({ "app": "page" }).to_string()).await;
        with_pages.push(started.expect(201).json()["session_id"].as_str().unwrap().to_owned());
    }
    (of_tasks, with_pages)
}

#[tokio::test]
async fn every_operation_of_the_document_answers_as_the_document_says() {
    let kit = Kit::start().await;
    let http = &kit.http;
    let yaml = http.get(&format!("{MOUNT}/openapi.yaml")).await.expect(200);
    let document = http.get(&format!("{MOUNT}/openapi.yaml?format=json")).await.expect(200).json();
    let operations = operations(&document);
    let listed: BTreeSet<(String, String)> =
        operations.iter().map(|(method, path, _)| (method.to_string(), path.clone())).collect();
    assert_eq!(of_yaml(&yaml.text()), listed, "both forms say the same");
    assert_eq!(operations.len(), 15, "eight of the first release, six that came later, and the document");

    shell_app(http, "plain", &[("sleep", "echo up >&2; sleep 600")]).await;
    let manifest = "name = \"page\"\nversion = \"1.0\"\nruntime = \"webui\"\n[session]\n\
                    command = [\"python3\", \"-m\", \"http.server\", \"--bind\", \"127.0.0.1\", \"{port}\"]\nready = \"/\"\n";
    App { manifest, files: &[] }.publish(http).await.expect(200);
    let (of_tasks, with_pages) = sessions(http, 2).await;
    let unscoped = user(http, "demo", "ulla", &["Tasks"]).await;
    // Each operation that ends a session has one of its own to end, and then finds it ended.
    let (mut tasks_left, mut pages_left) = (of_tasks.iter(), with_pages.iter());
    let (ending, reading): (Vec<_>, Vec<_>) =
        operations.iter().partition(|(method, ..)| *method != Method::GET);
    assert_eq!(ending.len(), 4, "DELETE and PATCH for both kinds");
    for (method, path, said) in &reading {
        let sessions = if path.contains("/webui") { &with_pages } else { &of_tasks };
        let answer = ask(http, method, path, &sessions[0]).await.expect(200);
        // The document itself is text; its own form in JSON was asked for above.
        is_as_said(&document, said, &answer);
        let of_other_kind = if path.contains("/webui") { &of_tasks } else { &with_pages };
        if path.contains("{session_id}") {
            is_as_said(&document, said, &ask(http, method, path, NOBODY).await.expect(404));
            is_as_said(&document, said, &ask(http, method, path, &of_other_kind[0]).await.expect(404));
            is_as_said(&document, said, &ask(http, method, path, "no-id").await.expect(404));
        }
        if !path.ends_with("/openapi.yaml") {
            is_as_said(&document, said, &ask(&unscoped, method, path, &sessions[0]).await.expect(403));
        }
        is_as_said(&document, said, &ask(&http.with_key(None), method, path, &sessions[0]).await.expect(401));
    }
    for (method, path, said) in &ending {
        let session = if path.contains("/webui") { pages_left.next() } else { tasks_left.next() }.unwrap();
        is_as_said(&document, said, &ask(&unscoped, method, path, session).await.expect(403));
        is_as_said(&document, said, &ask(http, method, path, session).await.expect(200));
        is_as_said(&document, said, &ask(http, method, path, session).await.expect(409));
        is_as_said(&document, said, &ask(http, method, path, NOBODY).await.expect(404));
    }
    kit.stop().await;
}
