//! Tenants, keys and grants, made over HTTP as an operator makes them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Http;
use crate::wait::within;

/// What acts on live keys does so within this time: the contract of revocation and grants.
pub const EFFECTIVE: Duration = Duration::from_secs(5);

/// A new key, and its public id.
pub struct Key {
    /// The text to send.
    pub text: String,
    /// Its public id.
    pub id: String,
}

/// Makes a tenant. `http` has a key of the operator.
pub async fn tenant(http: &Http, name: &str) {
    http.post("/tasklane/v1/tenants", json!({ "name": name }).to_string()).await.expect(200);
}

/// Makes a key.
pub async fn key(http: &Http, tenant: &str, user: &str, scopes: &[&str]) -> Key {
    key_until(http, tenant, user, scopes, Value::Null).await
}

/// Makes a key that expires at a moment.
pub async fn key_until(http: &Http, tenant: &str, user: &str, scopes: &[&str], expires: Value) -> Key {
    let mut body = json!({ "tenant": tenant, "user": user, "scopes": scopes });
    if !expires.is_null() {
        body["expires_at"] = expires;
    }
    let made = http.post("/tasklane/v1/keys", body.to_string()).await.expect(201).json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    Key { text: text("api_key"), id: text("key_id") }
}

/// A client with a new key of a user.
pub async fn user(http: &Http, tenant: &str, user: &str, scopes: &[&str]) -> Http {
    http.with_key(Some(&key(http, tenant, user, scopes).await.text))
}

/// Gives rights on an app in the tenant of `http`; they act on live keys within the promised time.
pub async fn grant(http: &Http, app: &str, user: &str, rights: &str) {
    let path = format!("/tasklane/v1/apps/{app}/grants/{user}");
    http.put(&path, json!({ "rights": rights }).to_string()).await.expect(200);
}

/// Changes limits of a lane.
pub async fn lane(http: &Http, name: &str, change: Value) {
    http.patch(&format!("/tasklane/v1/lanes/{name}"), change.to_string()).await.expect(200);
}

/// Waits until a GET answers with a status, which must happen as fast as revocation and grants act.
pub async fn until_answers(http: &Http, path: &str, status: u16) {
    within(EFFECTIVE, &format!("GET {path} answers {status}"), || async {
        let answer = http.get(path).await;
        if answer.status.as_u16() == status { Ok(()) } else { Err((answer.status, answer.text())) }
    })
    .await;
}
