//! Regular requests, from bytes straight into typed buffers.

use crate::model::signature::Signature;
use crate::protocol::Decoded;

/// Decodes a regular request; `None` leaves it to the other decoder.
pub(crate) fn decode(_body: &[u8], _signature: &Signature) -> Option<Decoded> {
    None
}
