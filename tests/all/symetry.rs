//! The calls of the Tasks API one after the other, as its documentation lists them (seed 001), where repeating one or
//! calling it at another time is said to be no error.

use http::Method;
use serde_json::{Value, json};
use tests::Kit;
use tests::accounts::grant;
use tests::apps::App;
use tests::http::Http;
use tests::symetry::Customer;
use tests::wait::until;

const MANIFEST: &str =
    "name = \"echo\"\nversion = \"1\"\nruntime = \"stream\"\n[session]\ncommand = [\"cat\"]\n";

fn description(name: &str) -> Value {
    let params = json!({
        "sml.kstream.source.topic": format!("demo.{name}.in"),
        "sml.kstream.sink.topic": format!("demo.{name}.out"),
    });
    json!({ "type": "echo", "name": name, "params": params })
}

/// The envelope of an answer: status, word, and values.
async fn envelope(customer: &Customer, method: Method, path: &str) -> (u16, String, Value) {
    let answer = customer.send(method, path, "", "").await;
    let told = answer.json();
    assert!(told["statusString"].is_string() && told.as_object().unwrap().len() == 3, "{told}");
    assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
    (answer.status.as_u16(), told["statusCode"].as_str().unwrap().to_owned(), told["values"].clone())
}

#[tokio::test]
async fn each_documented_call_is_answered_as_documented_also_when_it_is_repeated() {
    let kit = Kit::start().await;
    App { manifest: MANIFEST, files: &[] }.publish(&kit.http).await.expect(200);
    let customer = Customer::new(&kit.http, "demo", &kit.stack.signing_secret().unwrap());
    // With force there need be nothing to override.
    let created = customer.create(&description("t1"), true).await.expect(202).json();
    assert_eq!((&created["statusCode"], &created["values"]), (&json!("CREATED"), &json!({})), "{created}");
    customer.create(&description("t1"), false).await.expect(409);
    let ok = |values: Value| (200, "OK".to_owned(), values);
    let get = Method::GET;
    for (path, times) in
        [("/tasks/t1/stop", 1), ("/tasks/t1/start", 2), ("/tasks/t1/stop", 2), ("/tasks/t1/start", 1)]
    {
        for _ in 0..times {
            assert_eq!(envelope(&customer, get.clone(), path).await, ok(json!({})), "{path}");
        }
    }
    for path in ["/tasks", "/tasks/"] {
        let names = json!({ "stringList": { "values": ["t1"] } });
        assert_eq!(envelope(&customer, get.clone(), path).await, ok(names), "{path}");
    }
    let told = until("it is alive", || async {
        let (_, _, values) = envelope(&customer, get.clone(), "/tasks/t1").await;
        let told = values["KSVSMap"]["values"][0].clone();
        if told["processIsAlive"] == "true" { Ok(told) } else { Err(told) }
    })
    .await;
    let keys: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 4, "{told}");
    assert!(
        ["status", "startDateTime", "processIsAlive", "lastError"].iter().all(|key| told[*key].is_string())
    );
    // Deleted while it runs.
    assert_eq!(envelope(&customer, Method::DELETE, "/tasks/t1").await, ok(json!({})));
    let unknown = (400, "BAD_REQUEST".to_owned(), json!({}));
    for (method, path) in [
        (get.clone(), "/tasks/t1"),
        (get.clone(), "/tasks/t1/start"),
        (get.clone(), "/tasks/t1/stop"),
        (Method::DELETE, "/tasks/t1"),
    ] {
        assert_eq!(envelope(&customer, method.clone(), path).await, unknown, "{method} {path}");
    }
    let long = "x".repeat(128);
    customer.create(&description_of(&long), false).await.expect(202);
    customer.create(&description_of(&format!("{long}x")), false).await.expect(400);
    kit.stop().await;
}

/// Without topics, which a name of any length would make too long.
fn description_of(name: &str) -> Value {
    json!({ "type": "echo", "name": name })
}

#[tokio::test]
async fn starting_needs_rights_on_the_app_and_a_customer_sees_its_own_tasks_alone() {
    let kit = Kit::start().await;
    kit.http.post("/tasklane/v1/tenants", json!({ "name": "acme" }).to_string()).await.expect(200);
    App { manifest: MANIFEST, files: &[] }.publish(&kit.http).await.expect(200);
    let ann = customer_of(&kit.http, "demo", "ann").await;
    let stranger = customer_of(&kit.http, "acme", "ann").await;
    for customer in [&ann, &stranger] {
        until("the new secret signs", || async {
            let answer = customer.get("/tasks").await;
            if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
        })
        .await;
    }
    ann.create(&description("t1"), false).await.expect(202);
    let refused = ann.get("/tasks/t1/start").await.expect(401).json();
    assert_eq!(refused["statusCode"], "UNAUTHORIZED", "{refused}");
    grant(&kit.http, "echo", "ann", "read,execute").await;
    until("the grant acts", || async {
        let answer = ann.get("/tasks/t1/start").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    let none = stranger.get("/tasks").await.expect(200).json();
    assert_eq!(none["values"], json!({ "stringList": { "values": [] } }));
    for path in ["/tasks/t1", "/tasks/t1/stop"] {
        let unknown = stranger.get(path).await.expect(400).json();
        assert_eq!(unknown["statusString"], "Cannot Find Task id[t1] for Customer id [acme]");
    }
    kit.stop().await;
}

async fn customer_of(http: &Http, tenant: &str, user: &str) -> Customer {
    let order = json!({ "kind": "symetry", "tenant": tenant, "user": user });
    let made = http.post("/tasklane/v1/keys", order.to_string()).await.expect(201).json();
    Customer::new(http, tenant, made["secret"].as_str().unwrap())
}
