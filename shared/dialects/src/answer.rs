//! Answers as every dialect writes them: JSON, nothing, the head of a streamed body, and the error object of
//! reference/aimms.md §1.9, which our own API shares.

use domain::Payload;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use wire::{Code, Error};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain");
const LOG_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const ANY_BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");

/// The error object; names and order are AIMMS'.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorObject<'a> {
    /// The HTTP status.
    error_code: u16,
    /// A stable word for what happened.
    error_id: &'static str,
    /// What happened and what to do, for people.
    message: &'a str,
}

/// A value as JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Vec<u8>> {
    match serde_json::to_vec(value) {
        Ok(body) => json_text(status, body),
        Err(failed) => error(&Error::internal(failed)),
    }
}

/// JSON that is written already.
pub(crate) fn json_text(status: StatusCode, body: Vec<u8>) -> Response<Vec<u8>> {
    respond(status, [(CONTENT_TYPE, JSON)], body)
}

/// Plain ASCII text.
pub(crate) fn plain_text(body: Vec<u8>) -> Response<Vec<u8>> {
    respond(StatusCode::OK, [(CONTENT_TYPE, PLAIN_TEXT)], body)
}

/// The head of a log as text; `ingress` streams the lines behind it.
pub(crate) fn log() -> Response<Vec<u8>> {
    respond(StatusCode::OK, [(CONTENT_TYPE, LOG_TEXT), (X_CONTENT_TYPE_OPTIONS, NO_SNIFFING)], Vec::new())
}

/// The head of a stream of events; `ingress` streams them behind it. Nothing in between may keep them back.
pub(crate) fn events() -> Response<Vec<u8>> {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    respond(StatusCode::OK, headers, Vec::new())
}

/// 204: there is nothing, and nothing will come.
pub(crate) fn no_content() -> Response<Vec<u8>> {
    respond(StatusCode::NO_CONTENT, [], Vec::new())
}

/// 200 and nothing else.
pub(crate) fn empty() -> Response<Vec<u8>> {
    Response::new(Vec::new())
}

/// The head of a task's response; `ingress` streams the bytes behind it. The type comes from an app, so the
/// browser is told not to guess another.
pub(crate) fn body(payload: &Payload) -> Response<Vec<u8>> {
    let stored = payload.content_type.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    let headers = [
        (CONTENT_TYPE, stored.unwrap_or(ANY_BYTES)),
        (CONTENT_LENGTH, HeaderValue::from(payload.size)),
        (X_CONTENT_TYPE_OPTIONS, NO_SNIFFING),
    ];
    respond(StatusCode::OK, headers, Vec::new())
}

/// The error object with its status. The detail of an error is for the log and never gets here.
pub(crate) fn error(error: &Error) -> Response<Vec<u8>> {
    let status = status_of(error.code);
    let object =
        ErrorObject { error_code: status.as_u16(), error_id: id_of(error.code), message: &error.message };
    // An object of a number and two texts can always be written; an empty body would still carry the status.
    let body = serde_json::to_vec(&object).unwrap_or_default();
    let mut response = json_text(status, body);
    if matches!(error.code, Code::LaneFull | Code::Unavailable) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The answer where an outcome came that no plan of this API asks for.
pub(crate) fn unexpected(operation: &str) -> Response<Vec<u8>> {
    error(&unexpected_outcome(operation))
}

/// The same as an error, for an API that shows errors in its own shape.
pub(crate) fn unexpected_outcome(operation: &str) -> Error {
    Error::internal(format!("operation {operation} got an outcome that it has no words for"))
}

fn respond<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, HeaderValue); N],
    body: Vec<u8>,
) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    response
}

/// The HTTP status of each code.
pub fn status_of(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The stable word of each code, for programs that tell errors apart.
pub(crate) fn id_of(code: Code) -> &'static str {
    match code {
        Code::BadRequest => "BAD_REQUEST",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::Forbidden => "FORBIDDEN",
        Code::NotFound => "NOT_FOUND",
        Code::AppNotFound => "APP_NOT_FOUND",
        Code::LatestNotFound => "APP_LATEST_NOT_FOUND",
        Code::TaskNotFound => "TASK_NOT_FOUND",
        Code::WrongState => "WRONG_STATE",
        Code::Conflict => "CONFLICT",
        Code::KeyReused => "IDEMPOTENCY_KEY_REUSED",
        Code::TooLarge => "TOO_LARGE",
        Code::LaneFull => "LANE_FULL",
        Code::StorageFull => "STORAGE_FULL",
        Code::Unavailable => "UNAVAILABLE",
        Code::Timeout => "TIMEOUT",
        Code::StaleClaim => "STALE_CLAIM",
        Code::Internal => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_an_error_status_with_a_word_of_its_own() {
        let words: std::collections::HashSet<_> = Code::ALL.into_iter().map(id_of).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            let status = status_of(code);
            assert!(status.is_client_error() || status.is_server_error(), "{code:?}");
        }
    }

    #[test]
    fn the_detail_of_an_error_is_not_shown() {
        let response = error(&Error::internal("secret"));
        assert!(!String::from_utf8_lossy(response.body()).contains("secret"));
    }

    #[test]
    fn a_content_type_that_is_no_header_value_is_replaced() {
        let payload = Payload { content_type: Some("text/plain\r\nX: y".to_owned()), ..Payload::default() };
        assert_eq!(body(&payload).headers().get(CONTENT_TYPE), Some(&ANY_BYTES));
    }
}
