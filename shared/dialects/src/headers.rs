//! Request headers that mean the same in every dialect: the API key, the idempotency key, and how long to wait.

use http::HeaderMap;
use wire::Error;

use crate::bad;

/// The longest wait for the end of a task that one request may ask for.
pub(crate) const WAIT_SECONDS_MAX: u64 = 60;

/// The most characters of an `Idempotency-Key`.
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// The text of the one header of this name; none if it is missing or there are several, which could contradict.
pub(crate) fn api_key(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all("apikey").iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (None, _) | (_, Some(_)) => None,
    }
}

/// The value of `Idempotency-Key`, taken as it is: 1 to 255 visible ASCII characters.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad("header 'Idempotency-Key' is given more than once; give it once"));
    }
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || !(1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&text.len()) {
        return Err(bad(format!(
            "header 'Idempotency-Key' must have 1 to {IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters and no spaces"
        )));
    }
    Ok(Some(text.to_owned()))
}

/// The milliseconds that `Prefer: wait=SECONDS` (RFC 7240) asks to wait, at most 60,000. A preference that is
/// not understood is no error there, so it counts as none.
pub(crate) fn preferred_wait_ms(headers: &HeaderMap) -> u64 {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let seconds = values.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next().unwrap_or_default().split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("wait").then(|| value.parse::<u64>().ok()).flatten()
    });
    wait_ms(seconds.unwrap_or(0))
}

/// Seconds to wait, within the bound, in milliseconds.
pub(crate) fn wait_ms(seconds: u64) -> u64 {
    seconds.min(WAIT_SECONDS_MAX) * 1000
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn the_wait_is_read_from_every_form_that_the_rfc_allows() {
        let table: [(&[_], u64); 8] = [
            (&[], 0),
            (&[("prefer", "wait=10")], 10_000),
            (&[("prefer", "respond-async, Wait=\"10\"; x=y")], 10_000),
            (&[("prefer", "handling=lenient"), ("prefer", "wait = 2")], 2_000),
            (&[("prefer", "wait=3600")], 60_000),
            (&[("prefer", "wait=soon")], 0),
            (&[("prefer", "wait=-1")], 0),
            (&[("prefer", "return=minimal")], 0),
        ];
        for (pairs, expected) in table {
            assert_eq!(preferred_wait_ms(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn an_idempotency_key_is_visible_ascii_and_alone() {
        let long = "k".repeat(255);
        for good in ["k", "\"8e03978e\"", long.as_str()] {
            assert_eq!(idempotency_key(&headers(&[("idempotency-key", good)])), Ok(Some(good.to_owned())));
        }
        let longer = "k".repeat(256);
        for bad in ["", "a b", "ü", longer.as_str()] {
            assert!(idempotency_key(&headers(&[("idempotency-key", bad)])).is_err(), "{bad:?}");
        }
        assert!(idempotency_key(&headers(&[("idempotency-key", "a"), ("idempotency-key", "a")])).is_err());
    }

    #[test]
    fn two_api_keys_are_no_api_key() {
        assert_eq!(api_key(&headers(&[("apikey", "a")])), Some("a"));
        assert_eq!(api_key(&headers(&[("apikey", "a"), ("apikey", "b")])), None);
        assert_eq!(api_key(&headers(&[])), None);
    }
}
