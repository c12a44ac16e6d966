//! Stage 2: whether a parsed request satisfies the signature, and the safe conversions that make it so.

use crate::model::batch::{Batch, Body};
use crate::model::signature::Signature;
use crate::model::value::Value;
use crate::protocol::{Decoded, Reply};
use crate::protocol::mlflow::cast::{Input, Table};
use crate::serve::error::Error;

/// How much error messages may tell (`MLFLOW_DISABLE_SCHEMA_DETAILS`).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Details {
    /// Whether messages about the schema stay general.
    pub(crate) hidden: bool,
}

/// Makes a parsed table, of CSV or Parquet, the batch a model is handed.
///
/// # Errors
/// `SchemaViolation` when the table does not satisfy the signature, `InvalidParams` when a default does not.
pub(crate) fn finish_table(table: Table, signature: &Signature, details: Details) -> Result<Decoded, Error> {
    finish(Input::Table(table), None, Reply::Wrapped, signature, details)
}

/// Enforces the schema, then resolves parameters.
pub(crate) fn finish(
    input: Input,
    params: Option<Value>,
    reply: Reply,
    signature: &Signature,
    details: Details,
) -> Result<Decoded, Error> {
    let body = enforce(input, signature, details)?;
    let params = super::params::resolve(params, signature)?;
    Ok(Decoded { batch: Batch { body, params }, reply })
}

/// Enforces the input schema; without one the input passes as it is.
pub(crate) fn enforce(input: Input, signature: &Signature, details: Details) -> Result<Body, Error> {
    let _ = (input, signature, details);
    Err(Error::new(crate::serve::error::Kind::Internal, "enforcement is not there yet"))
}
