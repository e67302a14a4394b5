//! Signatures of requests: what is signed, in which forms of the path, and within which time. The secret signs
//! and is also part of the signed text, as every known client does it (the reference, A3).

use data_encoding::BASE64;
use domain::Timestamp;
use hmac::{Hmac, Mac};
use http::Method;
use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use wire::Error;

use crate::path::decode;
use crate::{Request, bad, moment};

/// A request may be so old.
const PAST_MICROS: i64 = 5 * 60 * 1_000_000;
/// Or so far ahead.
const AHEAD_MICROS: i64 = 60 * 1_000_000;

/// What stands for the secret in the text that a refused caller is shown.
const HIDDEN: &str = "SECRETKEY";

/// The parts of the signed text, beside the secret.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'r> {
    /// The method.
    pub method: &'r Method,
    /// The header `sym-date`, as it is sent.
    pub date: &'r str,
    /// The customer.
    pub cid: &'r str,
    /// The body, as it is sent.
    pub body: &'r [u8],
    /// The path, without the query.
    pub path: &'r str,
    /// The query, without its question mark.
    pub query: &'r str,
}

impl Signed<'_> {
    /// The signed bytes, with the secret or with what stands for it.
    fn text(&self, secret: &str) -> Vec<u8> {
        let md5 = if self.body.is_empty() { String::new() } else { md5_of(self.body) };
        let head = format!("{}\n{md5}\n{secret}\n{}\n{}\n", self.method, self.date, self.cid);
        let mut text = head.into_bytes();
        for part in [self.body, self.path.as_bytes(), self.query.as_bytes()] {
            if !part.is_empty() {
                text.extend_from_slice(part);
                text.push(b'\n');
            }
        }
        text
    }

    /// The header `Authorization`; `None` if the secret is none of this API.
    pub fn signature(&self, secret: &str) -> Option<String> {
        let key = BASE64.decode(secret.as_bytes()).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(&self.text(secret));
        Some(BASE64.encode(&mac.finalize().into_bytes()))
    }
}

/// The header `Content-MD5`.
pub fn md5_of(body: &[u8]) -> String {
    BASE64.encode(&Md5::digest(body))
}

/// Whether `sym-date` is in the form of this API and within its window.
pub(super) fn check_date(text: &str, now: Timestamp) -> Result<(), Error> {
    let wrong = || bad("Invalid Date Format");
    let (clock, nanoseconds) = text.split_once(';').unwrap_or((text, "0"));
    let has_digits = nanoseconds.bytes().all(|byte| byte.is_ascii_digit()) && nanoseconds.len() <= 9;
    if clock.len() != "yyyy-MM-dd HH:mm:ss".len() || !clock.contains(' ') || !has_digits {
        return Err(wrong());
    }
    let sent = moment::parse(clock).ok_or_else(wrong)?;
    let age = now.micros().saturating_sub(sent.micros());
    if (-AHEAD_MICROS..=PAST_MICROS).contains(&age) {
        return Ok(());
    }
    Err(bad("Please update your server time, it is likely out of sync with UTC"))
}

/// Whether the header is the signature of the request in one of the forms that clients sign.
pub(super) fn matches(request: &Request<'_>, cid: &str, secret: &str) -> bool {
    let sent = request.header("authorization").unwrap_or_default();
    let mut matches = false;
    for path in paths(request) {
        let signature = signed(request, cid, &path).signature(secret).unwrap_or_default();
        matches |= bool::from(signature.as_bytes().ct_eq(sent.as_bytes()));
    }
    matches
}

/// The text that should have been signed, with the secret hidden. Its line breaks are written `\n`, as this API
/// shows them.
pub(super) fn shown(request: &Request<'_>, cid: &str) -> String {
    let text = signed(request, cid, request.raw_path).text(HIDDEN);
    String::from_utf8_lossy(&text).replace('\n', "\\n")
}

fn signed<'r>(request: &Request<'r>, cid: &'r str, path: &'r str) -> Signed<'r> {
    let header = |name| request.headers.get(name).and_then(|value| value.to_str().ok());
    Signed {
        method: request.method,
        date: header("sym-date").unwrap_or_default(),
        cid,
        body: request.body,
        path,
        query: request.query,
    }
}

/// The path as clients sign it: as it was sent, decoded, or without what we made normal; each also without its
/// first slash or with the address before it.
fn paths(request: &Request<'_>) -> Vec<String> {
    let mut bare: Vec<String> = Vec::new();
    for path in [request.raw_path, request.path] {
        let decoded = decode(path.bytes());
        bare.extend(std::iter::once(path.to_owned()).chain(decoded));
    }
    bare.sort();
    bare.dedup();
    let host = request.header("host").unwrap_or_default();
    let forms = |path: &String| {
        let relative = path.trim_start_matches('/').to_owned();
        [path.clone(), relative, format!("http://{host}{path}"), format!("https://{host}{path}")]
    };
    bare.iter().flat_map(forms).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "VLmAm+WkpnA5zp2wXiSYkw==";
    const BODY: &str = "rWCGZuo1kD8ZN4Qvy0h2QenuGYQ7fPyK3UKEOo9nmMkoaIa6l3xe4sqOKZE1zSUt0v1oZdcT448lXazxLl4OzDdiJpdr0P0L\
                        E8VGUmh/uDDxu14qNvL3YCZY+rtKbEKH";

    #[test]
    fn the_vectors_of_the_reference_hold() {
        let table = [
            (Method::GET, "", "/symetry/rest/c1/tasks", "", "7i0zLds4ZyCNo4CSIctaW7A8wYIgGD3xmi7IvtwKv3w="),
            (
                Method::DELETE,
                "",
                "/symetry/rest/c1/tasks/t1",
                "",
                "fQafrLYi3dzIKVrH7LsICdX7Gqs6yAZJGLb8NtWsIEk=",
            ),
            (
                Method::POST,
                BODY,
                "/symetry/rest/c1/tasks/create",
                "",
                "bRT+nRlkztPVX6Y6I4LEu0V8Bex6LY7oBwwvhB1MrtE=",
            ),
            (
                Method::POST,
                BODY,
                "/symetry/rest/c1/tasks/create",
                "force=true",
                "qrGVBjuYrqYDnYY065vsF8VYaiQnyKP5S6aPDJmNUos=",
            ),
        ];
        for (method, body, path, query, signature) in table {
            let body = body.as_bytes();
            let signed =
                Signed { method: &method, date: "2014-07-31 08:01:07;1245", cid: "c1", body, path, query };
            assert_eq!(signed.signature(SECRET).as_deref(), Some(signature), "{method} {path}?{query}");
        }
        assert_eq!(md5_of(BODY.as_bytes()), "t6cxdqsYOnaeLSfZd0flhA==");
    }

    #[test]
    fn the_printed_hmac_of_the_older_guide_holds() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"0f2100e34b54d50fd0138f300d3497579dae5279").unwrap();
        mac.update(b"secret-message");
        assert_eq!(
            BASE64.encode(&mac.finalize().into_bytes()),
            "op/4IM8dc5DwpUYBhywVl0V5ddlEMjFRq6qfKOj2+io="
        );
    }

    #[test]
    fn a_date_is_in_its_form_and_within_its_window() {
        let now = Timestamp::parse("2014-07-31T08:01:07Z").unwrap();
        for good in [
            "2014-07-31 08:01:07",
            "2014-07-31 08:01:07;1245",
            "2014-07-31 08:01:07;000000",
            "2014-07-31 07:56:07;0",
            "2014-07-31 08:02:07;0",
        ] {
            assert_eq!(check_date(good, now), Ok(()), "{good}");
        }
        for (late, word) in [("2014-07-31 07:56:06", "out of sync"), ("2014-07-31 08:02:08;9", "out of sync")]
        {
            assert!(check_date(late, now).unwrap_err().message.contains(word), "{late}");
        }
        for bad in [
            "",
            "now",
            "2014-07-31",
            "2014-07-31T08:01:07",
            "2014-07-31 08:01:07Z",
            "2014-07-31 08:01",
            "2014-07-31 08:01:07;x",
            "2014-07-31 08:01:07;1;2",
            "2014-02-30 08:01:07",
        ] {
            assert_eq!(check_date(bad, now).unwrap_err().message, "Invalid Date Format", "{bad}");
        }
    }
}
