//! The body of an answer: bytes at hand, or an object that is streamed. A streamed one that breaks off breaks
//! the connection, so that a short body never looks whole.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use broker::body::Bodies;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use wire::Error;

use crate::socket::InRequest;

/// Bytes that are answered.
pub enum Content {
    /// All of them.
    Whole(Bytes),
    /// An object.
    Object(Object),
    /// What another server answers, passed on as it comes.
    Passed(Incoming),
    /// Pieces of a text whose length nobody knows before its end.
    Pieces(mpsc::Receiver<Result<Bytes, Error>>),
}

/// An object on its way out.
pub struct Object {
    /// Read before the head is sent, so that an object that can't be read is an error with a status.
    first: Option<Bytes>,
    rest: mpsc::Receiver<Result<Bytes, Error>>,
    left: u64,
    _place: OwnedSemaphorePermit,
}

impl Content {
    /// A stored object. The place bounds how many are read at once; it is free again when the body is out.
    pub async fn object(
        bodies: &Bodies,
        name: &str,
        size: u64,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, Error> {
        let mut rest = bodies.read(name, size);
        let first = rest.recv().await.transpose()?;
        Ok(Self::Object(Object { first, rest, left: size, _place: place }))
    }
}

/// The body of an answer, on the connection of its request.
pub struct Output {
    content: Content,
    _in_request: Option<InRequest>,
}

impl Output {
    /// The body of the answer to this request.
    pub fn new(content: Content, in_request: InRequest) -> Self {
        Self { content, _in_request: Some(in_request) }
    }

    /// No body, on a connection that goes on as something else than HTTP: whoever has taken it over holds the
    /// request.
    pub fn upgraded() -> Self {
        Self { content: Content::Whole(Bytes::new()), _in_request: None }
    }
}

impl Object {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        while self.left > 0 {
            let piece = match self.first.take() {
                Some(piece) => Some(Ok(piece)),
                None => ready!(self.rest.poll_recv(cx)),
            };
            let piece = piece.unwrap_or_else(|| Err(Error::internal("an object ended too early")));
            let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
            let piece =
                if length > self.left { Err(Error::internal("an object is too long")) } else { piece };
            match piece {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => {
                    self.left -= length;
                    return Poll::Ready(Some(Ok(piece)));
                }
                Err(error) => {
                    tracing::error!(%error, "the body of an answer broke off");
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}

/// The next bytes of a body from elsewhere; trailers stay where they are.
fn poll_passed(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => return Poll::Ready(Some(Ok(data))),
                Err(_) => continue,
            },
            Some(Err(error)) => return Poll::Ready(Some(Err(Error::unavailable(error)))),
            None => return Poll::Ready(None),
        }
    }
}

/// The next piece that has something in it.
fn poll_text(
    pieces: &mut mpsc::Receiver<Result<Bytes, Error>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, Error>>> {
    loop {
        match ready!(pieces.poll_recv(cx)) {
            Some(Ok(piece)) if piece.is_empty() => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "the body of an answer broke off");
                return Poll::Ready(Some(Err(error)));
            }
            piece => return Poll::Ready(piece),
        }
    }
}

impl Body for Output {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let piece = match &mut self.get_mut().content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Content::Object(object) => ready!(object.poll_piece(cx)),
            Content::Passed(body) => ready!(poll_passed(body, cx)),
            Content::Pieces(pieces) => ready!(poll_text(pieces, cx)),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Output {
    fn left(&self) -> Option<u64> {
        match &self.content {
            Content::Whole(bytes) => Some(bytes.len() as u64),
            Content::Object(object) => Some(object.left),
            Content::Passed(body) => body.size_hint().exact(),
            Content::Pieces(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::socket::Line;

    async fn out(size: u64, pieces: Vec<Result<Bytes, Error>>) -> Result<Bytes, Error> {
        let (sender, rest) = mpsc::channel(8);
        for piece in pieces {
            sender.send(piece).await.unwrap();
        }
        drop(sender);
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let object = Object { first: Some(Bytes::from_static(b"ab")), rest, left: size, _place: place };
        let output = Output::new(Content::Object(object), InRequest::begin(&Arc::new(Line::default())));
        output.collect().await.map(|whole| whole.to_bytes())
    }

    #[tokio::test]
    async fn an_object_is_whole_or_an_error() {
        let piece = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
        assert_eq!(out(5, vec![piece(""), piece("cde")]).await, Ok(Bytes::from_static(b"abcde")));
        assert!(out(5, vec![piece("cd")]).await.is_err(), "too short");
        assert!(out(5, vec![piece("cdef")]).await.is_err(), "too long");
        assert!(out(5, vec![piece("cd"), Err(Error::unavailable("gone"))]).await.is_err(), "unreadable");
    }
}
