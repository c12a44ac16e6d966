//! `application/json` bodies.

use crate::model::batch::Batch;
use crate::model::signature::Signature;
use crate::protocol::{Codec, Decoded, Limits, Reply};
use crate::serve::error::{Error, Kind};

/// The codec of `application/json`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonCodec;

impl Codec for JsonCodec {
    fn decode(&self, _body: &[u8], _signature: &Signature, _limits: Limits) -> Result<Decoded, Error> {
        Err(Error::new(Kind::InvalidInput, "not yet"))
    }

    fn encode(&self, output: &Batch, reply: Reply, out: &mut Vec<u8>) -> Result<(), Error> {
        super::encode::encode(output, reply, out)
    }
}
