//! Signed requests against a real stack: which secrets sign, and what an unsigned, late, changed or foreign
//! request is told.

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
