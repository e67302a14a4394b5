//! A log that is followed as server-sent events: how soon a line is seen after it was written.

use std::time::Duration;

use http::Method;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use service::clock;
use tokio::net::TcpStream;

use super::Amount;
use super::door::{Door, TALK};
use super::own::micros;
use crate::stack::StackError;
use crate::stack::bench::stats::Quantiles;

/// Lines a second: each comes alone.
pub const RATE: u64 = 100;

/// Follows one talker to its end.
pub async fn measure(door: &Door, amount: Amount) -> Result<Quantiles, StackError> {
    let seconds = amount.seconds * amount.rounds as u64;
    let id = door.create(TALK, "steady", &format!("{RATE} {seconds}\n")).await?;
    let stream = TcpStream::connect(door.address()).await.map_err(StackError::text)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(StackError::text)?;
    tokio::spawn(connection);
    let request = door.request(Method::GET, &format!("/tasklane/v1/tasks/{id}/logs/tail"));
    let request = request.body(Full::<bytes::Bytes>::default()).map_err(StackError::text)?;
    let mut events = sender.send_request(request).await.map_err(StackError::text)?.into_body();
    let (mut delays, mut waiting) = (Vec::new(), Vec::new());
    while let Some(frame) = events.frame().await {
        let Ok(piece) = frame.map_err(StackError::text)?.into_data() else { continue };
        waiting.extend_from_slice(&piece);
        let now = clock::now().micros();
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            delays.extend(written(&line).map(|written| micros(written, now)));
        }
    }
    let expected = usize::try_from(RATE * seconds).unwrap_or(usize::MAX);
    if delays.len() != expected {
        return Err(StackError::Text(format!("{} of {expected} lines were seen", delays.len())));
    }
    Ok(without_the_first(&delays))
}

/// When the line of an event was written, by its own words.
fn written(event: &[u8]) -> Option<i64> {
    let data: Value = serde_json::from_slice(event.strip_prefix(b"data: ")?).ok()?;
    data.get("text")?.as_str()?.split(' ').next()?.parse().ok()
}

/// What was written before the client was there does not count.
fn without_the_first(delays: &[Duration]) -> Quantiles {
    Quantiles::of(delays.get(usize::try_from(RATE).unwrap_or(0)..).unwrap_or(delays))
}
