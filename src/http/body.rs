//! Reads a request body within its bounds of size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::Body;

use super::encoding;
use crate::serve::error::{Error, Kind};

/// What is read and thrown away of a body that is too long, so that its sender comes to hear the refusal: closing a
/// socket that still has unread bytes makes the system discard the answer.
const LINGER_BYTES: usize = 32 << 20;
/// How long that may take.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Why a body did not arrive.
pub(super) enum BodyError {
    /// To be answered as the protocol answers it.
    Refused(Error),
    /// The client was too slow: 408.
    Slow,
    /// The client left or broke the framing; nobody hears the answer.
    Broken,
}

/// Reads the whole body.
///
/// # Errors
/// When it is longer than `limit` bytes, slower than `patience`, or breaks off. Before a refusal is answered, the rest
/// is for [`linger`].
pub(super) async fn read(
    body: &mut (impl Body<Data = Bytes> + Unpin),
    limit: usize,
    patience: Duration,
) -> Result<Bytes, BodyError> {
    // What the head says, as the connection has read it.
    let announced = body.size_hint().exact();
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(BodyError::Refused(too_large(limit)));
    }
    let mut collecting = std::pin::pin!(collect(body, announced, limit));
    // Mostly the body has come with the head, and no timer is needed.
    if let Some(result) = collecting.as_mut().now_or_never() {
        return result;
    }
    match tokio::time::timeout(patience, collecting).await {
        Ok(result) => result,
        Err(_) => Err(BodyError::Slow),
    }
}

/// Throws away the rest of a body, within bounds.
pub(super) async fn linger(body: &mut (impl Body<Data = Bytes> + Unpin)) {
    let drain = async {
        let mut left = LINGER_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Out of time or not, the answer is sent now.
    let _ = tokio::time::timeout(LINGER_TIME, drain).await;
}

async fn collect(
    body: &mut (impl Body<Data = Bytes> + Unpin),
    announced: Option<u64>,
    limit: usize,
) -> Result<Bytes, BodyError> {
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    // Asked first, as the connection knows the end of most bodies by their length: to hear it from the body itself takes
    // as long as to get the body.
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            continue;
        };
        let so_far = first.as_ref().map_or(0, Bytes::len) + joined.len();
        if so_far + data.len() > limit {
            return Err(BodyError::Refused(too_large(limit)));
        }
        // A body of one frame, the common case, is passed on as it came.
        match (&first, joined.is_empty()) {
            (None, true) => first = Some(data),
            (Some(one), _) => {
                let room = announced
                    .map_or(one.len() * 4, |length| length as usize)
                    .min(limit);
                joined.reserve(room);
                joined.extend_from_slice(one);
                joined.extend_from_slice(&data);
                first = None;
            }
            (None, false) => joined.extend_from_slice(&data),
        }
    }
    Ok(first.unwrap_or_else(|| joined.freeze()))
}

/// What the protocol answers to a body that was not expanded.
pub(super) fn not_expanded(error: &encoding::Error) -> Error {
    let kind = match error {
        encoding::Error::Unknown(_) | encoding::Error::TooMany => Kind::UnsupportedMedia,
        encoding::Error::TooLong { .. } => Kind::TooLarge,
        encoding::Error::Window | encoding::Error::TooManyParts(_) | encoding::Error::Damaged { .. } => {
            Kind::InvalidInput
        }
    };
    Error::new(kind, error.to_string())
}

fn too_large(limit: usize) -> Error {
    Error::new(
        Kind::TooLarge,
        format!(
            "The request body is longer than the limit of {limit} bytes. Send fewer rows a request, or start modelsd \
             with a larger --max-body-bytes."
        ),
    )
}
