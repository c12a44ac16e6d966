//! `application/vnd.apache.parquet` bodies: what `pandas.read_parquet` makes of them.
//!
//! Nothing is cast here: enforcement sees the types of the file. Tables are flat; a nested column is refused by name,
//! unless the signature does not want it.

#[cfg(feature = "parquet")]
mod column;
#[cfg(feature = "parquet")]
mod pages;
#[cfg(feature = "parquet")]
mod pandas;
#[cfg(feature = "parquet")]
mod table;

use crate::model::batch::Batch;
use crate::model::signature::Signature;
use crate::protocol::{Codec, Decoded, Limits, Reply};
use crate::serve::error::Error;

/// The codec of `application/vnd.apache.parquet`. Answers are JSON.
#[derive(Debug, Clone, Copy, Default)]
pub struct ParquetCodec {
    /// Whether messages about the schema stay general (`MLFLOW_DISABLE_SCHEMA_DETAILS`).
    pub disable_schema_details: bool,
}

impl Codec for ParquetCodec {
    #[cfg(feature = "parquet")]
    fn decode(&self, body: &[u8], signature: &Signature, _limits: Limits) -> Result<Decoded, Error> {
        use crate::protocol::mlflow::enforce::{Details, finish_table};

        let table = table::read(body, signature.inputs.as_ref()).map_err(table::refused)?;
        finish_table(table, signature, Details { hidden: self.disable_schema_details })
    }

    #[cfg(not(feature = "parquet"))]
    fn decode(&self, _body: &[u8], _signature: &Signature, _limits: Limits) -> Result<Decoded, Error> {
        let message = "this server was built without Parquet (feature `parquet`)";
        Err(Error::new(crate::serve::error::Kind::UnsupportedMedia, message))
    }

    fn encode(&self, output: &Batch, reply: Reply, out: &mut Vec<u8>) -> Result<(), Error> {
        super::encode::encode(output, reply, out)
    }
}
