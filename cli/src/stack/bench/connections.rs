//! Connections to the ingress that stay open, as those of a client that sends one request after the other.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::stack::StackError;

/// So many connections to one address, each made when it is first used.
pub struct Connections {
    address: String,
    senders: Vec<Mutex<Option<SendRequest<Full<Bytes>>>>>,
}

impl Connections {
    /// To a service at this URL.
    pub fn to(url: &str, count: usize) -> Self {
        let address = url.trim_start_matches("http://").to_owned();
        Self { address, senders: (0..count).map(|_| Mutex::default()).collect() }
    }

    /// What a request names as its host.
    pub fn host(&self) -> &str {
        &self.address
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.senders.len()
    }

    /// Sends a request over one of them, once that is free, and reads the answer. What is no success is an error.
    pub async fn send(&self, place: usize, request: Request<Full<Bytes>>) -> Result<Value, StackError> {
        let asked = request.uri().clone();
        let kept = self.senders.get(place % self.senders.len().max(1));
        let mut kept = kept.ok_or_else(|| StackError::Text("no connection".to_owned()))?.lock().await;
        let mut sender = match kept.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let answer = sender.send_request(request).await.map_err(StackError::text)?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.map_err(StackError::text)?.to_bytes();
        sender.ready().await.map_err(StackError::text)?;
        *kept = Some(sender);
        if !status.is_success() {
            let text = String::from_utf8_lossy(&bytes);
            return Err(StackError::Text(format!("{asked}: {status}: {text}")));
        }
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
