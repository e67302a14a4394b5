//! Errors as the Task Engine says them: 400 for whatever the caller did wrong, 401 in its own words, and the
//! number of the job beside the message where a job was meant.

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use wire::{Code, Error};

use crate::{Request, answer};

/// An error where no job is known.
pub(super) fn error(error: &Error) -> Response<Vec<u8>> {
    respond(error, json!({ "error": error.message }))
}

/// An error of one operation.
pub(super) fn refusal(operation: &str, request: &Request<'_>, error: &Error) -> Response<Vec<u8>> {
    let message = match (error.code, operation) {
        (Code::TaskNotFound, _) if !request.parameter("id").is_empty() => {
            format!("Job not found: {}", crate::text::shown(request.parameter("id")))
        }
        (Code::Internal, "create_job") => {
            // A text and no object, quotes and all: so it is documented.
            let text = b"\"Unable to create job request\"".to_vec();
            return answer::json_text(StatusCode::INTERNAL_SERVER_ERROR, text);
        }
        _ => error.message.clone(),
    };
    let body = match operation {
        "create_job" => json!({ "id": Value::Null, "error": message }),
        "update_job" | "patch_job" => json!({ "id": request.parameter("id"), "error": message }),
        _ => json!({ "error": message }),
    };
    respond(error, body)
}

fn respond(error: &Error, body: Value) -> Response<Vec<u8>> {
    let status = status(error.code);
    if status == StatusCode::UNAUTHORIZED {
        return answer::json(status, &json!({ "result": "Unauthorised request." }));
    }
    let mut response = answer::json(status, &body);
    if matches!(error.code, Code::LaneFull | Code::Unavailable) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// There is no 403 and no 404 here: a key without the scope is no key, and what is not there is a bad request.
fn status(code: Code) -> StatusCode {
    match code {
        Code::Unauthenticated | Code::Forbidden => StatusCode::UNAUTHORIZED,
        Code::BadRequest
        | Code::NotFound
        | Code::AppNotFound
        | Code::LatestNotFound
        | Code::TaskNotFound
        | Code::WrongState
        | Code::Conflict
        | Code::StaleClaim
        | Code::KeyReused => StatusCode::BAD_REQUEST,
        Code::TooLarge
        | Code::LaneFull
        | Code::StorageFull
        | Code::Unavailable
        | Code::Timeout
        | Code::Internal => answer::status_of(code),
    }
}
