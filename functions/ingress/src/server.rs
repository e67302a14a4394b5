//! The listener: takes connections as long as there is room, gives each to hyper within the bounds, and ends
//! them in order when the function is to stop.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use service::{CancellationToken, Context};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::handle::Door;
use crate::socket::{InRequest, Line, Socket};

/// Connections at once, where the limit of open files allows it.
const CONNECTIONS_MAX: usize = 8192;
/// Open files that such a number of connections needs.
const FILES_WANTED: u64 = 2 * CONNECTIONS_MAX as u64;
/// Connections that are always possible, however few files may be open.
const CONNECTIONS_LEAST: usize = 64;
/// How long a connection may stay without a request. hyper counts it from the end of the last one; a head
/// that is begun has less time, which `Socket` sees to.
const IDLE: Duration = Duration::from_secs(75);
/// The most bytes of a head, and of a body read ahead.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long requests may take to end after the stop.
const DRAIN: Duration = Duration::from_secs(25);
/// A pause after a failed accept: most often there are no files left, and trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the context is stopped and the requests have ended, or 25 s have passed since.
pub async fn serve(context: &Context, listener: TcpListener, door: Arc<Door>) {
    let places = Arc::new(Semaphore::new(connections_max()));
    let (connections, end) = (TaskTracker::new(), CancellationToken::new());
    // Where this future is dropped, as at the end of a process, no connection outlives it.
    let _end_on_drop = end.clone().drop_guard();
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening");
    }
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = context.stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, Arc::clone(&door), context.stop.clone());
                let end = end.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = connection => {}
                        () = end.cancelled() => {}
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    let drained = tokio::time::timeout(DRAIN, async {
        connections.wait().await;
        door.finish().await;
    });
    if drained.await.is_err() {
        tracing::warn!("requests that had not ended in time were cut off");
        end.cancel();
        connections.wait().await;
    }
}

/// Half of the files that may be open: the other half is for the broker and, in `dev`, for the tasks. Most
/// machines allow 1024 at first and many more to who asks.
fn connections_max() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
    let wanted = hard.min(FILES_WANTED).max(soft);
    let allowed = match setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        Ok(()) => wanted,
        Err(_) => soft,
    };
    usize::try_from(allowed / 2).unwrap_or(usize::MAX).clamp(CONNECTIONS_LEAST, CONNECTIONS_MAX)
}

async fn connection(stream: TcpStream, door: Arc<Door>, stop: CancellationToken) {
    // Answers are written whole, so waiting for more to send would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone at once");
        return;
    }
    let peer = stream.peer_addr().ok().map(|address| address.ip().to_canonical());
    let line = Arc::new(Line::of(peer));
    let socket = Socket::new(stream, Arc::clone(&line));
    let service = service_fn(move |request| {
        // Before anything more is read: the line forgets the head with the next byte of a body.
        let framed_twice =
            line.has_length() && request.headers().contains_key(http::header::TRANSFER_ENCODING);
        let in_request = InRequest::begin(&line);
        let (door, line) = (Arc::clone(&door), Arc::clone(&line));
        async move { Ok::<_, Infallible>(door.answer(request, &line, in_request, framed_twice).await) }
    });
    // The limit of 100 headers is hyper's own.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
