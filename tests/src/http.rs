//! HTTP as a client of the REST APIs speaks it.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::wait::until;

/// A client of one ingress with one key.
#[derive(Clone)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    key: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// This answer, if it has the status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }
}

impl Http {
    /// A client of `url`, as `http://127.0.0.1:8080`.
    pub fn new(url: &str, key: Option<&str>) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { client, url: url.to_owned(), key: key.map(str::to_owned) }
    }

    /// The same client with another key, or none.
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Self { key: key.map(str::to_owned), ..self.clone() }
    }

    /// The address it speaks to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key it sends.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Sends a request; an error is one of the connection.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.header("apiKey", key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).map_err(|e| e.to_string())?;
        let response = self.client.request(request).await.map_err(|e| format!("{e:?}"))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Bytes::new()).await.unwrap()
    }

    /// POST with a body.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Method::POST, path, &[], body).await.unwrap()
    }

    /// PUT with a body.
    pub async fn put(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Method::PUT, path, &[], body).await.unwrap()
    }

    /// PATCH with a body.
    pub async fn patch(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Method::PATCH, path, &[], body).await.unwrap()
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Bytes::new()).await.unwrap()
    }

    /// Creates a task of the latest version and gives its id.
    pub async fn create(&self, app: &str, service: &str, body: impl Into<Bytes>) -> String {
        let created = self.post(&format!("/pro-api/v2/tasks/{app}/{service}"), body).await.expect(200);
        created.json()["id"].as_str().expect("a task has an id").to_owned()
    }

    /// The AIMMS task object.
    pub async fn task(&self, id: &str) -> Value {
        self.get(&format!("/pro-api/v2/tasks/{id}")).await.expect(200).json()
    }

    /// Waits until the task is in one of these states; gives the task object.
    pub async fn until_state(&self, id: &str, states: &[&str]) -> Value {
        until(&format!("task {id} in {states:?}"), || async {
            let task = self.task(id).await;
            let state = task["state"].as_str().unwrap_or_default();
            if states.contains(&state) { Ok(task) } else { Err(task) }
        })
        .await
    }

    /// Waits until the task has ended; gives the task object.
    pub async fn until_ended(&self, id: &str) -> Value {
        self.until_state(id, &["completed", "failed"]).await
    }

    /// The response of a task.
    pub async fn response(&self, id: &str) -> Answer {
        self.get(&format!("/pro-api/v2/tasks/{id}/response")).await
    }
}

/// A text as one segment of a path or one value of a query, every byte of doubt escaped.
pub fn percent_encoded(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    escaped.collect()
}
