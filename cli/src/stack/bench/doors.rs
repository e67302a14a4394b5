//! The doors through which tasks are created: calls over the broker, and REST.

use std::sync::Arc;

use broker::{Broker, Credentials};
use bytes::Bytes;
use domain::payload::Place;
use domain::task::state::Origin;
use domain::{Caller, Payload, TaskId, TaskState};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use wire::Function;
use wire::calls::create::{CreateRequest, Target};
use wire::calls::status::{StatusReply, StatusRequest};

use super::stack::OwnStack;
use super::{IN_FLIGHT, PAYLOAD_BYTES};
use crate::client::{Ask, Client};
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
    nats: Broker,
    address: String,
    api_key: String,
    connections: Vec<Mutex<Option<SendRequest<Full<Bytes>>>>>,
    body: String,
}

impl Doors {
    /// Publishes an app without processes and opens its lane wide.
    pub async fn open(stack: &OwnStack) -> Result<Arc<Self>, StackError> {
        let prepared = prepare(&client(&stack.url, &stack.api_key).map_err(StackError::text)?).await;
        prepared.map_err(StackError::text)?;
        let path = stack.files.keys().join(format!("{}.nk", Function::Ingress));
        let seed = std::fs::read_to_string(&path).map_err(|e| StackError::file(&path, &e))?;
        let credentials = Credentials { function: Function::Ingress, seed: seed.trim().to_owned() };
        let nats = Broker::connect(&stack.nats, &credentials).await.map_err(StackError::text)?;
        Ok(Arc::new(Self {
            nats,
            address: stack.url.trim_start_matches("http://").to_owned(),
            api_key: stack.api_key.clone(),
            connections: (0..CONNECTIONS).map(|_| Mutex::default()).collect(),
            body: "x".repeat(PAYLOAD_BYTES),
        }))
    }

    /// The version of the broker.
    pub fn broker_version(&self) -> String {
        self.nats.server_version()
    }

    /// How many REST requests can be under way at once.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// One task from its creation to its result, by calls over the broker.
    pub async fn by_nats(&self) -> Result<(), StackError> {
        let caller = Caller { tenant: TENANT.to_owned(), user: "bench".to_owned(), admin: true };
        let place = Place::Text(self.body.clone());
        let request = CreateRequest {
            caller: caller.clone(),
            id: TaskId(service::ids::random().map_err(StackError::text)?),
            app: "bench".to_owned(),
            version: None,
            service: "run".to_owned(),
            target: Target::Service,
            priority: None,
            timing: None,
            hooks: Vec::new(),
            origin: Origin::Nats,
            input: Payload { content_type: None, size: PAYLOAD_BYTES as u64, place },
            input_digest: String::new(),
            idempotency_key: None,
        };
        let created = self.nats.call(&request).await.map_err(StackError::text)?;
        let ask = StatusRequest::Get { caller, id: created.task.id, run: None, wait_ms: WAIT_SECONDS * 1000 };
        let StatusReply::Task(status) = self.nats.call(&ask).await.map_err(StackError::text)? else {
            return Err(StackError::Text("something else for a task".to_owned()));
        };
        if status.summary.state == TaskState::Completed {
            Ok(())
        } else {
            Err(StackError::Text(format!("{:?}", status.summary)))
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
            .header("host", &self.address)
            .header("apikey", &self.api_key);
        if let Some(prefer) = prefer {
            request = request.header("prefer", prefer);
        }
        let request = request.body(Full::new(Bytes::from(self.body.clone()))).map_err(StackError::text)?;
        self.send(connection, request).await
    }

    /// All about a task, once it has ended.
    pub async fn ended(&self, connection: usize, id: &str) -> Result<Value, StackError> {
        let request = Request::builder()
            .uri(format!("/tasklane/v1/tasks/{id}?wait={WAIT_SECONDS}"))
            .header("host", &self.address)
            .header("apikey", &self.api_key)
            .body(Full::default())
            .map_err(StackError::text)?;
        self.send(connection, request).await
    }

    async fn send(&self, connection: usize, request: Request<Full<Bytes>>) -> Result<Value, StackError> {
        let place = self.connections.get(connection % CONNECTIONS.max(1));
        let Some(place) = place else { return Err(StackError::Text("no connection".to_owned())) };
        let mut place = place.lock().await;
        let mut sender = match place.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let answer = sender.send_request(request).await.map_err(StackError::text)?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.map_err(StackError::text)?.to_bytes();
        if status != StatusCode::OK && status != StatusCode::CREATED && status != StatusCode::ACCEPTED {
            return Err(StackError::Text(format!("{status}: {}", String::from_utf8_lossy(&bytes))));
        }
        sender.ready().await.map_err(StackError::text)?;
        *place = Some(sender);
        serde_json::from_slice(&bytes).map_err(StackError::text)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, StackError> {
        let stream = TcpStream::connect(&self.address).await.map_err(StackError::text)?;
        stream.set_nodelay(true).map_err(StackError::text)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(StackError::text)?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

async fn prepare(client: &Client) -> Result<(), CliError> {
    let folder = tempfile::tempdir().map_err(StackError::text)?;
    super::write(&folder.path().join("app.toml"), MANIFEST)?;
    publish_folder(client, folder.path().to_owned(), true).await?;
    let lane = wire::topology::tasks_lane(TENANT);
    let most = IN_FLIGHT.into_iter().max().unwrap_or(1) * 8;
    let limits = serde_json::json!({ "max_running": most });
    client.document(Ask::new(Method::PATCH, path(["tasklane", "v1", "lanes", &lane])).json(&limits)).await?;
    Ok(())
}
