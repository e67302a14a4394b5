//! Looks through the head of a request, as it comes in, for a `Content-Length`. hyper drops that header where
//! there is a `Transfer-Encoding` too, but such a request is refused: a proxy before us may have read it by
//! the other of the two and would see another request than we do.

const NAME: &[u8] = b"content-length";

/// A scan over one head, piece by piece.
#[derive(Debug, Default)]
pub struct HeadScan {
    /// Characters of the line so far.
    line: usize,
    /// The line may still be the header that is looked for.
    mismatch: bool,
    /// A line with something in it has come. Empty lines before it are not the end.
    begun: bool,
    ended: bool,
}

impl HeadScan {
    /// Takes the next bytes; true if the header was completed in them. What follows the head is not looked at.
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        let mut found = false;
        for byte in bytes {
            if self.ended {
                break;
            }
            match byte {
                b'\n' => {
                    self.ended = self.begun && self.line == 0;
                    self.begun |= self.line > 0;
                    (self.line, self.mismatch) = (0, false);
                }
                b'\r' => {}
                byte => {
                    let fits = NAME.get(self.line).is_some_and(|wanted| wanted.eq_ignore_ascii_case(byte));
                    found |= !self.mismatch && *byte == b':' && self.line == NAME.len();
                    self.mismatch |= !fits;
                    self.line += 1;
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_length(text: &str, piece: usize) -> bool {
        let mut scan = HeadScan::default();
        text.as_bytes().chunks(piece).fold(false, |found, piece| scan.take(piece) | found)
    }

    #[test]
    fn the_header_is_found_in_the_head_alone_and_across_pieces() {
        let table = [
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", true),
            ("\r\n\r\nPOST / HTTP/1.1\r\nCONTENT-length:3\r\n\r\n", true),
            ("POST / HTTP/1.1\ncontent-length: 3\n\nabc", true),
            ("POST / HTTP/1.1\r\nX-Content-Length: 3\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nContent-Lengths: 3\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nX: content-length: 3\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\ncontent-length: 3\r\n", false),
        ];
        for (text, expected) in table {
            for piece in [1, 2, 7, 1024] {
                assert_eq!(has_length(text, piece), expected, "{text:?} in pieces of {piece}");
            }
        }
    }
}
