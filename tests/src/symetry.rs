//! A client of the SymetryML API: it signs what it sends and encrypts what it describes.

use bytes::Bytes;
use dialects::symetry::{Signed, encrypt};
use http::Method;
use serde_json::Value;

use crate::http::{Answer, Http};

/// A customer with a secret.
#[derive(Clone)]
pub struct Customer {
    http: Http,
    /// Its id.
    pub cid: String,
    /// What it signs with.
    pub secret: String,
}

impl Customer {
    /// A customer who speaks to the ingress of this client.
    pub fn new(http: &Http, cid: &str, secret: &str) -> Self {
        Self { http: http.with_key(None), cid: cid.to_owned(), secret: secret.to_owned() }
    }

    /// Sends a signed request for a path below the customer's own.
    pub async fn send(&self, method: Method, path: &str, query: &str, body: &str) -> Answer {
        let path = format!("/symetry/rest/{}{path}", self.cid);
        let date = service::clock::now().format("%Y-%m-%d %H:%M:%S;0");
        let body = Bytes::copy_from_slice(body.as_bytes());
        let signed = Signed { method: &method, date: &date, cid: &self.cid, body: &body, path: &path, query };
        let signature = signed.signature(&self.secret).expect("the secret is one");
        let target = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
        let headers = [("Authorization", signature.as_str()), ("sym-date", date.as_str())];
        self.http.send(method.clone(), &target, &headers, body.clone()).await.unwrap()
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "", "").await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "", "").await
    }

    /// Creates a task as its description says.
    pub async fn create(&self, description: &Value, force: bool) -> Answer {
        let body = encrypt(&self.secret, &description.to_string()).expect("the secret is one");
        let query = if force { "force=true" } else { "" };
        self.send(Method::POST, "/tasks/create", query, &body).await
    }
}
