//! Protocols: bytes to [`Batch`] and back.
//!
//! A [`Codec`] is pure, so that golden, property and fuzz tests loop over all of them. Each protocol is one folder.

pub mod mlflow;

use crate::model::batch::Batch;
use crate::model::signature::Signature;
use crate::serve::error::Error;

pub use mlflow::Codecs;
pub use mlflow::error::{ErrorAnswer, answer};
pub use mlflow::media::{Media, media};
pub use mlflow::record::{Form, form, prediction};

/// A decoded request.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// What the model is handed.
    pub batch: Batch,
    /// How the answer is written.
    pub reply: Reply,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// `{"predictions": …}`
    Wrapped,
    /// The value alone, as MLflow answers chat-like requests.
    Bare,
}

/// Bounds on what a body may make us build.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Levels that lists and objects may nest.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 64 }
    }
}

/// Reads requests and writes answers of one media type.
pub trait Codec: Send + Sync {
    /// Reads a body into what a model with this signature is handed: cast and checked.
    ///
    /// # Errors
    /// With the kind and the message that the protocol shows.
    fn decode(&self, body: &[u8], signature: &Signature, limits: Limits) -> Result<Decoded, Error>;

    /// Appends the answer for a model's output to `out`.
    ///
    /// # Errors
    /// When a value has no form in this protocol.
    fn encode(&self, output: &Batch, reply: Reply, out: &mut Vec<u8>) -> Result<(), Error>;
}
