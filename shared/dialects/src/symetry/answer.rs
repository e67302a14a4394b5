//! The envelope of this API: a code as a word, a text, and an object that is never missing. The number is the
//! HTTP status alone (the reference, A2).

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use wire::{Code, Error};

/// The seed's number for a created task; its word is `CREATED` all the same.
pub(super) const CREATED: StatusCode = StatusCode::ACCEPTED;

/// The envelope with a status, its word, a text and values.
pub(super) fn envelope(status: StatusCode, word: &str, text: &str, values: &Value) -> Response<Vec<u8>> {
    let body = json!({ "statusCode": word, "statusString": text, "values": values });
    let mut response = Response::new(body.to_string().into_bytes());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Start and stop are GET requests here, so nothing between may answer in our place.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 200 with values.
pub(super) fn ok(text: &str, values: &Value) -> Response<Vec<u8>> {
    envelope(StatusCode::OK, "OK", text, values)
}

/// An error in the envelope.
pub(super) fn error(error: &Error, values: &Value) -> Response<Vec<u8>> {
    let status = status_of(error.code);
    let mut response = envelope(status, &word_of(status), &error.message, values);
    if matches!(error.code, Code::Unavailable) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// This API names neither 403, 404 for a thing, nor 429: what is unknown is a bad request there, what is not
/// allowed is unauthorized, and what is full or used is a conflict.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::TaskNotFound | Code::AppNotFound | Code::LatestNotFound => StatusCode::BAD_REQUEST,
        Code::Forbidden => StatusCode::UNAUTHORIZED,
        Code::LaneFull | Code::KeyReused => StatusCode::CONFLICT,
        Code::BadRequest
        | Code::Unauthenticated
        | Code::NotFound
        | Code::WrongState
        | Code::Conflict
        | Code::TooLarge
        | Code::StorageFull
        | Code::Unavailable
        | Code::Timeout
        | Code::StaleClaim
        | Code::Internal => crate::status_of(code),
    }
}

/// `BAD_REQUEST` for 400, and so on.
fn word_of(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or_default().to_uppercase().replace(' ', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_its_word_its_text_and_empty_values() {
        for (code, status, word) in [
            (Code::BadRequest, 400, "BAD_REQUEST"),
            (Code::TaskNotFound, 400, "BAD_REQUEST"),
            (Code::Unauthenticated, 401, "UNAUTHORIZED"),
            (Code::Conflict, 409, "CONFLICT"),
            (Code::LaneFull, 409, "CONFLICT"),
            (Code::Internal, 500, "INTERNAL_SERVER_ERROR"),
            (Code::Unavailable, 503, "SERVICE_UNAVAILABLE"),
        ] {
            let response = error(&Error::new(code, "why"), &json!({}));
            assert_eq!(response.status().as_u16(), status);
            let text = format!(r#"{{"statusCode":"{word}","statusString":"why","values":{{}}}}"#);
            assert_eq!(String::from_utf8_lossy(response.body()), text);
        }
    }
}
