//! `application/json` bodies.
//!
//! Two decoders agree on every answer. `fast` reads regular numeric requests straight into typed buffers and declines
//! everything else; what it declines, and every error, is decided by `request`, which builds the whole value first
//! and follows Python, NumPy and pandas step by step.

pub(crate) mod fast;
pub(crate) mod read;
pub(crate) mod request;
pub(crate) mod text;

use crate::model::batch::Batch;
use crate::model::signature::Signature;
use crate::protocol::{Codec, Decoded, Limits, Reply};
use crate::serve::error::Error;

/// The codec of `application/json`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonCodec {
    /// Whether messages about the schema stay general (`MLFLOW_DISABLE_SCHEMA_DETAILS`).
    pub disable_schema_details: bool,
}

impl JsonCodec {
    /// Decodes by the decoder that reads every request, and makes every error.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    pub fn decode_any(&self, body: &[u8], signature: &Signature, limits: Limits) -> Result<Decoded, Error> {
        request::decode(body, signature, limits, self.disable_schema_details)
    }

    /// Decodes by the decoder of regular requests; `None` when the request is not one.
    ///
    /// Where it answers, the answer is that of [`JsonCodec::decode_any`].
    pub fn decode_regular(&self, body: &[u8], signature: &Signature, limits: Limits) -> Option<Decoded> {
        fast::decode(body, signature, limits)
    }
}

impl Codec for JsonCodec {
    fn decode(&self, body: &[u8], signature: &Signature, limits: Limits) -> Result<Decoded, Error> {
        match self.decode_regular(body, signature, limits) {
            Some(decoded) => Ok(decoded),
            None => self.decode_any(body, signature, limits),
        }
    }

    fn encode(&self, output: &Batch, reply: Reply, out: &mut Vec<u8>) -> Result<(), Error> {
        super::encode::encode(output, reply, out)
    }
}
