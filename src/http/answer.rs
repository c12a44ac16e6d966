//! Answers: a kind of error to a response, and the headers every answer of a model carries.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;

use super::compression::Coded;
use super::encoding;
use crate::deploy::deployment::Deployment;
use crate::protocol;
use crate::serve::call::Timing;
use crate::serve::error::Error;

/// `application/json`, without a charset, as MLflow's server sends it.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

const MODEL_NAME: HeaderName = HeaderName::from_static("x-model-name");
const MODEL_VERSION: HeaderName = HeaderName::from_static("x-model-version");
const MODEL_VARIANT: HeaderName = HeaderName::from_static("x-model-variant");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Predictions.
pub(super) fn predictions(body: Coded) -> Response<Body> {
    let mut response = body.into_response();
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

/// A refusal of the body's content coding, which says what is read (RFC 9110, 15.5.16).
pub(super) fn unread_coding(error: &Error) -> Response<Body> {
    let mut response = failure(error);
    response
        .headers_mut()
        .insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding::READ));
    response
}

/// Says who answered.
pub(super) fn sign(response: &mut Response<Body>, deployment: &Deployment) {
    let headers = response.headers_mut();
    let labels = deployment.labels();
    let variant = labels.variant.as_ref().map(|variant| (MODEL_VARIANT, variant));
    let labels = [(MODEL_NAME, &labels.name), (MODEL_VERSION, &labels.version)];
    for (header, label) in labels.into_iter().chain(variant) {
        // A name with control characters has no place in a header; it is left out.
        if let Ok(value) = HeaderValue::from_maybe_shared(label.clone()) {
            headers.insert(header, value);
        }
    }
}

/// Says where the time went, in milliseconds.
pub(super) fn time(response: &mut Response<Body>, timing: Timing) {
    let mut text = Vec::with_capacity(ROOM);
    let stages = [
        (&b"queue;dur="[..], timing.queue),
        (&b", predict;dur="[..], timing.predict),
        (&b", total;dur="[..], timing.total),
    ];
    for (label, time) in stages {
        text.extend_from_slice(label);
        write_millis(&mut text, time);
    }
    // The text becomes the value; there is nothing to copy.
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
        response.headers_mut().insert(SERVER_TIMING, value);
    }
}

/// Bytes for three labels and times of less than a day.
const ROOM: usize = 72;

/// Milliseconds with three places, rounded. By whole microseconds: formatting fractions takes a twentieth of all the
/// instructions of a small request, and dividing 128 bits a hundredth.
fn write_millis(out: &mut Vec<u8>, time: Duration) {
    let micros = time.as_secs() * 1_000_000 + u64::from(time.subsec_nanos() + 500) / 1000;
    let (whole, rest) = (micros / 1000, (micros % 1000) as u16);
    out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    let digit = |of: u16| b'0' + (rest / of % 10) as u8;
    out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn millis_are_written_as_rust_writes_them(nanos in 0u64..10_000_000_000) {
            let time = Duration::from_nanos(nanos);
            let mut out = Vec::new();
            write_millis(&mut out, time);
            let text = String::from_utf8(out).unwrap();
            let exact = time.as_nanos() as f64 / 1e6;
            prop_assert!((text.parse::<f64>().unwrap() - exact).abs() <= 0.000_500_1, "{} for {}", text, exact);
            prop_assert_eq!(text.split('.').nth(1).map(str::len), Some(3));
        }
    }
}
