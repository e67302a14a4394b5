//! What a request carries into the service: small bodies go into the record as they are, large ones into the
//! object store.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
pub use service::body::{digest, inline, inlined};
use wire::{Code, Error};

use crate::upload::Upload;

/// The most characters of a media type. It lies in the record, whatever the size of the body.
const CONTENT_TYPE_CHARS_MAX: usize = 256;

/// The body of a request, for the plan that takes it.
pub enum Body {
    /// Read already.
    Held(Bytes),
    /// Still to be read, up to so many bytes.
    Arriving(Upload, u64),
}

/// The media type of the body; what is no visible text counts as none.
pub fn content_type(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match text {
        Some(text) if text.len() > CONTENT_TYPE_CHARS_MAX => {
            let message = format!("header 'Content-Type' is longer than {CONTENT_TYPE_CHARS_MAX} characters");
            Err(Error::new(Code::BadRequest, message))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_media_type_is_kept_as_it_came_within_its_bound() {
        let of = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            content_type(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
        };
        assert_eq!(of(b"Text/Plain; charset=X"), Ok(Some("Text/Plain; charset=X".to_owned())));
        assert_eq!(of(b"\xff"), Ok(None));
        assert_eq!(content_type(&HeaderMap::new()), Ok(None));
        assert_eq!(of(&[b'a'; 257]).unwrap_err().code, Code::BadRequest);
    }
}
