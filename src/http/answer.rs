//! Answers: a kind of error to a response, and the headers every answer of a model carries.

use std::io::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;

use super::asked::Asked;
use super::compression::Coded;
use super::encoding;
use super::request_id::{REQUEST_ID, taken_over};
use crate::deploy::deployment::Deployment;
use crate::model::prediction_id::{PredictionId, TEXT_LENGTH};
use crate::protocol;
use crate::serve::call::{Call, Timing};
use crate::serve::error::Error;

/// The body of an answer.
pub(super) enum Payload {
    /// Predictions, which need no box to be sent.
    Whole(Bytes),
    /// Anything.
    Any(Body),
}

impl Payload {
    /// As the router has it.
    pub(super) fn into_body(self) -> Body {
        match self {
            Payload::Whole(bytes) => Body::from(bytes),
            Payload::Any(body) => body,
        }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Payload {
        Payload::Whole(bytes.into())
    }
}

/// `application/json`, without a charset, as MLflow's server sends it.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

const MODEL_NAME: HeaderName = HeaderName::from_static("x-model-name");
const MODEL_VERSION: HeaderName = HeaderName::from_static("x-model-version");
const MODEL_VARIANT: HeaderName = HeaderName::from_static(VARIANT);
/// The header that names the variant, of requests and answers.
pub(super) const VARIANT: &str = "x-model-variant";
const PREDICTION_ID: HeaderName = HeaderName::from_static("x-prediction-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// In the place of a value that is yet to come.
const NONE: HeaderValue = HeaderValue::from_static("");

/// What differs from answer to answer.
type Later = [Option<HeaderValue>; KINDS];
const KINDS: usize = 3;
const LATER: [HeaderName; KINDS] = [SERVER_TIMING, REQUEST_ID, PREDICTION_ID];

/// The head of a deployment's predictions, with empty values for what differs from answer to answer. A copy of it takes
/// a quarter of what it takes to put the headers in, each of which is looked for.
struct Head {
    headers: HeaderMap,
    /// Which of [`LATER`] each empty value is for, in the order in which the map has them.
    empty: Vec<usize>,
}

impl Head {
    fn of(deployment: &Deployment, recorded: bool) -> Head {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, JSON);
        name(&mut headers, deployment);
        let count = if recorded { KINDS } else { KINDS - 1 };
        for later in LATER.into_iter().take(count) {
            headers.insert(later, NONE);
        }
        let empty = headers.iter().filter(|(_, value)| value.is_empty());
        let kind = |name: &HeaderName| LATER.iter().position(|later| later == name);
        Head {
            empty: empty.filter_map(|(name, _)| kind(name)).collect(),
            headers,
        }
    }

    /// The head of one answer.
    fn filled(&self, mut later: Later) -> HeaderMap {
        let mut headers = self.headers.clone();
        let empty = headers.values_mut().filter(|value| value.is_empty());
        for (value, kind) in empty.zip(&self.empty) {
            if let Some(own) = later.get_mut(*kind).and_then(Option::take) {
                *value = own;
            }
        }
        headers
    }
}

/// The heads that a deployment keeps.
struct Heads {
    plain: Head,
    recorded: Head,
}

impl Heads {
    fn of(deployment: &Deployment) -> Heads {
        Heads {
            plain: Head::of(deployment, false),
            recorded: Head::of(deployment, true),
        }
    }

    fn filled(&self, later: Later) -> HeaderMap {
        match &later {
            [.., None] => self.plain.filled(later),
            _ => self.recorded.filled(later),
        }
    }
}

/// Predictions, and who made them, how long it took, and for which request.
pub(super) fn predictions(body: Coded, call: &Call, asked: &Asked<'_>, id: HeaderValue) -> Response<Payload> {
    let deployment = call.deployment();
    let own = taken_over(asked.id).is_some();
    let prediction = call.prediction_id().map(|prediction| match own {
        true => prediction_id(prediction),
        false => id.clone(),
    });
    let later = [timing(call.timing()), Some(id), prediction];
    let headers = match deployment.once(|| Heads::of(deployment)) {
        Some(heads) => heads.filled(later),
        // Nobody else keeps anything with a deployment.
        None => Heads::of(deployment).filled(later),
    };
    body.into_response(headers)
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

/// Says who refused or failed, and how long that took.
pub(super) fn sign(response: &mut Response<Body>, call: &Call) {
    let headers = response.headers_mut();
    name(headers, call.deployment());
    if let Some(prediction) = call.prediction_id() {
        headers.insert(PREDICTION_ID, prediction_id(prediction));
    }
    if let Some(timing) = timing(call.timing()) {
        headers.insert(SERVER_TIMING, timing);
    }
}

/// The id of a prediction, as its record and its feedback have it.
pub(super) fn prediction_id(id: PredictionId) -> HeaderValue {
    let mut text = [0; TEXT_LENGTH];
    id.write(&mut text);
    HeaderValue::from_maybe_shared(Bytes::from(Box::<[u8]>::from(text))).unwrap_or(NONE)
}

/// Says who answers.
fn name(headers: &mut HeaderMap, deployment: &Deployment) {
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
fn timing(timing: Timing) -> Option<HeaderValue> {
    if let Some(short) = short(timing) {
        return HeaderValue::from_maybe_shared(Bytes::from(Box::<[u8]>::from(short))).ok();
    }
    let mut room = [0; ROOM];
    let mut rest = &mut room[..];
    write_stage(&mut rest, b"queue;dur=", timing.queue)?;
    write_stage(&mut rest, b", predict;dur=", timing.predict)?;
    write_stage(&mut rest, b", total;dur=", timing.total)?;
    let left = rest.len();
    let text = Bytes::copy_from_slice(room.get(..ROOM - left)?);
    HeaderValue::from_maybe_shared(text).ok()
}

/// What [`timing`] says of times that are all below ten milliseconds, as most are: only digits differ.
const SHORT: [u8; 51] = *b"queue;dur=0.000, predict;dur=0.000, total;dur=0.000";

fn short(timing: Timing) -> Option<[u8; SHORT.len()]> {
    let mut text = SHORT;
    for (at, time) in [(10, timing.queue), (29, timing.predict), (46, timing.total)] {
        let micros = u16::try_from(micros(time))
            .ok()
            .filter(|micros| *micros < 10_000)?;
        let digit = |of: u16| b'0' + (micros / of % 10) as u8;
        let digits = [digit(1000), b'.', digit(100), digit(10), digit(1)];
        text.get_mut(at..at + digits.len())?.copy_from_slice(&digits);
    }
    Some(text)
}

/// Bytes for three labels and times of less than three months.
const ROOM: usize = 80;

#[inline]
fn write_stage<const LENGTH: usize>(out: &mut &mut [u8], label: &[u8; LENGTH], time: Duration) -> Option<()> {
    out.write_all(label).ok()?;
    write_millis(out, time)
}

/// Whole microseconds, rounded. Not by dividing 128 bits, which takes a hundredth of all the instructions of a small
/// request.
fn micros(time: Duration) -> u64 {
    time.as_secs() * 1_000_000 + u64::from(time.subsec_nanos() + 500) / 1000
}

/// Milliseconds with three places. By whole microseconds: formatting fractions takes a twentieth of all the
/// instructions of a small request.
fn write_millis(out: &mut &mut [u8], time: Duration) -> Option<()> {
    let micros = micros(time);
    let (whole, rest) = (micros / 1000, (micros % 1000) as u16);
    out.write_all(itoa::Buffer::new().format(whole).as_bytes()).ok()?;
    let digit = |of: u16| b'0' + (rest / of % 10) as u8;
    out.write_all(&[b'.', digit(100), digit(10), digit(1)]).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn millis_are_written_as_rust_writes_them(nanos in 0u64..10_000_000_000) {
            let time = Duration::from_nanos(nanos);
            let mut room = [b' '; 32];
            write_millis(&mut &mut room[..], time).unwrap();
            let text = std::str::from_utf8(&room).unwrap().trim_end();
            let exact = time.as_nanos() as f64 / 1e6;
            prop_assert!((text.parse::<f64>().unwrap() - exact).abs() <= 0.000_500_1, "{} for {}", text, exact);
            prop_assert_eq!(text.split('.').nth(1).map(str::len), Some(3));
        }

        #[test]
        fn short_times_are_written_as_others_are(nanos in proptest::array::uniform3(0u64..10_100_000)) {
            let [queue, predict, total] = nanos.map(Duration::from_nanos);
            let millis = |time: Duration| {
                let mut room = [b' '; 32];
                write_millis(&mut &mut room[..], time).unwrap();
                std::str::from_utf8(&room).unwrap().trim_end().to_owned()
            };
            let text = timing(Timing { queue, predict, total }).unwrap();
            let expected = format!(
                "queue;dur={}, predict;dur={}, total;dur={}", millis(queue), millis(predict), millis(total)
            );
            prop_assert_eq!(text.to_str().unwrap(), expected);
        }
    }
}
