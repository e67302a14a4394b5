//! Calls over the broker, both ends: a request is one message, its answer is another.

use std::time::Duration;

use async_nats::{RequestErrorKind, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wire::calls::{Answer, Call};
use wire::{Code, Error, Function, subjects};

use crate::connect::Broker;
use crate::near::{Body, Handed};

/// Nobody listens: the function is down or just restarting. We look again until this long.
const NO_RESPONDER_PATIENCE: Duration = Duration::from_secs(3);
const NO_RESPONDER_PAUSE: Duration = Duration::from_millis(50);

/// A request that came in.
pub struct Incoming {
    /// Its subject.
    pub subject: String,
    body: Body,
    reply: Reply,
    broker: Broker,
}

/// Where an answer goes.
enum Reply {
    /// None is wanted.
    Nowhere,
    /// Over the broker.
    Subject(async_nats::Subject),
    /// To a function of this process.
    Near(oneshot::Sender<Body>),
}

/// Requests as they come in.
pub struct Requests {
    subscriber: Subscriber,
    near: Option<mpsc::Receiver<Handed>>,
    broker: Broker,
}

impl Broker {
    /// Calls a function and waits for its answer, within the call's own deadline.
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Reply, Error> {
        let subject = subjects::function(C::FUNCTION);
        let deadline = Duration::from_secs(call.deadline_seconds());
        let answer = match self.hand(&subject, call) {
            // One that ended without an answer may have done what was asked, like one that takes too long.
            Some(answered) => match tokio::time::timeout(deadline, answered).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => return Err(unanswered(&subject)),
            },
            None => Body::Wire(self.request(subject, wire_form(call, self.max_payload())?, deadline).await?),
        };
        match answer.read().map_err(Error::internal)? {
            Answer::Ok(reply) => Ok(reply),
            Answer::Err(error) => Err(error),
        }
    }

    /// Calls a function of this process, and nobody else: `None` where there is none, or it does not answer in time.
    pub async fn call_near<C: Call>(&self, call: &C, deadline: Duration) -> Option<Result<C::Reply, Error>> {
        let answered = self.hand(&subjects::function(C::FUNCTION), call)?;
        let answer = tokio::time::timeout(deadline, answered).await.ok()?.ok()?;
        match answer.read().ok()? {
            Answer::Ok(reply) => Some(Ok(reply)),
            Answer::Err(error) => Some(Err(error)),
        }
    }

    /// Asks whether a function is up.
    pub async fn ping(&self, function: Function) -> bool {
        let request = async_nats::Request::new().timeout(Some(Duration::from_secs(1)));
        self.client.send_request(subjects::ping(function), request).await.is_ok()
    }

    async fn request(&self, subject: String, payload: Bytes, deadline: Duration) -> Result<Bytes, Error> {
        let began = Instant::now();
        loop {
            let left = deadline.saturating_sub(began.elapsed());
            let request = async_nats::Request::new().payload(payload.clone()).timeout(Some(left));
            match self.client.send_request(subject.clone(), request).await {
                Ok(answer) => return Ok(answer.payload),
                Err(error) => match error.kind() {
                    RequestErrorKind::NoResponders
                        if began.elapsed() < NO_RESPONDER_PATIENCE.min(deadline) =>
                    {
                        tokio::time::sleep(NO_RESPONDER_PAUSE).await;
                    }
                    RequestErrorKind::TimedOut if self.is_connected() => {
                        return Err(unanswered(&subject));
                    }
                    RequestErrorKind::NoResponders
                    | RequestErrorKind::TimedOut
                    | RequestErrorKind::InvalidSubject
                    | RequestErrorKind::MaxPayloadExceeded
                    | RequestErrorKind::Other => {
                        return Err(Error::unavailable(format!("{subject}: {error}")));
                    }
                },
            }
        }
    }

    /// Hands a request to a function of this process, if one takes it.
    fn hand<C: Call>(&self, subject: &str, call: &C) -> Option<oneshot::Receiver<Body>> {
        let near = self.near.as_ref()?;
        let (answer, answered) = oneshot::channel();
        let body = Body::Value(Box::new(call.clone()));
        near.hand(Handed { subject: subject.to_owned(), body, answer: Some(answer) }).ok()?;
        Some(answered)
    }

    /// Tells something to the one who listens to a subject, the shortest way. It may be lost as with `tell`.
    pub async fn tell_one<T: Serialize + Clone + Send + Sync + 'static>(&self, subject: String, what: &T) {
        if let Some(near) = &self.near {
            let body = Body::Value(Box::new(what.clone()));
            if near.hand(Handed { subject: subject.clone(), body, answer: None }).is_ok() {
                return;
            }
        }
        self.tell(subject, what).await;
    }

    /// Tells something to whoever listens. It may be lost; nothing may depend on it.
    pub async fn tell<T: Serialize>(&self, subject: String, what: &T) {
        let sent = match serde_json::to_vec(what) {
            Ok(payload) => {
                self.client.publish(subject, Bytes::from(payload)).await.map_err(|e| e.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = sent {
            tracing::debug!(error, "a message was not sent");
        }
    }

    /// Appends a message to a stream and waits for the acknowledgement.
    pub async fn append<T: Serialize>(&self, subject: String, what: &T) -> Result<u64, Error> {
        let payload = serde_json::to_vec(what).map_err(Error::internal)?;
        Ok(self.write(subject, async_nats::HeaderMap::new(), Bytes::from(payload)).await?)
    }

    /// The same for a message that may be sent again: the broker takes only the first one with an id, for at
    /// least two minutes.
    pub async fn append_once<T: Serialize>(&self, subject: String, id: &str, what: &T) -> Result<u64, Error> {
        let payload = serde_json::to_vec(what).map_err(Error::internal)?;
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
        Ok(self.write(subject, headers, Bytes::from(payload)).await?)
    }

    /// Messages of one subject in a stream, from a sequence on, up to `count`.
    pub async fn stored<T: DeserializeOwned>(
        &self,
        stream: &str,
        subject: &str,
        cursor: u64,
        count: usize,
    ) -> Result<Vec<(u64, T)>, Error> {
        let batch = self.direct_batch(stream, subject, cursor, count).await?;
        let read = |(sequence, payload): (u64, Bytes)| {
            serde_json::from_slice(&payload).map(|value| (sequence, value)).map_err(Error::internal)
        };
        batch.into_iter().map(read).collect()
    }

    /// Takes the requests on a subject; with `shared`, one of all replicas gets each.
    pub async fn requests(&self, subject: String, shared: bool) -> Result<Requests, Error> {
        let subscriber = if shared {
            self.client.queue_subscribe(subject, "q".to_owned()).await
        } else {
            self.client.subscribe(subject).await
        };
        let subscriber = subscriber.map_err(Error::unavailable)?;
        // Without the flush a request that is sent right after could be lost to nobody.
        self.client.flush().await.map_err(Error::unavailable)?;
        Ok(Requests { subscriber, near: None, broker: self.clone() })
    }

    /// The same, also from functions of this process.
    pub async fn near_requests(&self, subject: String, shared: bool) -> Result<Requests, Error> {
        let mut requests = self.requests(subject.clone(), shared).await?;
        requests.near = self.near.as_ref().map(|near| near.listen(&subject));
        Ok(requests)
    }
}

impl Requests {
    /// The next request; `None` when the subscription has ended.
    pub async fn next(&mut self) -> Option<Incoming> {
        let Self { subscriber, near, broker } = self;
        let handed = async {
            match near {
                Some(near) => near.recv().await,
                None => None,
            }
        };
        let Handed { subject, body, answer } = tokio::select! {
            Some(handed) = handed => handed,
            message = subscriber.next() => match message {
                Some(message) => {
                    let reply = message.reply.map_or(Reply::Nowhere, Reply::Subject);
                    let (subject, body) = (message.subject.to_string(), Body::Wire(message.payload));
                    return Some(Incoming { subject, body, reply, broker: broker.clone() });
                }
                // What was handed over before the end is still answered.
                None => {
                    let near = near.as_mut()?;
                    near.close();
                    near.recv().await?
                }
            },
        };
        let reply = answer.map_or(Reply::Nowhere, Reply::Near);
        Some(Incoming { subject, body, reply, broker: broker.clone() })
    }

    /// Takes no more requests; those that were sent already still come.
    pub async fn stop(&mut self) {
        if let Some(near) = &mut self.near {
            near.close();
        }
        if let Err(error) = self.subscriber.drain().await {
            tracing::debug!(%error, "a subscription ended by itself");
        }
    }
}

/// A call as it crosses the broker, which takes messages up to a size.
fn wire_form<C: Call>(call: &C, most: usize) -> Result<Bytes, Error> {
    let payload = serde_json::to_vec(call).map_err(Error::internal)?;
    if payload.len() > most {
        return Err(Error::new(Code::TooLarge, "the request has too much text beside its body"));
    }
    Ok(Bytes::from(payload))
}

/// An answer that did not come: what was asked may be done or not.
fn unanswered(subject: &str) -> Error {
    Error { code: Code::Timeout, ..Error::unavailable(format!("no answer on {subject} in time")) }
}

impl Incoming {
    /// What it says, which is given once.
    pub fn read<T: DeserializeOwned + 'static>(&mut self) -> Result<T, Error> {
        let body = std::mem::replace(&mut self.body, Body::Wire(Bytes::new()));
        body.read().map_err(|why| Error::new(Code::BadRequest, format!("the request can't be read: {why}")))
    }

    /// Its bytes, where it came over the broker.
    pub fn payload(&self) -> Bytes {
        match &self.body {
            Body::Wire(bytes) => bytes.clone(),
            Body::Value(_) => Bytes::new(),
        }
    }

    /// Answers it with bytes and headers, if an answer was asked for. Whether it was sent.
    pub async fn answer_with(&self, headers: &[(&'static str, &str)], body: Vec<u8>) -> bool {
        let Reply::Subject(reply) = &self.reply else { return false };
        let reply = reply.clone();
        let client = &self.broker.client;
        let sent = if headers.is_empty() {
            client.publish(reply, Bytes::from(body)).await
        } else {
            let mut map = async_nats::HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, *value);
            }
            client.publish_with_headers(reply, map, Bytes::from(body)).await
        };
        if let Err(error) = &sent {
            tracing::debug!(%error, "an answer was not sent");
        }
        sent.is_ok()
    }

    /// Answers it, if an answer was asked for.
    pub async fn answer<T: Serialize + Send + Sync + 'static>(self, answer: T) {
        match self.reply {
            Reply::Nowhere => {}
            Reply::Subject(subject) => self.broker.tell(subject.to_string(), &answer).await,
            // An asker that gave up needs no answer.
            Reply::Near(asker) => drop(asker.send(Body::Value(Box::new(answer)))),
        }
    }
}
