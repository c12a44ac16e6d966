//! `POST /api/registry/webhook`: MLflow says that something in its registry changed, so the registry is asked now.
//!
//! Nothing of what it says is believed: a webhook causes a question and no more. Its signature is that of MLflow 3.3
//! and later: `v1,` and the base64 of HMAC-SHA256 over delivery id, timestamp and body, joined by dots.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::Sha256;

use super::App;
use super::admin::{json_answer, refusal};
use super::api::ask::Said;

/// How far the clocks of sender and receiver may differ, and how long a delivery may take, retries included.
const TOLERANCE: Duration = Duration::from_secs(300);
/// Deliveries remembered, to know one that comes twice; beyond, the oldest are forgotten.
const REMEMBERED: usize = 4096;
/// A delivery id is a UUID.
const MAX_ID_BYTES: usize = 128;

const DELIVERY_ID: &str = "x-mlflow-delivery-id";
const TIMESTAMP: &str = "x-mlflow-timestamp";
const SIGNATURE: &str = "x-mlflow-signature";

/// Tells webhooks of the registry from others.
pub struct Verifier {
    secret: Option<Vec<u8>>,
    /// Whether nothing is taken without a secret.
    closed: bool,
    seen: Mutex<VecDeque<String>>,
}

/// Why a webhook is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// A header is missing or makes no sense.
    #[error("the header `{0}` is missing or not as MLflow sends it")]
    Header(&'static str),
    /// The signature is not that of the secret.
    #[error("the signature is wrong; is the webhook's secret in MLflow the one of --webhook-secret-file?")]
    Signature,
    /// Too old, or from the future.
    #[error("the timestamp is more than {TOLERANCE:?} away from this machine's clock")]
    Time,
    /// Nobody else may ask this server without a token, and there is nothing to sign webhooks with.
    #[error(
        "this server has tokens, so that webhooks need a signature: start it with --webhook-secret-file, and give the \
         webhook in MLflow the same secret"
    )]
    NoSecret,
    /// It came before.
    #[error("this delivery came before")]
    Replay,
}

impl Verifier {
    /// With a secret, only what is signed with it is taken; without one everything is, or nothing where it is `closed`.
    pub fn new(secret: Option<&str>, closed: bool) -> Verifier {
        Verifier {
            secret: secret.map(|secret| secret.as_bytes().to_vec()),
            closed,
            seen: Mutex::default(),
        }
    }

    /// Checks a delivery that arrived at `now`.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub fn check(&self, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Result<(), WebhookError> {
        let secret = match (&self.secret, self.closed) {
            (Some(secret), _) => secret,
            (None, false) => return Ok(()),
            (None, true) => return Err(WebhookError::NoSecret),
        };
        let header = |name| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value
                .filter(|value| !value.is_empty())
                .ok_or(WebhookError::Header(name))
        };
        let (id, stamp, signature) = (header(DELIVERY_ID)?, header(TIMESTAMP)?, header(SIGNATURE)?);
        let signature = signature
            .strip_prefix("v1,")
            .and_then(|text| STANDARD.decode(text).ok());
        let signature = signature.ok_or(WebhookError::Header(SIGNATURE))?;
        if id.len() > MAX_ID_BYTES {
            return Err(WebhookError::Header(DELIVERY_ID));
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| WebhookError::Signature)?;
        for part in [id.as_bytes(), b".", stamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        // In constant time.
        mac.verify_slice(&signature)
            .map_err(|_| WebhookError::Signature)?;
        let sent: u64 = stamp.parse().map_err(|_| WebhookError::Header(TIMESTAMP))?;
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        if now.abs_diff(sent) > TOLERANCE.as_secs() {
            return Err(WebhookError::Time);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.iter().any(|known| known == id) {
            return Err(WebhookError::Replay);
        }
        if seen.len() == REMEMBERED {
            seen.pop_front();
        }
        seen.push_back(id.to_owned());
        Ok(())
    }
}

/// The route.
pub(super) async fn receive(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Said(body): Said,
) -> Response<Body> {
    match app.webhooks.check(&headers, &body, SystemTime::now()) {
        Ok(()) => {
            app.control.poll_now();
            json_answer(StatusCode::OK, &json!({ "accepted": true }))
        }
        Err(error) => {
            tracing::warn!(%error, "webhook refused");
            let (status, code) = match error {
                WebhookError::Header(_) => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
                WebhookError::Signature | WebhookError::Time | WebhookError::NoSecret => {
                    (StatusCode::FORBIDDEN, "PERMISSION_DENIED")
                }
                WebhookError::Replay => (StatusCode::CONFLICT, "RESOURCE_ALREADY_EXISTS"),
            };
            refusal(status, code, &format!("Webhook refused: {error}."))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use serde_json::Value as Json;

    use super::*;

    /// Deliveries of a real MLflow server.
    fn deliveries() -> Vec<(HeaderMap, Vec<u8>, SystemTime)> {
        let lines = include_str!("../../tests/golden/protocol/webhooks.jsonl").lines();
        let records = lines.map(|line| serde_json::from_str::<Json>(line).unwrap());
        let deliveries = records.filter(|record| record["server"] == "webhook-delivery");
        deliveries
            .map(|record| {
                let headers: HeaderMap = record["headers"]
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(name, value)| {
                        let value = HeaderValue::from_str(value.as_str().unwrap()).unwrap();
                        (name.to_lowercase().parse::<HeaderName>().unwrap(), value)
                    })
                    .collect();
                let stamp: u64 = headers[TIMESTAMP].to_str().unwrap().parse().unwrap();
                let body = record["body"].as_str().unwrap().as_bytes().to_vec();
                (headers, body, SystemTime::UNIX_EPOCH + Duration::from_secs(stamp))
            })
            .collect()
    }

    const SECRET: &str = "s3cret";

    #[test]
    fn what_mlflow_signed_is_taken_once_and_in_time() {
        let deliveries = deliveries();
        assert!(deliveries.len() >= 4);
        let verifier = Verifier::new(Some(SECRET), true);
        for (headers, body, sent) in &deliveries {
            let late = *sent + TOLERANCE + Duration::from_secs(1);
            let early = *sent - TOLERANCE - Duration::from_secs(1);
            assert_eq!(verifier.check(headers, body, late), Err(WebhookError::Time));
            assert_eq!(verifier.check(headers, body, early), Err(WebhookError::Time));
            assert_eq!(verifier.check(headers, body, *sent + TOLERANCE), Ok(()));
            assert_eq!(verifier.check(headers, body, *sent), Err(WebhookError::Replay));
        }
    }

    #[test]
    fn any_change_breaks_the_signature() {
        let (headers, body, sent) = deliveries().remove(0);
        let check = |headers: &HeaderMap, body: &[u8], secret| {
            Verifier::new(Some(secret), false).check(headers, body, sent)
        };
        assert_eq!(check(&headers, &body, SECRET), Ok(()));
        assert_eq!(check(&headers, &body, "other"), Err(WebhookError::Signature));
        let mut longer = body.clone();
        longer.push(b' ');
        assert_eq!(check(&headers, &longer, SECRET), Err(WebhookError::Signature));
        for name in [DELIVERY_ID, TIMESTAMP] {
            let mut changed = headers.clone();
            changed.insert(name, HeaderValue::from_static("1795220540"));
            assert_eq!(
                check(&changed, &body, SECRET),
                Err(WebhookError::Signature),
                "{name}"
            );
        }
        for name in [DELIVERY_ID, TIMESTAMP, SIGNATURE] {
            let mut without = headers.clone();
            without.remove(name);
            assert_eq!(check(&without, &body, SECRET), Err(WebhookError::Header(name)));
        }
        let mut unsigned = headers.clone();
        unsigned.insert(SIGNATURE, HeaderValue::from_static("v2,AAAA"));
        assert_eq!(
            check(&unsigned, &body, SECRET),
            Err(WebhookError::Header(SIGNATURE))
        );
        let unsigned = |closed| Verifier::new(None, closed).check(&HeaderMap::new(), b"", sent);
        assert_eq!(
            (unsigned(false), unsigned(true)),
            (Ok(()), Err(WebhookError::NoSecret))
        );
    }

    #[test]
    fn the_memory_of_deliveries_is_bounded() {
        let verifier = Verifier::new(Some("s"), false);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for number in 0..REMEMBERED + 10 {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"s").unwrap();
            mac.update(format!("{number}.1000000.").as_bytes());
            let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
            let mut headers = HeaderMap::new();
            headers.insert(DELIVERY_ID, HeaderValue::from(number));
            headers.insert(TIMESTAMP, HeaderValue::from_static("1000000"));
            headers.insert(SIGNATURE, HeaderValue::try_from(signature).unwrap());
            assert_eq!(verifier.check(&headers, b"", now), Ok(()));
        }
        assert_eq!(verifier.seen.lock().unwrap().len(), REMEMBERED);
    }
}
