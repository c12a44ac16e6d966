//! The id of a request: the client's `x-request-id`, or one of ours.

use axum::http::HeaderValue;
use axum::http::header::HeaderName;
use bytes::Bytes;
use uuid::Builder;

/// The header's name.
pub(super) const NAME: &str = "x-request-id";
/// The header.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static(NAME);

/// Longer ids are not echoed.
const MAX_LENGTH: usize = 128;

/// The client's id when it is short and printable, else a random one.
pub(super) fn request_id(sent: Option<&HeaderValue>) -> HeaderValue {
    let sent = sent.filter(|value| {
        (1..=MAX_LENGTH).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    match sent {
        Some(id) => id.clone(),
        None => {
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
        request_id(Some(&HeaderValue::from_bytes(id).unwrap())).as_bytes() == id
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
        let id = request_id(None);
        assert!(Uuid::parse_str(id.to_str().unwrap()).is_ok());
    }
}
