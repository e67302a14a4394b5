//! The client: one request at a time on one connection, opened again where the session closed it. Everything is
//! bounded: the head, the body, the time. A session can make a task fail, and never hold its runner.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::fault::{Fault, shown};
use crate::prompt::Prompt;
use crate::status::Status;
use crate::{ACCEPT_MORE_TASKS, INTERRUPT_SOLVE, TASK_ID};

const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;
/// A status is a few hundred bytes; this leaves room for a long error message.
const STATUS_BYTES_MAX: usize = 256 * 1024;
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// For a whole small answer, and for what of a large one is waited for.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// More of it for what a large one has brought already: one that drips is not waited for without end.
const RESULT_BYTES_PER_SECOND: u64 = 64 * 1024;
/// More of it for a large input, as slow as a simple server reads.
const INPUT_BYTES_PER_SECOND: u64 = 1024 * 1024;

type Failed = Box<dyn std::error::Error + Send + Sync>;
type Outgoing = UnsyncBoxBody<Bytes, Failed>;

/// A connection to one session, kept open between requests.
#[derive(Debug)]
pub struct Client {
    port: u16,
    base: &'static str,
    sender: Option<SendRequest<Outgoing>>,
}

/// The body of a task.
pub struct Input {
    body: Outgoing,
    size: u64,
    content_type: Option<String>,
}

/// What goes with a task beside its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The id that REST gave it.
    pub task: String,
    /// After how many seconds without a task the session ends.
    pub max_idle_seconds: u64,
}

/// A whole small answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The request, for messages.
    pub asked: String,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// The result of a task on its way.
#[derive(Debug)]
pub struct ResponseBody {
    /// Its media type, where the session says one.
    pub content_type: Option<String>,
    asked: String,
    incoming: Incoming,
    received: u64,
    /// How long its pieces were waited for in all.
    waited: Duration,
}

impl Input {
    /// Bytes at hand.
    pub fn bytes(bytes: Bytes, content_type: Option<String>) -> Self {
        let size = bytes.len() as u64;
        Self { body: Full::new(bytes).map_err(|never| match never {}).boxed_unsync(), size, content_type }
    }

    /// A body that comes piece by piece, `size` bytes in all. A piece that fails fails the request.
    pub fn stream<S, E>(pieces: S, size: u64, content_type: Option<String>) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Failed>,
    {
        let frames = pieces.map(|piece| piece.map(Frame::data).map_err(Into::into));
        Self { body: StreamBody::new(frames).boxed_unsync(), size, content_type }
    }
}

fn empty() -> Outgoing {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync()
}

impl Client {
    /// A client of the session on this port of this machine; `base` is where its tasks are.
    pub fn new(port: u16, base: &'static str) -> Self {
        Self { port, base, sender: None }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether anything accepts connections yet.
    pub async fn listens(&self) -> bool {
        TcpStream::connect((LOOPBACK, self.port)).await.is_ok()
    }

    /// Asks any path, for readiness.
    pub async fn get(&mut self, path: &str) -> Result<Answer, Fault> {
        self.small(Method::GET, path.to_owned(), empty(), HeaderMap::new(), ANSWER_TIME).await
    }

    /// Creates a task.
    pub async fn create(&mut self, service: &str, input: Input, told: &Told) -> Result<Status, Fault> {
        let answer = self.create_raw(service, input, told).await?;
        match answer.status {
            // DEX answers 200; the others mean the same to whoever writes a session today.
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => answer.status(),
            StatusCode::FORBIDDEN => Err(Fault::UnknownService { service: service.to_owned() }),
            _ => Err(answer.unexpected()),
        }
    }

    /// Creates a task and gives the answer as it came.
    pub async fn create_raw(&mut self, service: &str, input: Input, told: &Told) -> Result<Answer, Fault> {
        let path = format!("{}/tasks/{}", self.base, segment(service));
        let time = ANSWER_TIME + Duration::from_secs(input.size / INPUT_BYTES_PER_SECOND);
        let mut headers = HeaderMap::new();
        if let Some(value) = input.content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(CONTENT_TYPE, value);
        }
        headers.insert(crate::MAX_IDLE_TIME, HeaderValue::from(told.max_idle_seconds));
        if let Ok(value) = HeaderValue::from_str(&told.task) {
            headers.insert(TASK_ID, value);
        }
        self.small(Method::POST, path, input.body, headers, time).await
    }

    /// Asks how a task is.
    pub async fn status(&mut self, id: &str) -> Result<Status, Fault> {
        let answer = self.get(&self.path(id, "")).await?;
        match answer.status {
            StatusCode::OK => {
                let status = answer.status()?;
                if status.id == id {
                    return Ok(status);
                }
                let why = format!("it is about the task {} and not about {id}", shown(status.id.as_bytes()));
                Err(Fault::broken(&answer.asked, why))
            }
            StatusCode::NOT_FOUND => {
                let why = "404, although the task was created and not deleted yet";
                Err(Fault::broken(&answer.asked, why))
            }
            _ => Err(answer.unexpected()),
        }
    }

    /// The intermediate status of a task: any bytes, if its service writes one.
    pub async fn progress(&mut self, id: &str) -> Result<Option<Bytes>, Fault> {
        let answer = self.get(&self.path(id, "/status")).await?;
        Ok((answer.status == StatusCode::OK).then_some(answer.body))
    }

    /// The result of a task; `None` where it wrote none.
    pub async fn response(&mut self, id: &str) -> Result<Option<ResponseBody>, Fault> {
        let path = self.path(id, "/response");
        let asked = format!("GET {path}");
        let request = self.send(Method::GET, path, empty(), HeaderMap::new());
        let response =
            timeout(ANSWER_TIME, request).await.map_err(|_| late(&asked, ANSWER_TIME)).flatten()?;
        let content_type = header(response.headers(), CONTENT_TYPE.as_str());
        match response.status() {
            StatusCode::OK => {
                let (incoming, received, waited) = (response.into_body(), 0, Duration::ZERO);
                Ok(Some(ResponseBody { content_type, asked, incoming, received, waited }))
            }
            StatusCode::NOT_FOUND | StatusCode::NO_CONTENT => {
                let _ = whole(response, asked, ANSWER_TIME).await?;
                Ok(None)
            }
            _ => Err(whole(response, asked, ANSWER_TIME).await?.unexpected()),
        }
    }

    /// Asks a task to end its solve and keep the result. What the session says to it changes nothing: the status
    /// tells what became of the wish.
    pub async fn interrupt(&mut self, id: &str) -> Result<Answer, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Full::from(INTERRUPT_SOLVE).map_err(|never| match never {}).boxed_unsync();
        self.small(Method::PUT, self.path(id, ""), body, headers, ANSWER_TIME).await
    }

    /// Removes what the session keeps of a task.
    pub async fn delete(&mut self, id: &str) -> Result<Answer, Fault> {
        self.small(Method::DELETE, self.path(id, ""), empty(), HeaderMap::new(), ANSWER_TIME).await
    }

    fn path(&self, id: &str, rest: &str) -> String {
        format!("{}/tasks/{}{rest}", self.base, segment(id))
    }

    async fn small(
        &mut self,
        method: Method,
        path: String,
        body: Outgoing,
        headers: HeaderMap,
        time: Duration,
    ) -> Result<Answer, Fault> {
        let asked = format!("{method} {path}");
        let exchange = async {
            let response = self.send(method, path, body, headers).await?;
            whole(response, asked.clone(), time).await
        };
        let outcome = timeout(time, exchange).await.map_err(|_| late(&asked, time)).flatten();
        if outcome.is_err() {
            self.sender = None;
        }
        outcome
    }

    /// Sends a request on the open connection, or on a new one. A connection that turns out to be closed before
    /// anything of the request was sent is no fault of the session: it may close idle ones as it likes.
    async fn send(
        &mut self,
        method: Method,
        path: String,
        body: Outgoing,
        headers: HeaderMap,
    ) -> Result<Response<Incoming>, Fault> {
        let asked = format!("{method} {path}");
        let request =
            Request::builder().method(method).uri(path).header(HOST, format!("{LOOPBACK}:{}", self.port));
        let mut request = request.body(body).map_err(|error| Fault::broken(&asked, error.to_string()))?;
        request.headers_mut().extend(headers);
        if let Some(mut sender) = self.sender.take().filter(|sender| !sender.is_closed())
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(response) => {
                    self.sender = Some(sender);
                    return Ok(response);
                }
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(meaning(&asked, &failed.into_error())),
                },
            }
        }
        let mut sender = self.connect(&asked).await?;
        let response = sender.send_request(request).await.map_err(|error| meaning(&asked, &error))?;
        self.sender = Some(sender);
        Ok(response)
    }

    async fn connect(&self, asked: &str) -> Result<SendRequest<Outgoing>, Fault> {
        let connecting = timeout(CONNECT_TIME, TcpStream::connect((LOOPBACK, self.port))).await;
        let stream = connecting.map_err(|_| late(asked, CONNECT_TIME))?.map_err(|error| {
            Fault::gone(asked, format!("port {} takes no connection ({error})", self.port))
        })?;
        // Requests are small and each waits for its answer.
        let _ = stream.set_nodelay(true);
        let handshake = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(Prompt(stream)))
            .await;
        let (sender, connection) = handshake.map_err(|error| meaning(asked, &error))?;
        tokio::spawn(async move {
            // How a connection ends is seen by the request that needed it.
            let _ = connection.await;
        });
        Ok(sender)
    }
}

const LOOPBACK: &str = "127.0.0.1";

impl Answer {
    /// The status in it.
    pub fn status(&self) -> Result<Status, Fault> {
        let accepts_more = header(&self.headers, ACCEPT_MORE_TASKS);
        Status::parse(&self.body, accepts_more.as_deref()).map_err(|why| Fault::broken(&self.asked, why))
    }

    fn unexpected(self) -> Fault {
        let why = format!("{} with {}", self.status, shown(&self.body));
        Fault::broken(&self.asked, why)
    }
}

impl ResponseBody {
    /// The next piece; `None` at the end. A body that breaks off is a fault and never a short result.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let allowed = ANSWER_TIME + Duration::from_secs(self.received / RESULT_BYTES_PER_SECOND);
            let began = Instant::now();
            let frame = timeout(allowed.saturating_sub(self.waited), self.incoming.frame()).await;
            self.waited += began.elapsed();
            match frame.map_err(|_| late(&self.asked, allowed))? {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(piece) = frame.into_data().ok().filter(|piece| !piece.is_empty()) {
                        self.received += piece.len() as u64;
                        return Ok(Some(piece));
                    }
                }
                Some(Err(error)) => return Err(meaning(&self.asked, &error)),
            }
        }
    }
}

async fn whole(response: Response<Incoming>, asked: String, time: Duration) -> Result<Answer, Fault> {
    let (head, body) = response.into_parts();
    let collected = timeout(time, Limited::new(body, STATUS_BYTES_MAX).collect()).await;
    match collected.map_err(|_| late(&asked, time))? {
        Ok(body) => Ok(Answer { asked, status: head.status, headers: head.headers, body: body.to_bytes() }),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Fault::broken(&asked, format!("it is longer than {} KB", STATUS_BYTES_MAX / 1024)))
        }
        Err(error) => Err(error
            .downcast::<hyper::Error>()
            .map_or_else(|other| Fault::gone(&asked, other.to_string()), |error| meaning(&asked, &error))),
    }
}

fn late(asked: &str, waited: Duration) -> Fault {
    Fault::Late { asked: asked.to_owned(), waited }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// What an error of the connection says about the session.
fn meaning(asked: &str, error: &hyper::Error) -> Fault {
    if error.is_parse_too_large() {
        let why = format!("its head is longer than {} KB or {HEADERS_MAX} headers", HEAD_BYTES_MAX / 1024);
        return Fault::broken(asked, why);
    }
    if error.is_parse() {
        return Fault::broken(asked, format!("it is not HTTP ({error})"));
    }
    if error.is_user() {
        let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        return Fault::NoInput { why: cause };
    }
    Fault::gone(asked, "it closed the connection before the answer was whole")
}

/// One segment of a path, with everything escaped that has a meaning in one.
fn segment(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(segment("a/../b c?d#e%"), "a%2F..%2Fb%20c%3Fd%23e%25");
        assert_eq!(segment("Größe"), "Gr%C3%B6%C3%9Fe");
    }
}
