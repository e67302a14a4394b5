//! Addresses: the base URL of the service, and paths and queries built so that no name can change their shape.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// The address of the service: scheme, host, port, and perhaps a path in front of every other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    secure: bool,
    host: String,
}

impl BaseUrl {
    /// The connection is to be encrypted.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The service is on this machine, as far as its name tells.
    pub fn is_local(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The whole address of one path, which begins with a slash and may end with a query.
    ///
    /// # Errors
    /// A sentence if the address is longer than HTTP clients take.
    pub fn join(&self, path: &str) -> Result<Uri, String> {
        format!("{}{path}", self.text).parse().map_err(|error| format!("{path} is no usable path: {error}"))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "--url or TASKLANE_URL must be an address such as http://127.0.0.1:8080";
        let uri: Uri = text.parse().map_err(|error| format!("{expected} ({error})"))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(format!("{expected}, with http:// or https://")),
        };
        let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
            return Err(format!("{expected}, with a host"));
        };
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(format!("{expected}, without a user, a password or a query"));
        }
        let host = authority.host().to_owned();
        Ok(Self { text: text.trim_end_matches('/').to_owned(), secure, host })
    }
}

/// A path from its parts: each part is one segment, whatever characters it has.
pub fn path<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    parts.into_iter().fold(String::new(), |path, part| path + "/" + &encoded(part))
}

/// Adds a query of names and values to a path. No pairs, no question mark.
pub fn with_query(path: &str, pairs: &[(&str, String)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// Percent-encodes all but the letters, digits and signs that mean nothing anywhere in a URL (RFC 3986 §2.3).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_their_segment() {
        let built = path(["tasklane", "v1", "apps", "a/b c?d#e%41;ü+&=", "grants", "ann"]);
        assert_eq!(built, "/tasklane/v1/apps/a%2Fb%20c%3Fd%23e%2541%3B%C3%BC%2B%26%3D/grants/ann");
        let base: BaseUrl = "http://127.0.0.1:8080".parse().unwrap();
        assert_eq!(base.join(&built).unwrap().path(), built);
    }

    #[test]
    fn queries_keep_their_values_apart() {
        assert_eq!(with_query("/tasks", &[]), "/tasks");
        let pairs = [("app", "A&b=c d+e".to_owned()), ("limit", "5".to_owned())];
        assert_eq!(with_query("/tasks", &pairs), "/tasks?app=A%26b%3Dc%20d%2Be&limit=5");
    }

    #[test]
    fn base_urls_are_checked_and_joined() {
        let base: BaseUrl = "https://tasks.example.org/lane/".parse().unwrap();
        assert!(base.is_secure() && !base.is_local());
        assert_eq!(base.join("/x?y=z").unwrap().to_string(), "https://tasks.example.org/lane/x?y=z");
        for local in ["http://127.0.0.1:1", "http://localhost", "http://[::1]:8080/"] {
            assert!(local.parse::<BaseUrl>().unwrap().is_local(), "{local}");
        }
        let bad =
            ["", "8080", "localhost:8080", "ftp://a", "http://", "http://u:p@a", "http://a/?x=1", "/tasks"];
        for bad in bad {
            let message = bad.parse::<BaseUrl>().unwrap_err();
            assert!(message.contains("TASKLANE_URL"), "{bad}: {message}");
        }
    }
}
