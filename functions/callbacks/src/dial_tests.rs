//! Names that lead elsewhere from one question to the next, as one does who wants to reach what only we can reach.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const ALLOWED: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const INNER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A server at each of the two addresses, on one port, with how often each was connected to.
async fn servers() -> (u16, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    loop {
        let allowed = TcpListener::bind((ALLOWED, 0)).await.unwrap();
        let port = allowed.local_addr().unwrap().port();
        // The port may be taken at the other address; then another one is tried.
        if let Ok(inner) = TcpListener::bind((INNER, port)).await {
            return (port, serve(allowed), serve(inner));
        }
    }
}

fn serve(listener: TcpListener) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = stream.read(&mut [0; 4096]).await;
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
    });
    count
}

/// A dialer that may reach one of them, with a resolver that gives these answers one after the other.
fn dialer(answers: &[&[IpAddr]]) -> (Dialer, Arc<AtomicUsize>) {
    let answers: Mutex<VecDeque<Vec<IpAddr>>> = Mutex::new(answers.iter().map(|all| all.to_vec()).collect());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let resolve: Resolve = Box::new(move |host, _| {
        assert_eq!(host, "hooks.example");
        count.fetch_add(1, Ordering::Relaxed);
        let answer = answers.lock().unwrap().pop_front().expect("a question too many");
        Box::pin(async move { Ok(answer) })
    });
    (Dialer::resolving(Outbound::default().with_loopback(), resolve), asked)
}

#[tokio::test]
async fn what_was_checked_is_what_is_connected_to() {
    let (port, allowed, inner) = servers().await;
    let url = format!("http://hooks.example:{port}/");
    // A second question within one request would be answered with the inner address.
    let (dialer, asked) = dialer(&[&[ALLOWED], &[INNER], &[INNER, ALLOWED], &[]]);
    dialer.ask(&url).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1, "a name is resolved once for a request");
    let refused = dialer.ask(&url).await.unwrap_err();
    assert!(refused.contains("127.0.0.2 is not a public address"), "{refused}");
    dialer.ask(&url).await.unwrap();
    let refused = dialer.ask(&url).await.unwrap_err();
    assert!(refused.contains("has no address"), "{refused}");
    let counts = [&allowed, &inner].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counts, [2, 0]);
}
