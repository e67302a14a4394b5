//! The doors through which tasks are created: NATS, as a program comes, and REST.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use wire::door::{Request as _, names, requests};

use super::connections::Connections;
use super::stack::OwnStack;
use super::{IN_FLIGHT, PAYLOAD_BYTES};
use crate::client::Ask;
use crate::commands::app::publish_folder;
use crate::error::CliError;
use crate::stack::StackError;
use crate::stack::dev::{TENANT, client};
use crate::url::path;

const MANIFEST: &str = "name = \"bench\"\nversion = \"1.0\"\nruntime = \"noop\"\n[services.run]\n";
/// The longest wait for the end of a task; here it means that something is wrong.
const WAIT_SECONDS: u64 = 60;
/// The most connections that the open measurement may need beside those of the closed ones.
const CONNECTIONS: usize = 1024;

/// Both doors of one stack.
pub struct Doors {
    nats: Client,
    api_key: String,
    connections: Connections,
    body: String,
}

impl Doors {
    /// Publishes an app without processes and opens its lane wide.
    pub async fn open(stack: &OwnStack) -> Result<Arc<Self>, StackError> {
        let prepared = prepare(&client(&stack.url, &stack.api_key).map_err(StackError::text)?).await;
        prepared.map_err(StackError::text)?;
        let options = ConnectOptions::with_nkey(stack.program.clone())
            .request_timeout(Some(Duration::from_secs(WAIT_SECONDS + 30)));
        let nats = options.connect(&stack.nats).await.map_err(StackError::text)?;
        Ok(Arc::new(Self {
            nats,
            api_key: stack.api_key.clone(),
            connections: Connections::to(&stack.url, CONNECTIONS),
            body: "x".repeat(PAYLOAD_BYTES),
        }))
    }

    /// The version of the broker.
    pub fn broker_version(&self) -> String {
        self.nats.server_info().version
    }

    /// How many REST requests can be under way at once.
    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    /// One task from its creation to its result, as a program with an account of its own asks for it.
    pub async fn by_nats(&self) -> Result<(), StackError> {
        let create = json!({ "app": "bench", "service": "run", "text": self.body, "wait": WAIT_SECONDS });
        let ended = self.ask(requests::Create::WORD, &create).await?;
        match ended.get("state").and_then(Value::as_str) {
            Some("completed") => Ok(()),
            _ => Err(StackError::Text(format!("the task did not complete: {ended}"))),
        }
    }

    async fn ask(&self, word: &str, request: &Value) -> Result<Value, StackError> {
        let payload = Bytes::from(request.to_string());
        let answer = self.nats.request(names::public(word), payload).await.map_err(StackError::text)?;
        let answer: Value = serde_json::from_slice(&answer.payload).map_err(StackError::text)?;
        match answer.get("message").filter(|_| answer.get("code").is_some()) {
            Some(message) => Err(StackError::Text(format!("{word}: {message}"))),
            None => Ok(answer),
        }
    }

    /// One task from its creation to its end, by one REST request that waits for it.
    pub async fn by_rest(&self, connection: usize) -> Result<(), StackError> {
        let wait = format!("wait={WAIT_SECONDS}");
        let answer = self.post(connection, Some(&wait)).await?;
        match answer.get("state").and_then(Value::as_str) {
            Some("completed") => Ok(()),
            _ => Err(StackError::Text(format!("the task did not complete: {answer}"))),
        }
    }

    /// Creates a task by REST without waiting; gives its id.
    pub async fn create(&self, connection: usize) -> Result<String, StackError> {
        let answer = self.post(connection, None).await?;
        let id = answer.get("id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| StackError::Text(format!("the new task has no id: {answer}")))
    }

    async fn post(&self, connection: usize, prefer: Option<&str>) -> Result<Value, StackError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/pro-api/v2/tasks/bench/run")
            .header("host", self.connections.host())
            .header("apikey", &self.api_key);
        if let Some(prefer) = prefer {
            request = request.header("prefer", prefer);
        }
        let request = request.body(Full::new(Bytes::from(self.body.clone()))).map_err(StackError::text)?;
        self.connections.send(connection, request).await
    }

    /// All about a task, once it has ended.
    pub async fn ended(&self, connection: usize, id: &str) -> Result<Value, StackError> {
        let request = Request::builder()
            .uri(format!("/tasklane/v1/tasks/{id}?wait={WAIT_SECONDS}"))
            .header("host", self.connections.host())
            .header("apikey", &self.api_key)
            .body(Full::default())
            .map_err(StackError::text)?;
        self.connections.send(connection, request).await
    }
}

async fn prepare(client: &crate::client::Client) -> Result<(), CliError> {
    let folder = tempfile::tempdir().map_err(StackError::text)?;
    super::write(&folder.path().join("app.toml"), MANIFEST)?;
    publish_folder(client, folder.path().to_owned(), true).await?;
    let lane = wire::topology::tasks_lane(TENANT);
    let most = IN_FLIGHT.into_iter().max().unwrap_or(1) * 8;
    let limits = serde_json::json!({ "max_running": most });
    client.document(Ask::new(Method::PATCH, path(["tasklane", "v1", "lanes", &lane])).json(&limits)).await?;
    Ok(())
}
