//! Answers: a kind of error to a response, and the headers every answer of a model carries.

use std::fmt::Write;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;

use crate::deploy::deployment::Deployment;
use crate::protocol;
use crate::serve::call::Timing;
use crate::serve::error::Error;

/// `application/json`, without a charset, as MLflow's server sends it.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

const MODEL_NAME: HeaderName = HeaderName::from_static("x-model-name");
const MODEL_VERSION: HeaderName = HeaderName::from_static("x-model-version");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Predictions.
pub(super) fn predictions(body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A refusal or a failure, in the words of the protocol.
pub(super) fn failure(error: &Error) -> Response<Body> {
    let answer = protocol::answer(error);
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    if let Some(after) = answer.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    }
    response
}

/// Says who answered.
pub(super) fn sign(response: &mut Response<Body>, deployment: &Deployment) {
    let headers = response.headers_mut();
    let (name, version) = deployment.labels();
    for (header, label) in [(MODEL_NAME, name), (MODEL_VERSION, version)] {
        // A name with control characters has no place in a header; it is left out.
        if let Ok(value) = HeaderValue::from_maybe_shared(label.clone()) {
            headers.insert(header, value);
        }
    }
}

/// Says where the time went, in milliseconds.
pub(super) fn time(response: &mut Response<Body>, timing: Timing) {
    let mut text = String::with_capacity(64);
    let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let written = write!(
        text,
        "queue;dur={:.3}, predict;dur={:.3}, total;dur={:.3}",
        millis(timing.queue),
        millis(timing.predict),
        millis(timing.total)
    );
    if let (Ok(()), Ok(value)) = (written, HeaderValue::from_maybe_shared(Bytes::from(text))) {
        response.headers_mut().insert(SERVER_TIMING, value);
    }
}
