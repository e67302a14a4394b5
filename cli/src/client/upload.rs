//! Request bodies: nothing, bytes, or a file or pipe that is streamed and never held.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::ReaderStream;

use crate::error::CliError;

/// Bytes that are read at once. 64 KiB is where larger pieces stop being faster.
const PIECE: usize = 64 * 1024;

pub(super) type BoxBody = UnsyncBoxBody<Bytes, InputError>;

/// What a request carries.
pub enum Body {
    /// Nothing.
    Empty,
    /// Bytes at hand.
    Bytes(Bytes),
    /// A file or a pipe.
    Stream {
        /// Where the bytes come from.
        reader: Pin<Box<dyn AsyncRead + Send>>,
        /// How many there are, where that is known.
        length: Option<u64>,
        /// What it is called in messages.
        name: String,
    },
}

impl Body {
    /// A file, or the standard input for `-`.
    ///
    /// # Errors
    /// [`CliError::File`] where it can't be opened.
    pub async fn open(path: &Path) -> Result<Self, CliError> {
        let name = path.display().to_string();
        if name == "-" {
            let reader = Box::pin(tokio::io::stdin());
            return Ok(Self::Stream { reader, length: None, name: "the standard input".to_owned() });
        }
        let file = File::open(path).await.map_err(CliError::file("opening", path))?;
        let found = file.metadata().await.map_err(CliError::file("reading", path))?;
        if found.is_dir() {
            return Err(CliError::Usage(format!("{name} is a folder; --input-file takes a file")));
        }
        // Only a real file knows its length. One that grows meanwhile is sent as it was when we looked.
        if found.is_file() {
            let length = found.len();
            return Ok(Self::Stream { reader: Box::pin(file.take(length)), length: Some(length), name });
        }
        Ok(Self::Stream { reader: Box::pin(file), length: None, name })
    }

    pub(super) fn into_http(self) -> (BoxBody, Arc<Sending>) {
        let sending = Arc::new(Sending::default());
        let body = match self {
            Self::Empty => Empty::new().map_err(|never| match never {}).boxed_unsync(),
            Self::Bytes(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
            Self::Stream { reader, length, name } => {
                let pieces = ReaderStream::with_capacity(reader, PIECE);
                Upload { pieces, left: length, name, sending: Arc::clone(&sending) }.boxed_unsync()
            }
        };
        (body, sending)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("Empty"),
            Self::Bytes(bytes) => write!(out, "Bytes({})", bytes.len()),
            Self::Stream { length, name, .. } => write!(out, "Stream({name}, {length:?})"),
        }
    }
}

/// How far a body is, seen from outside while it is sent.
#[derive(Debug, Default)]
pub(super) struct Sending {
    bytes: AtomicU64,
    waits_for_input: AtomicBool,
}

impl Sending {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The silence is ours: the next bytes have not come out of the file or pipe yet.
    pub(super) fn waits_for_input(&self) -> bool {
        self.waits_for_input.load(Ordering::Relaxed)
    }
}

struct Upload {
    pieces: ReaderStream<Pin<Box<dyn AsyncRead + Send>>>,
    left: Option<u64>,
    name: String,
    sending: Arc<Sending>,
}

impl Upload {
    fn failed(&self, source: &io::Error) -> InputError {
        InputError { name: self.name.clone(), kind: source.kind(), message: source.to_string() }
    }

    fn account(&mut self, piece: io::Result<Bytes>) -> Result<Frame<Bytes>, InputError> {
        let piece = piece.map_err(|source| self.failed(&source))?;
        let length = piece.len() as u64;
        self.sending.bytes.fetch_add(length, Ordering::Relaxed);
        self.left = self.left.map(|left| left.saturating_sub(length));
        Ok(Frame::data(piece))
    }

    /// The length was announced, so a file that became shorter can't be sent any more.
    fn end(&self) -> Option<Result<Frame<Bytes>, InputError>> {
        let missing = self.left.filter(|left| *left > 0)?;
        let message = format!("it became shorter while it was read; {missing} bytes are missing");
        Some(Err(self.failed(&io::Error::new(io::ErrorKind::UnexpectedEof, message))))
    }
}

impl hyper::body::Body for Upload {
    type Data = Bytes;
    type Error = InputError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, InputError>>> {
        let polled = Pin::new(&mut self.pieces).poll_next(context);
        self.sending.waits_for_input.store(polled.is_pending(), Ordering::Relaxed);
        polled.map(|piece| match piece {
            Some(piece) => Some(self.account(piece)),
            None => self.end(),
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The input could not be read. It travels through hyper and is recognised again by its type.
#[derive(Debug)]
pub(super) struct InputError {
    name: String,
    kind: io::ErrorKind,
    message: String,
}

impl InputError {
    pub(super) fn to_cli_error(&self) -> CliError {
        let source = io::Error::new(self.kind, self.message.clone());
        CliError::File { doing: format!("reading {}", self.name), source }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "reading {}: {}", self.name, self.message)
    }
}

impl Error for InputError {}
