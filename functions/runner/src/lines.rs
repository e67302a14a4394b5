//! Text that a task process writes, cut into bounded, printable lines.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::secrets::redact;

/// The most bytes of one line; what is beyond goes into the next.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// What is read at once: what a pipe holds.
const READ_BYTES: usize = 64 * 1024;

/// Reads lines of bytes, without their ends, bounded in length.
pub struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of this reader.
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: BytesMut::new(), ended: false }
    }

    /// The next line; `None` at the end. Can be cancelled and called again without losing anything.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(line) = self.cut() {
                return Some(line);
            }
            if self.ended {
                return (!self.buffer.is_empty()).then(|| self.buffer.split().to_vec());
            }
            self.buffer.reserve(READ_BYTES);
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => self.ended = true,
                Ok(_) => {}
            }
        }
    }

    /// The reader below, for who reads from it by other means.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// Takes bytes that were read by other means, in their place behind what was read before.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next line that is complete already.
    pub fn cut(&mut self) -> Option<Vec<u8>> {
        let within = self.buffer.get(..=LINE_BYTES_MAX).unwrap_or(&self.buffer);
        match memchr::memchr(b'\n', within) {
            Some(end) => {
                let line = self.buffer.split_to(end + 1);
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
            }
            None if self.buffer.len() > LINE_BYTES_MAX => Some(self.buffer.split_to(LINE_BYTES_MAX).to_vec()),
            None => None,
        }
    }
}

/// A line for storing: text, no control characters that could move a terminal, no secrets.
pub fn clean(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut printable = String::with_capacity(text.len());
    printable.extend(text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }));
    redact(printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(text);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await {
            found.push(line);
        }
        found
    }

    #[tokio::test]
    async fn lines_are_cut_at_their_ends_and_at_the_bound() {
        assert_eq!(all(b"a\r\n\nb").await, [b"a".to_vec(), b"".to_vec(), b"b".to_vec()]);
        let long = vec![b'x'; LINE_BYTES_MAX * 2 + 5];
        let lengths: Vec<usize> = all(&long).await.iter().map(Vec::len).collect();
        assert_eq!(lengths, [LINE_BYTES_MAX, LINE_BYTES_MAX, 5]);
    }

    #[test]
    fn keys_and_control_characters_never_reach_the_store() {
        assert_eq!(clean(b"key tl1_abc_def! \x1b[31mred"), "key [redacted]! \u{fffd}[31mred");
        assert_eq!(clean(b"\xff\tok"), "\u{fffd}\tok");
    }
}
