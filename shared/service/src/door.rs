//! The door for programs: a function as a NATS micro service. Who asks stands in the subject, written there by
//! the broker; each request is answered, be it with an error.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::Broker;
use broker::call::{Incoming, Requests};
use bytes::Bytes;
use domain::{Caller, Timestamp};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::door::{REQUEST_BYTES_MAX, Refused, Request, names};
use wire::{Code, Error, Function};

use crate::serve::{Places, log, take};
use crate::{Context, RunError, clock, ids};

/// The most characters of an error in a header.
const HEADER_CHARS_MAX: usize = 512;

type Handler = dyn Fn(Caller, Bytes) -> BoxFuture<'static, Result<Vec<u8>, Error>> + Send + Sync;

/// One thing that a function does for programs.
pub struct Endpoint {
    word: &'static str,
    description: &'static str,
    request_schema: Value,
    reply_schema: Value,
    handler: Arc<Handler>,
    counted: Mutex<Counted>,
}

/// What the micro services' statistics tell.
#[derive(Clone, Default)]
struct Counted {
    requests: u64,
    errors: u64,
    last_error: String,
    nanos: u64,
}

impl Endpoint {
    /// Answers one kind of request.
    pub fn new<R, H, F>(handler: H) -> Self
    where
        R: Request,
        H: Fn(Caller, R) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R::Reply, Error>> + Send + 'static,
    {
        let answer = move |caller: Caller, payload: Bytes| {
            let work = read(&caller, &payload).map(|request| handler(caller, request));
            let written = async move {
                let reply = work?.await?;
                serde_json::to_vec(&reply).map_err(Error::internal)
            };
            written.boxed()
        };
        Self {
            word: R::WORD,
            description: R::DESCRIPTION,
            request_schema: R::request_schema(),
            reply_schema: R::reply_schema(),
            handler: Arc::new(answer),
            counted: Mutex::default(),
        }
    }

    fn count(&self, began: Instant, error: Option<&Error>) {
        // A poisoned lock costs a number, not the answer.
        let Ok(mut counted) = self.counted.lock() else { return };
        counted.requests += 1;
        counted.nanos += u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if let Some(error) = error {
            counted.errors += 1;
            counted.last_error = format!("{}:{}", error.code.status(), error.message);
        }
    }
}

/// Reads a request. Another tenant is one that does not exist.
pub fn read<R: Request>(caller: &Caller, payload: &[u8]) -> Result<R, Error> {
    if payload.len() > REQUEST_BYTES_MAX {
        let message =
            format!("a request may have at most {REQUEST_BYTES_MAX} bytes; send larger bodies over REST");
        return Err(Error::new(Code::TooLarge, message));
    }
    let request: R = serde_json::from_slice(payload).map_err(|why| {
        let message =
            format!("the request is not the JSON object that {} takes: {why}", names::public(R::WORD));
        Error::new(Code::BadRequest, message)
    })?;
    match request.tenant() {
        Some(tenant) if tenant != caller.tenant => {
            let shown: String = tenant.chars().filter(|c| !c.is_control()).take(64).collect();
            Err(Error::new(Code::NotFound, format!("tenant {shown} does not exist")))
        }
        Some(_) | None => Ok(request),
    }
}

/// Who asks. Whoever may ask from within the functions' own account is the operator: the demo user of `dev`.
pub fn caller(subject: &str, operator: &str) -> Caller {
    let own = || Caller { tenant: operator.to_owned(), user: operator.to_owned(), admin: true };
    names::caller(subject).unwrap_or_else(own)
}

/// The rows or lines that a page is to have.
pub fn limit(asked: Option<u64>, usual: u64, most: u64) -> Result<u64, Error> {
    let limit = asked.unwrap_or(usual);
    if (1..=most).contains(&limit) {
        return Ok(limit);
    }
    Err(Error::new(Code::BadRequest, format!("limit is a whole number from 1 to {most}")))
}

/// How long a request is to wait.
pub fn wait(seconds: u64, most: u64) -> Result<Duration, Error> {
    if seconds <= most {
        return Ok(Duration::from_secs(seconds));
    }
    Err(Error::new(Code::BadRequest, format!("wait is a whole number of seconds from 0 to {most}")))
}

/// A function's door, with every subscription that it needs.
pub(crate) struct Door {
    service: Arc<Service>,
    asked: Vec<(usize, Requests)>,
    micro: Vec<Requests>,
    places: Places,
}

/// One instance of a micro service.
struct Service {
    function: Function,
    id: String,
    started: Timestamp,
    /// The tenant of those who ask from within the functions' own account: the demo user of `dev`.
    operator: String,
    endpoints: Vec<Endpoint>,
}

impl Door {
    /// Subscribes, so that whoever hears that the function is up can ask.
    pub(crate) async fn open(
        context: &Context,
        function: Function,
        endpoints: Vec<Endpoint>,
    ) -> Result<Self, RunError> {
        let broker = &context.broker;
        let id = ids::random().map_err(RunError::from_text)?.simple().to_string();
        let (mut asked, mut micro) = (Vec::new(), Vec::new());
        for (number, endpoint) in endpoints.iter().enumerate() {
            for subject in [names::door(endpoint.word), names::public(endpoint.word)] {
                asked.push((number, hear(broker, subject, true).await?));
            }
        }
        if !endpoints.is_empty() {
            for subject in names::micro(function, &id) {
                micro.push(hear(broker, subject, false).await?);
            }
        }
        let operator = context.settings.operator.clone();
        let service = Arc::new(Service { function, id, started: clock::now(), operator, endpoints });
        Ok(Self { service, asked, micro, places: Places::new() })
    }

    /// Answers until the stop, then what has come already.
    pub(crate) async fn serve(self, stop: &CancellationToken) {
        let Self { service, asked, micro, places } = self;
        let asked = asked.into_iter().map(|(number, requests)| {
            let service = Arc::clone(&service);
            take(requests, &places, stop, move |incoming| Arc::clone(&service).answer(number, incoming))
        });
        let micro = micro.into_iter().map(|requests| {
            let service = Arc::clone(&service);
            take(requests, &places, stop, move |incoming| Arc::clone(&service).tell(incoming))
        });
        tokio::join!(join_all(asked), join_all(micro));
        places.all_free().await;
    }
}

async fn hear(broker: &Broker, subject: String, shared: bool) -> Result<Requests, RunError> {
    broker.requests(subject, shared).await.map_err(RunError::from_text)
}

impl Service {
    async fn answer(self: Arc<Self>, number: usize, incoming: Incoming) {
        let Some(endpoint) = self.endpoints.get(number) else { return };
        let began = Instant::now();
        let caller = caller(&incoming.subject, &self.operator);
        let work = AssertUnwindSafe((endpoint.handler)(caller, incoming.payload()));
        // A panic is our fault and not the program's: it gets an answer, and its neighbours go on.
        let outcome = work.catch_unwind().await;
        match outcome.unwrap_or_else(|_| Err(Error::internal("a request of a program panicked"))) {
            Ok(reply) => {
                endpoint.count(began, None);
                incoming.answer_with(&[], reply).await;
            }
            Err(error) => {
                log(self.function, &error);
                endpoint.count(began, Some(&error));
                refuse(&incoming, &error).await;
            }
        }
    }

    /// Answers the questions that every micro service answers.
    async fn tell(self: Arc<Self>, incoming: Incoming) {
        let told = match names::micro_verb(&incoming.subject) {
            Some("PING") => self.described("ping", &json!({})),
            Some("INFO") => {
                let endpoints: Vec<Value> = self.endpoints.iter().map(Endpoint::info).collect();
                let description = format!("Tasklane: {}", self.function);
                self.described("info", &json!({ "description": description, "endpoints": endpoints }))
            }
            Some("STATS") => {
                let endpoints: Vec<Value> = self.endpoints.iter().map(Endpoint::stats).collect();
                self.described("stats", &json!({ "started": self.started, "endpoints": endpoints }))
            }
            Some(_) | None => return,
        };
        incoming.answer(told).await;
    }

    fn described(&self, kind: &str, more: &Value) -> Value {
        let mut told = json!({
            "type": format!("io.nats.micro.v1.{kind}_response"),
            "name": names::micro_service(self.function),
            "id": self.id,
            "version": env!("CARGO_PKG_VERSION"),
            "metadata": {},
        });
        if let (Some(told), Some(more)) = (told.as_object_mut(), more.as_object()) {
            told.extend(more.clone());
        }
        told
    }
}

impl Endpoint {
    fn info(&self) -> Value {
        json!({
            "name": self.word,
            "subject": names::public(self.word),
            "queue_group": "q",
            "metadata": {
                "description": self.description,
                "request_schema": self.request_schema.to_string(),
                "response_schema": self.reply_schema.to_string(),
            },
        })
    }

    fn stats(&self) -> Value {
        let counted = self.counted.lock().map(|counted| counted.clone()).unwrap_or_default();
        json!({
            "name": self.word,
            "subject": names::public(self.word),
            "queue_group": "q",
            "num_requests": counted.requests,
            "num_errors": counted.errors,
            "last_error": counted.last_error,
            "processing_time": counted.nanos,
            "average_processing_time": counted.nanos.checked_div(counted.requests).unwrap_or(0),
        })
    }
}

/// An error as the micro services have it: two headers, and the same as JSON.
async fn refuse(incoming: &Incoming, error: &Error) {
    let line: String = error.message.chars().filter(|c| c.is_ascii() && !c.is_control()).collect();
    let line: String = line.chars().take(HEADER_CHARS_MAX).collect();
    let code = error.code.status().to_string();
    let body = serde_json::to_vec(&Refused::of(error)).unwrap_or_default();
    incoming.answer_with(&[(names::ERROR, &line), (names::ERROR_CODE, &code)], body).await;
}
