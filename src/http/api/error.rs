//! Failures of predictions in the one shape of errors that this API has: `{"error_code": …, "message": …}`.

use axum::body::Body;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, Response, StatusCode};

use crate::http::admin::refusal;
use crate::serve::error::{Error, Kind};

/// The answer to a request for predictions that was refused or failed.
pub(in crate::http) fn of_call(error: &Error) -> Response<Body> {
    let (status, code) = match error.kind() {
        Kind::InvalidInput | Kind::ModelFailed => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
        Kind::SchemaViolation | Kind::InvalidParams | Kind::UnknownVariant => {
            (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE")
        }
        Kind::UnsupportedMedia => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "BAD_REQUEST"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "BAD_REQUEST"),
        Kind::UnknownSlot => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
        Kind::Overloaded | Kind::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
        Kind::Deadline => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
    };
    let message = match (error.kind(), error.detail()) {
        // What went wrong inside goes to the log, not to the client.
        (Kind::Internal, _) => "Internal Server Error".to_owned(),
        (_, Some(detail)) => format!("{} {detail}", error.message()),
        (_, None) => error.message().to_owned(),
    };
    let mut response = refusal(status, code, &message);
    if let Some(after) = error.retry_after() {
        let seconds = HeaderValue::from(after.as_secs().max(1));
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// 408: the body did not arrive in time.
pub(in crate::http) fn slow() -> Response<Body> {
    refusal(
        StatusCode::REQUEST_TIMEOUT,
        "REQUEST_TIMEOUT",
        "The body did not arrive in time; see --client-timeout.",
    )
}
