//! Creates as programs ask for them: one message has the task and its body.

use bytes::Bytes;
use data_encoding::BASE64;
use domain::list::Summary;
use domain::payload::{INLINE_BYTES_MAX, Place};
use domain::task::state::Origin;
use domain::task::timing::Timing;
use domain::{Caller, Payload, TaskId};
use service::body::{digest, inline};
use service::{clock, door, ids};
use wire::calls::create::{CreateReply, CreateRequest, Target};
use wire::calls::status::{StatusReply, StatusRequest};
use wire::door::{replies, requests};
use wire::{Code, Error};

use crate::Create;

/// The most characters of a media type. It lies in the record, whatever the size of the body.
const CONTENT_TYPE_CHARS_MAX: usize = 256;
/// The most characters of an idempotency key, as over REST.
const KEY_CHARS_MAX: usize = 255;
/// Programs that wait at one replica at once: half of those that it answers at once.
pub const WAITS_AT_ONCE: usize = 512;
/// The longest wait, as `status` has it.
const WAIT_SECONDS_MAX: u64 = 60;
const JSON: &str = "application/json";

impl Create {
    /// Takes in what a program asks for, and waits for its end if the program does.
    pub(crate) async fn ask(&self, caller: Caller, order: requests::Create) -> Result<replies::Task, Error> {
        let wait = door::wait(order.wait, WAIT_SECONDS_MAX)?;
        let CreateReply { task, repeated } = self.take_in(caller.clone(), order).await?;
        // Too many who wait must not keep others from creating: they are told at once, and may ask `status`.
        if !wait.is_zero()
            && let Ok(_place) = self.waits.try_acquire()
        {
            let wait_ms = wait.as_secs() * 1000;
            let ask = StatusRequest::Get { caller, id: task.id, run: Some(task.run), wait_ms };
            // The task is taken in: that the wait failed is no reason to say that it is not.
            match self.broker.call(&ask).await {
                Ok(StatusReply::Task(status)) => {
                    return Ok(replies::Task { repeated, ..replies::Task::of(status, clock::now()) });
                }
                Ok(_) => tracing::error!("status answered something else where one task was asked for"),
                Err(error) => tracing::warn!(%error, "a created task could not be waited for"),
            }
        }
        Ok(replies::Task { repeated, ..replies::Task::new(Summary::from(&task.taken_in()), clock::now()) })
    }

    /// The same, with the task as it lies in the broker.
    pub(crate) async fn take_in(
        &self,
        caller: Caller,
        order: requests::Create,
    ) -> Result<CreateReply, Error> {
        check_key(order.idempotency_key.as_deref())?;
        let (bytes, content_type) = body(&order)?;
        let id = TaskId(ids::random()?);
        let request = |input, input_digest| CreateRequest {
            caller,
            id,
            app: order.app,
            version: order.version,
            service: order.service,
            target: Target::Service,
            priority: order.priority,
            timing: order.run_at.map(|run_at| Timing { run_at, gate: None, every: None, by_tick: false }),
            hooks: Vec::new(),
            origin: Origin::Nats,
            input,
            input_digest,
            idempotency_key: order.idempotency_key,
            name: None,
            force: false,
        };
        self.with_body(bytes, content_type, Target::Service, request).await
    }

    /// Creates with a body, which is stored apart where it is large, and removed where it is of no use in the end.
    /// The parameters of a workflow always lie in its record.
    pub(crate) async fn with_body(
        &self,
        bytes: Bytes,
        content_type: Option<String>,
        target: Target,
        request: impl FnOnce(Payload, String) -> CreateRequest,
    ) -> Result<CreateReply, Error> {
        let input_digest = digest(&bytes);
        let (input, object) = if bytes.len() <= INLINE_BYTES_MAX || target == Target::Workflow {
            (inline(&bytes, content_type), None)
        } else {
            let name = ids::random()?.simple().to_string();
            let most = bytes.len() as u64;
            let stored = self.bodies.put(&name, bytes, tokio::io::empty(), most).await?;
            (Payload { content_type, size: stored.size, place: Place::Object(name.clone()) }, Some(name))
        };
        let outcome = self.handle(request(input, input_digest)).await;
        if let Some(name) = object {
            let is_used = match &outcome {
                Ok(reply) => reply.task.input.object() == Some(&name),
                // It may have been taken in, in spite of the error.
                Err(error) => matches!(error.code, Code::Timeout | Code::Unavailable),
            };
            if !is_used {
                self.bodies.remove(&name).await;
            }
        }
        outcome
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(Code::BadRequest, message)
}

fn check_key(key: Option<&str>) -> Result<(), Error> {
    let is_plain =
        |key: &str| (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if key.is_none_or(is_plain) {
        return Ok(());
    }
    Err(bad(format!("idempotency_key has 1 to {KEY_CHARS_MAX} visible ASCII characters")))
}

/// The bytes of the body and their media type, from whichever of the three fields has them.
fn body(order: &requests::Create) -> Result<(Bytes, Option<String>), Error> {
    let (bytes, usual) = match (&order.input, &order.text, &order.base64) {
        (None, None, None) => (Bytes::new(), None),
        (Some(value), None, None) => {
            (Bytes::from(serde_json::to_vec(value).map_err(Error::internal)?), Some(JSON))
        }
        (None, Some(text), None) => (Bytes::from(text.clone()), None),
        (None, None, Some(text)) => {
            let decoded = BASE64.decode(text.as_bytes());
            (Bytes::from(decoded.map_err(|why| bad(format!("base64 can't be decoded: {why}")))?), None)
        }
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            return Err(bad("the body is in one of input, text and base64, not in several"));
        }
    };
    let content_type = order.content_type.clone().or_else(|| usual.map(str::to_owned));
    let plain = |text: &String| {
        text.len() <= CONTENT_TYPE_CHARS_MAX && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
    };
    if content_type.as_ref().is_some_and(|text| !plain(text)) {
        return Err(bad(format!(
            "content_type has at most {CONTENT_TYPE_CHARS_MAX} visible ASCII characters"
        )));
    }
    Ok((bytes, content_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(Bytes, Option<String>), String> {
        body(&serde_json::from_str(text).unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn the_body_is_in_one_field() {
        let json = Some(JSON.to_owned());
        let table = [
            (r#"{"app":"a","service":"s"}"#, "", None),
            (
                r#"{"app":"a","service":"s","input":{"b":[1,2.5],"a":null}}"#,
                r#"{"b":[1,2.5],"a":null}"#,
                json.clone(),
            ),
            (r#"{"app":"a","service":"s","input":null}"#, "null", json),
            (r#"{"app":"a","service":"s","text":"hé"}"#, "hé", None),
            (
                r#"{"app":"a","service":"s","base64":"aGk=","content_type":"x/y"}"#,
                "hi",
                Some("x/y".to_owned()),
            ),
        ];
        for (request, bytes, content_type) in table {
            assert_eq!(of(request), Ok((Bytes::from(bytes), content_type)), "{request}");
        }
        for request in [
            r#"{"app":"a","service":"s","input":1,"text":"a"}"#,
            r#"{"app":"a","service":"s","text":"","base64":""}"#,
            r#"{"app":"a","service":"s","base64":"!"}"#,
            r#"{"app":"a","service":"s","content_type":"a\nb"}"#,
        ] {
            assert!(of(request).is_err(), "{request}");
        }
    }

    #[test]
    fn a_key_is_as_over_rest() {
        let long = "k".repeat(KEY_CHARS_MAX + 1);
        for bad in ["", "a b", "ü", long.as_str()] {
            assert!(check_key(Some(bad)).is_err(), "{bad}");
        }
        assert!(check_key(Some("k")).is_ok() && check_key(None).is_ok());
    }
}
