//! The HTTP client of every command: one service, one key, time-outs on everything, nothing unbounded.

mod answer;
mod upload;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, ResponseFuture};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

pub use answer::{Answer, Bounded};
pub use upload::Body;
use upload::{BoxBody, InputError, Sending};

use crate::error::CliError;
use crate::url::BaseUrl;

/// A service on another continent connects within this, and one that is down is known soon.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// The longest silence, in either direction, before the service counts as gone. Longer than any of its own limits.
const IDLE_PATIENCE: Duration = Duration::from_secs(30);

/// Speaks to one service with one key.
#[derive(Debug)]
pub struct Client {
    base: BaseUrl,
    key: Option<HeaderValue>,
    transport: Transport,
}

/// Plain connections need no certificates, so these are only read where they are used.
#[derive(Debug)]
enum Transport {
    Plain(legacy::Client<HttpConnector, BoxBody>),
    Secure(legacy::Client<HttpsConnector<HttpConnector>, BoxBody>),
}

/// A request before it is sent.
#[derive(Debug)]
pub struct Ask {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Body,
    patience: Duration,
}

impl Ask {
    /// A request without a body. The path begins with a slash and may end with a query; see [`crate::url`].
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Body::Empty, patience: IDLE_PATIENCE }
    }

    /// With a body of this media type.
    ///
    /// # Errors
    /// [`CliError::Usage`] where the media type can't be a header.
    pub fn body(mut self, content_type: &str, body: Body) -> Result<Self, CliError> {
        self.body = body;
        self.header(CONTENT_TYPE, content_type)
    }

    /// With a JSON document as its body.
    pub fn json(mut self, document: &Value) -> Self {
        self.body = Body::Bytes(Bytes::from(document.to_string()));
        self.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        self
    }

    /// With a header.
    ///
    /// # Errors
    /// [`CliError::Usage`] where the value can't be a header.
    pub fn header(mut self, name: HeaderName, value: &str) -> Result<Self, CliError> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| CliError::Usage(format!("{name} may not have line breaks or control characters")))?;
        self.headers.push((name, value));
        Ok(self)
    }

    /// The service was asked to hold its answer back for so many seconds.
    pub fn held(mut self, seconds: u64) -> Self {
        self.patience = IDLE_PATIENCE + Duration::from_secs(seconds);
        self
    }
}

impl Client {
    /// A client of the service at `base`. Nothing is connected yet.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a key that can't be a header, [`CliError::File`] where the machine has no
    /// certificates to check an `https` address by.
    pub fn new(base: BaseUrl, api_key: Option<&str>) -> Result<Self, CliError> {
        let key = api_key.map(str::trim).filter(|key| !key.is_empty()).map(header_of_key).transpose()?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_PATIENCE));
        connector.set_nodelay(true);
        let builder = legacy::Client::builder(TokioExecutor::new());
        let transport = if base.is_secure() {
            connector.enforce_http(false);
            let roots = HttpsConnectorBuilder::new().with_native_roots();
            let roots = roots.map_err(|source| CliError::File {
                doing: "reading the certificates of this machine".to_owned(),
                source,
            })?;
            Transport::Secure(builder.build(roots.https_only().enable_http1().wrap_connector(connector)))
        } else {
            Transport::Plain(builder.build(connector))
        };
        Ok(Self { base, key, transport })
    }

    /// The address of the service.
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// There is a key to send.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// A `GET` whose answer is one JSON document.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn get(&self, path: impl Into<String>) -> Result<Value, CliError> {
        self.document(Ask::new(Method::GET, path)).await
    }

    /// The JSON document that answers a request; `null` for an empty answer.
    ///
    /// # Errors
    /// As [`Client::send`], and [`CliError::NotUnderstood`] for what is no JSON.
    pub async fn document(&self, ask: Ask) -> Result<Value, CliError> {
        self.send(ask).await?.document().await
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// [`CliError::Unreachable`] where none comes, [`CliError::Refused`] for one that is no success,
    /// [`CliError::File`] where the body could not be read.
    pub async fn send(&self, ask: Ask) -> Result<Answer, CliError> {
        let answer = self.send_any(ask).await?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(answer.refusal(!self.has_key()).await.into())
        }
    }

    /// As [`Client::send`], but an error answer is an answer like any other.
    ///
    /// # Errors
    /// [`CliError::Unreachable`] and [`CliError::File`].
    pub async fn send_any(&self, ask: Ask) -> Result<Answer, CliError> {
        let asked = format!("{} {}{}", ask.method, self.base, ask.path);
        let patience = ask.patience;
        let (request, sending) = self.request(ask)?;
        let mut response = match &self.transport {
            Transport::Plain(client) => client.request(request),
            Transport::Secure(client) => client.request(request),
        };
        let response = self.wait(&mut response, patience, &sending).await?;
        Ok(Answer::new(asked, self.base.to_string(), response))
    }

    fn request(&self, ask: Ask) -> Result<(Request<BoxBody>, Arc<Sending>), CliError> {
        let uri = self.base.join(&ask.path).map_err(CliError::Usage)?;
        let (body, sending) = ask.body.into_http();
        let mut request = Request::new(body);
        *request.method_mut() = ask.method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tasklane/", env!("CARGO_PKG_VERSION"))));
        if let Some(key) = &self.key {
            headers.insert(HeaderName::from_static("apikey"), key.clone());
        }
        headers.extend(ask.headers);
        Ok((request, sending))
    }

    /// Waits as long as something moves: a large body on a slow line, or a slow program on our standard input,
    /// is no silence of the service.
    async fn wait(
        &self,
        response: &mut ResponseFuture,
        patience: Duration,
        sending: &Sending,
    ) -> Result<http::Response<hyper::body::Incoming>, CliError> {
        loop {
            let sent_before = sending.bytes();
            match tokio::time::timeout(patience, &mut *response).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => return Err(self.explain(&error)),
                Err(_) if sending.bytes() != sent_before || sending.waits_for_input() => {}
                Err(_) => return Err(self.unreachable(format!("no answer within {} s", patience.as_secs()))),
            }
        }
    }

    fn unreachable(&self, why: String) -> CliError {
        CliError::Unreachable { url: self.base.to_string(), why }
    }

    /// The innermost cause is what helps: "Connection refused", and not "client error".
    fn explain(&self, error: &legacy::Error) -> CliError {
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            if let Some(input) = source.downcast_ref::<InputError>() {
                return input.to_cli_error();
            }
            innermost = source;
        }
        let what = if error.is_connect() { "connecting failed" } else { "the connection broke" };
        let before = error.source().map(ToString::to_string).filter(|text| text.contains("dns"));
        let why =
            before.map_or_else(|| format!("{what} ({innermost})"), |dns| format!("{dns} ({innermost})"));
        self.unreachable(why)
    }
}

fn header_of_key(key: &str) -> Result<HeaderValue, CliError> {
    let mut value = HeaderValue::from_str(key).map_err(|_| {
        CliError::Usage(
            "the API key has characters that no key has; look at TASKLANE_API_KEY or --api-key".to_owned(),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}
