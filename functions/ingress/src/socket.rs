//! One client's connection, with the bounds that hyper does not set: a head that is begun comes to its end in
//! time, an answer is taken in time, and a client that still sends when it is refused can read why.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::head::HeadScan;

/// From the first byte of a request to the end of its head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may take nothing of its answer.
const WRITE_STALL: Duration = Duration::from_secs(30);
/// How long we go on reading what nobody wants. A connection that is closed with unread bytes is reset, and
/// a reset takes the answer from a client that had not read it yet.
const LINGER: Duration = Duration::from_secs(5);

/// What the socket and the requests on it know of each other.
#[derive(Debug, Default)]
pub struct Line {
    peer: Option<IpAddr>,
    /// Odd while a request is worked on, even between two requests.
    turn: AtomicU32,
    unread: AtomicBool,
    has_length: AtomicBool,
}

impl Line {
    /// That of a client at this address.
    pub fn of(peer: Option<IpAddr>) -> Self {
        Self { peer, ..Self::default() }
    }

    /// From where the client speaks.
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// A body has come, or is to come, that nobody has read.
    pub fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// Notes whether there are bytes of a body that nobody has read.
    pub fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Relaxed);
    }

    /// The head that came last has a `Content-Length`. Only true until more is read.
    pub fn has_length(&self) -> bool {
        self.has_length.load(Ordering::Relaxed)
    }
}

/// A request is worked on as long as this lives: until its answer is written or given up.
#[derive(Debug)]
pub struct InRequest(Arc<Line>);

impl InRequest {
    /// From here on the bytes that come are no head.
    pub fn begin(line: &Arc<Line>) -> Self {
        line.turn.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(line))
    }
}

impl Drop for InRequest {
    fn drop(&mut self) {
        self.0.turn.fetch_add(1, Ordering::Relaxed);
    }
}

/// The connection.
pub struct Socket {
    stream: TcpStream,
    line: Arc<Line>,
    turn: u32,
    scan: HeadScan,
    head_began: Option<Instant>,
    head_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    linger: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Takes over a fresh connection.
    pub fn new(stream: TcpStream, line: Arc<Line>) -> Self {
        Self {
            stream,
            line,
            turn: 0,
            scan: HeadScan::default(),
            head_began: None,
            head_timer: None,
            write_timer: None,
            linger: None,
        }
    }

    /// Forgets the last head once its request was begun; true between two requests.
    fn is_between(&mut self) -> bool {
        let turn = self.line.turn.load(Ordering::Relaxed);
        if turn != self.turn {
            self.turn = turn;
            self.scan = HeadScan::default();
            (self.head_began, self.head_timer) = (None, None);
            self.line.has_length.store(false, Ordering::Relaxed);
        }
        turn.is_multiple_of(2)
    }

    fn take_head(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.head_began.get_or_insert_with(Instant::now);
            if self.scan.take(bytes) {
                self.line.has_length.store(true, Ordering::Relaxed);
            }
        }
    }

    fn head_is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(began) = self.head_began else { return false };
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep_until(began + HEAD_TIME)));
        timer.as_mut().poll(cx).is_ready()
    }

    /// Passes on how a write went; one that makes no way for too long fails.
    fn timed<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write_timer = None;
            return polled;
        }
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep(WRITE_STALL)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads and drops what still comes, until the client closes or the time is over.
    fn discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut space = [0; 16 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if this.is_between() {
            this.take_head(buffer.filled().get(before..).unwrap_or_default());
            if polled.is_pending() && this.head_is_late(cx) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.timed(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.timed(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        // A head that was begun and led to no request is one that hyper refused.
        let was_refused = this.is_between() && this.head_began.is_some();
        if this.line.is_unread() || was_refused {
            ready!(this.discard(cx));
        }
        Poll::Ready(Ok(()))
    }
}
