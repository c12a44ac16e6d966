//! MLflow's scoring protocol, `POST /invocations`, as `mlflow models serve` 3.17 and 3.18 speak it.

pub(crate) mod cast;
pub mod csv;
pub mod encode;
pub(crate) mod enforce;
pub mod error;
pub mod json;
pub mod media;
pub(crate) mod params;
pub mod parquet;
pub(crate) mod python;
pub mod record;

use super::{Codec, Decoded, Limits};
use crate::model::signature::Signature;
use crate::serve::error::Error;
use media::Media;
use record::Form;

/// The codecs of the media types that `/invocations` reads.
#[derive(Debug, Clone, Copy)]
pub struct Codecs {
    json: json::JsonCodec,
    csv: csv::CsvCodec,
    parquet: parquet::ParquetCodec,
}

impl Codecs {
    /// Codecs that name the schema in their errors, unless told not to.
    pub fn new(disable_schema_details: bool) -> Codecs {
        Codecs {
            json: json::JsonCodec {
                disable_schema_details,
            },
            csv: csv::CsvCodec {
                disable_schema_details,
            },
            parquet: parquet::ParquetCodec {
                disable_schema_details,
            },
        }
    }

    /// The codec of a media type.
    pub fn of(&self, media: Media) -> &dyn Codec {
        match media {
            Media::Json => &self.json,
            Media::Csv => &self.csv,
            Media::Parquet => &self.parquet,
        }
    }
    /// Reads one flat record, as [`record::decode`] does.
    ///
    /// # Errors
    /// With the kind and the message that the protocol shows.
    pub fn record(
        &self,
        body: &[u8],
        form: Form,
        signature: &Signature,
        limits: Limits,
    ) -> Result<Decoded, Error> {
        record::decode(&self.json, body, form, signature, limits)
    }
}
