//! Paths as clients write them: made normal before routing, decoded segment by segment after it.

use wire::Error;

use crate::bad;
use crate::text::shown;

/// The path without doubled and trailing slashes, which clients of AIMMS send (reference/aimms.md §1.1).
/// Percent escapes stay, so that an escaped slash never becomes a separator.
pub fn normal_path(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        normal.push('/');
        normal.push_str(part);
    }
    if normal.is_empty() {
        normal.push('/');
    }
    normal
}

/// One segment of a path, percent-decoded. A bad escape, bytes that are no UTF-8, and NUL are refused.
pub fn segment(text: &str) -> Result<String, Error> {
    decode(text.bytes()).ok_or_else(|| {
        bad(format!("the path segment '{}' is not valid percent-encoded UTF-8 text", shown(text)))
    })
}

/// Percent-decodes; `None` for a bad escape, bytes that are no UTF-8, or NUL.
pub(crate) fn decode(mut bytes: impl Iterator<Item = u8>) -> Option<String> {
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
            decoded.push(high * 16 + low);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok().filter(|text| !text.contains('\0'))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_made_single_and_escapes_stay() {
        let table = [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/pro-api/v2//tasks/App/1.0/Svc/", "/pro-api/v2/tasks/App/1.0/Svc"),
            ("/a%2F%2Fb//", "/a%2F%2Fb"),
            ("*", "/*"),
        ];
        for (path, normal) in table {
            assert_eq!(normal_path(path), normal, "{path:?}");
            assert_eq!(normal_path(normal), normal, "normal stays normal");
        }
    }

    #[test]
    fn segments_are_decoded_or_refused() {
        for (text, decoded) in [("a%20b", "a b"), ("a+b", "a+b"), ("%C3%bc", "ü"), ("a%2Fb", "a/b"), ("", "")]
        {
            assert_eq!(segment(text).as_deref(), Ok(decoded), "{text:?}");
        }
        for text in ["%", "%4", "a%zz", "%ff", "%00", "%+1"] {
            assert_eq!(segment(text).unwrap_err().code, wire::Code::BadRequest, "{text:?}");
        }
    }
}
