//! The Task Engine's door over connections that stay open, as a client of it would use them.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::commands::app::publish_folder;
use crate::stack::StackError;
use crate::stack::bench::connections::Connections;
use crate::stack::bench::stack::OwnStack;
use crate::stack::dev::{TENANT, client};

const MANIFEST: &str = "name = \"bench-jobs\"\nversion = \"1.0\"\nruntime = \"noop\"\n[services.run]\n\
                        [workflows.bench]\nsteps = [\"run\"]\n";
/// Jobs that are submitted at once.
pub const AT_ONCE: usize = 32;
/// Rows of one page of a list.
const PAGE_ROWS: usize = 1_000;

/// A client with its connections.
pub struct JobsClient {
    api_key: String,
    connections: Connections,
}

impl JobsClient {
    /// Publishes a workflow without processes.
    pub async fn open(stack: &OwnStack) -> Result<Self, StackError> {
        let folder = tempfile::tempdir().map_err(StackError::text)?;
        crate::stack::bench::write(&folder.path().join("app.toml"), MANIFEST)?;
        let http = client(&stack.url, &stack.api_key).map_err(StackError::text)?;
        publish_folder(&http, folder.path().to_owned(), true).await.map_err(StackError::text)?;
        Ok(Self { api_key: stack.api_key.clone(), connections: Connections::to(&stack.url, AT_ONCE) })
    }

    /// Sets a setting.
    pub async fn set(&self, name: &str, value: usize) -> Result<(), StackError> {
        let setting = json!({ "name": name, "setting": value });
        self.ask(0, Method::POST, "/settings", Some(&setting)).await.map(drop)
    }

    /// Submits one job; gives its number.
    pub async fn submit(&self, place: usize, priority: u64) -> Result<u64, StackError> {
        let job = json!({ "client": TENANT, "job": { "workflow": "bench", "priority": priority }, "parameters": {} });
        let answer = self.ask(place, Method::POST, "/job", Some(&job)).await?;
        let number = answer.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        number.ok_or_else(|| StackError::Text(format!("the new job has no id: {answer}")))
    }

    /// Submits many jobs with these priorities.
    pub async fn submit_all(&self, priorities: impl Iterator<Item = u64>) -> Result<(), StackError> {
        let submits = priorities.enumerate().map(|(index, priority)| self.submit(index % AT_ONCE, priority));
        let mut submits = futures_util::stream::iter(submits).buffer_unordered(AT_ONCE);
        while let Some(submitted) = submits.next().await {
            submitted?;
        }
        Ok(())
    }

    /// Creates one task and waits for its end.
    pub async fn run(&self) -> Result<(), StackError> {
        let created = self.ask(0, Method::POST, "/pro-api/v2/tasks/bench-jobs/run", Some(&json!({}))).await?;
        let id = created.get("id").and_then(Value::as_str).unwrap_or_default();
        let ended = self.ask(0, Method::GET, &format!("/tasklane/v1/tasks/{id}?wait=60"), None).await?;
        if ended.get("state").and_then(Value::as_str) == Some("completed") {
            return Ok(());
        }
        Err(StackError::Text(format!("the task has not run: {ended}")))
    }

    /// How many jobs have ended well.
    pub async fn completed(&self) -> Result<u64, StackError> {
        let health = self.ask(0, Method::GET, "/health", None).await?;
        let completed = health.pointer("/jobs/completed").and_then(Value::as_u64);
        completed.ok_or_else(|| StackError::Text(format!("health without counts: {health}")))
    }

    /// How many tasks there are of all APIs and users: in these states, or all where none is named.
    pub async fn total(&self, states: &str) -> Result<u64, StackError> {
        let query = if states.is_empty() { String::new() } else { format!("&states={states}") };
        let list =
            self.ask(0, Method::GET, &format!("/pro-api/v2/tasks?limit=1&listAll=true{query}"), None).await?;
        let total = list.get("total_tasks").and_then(Value::as_u64);
        total.ok_or_else(|| StackError::Text(format!("a list without a count: {list}")))
    }

    /// Every task that has ended well, as our own API shows it.
    pub async fn completed_tasks(&self) -> Result<Vec<Value>, StackError> {
        let mut all = Vec::new();
        loop {
            let path = format!("/tasklane/v1/tasks?states=completed&limit={PAGE_ROWS}&offset={}", all.len());
            let mut page = self.ask(0, Method::GET, &path, None).await?;
            match page.get_mut("tasks").map(Value::take) {
                Some(Value::Array(rows)) if !rows.is_empty() => all.extend(rows),
                _ => return Ok(all),
            }
        }
    }

    /// One request. What is no success is an error.
    pub async fn ask(
        &self,
        place: usize,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, StackError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.connections.host())
            .header("apikey", &self.api_key)
            .header("api-key", &self.api_key)
            .header("client", TENANT)
            .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))
            .map_err(StackError::text)?;
        self.connections.send(place, request).await
    }
}
