//! HTTP byte by byte, for what no decent client would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::Http;
use crate::wait::PATIENCE;

/// One connection.
pub struct Raw {
    /// The connection itself.
    pub stream: TcpStream,
    host: String,
    key: String,
}

/// What a server answered on a connection, as far as a test looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status; 0 where the connection ended without an answer.
    pub status: u16,
    /// The head and, where it was read, the body.
    pub text: String,
}

impl Raw {
    /// Connects to the ingress of a client, whose key later requests send.
    pub async fn connect(http: &Http) -> Self {
        let host = http.url().trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).await.unwrap();
        Self { stream, host, key: http.key().unwrap_or_default().to_owned() }
    }

    /// A head with host and key, and the headers given as lines; without the empty line at its end.
    pub fn head(&self, request_line: &str, headers: &str) -> String {
        format!("{request_line} HTTP/1.1\r\nHost: {}\r\napiKey: {}\r\n{headers}", self.host, self.key)
    }

    /// Sends bytes. The server may have closed the connection already, which its answer tells.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Reads one answer: its head, and the body that its length announces.
    pub async fn reply(&mut self) -> Reply {
        self.reply_within(PATIENCE).await
    }

    /// The same with other patience, where the time itself is what is promised.
    pub async fn reply_within(&mut self, patience: Duration) -> Reply {
        let read = tokio::time::timeout(patience, self.read_reply()).await;
        read.unwrap_or_else(|_| panic!("no answer and no end within {patience:?}"))
    }

    async fn read_reply(&mut self) -> Reply {
        let mut bytes = Vec::new();
        let mut whole = usize::MAX;
        while bytes.len() < whole {
            // One byte at a time, so that nothing of a following answer is taken.
            match self.stream.read_u8().await {
                Ok(byte) => bytes.push(byte),
                Err(_) => break,
            }
            if whole == usize::MAX && bytes.ends_with(b"\r\n\r\n") {
                whole = bytes.len() + length(&String::from_utf8_lossy(&bytes));
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Reply { status, text }
    }

    /// Waits until the server has closed the connection.
    pub async fn until_closed(&mut self, patience: Duration) {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(patience, self.stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is still open after {patience:?}");
    }

    /// A whole request in one go, and its answer.
    pub async fn exchange(http: &Http, bytes: impl AsRef<[u8]>) -> Reply {
        let mut raw = Self::connect(http).await;
        raw.send(bytes).await;
        raw.reply().await
    }
}

fn length(head: &str) -> usize {
    if head.starts_with("HTTP/1.1 1") {
        return 0;
    }
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut of_length = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    of_length.next().map_or(0, |(_, value)| value.trim().parse().unwrap())
}
