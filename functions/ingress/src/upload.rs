//! The body of a request as it arrives: in pieces, each within its time, and never more than was asked for.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};
use wire::{Code, Error};

use crate::socket::Line;

/// How long nothing may come.
const IDLE: Duration = Duration::from_secs(20);
/// What must have come on average once the idle time is over, in bytes per second. It ends bodies that drip.
const RATE_LEAST: u64 = 1024;

/// A body that arrives. Nothing is asked of the client before the first read, so that one that waits for
/// `100 Continue` sends nothing that is refused.
pub struct Upload {
    body: Incoming,
    line: Arc<Line>,
    received: u64,
    began: Option<Instant>,
}

impl Upload {
    /// The body of a request on this connection.
    pub fn new(body: Incoming, line: &Arc<Line>) -> Self {
        line.set_unread(!body.is_end_stream());
        Self { body, line: Arc::clone(line), received: 0, began: None }
    }

    /// The next piece, never empty; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = timeout_at(self.deadline(), self.body.frame()).await;
            let frame = frame.map_err(|_| broken("it came too slowly"))?;
            let Some(frame) = frame else {
                self.line.set_unread(false);
                return Ok(None);
            };
            let frame = frame.map_err(broken)?;
            // Frames without data are trailers, which say nothing to us.
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                self.received += data.len() as u64;
                return Ok(Some(data));
            }
        }
    }

    fn deadline(&mut self) -> Instant {
        let now = Instant::now();
        let began = *self.began.get_or_insert(now);
        let at_rate = began + IDLE + Duration::from_secs(self.received / RATE_LEAST);
        at_rate.min(now + IDLE)
    }

    /// Refuses a body whose head says that it is too long, before any of it is read.
    pub fn refuse_over(&self, most: u64) -> Result<(), Error> {
        if self.body.size_hint().lower() > most { Err(too_large(most)) } else { Ok(()) }
    }

    /// Reads until the end, or until there is more than `most`; true at the end.
    pub async fn up_to(&mut self, most: usize) -> Result<(Bytes, bool), Error> {
        let Some(first) = self.next().await? else { return Ok((Bytes::new(), true)) };
        if first.len() > most {
            return Ok((first, false));
        }
        // Most small bodies come in one piece, which then needs no copy.
        let Some(second) = self.next().await? else { return Ok((first, true)) };
        let mut all = BytesMut::from(&*first);
        all.extend_from_slice(&second);
        while all.len() <= most {
            match self.next().await? {
                Some(piece) => all.extend_from_slice(&piece),
                None => return Ok((all.freeze(), true)),
            }
        }
        Ok((all.freeze(), false))
    }

    /// The whole body, up to `most` bytes.
    pub async fn collect(&mut self, most: usize) -> Result<Bytes, Error> {
        self.refuse_over(most as u64)?;
        match self.up_to(most).await? {
            (all, true) => Ok(all),
            (_, false) => Err(too_large(most as u64)),
        }
    }

    /// Reads and drops the body, up to `most` bytes.
    pub async fn discard(&mut self, most: u64) -> Result<(), Error> {
        self.refuse_over(most)?;
        while self.next().await?.is_some() {
            if self.received > most {
                return Err(too_large(most));
            }
        }
        Ok(())
    }

    /// The pieces that are still to come.
    pub fn into_stream(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
        futures_util::stream::try_unfold(self, |mut upload| async move {
            let piece = upload.next().await.map_err(|error| std::io::Error::other(error.message))?;
            Ok(piece.map(|piece| (piece, upload)))
        })
    }
}

fn broken(reason: impl std::fmt::Display) -> Error {
    Error::new(Code::BadRequest, format!("the body broke off: {reason}"))
}

/// A body is longer than `most` bytes.
pub fn too_large(most: u64) -> Error {
    const MEGABYTE: u64 = 1024 * 1024;
    let bound = if most < MEGABYTE { format!("{most} bytes") } else { format!("{} MB", most / MEGABYTE) };
    Error::new(Code::TooLarge, format!("the body is larger than {bound}"))
}
