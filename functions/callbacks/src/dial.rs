//! One request to a stranger: to a checked address, within five seconds, following nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialects::callbacks::Outgoing;
use futures_util::future::BoxFuture;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::ConfigBuilderExt;
use hyper_util::rt::TokioIo;
use service::outbound::{Outbound, Target};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, crypto::ring};
use tokio_util::task::AbortOnDropHandle;

/// All that one request may take, from the name to the status.
const TOTAL: Duration = Duration::from_secs(5);
/// How long the rest of an answer is listened to, so that its sender does not see the line cut.
const FAREWELL: Duration = Duration::from_millis(250);
/// The most that is read of an answer; nothing of its body is used.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const AGENT: &str = concat!("tasklane/", env!("CARGO_PKG_VERSION"));
const SIGNATURE: &str = "x-tasklane-signature";

/// Finds the addresses of a name.
type Resolve = Box<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Sends requests to where the settings allow it.
pub struct Dialer {
    outbound: Outbound,
    tls: Result<TlsConnector, String>,
    resolve: Resolve,
}

impl Dialer {
    /// By these rules. A machine without certificates can dial http and nothing else.
    pub fn new(outbound: Outbound) -> Self {
        Self::resolving(outbound, Box::new(|host, port| Box::pin(by_system(host, port))))
    }

    fn resolving(outbound: Outbound, resolve: Resolve) -> Self {
        Self { outbound, tls: connector(), resolve }
    }

    /// Asks a gate; an error says why it is closed. Any status of success or of redirection opens it, and a
    /// redirection is not followed.
    pub async fn ask(&self, url: &str) -> Result<(), String> {
        let question = Outgoing { method: Method::GET, url: url.to_owned(), body: Vec::new() };
        let status = self.send(&question, None).await?;
        if status.is_success() || status.is_redirection() { Ok(()) } else { Err(answered(status)) }
    }

    /// Delivers a change; an error says why it was not taken.
    pub async fn deliver(&self, outgoing: &Outgoing, signature: Option<String>) -> Result<(), String> {
        let status = self.send(outgoing, signature).await?;
        if status.is_success() { Ok(()) } else { Err(answered(status)) }
    }

    /// Where a request would go to; what can't be sent anyway needs no queue.
    pub fn target(&self, url: &str) -> Result<Target, String> {
        self.outbound.target(url).map_err(|e| e.to_string())
    }

    async fn send(&self, outgoing: &Outgoing, signature: Option<String>) -> Result<StatusCode, String> {
        let sent = tokio::time::timeout(TOTAL, self.try_send(outgoing, signature)).await;
        sent.unwrap_or_else(|_| Err(format!("no answer within {} s", TOTAL.as_secs())))
    }

    async fn try_send(&self, outgoing: &Outgoing, signature: Option<String>) -> Result<StatusCode, String> {
        let target = self.target(&outgoing.url)?;
        let mut request = Request::builder()
            .method(&outgoing.method)
            .uri(&target.path)
            .header(header::HOST, &target.authority)
            .header(header::USER_AGENT, AGENT);
        if !outgoing.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(signature) = signature {
            request = request.header(SIGNATURE, signature);
        }
        let request =
            request.body(Full::new(Bytes::from(outgoing.body.clone()))).map_err(|e| e.to_string())?;
        let stream = self.connect(&target).await?;
        if !target.https {
            return exchange(stream, request).await;
        }
        let tls = self.tls.as_ref().map_err(Clone::clone)?;
        let name = match target.literal {
            Some(address) => ServerName::IpAddress(address.into()),
            None => ServerName::try_from(target.host.clone()).map_err(|e| e.to_string())?,
        };
        let secure = tls.connect(name, stream).await.map_err(|e| format!("TLS failed: {e}"))?;
        exchange(secure, request).await
    }

    /// A name is resolved once, and what was checked is what is connected to: a name that is resolved again could
    /// lead elsewhere the second time.
    async fn connect(&self, target: &Target) -> Result<TcpStream, String> {
        let addresses: Vec<IpAddr> = match target.literal {
            Some(address) => vec![address],
            None => {
                let found = (self.resolve)(target.host.clone(), target.port).await;
                found.map_err(|_| format!("{} can't be resolved", target.host))?
            }
        };
        let mut failure = format!("{} has no address", target.host);
        for address in addresses {
            if let Err(refused) = self.outbound.allow(&target.host, address) {
                failure = refused.to_string();
                continue;
            }
            match TcpStream::connect(SocketAddr::new(address, target.port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = format!("no connection: {error}"),
            }
        }
        Err(failure)
    }
}

async fn by_system(host: String, port: u16) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((host.as_str(), port)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

fn connector() -> Result<TlsConnector, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let builder = builder.with_native_roots().map_err(|e| format!("no certificates to trust: {e}"))?;
    Ok(TlsConnector::from(Arc::new(builder.with_no_client_auth())))
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handshake =
        http1::Builder::new().max_buf_size(ANSWER_BYTES_MAX).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|e| e.to_string())?;
    let connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request).await.map_err(|e| format!("no answer: {e}"))?;
    let status = answer.status();
    // The status is all that counts, so it does not matter how the rest ends.
    let _ = tokio::time::timeout(FAREWELL, read_away(answer.into_body())).await;
    drop(connection);
    Ok(status)
}

async fn read_away(body: Incoming) {
    let mut body = Limited::new(body, ANSWER_BYTES_MAX);
    while let Some(Ok(_)) = body.frame().await {}
}

fn answered(status: StatusCode) -> String {
    format!("it answered {}", status.as_u16())
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
