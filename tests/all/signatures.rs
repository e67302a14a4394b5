//! Signed requests against a real stack: which secrets sign, and what an unsigned, late, changed or foreign
//! request is told.

use dialects::symetry::{Signed, encrypt};
use http::Method;
use serde_json::{Value, json};
use tests::Kit;
use tests::http::Http;
use tests::symetry::Customer;
use tests::wait::until;

async fn new_key(http: &Http, tenant: &str) -> Value {
    let order = json!({ "kind": "symetry", "tenant": tenant, "user": "ann" });
    http.post("/tasklane/v1/keys", order.to_string()).await.expect(201).json()
}

/// A description without a name is refused after its signature was checked and its body decrypted, so the refusal
/// shows that the secret signs, and changes nothing.
async fn accepted(customer: &Customer) -> Result<(), String> {
    let answer = customer.create(&json!({ "type": "x" }), false).await;
    let text = answer.text();
    if answer.status == 400 && text.contains("field 'name' is missing") { Ok(()) } else { Err(text) }
}

#[tokio::test]
async fn every_live_secret_of_a_customer_signs_and_no_other() {
    let kit = Kit::start().await;
    kit.http.post("/tasklane/v1/tenants", json!({ "name": "acme" }).to_string()).await.expect(200);
    let (first, second) = (new_key(&kit.http, "acme").await, new_key(&kit.http, "acme").await);
    let secret = |key: &Value| key["secret"].as_str().unwrap().to_owned();
    let (old, new) = (
        Customer::new(&kit.http, "acme", &secret(&first)),
        Customer::new(&kit.http, "acme", &secret(&second)),
    );
    for customer in [&old, &new] {
        until("a new secret signs", || async { accepted(customer).await }).await;
    }
    let shown = kit.http.get("/tasklane/v1/keys?tenant=acme").await.expect(200);
    assert!(!shown.text().contains(&secret(&first)) && !shown.text().contains("sealed"), "{}", shown.text());
    assert_eq!(shown.json()["keys"].as_array().unwrap().len(), 2);
    assert_eq!(shown.json()["keys"][0]["kind"], "symetry");

    let key_id = first["key_id"].as_str().unwrap();
    kit.http.delete(&format!("/tasklane/v1/keys/{key_id}")).await.expect(200);
    until("the revoked secret signs no more", || async {
        let answer = old.get("/tasks").await;
        if answer.status == 401 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    accepted(&new).await.expect("the other secret goes on signing");
    kit.stop().await;
}

#[tokio::test]
async fn the_secret_that_dev_shows_signs_for_the_demo_tenant() {
    let kit = Kit::start().await;
    let secret = kit.stack.signing_secret().unwrap();
    accepted(&Customer::new(&kit.http, "demo", &secret)).await.unwrap();

    let foreign = Customer::new(&kit.http, "acme", &secret).get("/tasks").await;
    assert_eq!(foreign.expect(401).json()["statusString"], "Invalid User");
    let wrong = Customer::new(&kit.http, "demo", "VLmAm+WkpnA5zp2wXiSYkw==").get("/tasks").await.expect(401);
    let shown = wrong.json()["values"]["stringToSign"].as_str().unwrap().to_owned();
    assert!(shown.starts_with("GET\\n\\nSECRETKEY\\n"), "{shown}");
    assert!(!wrong.text().contains(&secret));

    let folder = kit.stop().await;
    let kit = Kit::start_in(folder, |_| {}).await;
    assert_eq!(kit.stack.signing_secret().unwrap(), secret, "it outlives a restart");
    accepted(&Customer::new(&kit.http, "demo", &secret)).await.unwrap();
    kit.stop().await;
}

#[tokio::test]
async fn the_secret_lies_in_no_file_of_the_broker() {
    let kit = Kit::start().await;
    let secret = kit.stack.signing_secret().unwrap();
    let folder = kit.stop().await;
    let mut folders = vec![folder.path().join("data").join("broker")];
    let mut files = 0;
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 10, "{files} files were looked through");
}

#[tokio::test]
async fn a_path_is_signed_in_any_of_the_forms_that_clients_have_and_in_no_other() {
    let kit = Kit::start().await;
    let secret = kit.stack.signing_secret().unwrap();
    let http = kit.http.with_key(None);
    let host = http.url().trim_start_matches("http://").to_owned();
    let date = service::clock::now().format("%Y-%m-%d %H:%M:%S;7");
    let ask = async |sent: &str, path: &str| {
        let signed = Signed { method: &Method::GET, date: &date, cid: "demo", body: b"", path, query: "" };
        let signature = signed.signature(&secret).unwrap();
        let headers = [("Authorization", signature.as_str()), ("sym-date", date.as_str())];
        http.send(Method::GET, sent, &headers, "").await.unwrap()
    };
    let plain = "/symetry/rest/demo/tasks";
    for signed in [
        plain.to_owned(),
        plain.trim_start_matches('/').to_owned(),
        format!("http://{host}{plain}"),
        format!("https://{host}{plain}"),
    ] {
        let answer = ask(plain, &signed).await;
        assert_eq!(answer.status, 200, "{signed}: {}", answer.text());
    }
    // As it was sent, and decoded; 400 says that the signature was right and that there is no such task.
    for signed in ["/symetry/rest/demo/tasks/My%20task", "/symetry/rest/demo/tasks/My task"] {
        let answer = ask("/symetry/rest/demo/tasks/My%20task", signed).await.expect(400).json();
        assert_eq!(answer["statusString"], "Cannot Find Task id[My task] for Customer id [demo]");
    }
    for signed in [
        "/symetry/rest/demo/tasks/other".to_owned(),
        format!("http://elsewhere{plain}"),
        format!("ftp://{host}{plain}"),
        "/demo/tasks".to_owned(),
        String::new(),
    ] {
        let refused = ask(plain, &signed).await.expect(401).json();
        assert_eq!(refused["statusString"], "Invalid Signature", "{signed}");
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_create_that_can_not_be_read_creates_nothing() {
    let kit = Kit::start().await;
    let secret = kit.stack.signing_secret().unwrap();
    let customer = Customer::new(&kit.http, "demo", &secret);
    let encrypted = |text: &str| encrypt(&secret, text).unwrap();
    let good = encrypted(r#"{"type":"x","name":"t"}"#);
    for (body, says) in [
        (encrypted("no JSON"), "JSON"),
        (encrypted("{\"name\":\"t\""), "JSON"),
        (encrypted(""), "JSON"),
        (encrypted("\"t\""), "must be a JSON object"),
        (encrypted("{}"), "field 'name' is missing"),
        (encrypted(r#"{"name":"a/b"}"#), "has a '/'"),
        (encrypted(r#"{"name":"a\nb"}"#), "control character"),
        (
            encrypted(r#"{"name":"t","params":{"sml.task.heap.min":"2g","sml.task.heap.max":"1g"}}"#),
            "is above",
        ),
        (r#"{"name":"t"}"#.to_owned(), "not base64"),
        (encrypt("VLmAm+WkpnA5zp2wXiSYkw==", "{\"name\":\"t\"}").unwrap(), "can't be decrypted"),
        // A block less, so that what is left ends without its padding.
        (encrypted(&"x".repeat(32))[..40].to_owned(), ""),
        (good[..good.len() - 4].to_owned(), ""),
    ] {
        let answer = customer.send(Method::POST, "/tasks/create", "", &body).await.expect(400).json();
        assert_eq!(answer["statusCode"], "BAD_REQUEST", "{answer}");
        assert!(answer["statusString"].as_str().unwrap().contains(says), "{says}: {answer}");
    }

    // The same request again is no new one, within its window; past it, or changed, it is refused.
    let path = "/symetry/rest/demo/tasks/create";
    let send = async |date: &str, signed: &str, sent: &str| {
        let body = signed.as_bytes();
        let signed = Signed { method: &Method::POST, date, cid: "demo", body, path, query: "" };
        let signature = signed.signature(&secret).unwrap();
        let headers = [("Authorization", signature.as_str()), ("sym-date", date)];
        kit.http.with_key(None).send(Method::POST, path, &headers, sent.to_owned()).await.unwrap()
    };
    let at = |seconds: i64| service::clock::now().plus_millis(seconds * 1000).format("%Y-%m-%d %H:%M:%S");
    for late in [at(-310), at(90)] {
        let refused = send(&late, &good, &good).await.expect(400).json();
        let text = "Please update your server time, it is likely out of sync with UTC";
        assert_eq!(refused["statusString"], text, "{late}");
    }
    let changed = send(&at(0), &good, &encrypted(r#"{"type":"x","name":"u"}"#)).await.expect(401);
    let shown = changed.json()["values"]["stringToSign"].as_str().unwrap().to_owned();
    assert!(shown.contains("SECRETKEY") && !changed.text().contains(&secret), "{shown}");
    let list = customer.get("/tasks").await.expect(200).json();
    assert_eq!(list["values"]["stringList"]["values"], json!([]), "nothing was created");
    for path in ["/tasks/t", "/tasks/t/start", "/tasks/t/stop"] {
        let unknown = customer.get(path).await.expect(400).json();
        assert_eq!(unknown["statusString"], "Cannot Find Task id[t] for Customer id [demo]", "{path}");
    }
    customer.delete("/tasks/t").await.expect(400);
    kit.stop().await;
}
