//! REST as a client of sessions uses it, over connections that stay open.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::commands::app::publish_folder;
use crate::stack::StackError;
use crate::stack::bench::connections::Connections;
use crate::stack::bench::stack::OwnStack;
use crate::stack::dev::{TENANT, client};

/// A task without a process, for what others cost it.
pub const NOOP: &str = "bench-noop";
/// Its session takes task after task.
pub const WARM: &str = "bench-warm";
/// Each of its tasks has a session of its own.
pub const FRESH: &str = "bench-fresh";
/// It writes lines.
pub const TALK: &str = "bench-talk";

/// The program of the sessions.
pub const SERVER: &str = include_str!("server.py");
const TALKER: &str = include_str!("talk.py");
const SESSION: &str = "runtime = \"session\"\n[session]\nready = \"/api/v2/tasks\"\n\
                       command = [\"python3\", \"-B\", \"server.py\", \"--port\", \"{port}\"]\n";
const TALKING: &str = "runtime = \"command\"\n[services.steady]\ncommand = [\"python3\", \"-B\", \"talk.py\"]\n\
                       [services.flood]\ncommand = [\"sh\", \"-c\", \"read n; seq -f %099.0f 1 $n >&2\"]\n";
/// Requests that are under way at once, at the most.
pub const AT_ONCE: usize = 64;
const WAIT: &str = "wait=60";

/// A client with its connections.
pub struct Door {
    api_key: String,
    connections: Connections,
}

impl Door {
    /// Publishes the apps.
    pub async fn open(stack: &OwnStack) -> Result<Self, StackError> {
        let http = client(&stack.url, &stack.api_key).map_err(StackError::text)?;
        let fresh = format!("{SESSION}max_tasks = 1\n");
        let apps = [
            (NOOP, "runtime = \"noop\"\n[services.run]\n", None),
            (WARM, SESSION, Some(("server.py", SERVER))),
            (FRESH, &fresh, Some(("server.py", SERVER))),
            (TALK, TALKING, Some(("talk.py", TALKER))),
        ];
        for (name, rest, file) in apps {
            let folder = tempfile::tempdir().map_err(StackError::text)?;
            let manifest = format!("name = \"{name}\"\nversion = \"1.0\"\n{rest}");
            crate::stack::bench::write(&folder.path().join("app.toml"), &manifest)?;
            if let Some((path, text)) = file {
                crate::stack::bench::write(&folder.path().join(path), text)?;
            }
            publish_folder(&http, folder.path().to_owned(), true).await.map_err(StackError::text)?;
        }
        Ok(Self { api_key: stack.api_key.clone(), connections: Connections::to(&stack.url, AT_ONCE) })
    }

    /// Sets how many tasks of the tenant run at once.
    pub async fn max_running(&self, most: usize) -> Result<(), StackError> {
        let path = format!("/tasklane/v1/lanes/{}", wire::topology::tasks_lane(TENANT));
        let limits = json!({ "max_running": most }).to_string();
        self.ask(0, Method::PATCH, &path, &limits).await.map(drop)
    }

    /// Creates a task and waits for its end; gives what is shown of it.
    pub async fn run(&self, place: usize, app: &str, service: &str, body: &str) -> Result<Value, StackError> {
        let path = format!("/pro-api/v2/tasks/{app}/{service}");
        let request = self.request(Method::POST, &path).header("prefer", WAIT);
        let task = self.send(place, request, body).await?;
        match task.get("state").and_then(Value::as_str) {
            Some("completed") => Ok(task),
            _ => Err(StackError::Text(format!("the task did not complete: {task}"))),
        }
    }

    /// Creates a task; gives its id.
    pub async fn create(&self, app: &str, service: &str, body: &str) -> Result<String, StackError> {
        let task = self.ask(0, Method::POST, &format!("/pro-api/v2/tasks/{app}/{service}"), body).await?;
        task.get("id").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| strange(&task))
    }

    /// All about a task, once it has ended.
    pub async fn ended(&self, id: &str) -> Result<Value, StackError> {
        self.ask(1, Method::GET, &format!("/tasklane/v1/tasks/{id}?wait=60"), "").await
    }

    /// What a task of a session answered: when it came to its process, in microseconds.
    pub async fn came(&self, place: usize, task: &Value) -> Result<i64, StackError> {
        let id = task.get("id").and_then(Value::as_str).unwrap_or_default();
        let answer = self.ask(place, Method::GET, &format!("/pro-api/v2/tasks/{id}/response"), "").await?;
        answer.as_i64().ok_or_else(|| strange(&answer))
    }

    /// One request.
    pub async fn ask(
        &self,
        place: usize,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<Value, StackError> {
        self.send(place, self.request(method, path), body).await
    }

    /// The head of a request.
    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(path);
        request.header("host", self.connections.host()).header("apikey", &self.api_key)
    }

    /// Where the requests go.
    pub fn address(&self) -> &str {
        self.connections.host()
    }

    async fn send(
        &self,
        place: usize,
        request: http::request::Builder,
        body: &str,
    ) -> Result<Value, StackError> {
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        self.connections.send(place, request.body(body).map_err(StackError::text)?).await
    }
}

/// An answer that is not what was asked for.
pub fn strange(answer: &Value) -> StackError {
    StackError::Text(format!("a strange answer: {answer}"))
}
