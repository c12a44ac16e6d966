//! The id of a request: the client's `x-request-id`, that of its prediction, or a new one.

use axum::http::HeaderValue;
use axum::http::header::HeaderName;
use bytes::Bytes;
use uuid::Builder;

use super::answer;
use crate::model::prediction_id::PredictionId;

/// The header's name.
pub(super) const NAME: &str = "x-request-id";
/// The header.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static(NAME);

/// Longer ids are not echoed.
const MAX_LENGTH: usize = 128;

/// The client's id when it is short and printable.
pub(super) fn taken_over(sent: Option<&HeaderValue>) -> Option<&HeaderValue> {
    sent.filter(|value| {
        (1..=MAX_LENGTH).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    })
}

/// The id that the client sent and that is [`taken_over`], else that of its prediction, else a random one.
pub(super) fn request_id(sent: Option<&HeaderValue>, prediction: Option<PredictionId>) -> HeaderValue {
    match (sent, prediction) {
        (Some(id), _) => id.clone(),
        (None, Some(prediction)) => answer::prediction_id(prediction),
        (None, None) => {
            let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
            // Not from the generator for secrets, which takes as long as writing it does: nobody gains by guessing it.
            let random = fastrand::u128(..).to_be_bytes();
            let id = Builder::from_random_bytes(random).into_uuid();
            id.hyphenated().encode_lower(&mut text);
            // A box of a known size takes half of what a copy of any size does.
            let id = HeaderValue::from_maybe_shared(Bytes::from(Box::<[u8]>::from(text)));
            id.unwrap_or(HeaderValue::from_static("none"))
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn echoed(id: &[u8]) -> bool {
        taken_over(Some(&HeaderValue::from_bytes(id).unwrap())).is_some()
    }

    #[test]
    fn only_short_printable_ids_are_taken_over() {
        assert!(echoed(b"order-17"));
        assert!(!echoed(b""));
        assert!(!echoed(b"two words"));
        assert!(!echoed(&[b'a'; 129]));
        assert!(!echoed(b"caf\xc3\xa9"));
    }

    #[test]
    fn an_own_id_is_a_uuid() {
        let id = request_id(None, None);
        assert!(Uuid::parse_str(id.to_str().unwrap()).is_ok());
    }

    #[test]
    fn who_sends_none_goes_by_the_prediction() {
        let prediction = PredictionId::new(7, std::time::SystemTime::UNIX_EPOCH, 1);
        assert_eq!(request_id(None, Some(prediction)), prediction.to_string());
        let sent = HeaderValue::from_static("order-17");
        assert_eq!(request_id(Some(&sent), Some(prediction)), sent);
    }
}
