//! The result of a task on its way from its session into the record or, where it is large, into the store.

use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use domain::Payload;
use domain::payload::{BODY_BYTES_MAX, INLINE_BYTES_MAX, Place};
use futures_util::stream;
use service::ids;
use session_protocol::{Fault, ResponseBody};
use tokio_util::io::StreamReader;
use wire::Code;

use crate::{Runner, outcome};

/// Why there is no result.
pub enum NoResult {
    /// The session did not give it as it should.
    Fault(Fault),
    /// It could not be stored; the message is for the author or the operator.
    NotStored(String),
}

impl From<Fault> for NoResult {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads a result to its end. One that breaks off is removed again.
pub async fn store(runner: &Runner, mut body: ResponseBody) -> Result<Payload, NoResult> {
    let content_type = body.content_type.take();
    let mut head = BytesMut::new();
    while head.len() <= INLINE_BYTES_MAX {
        match body.next().await? {
            Some(piece) => head.extend_from_slice(&piece),
            None => {
                let inline = outcome::inline(&head).unwrap_or_default();
                let content_type = content_type.or_else(|| inline.content_type.clone());
                return Ok(Payload { content_type, ..inline });
            }
        }
    }
    // The reader below can say only that it failed; why is kept here.
    let why = Arc::new(Mutex::new(None));
    let rest = stream::try_unfold((body, Arc::clone(&why)), |(mut body, why)| async {
        match body.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, (body, why)))),
            Err(fault) => {
                let said = std::io::Error::other(fault.to_string());
                if let Ok(mut why) = why.lock() {
                    *why = Some(fault);
                }
                Err::<Option<(Bytes, _)>, _>(said)
            }
        }
    });
    let not_stored = |error: wire::Error| NoResult::NotStored(error.message);
    let name = ids::random().map_err(not_stored)?.simple().to_string();
    let reader = std::pin::pin!(StreamReader::new(rest));
    match runner.bodies.put(&name, head.freeze(), reader, BODY_BYTES_MAX).await {
        Ok(stored) => {
            let content_type = content_type.or_else(|| Some(outcome::media_type(None).to_owned()));
            Ok(Payload { content_type, size: stored.size, place: Place::Object(name) })
        }
        Err(error) => Err(match why.lock().ok().and_then(|mut why| why.take()) {
            Some(fault) => NoResult::Fault(fault),
            None if error.code == Code::TooLarge => {
                let megabytes = BODY_BYTES_MAX / (1024 * 1024);
                NoResult::NotStored(format!("the response is larger than {megabytes} MB"))
            }
            None => not_stored(error),
        }),
    }
}
