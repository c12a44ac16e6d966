//! Stage 2: whether a parsed request satisfies the signature, and the safe conversions that make it so.

pub(crate) mod columns;
pub(crate) mod table;
pub(crate) mod tensors;

use std::sync::Arc;

use crate::model::batch::{Batch, Body, Frame, Name, Names};
use crate::model::signature::{ColumnSchema, Schema, Signature};
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;
use crate::protocol::mlflow::cast::{Input, Piece, Table, assemble, series};
use crate::protocol::mlflow::python::bounded;
use crate::protocol::{Decoded, Reply};
use crate::serve::error::{Error, Kind};

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
    Ok(Decoded {
        batch: Batch { body, params },
        reply,
    })
}

/// Enforces the input schema; without one the input passes as it is.
pub(crate) fn enforce(input: Input, signature: &Signature, details: Details) -> Result<Body, Error> {
    let Some(schema) = &signature.inputs else {
        return pass(input).ok_or_else(defect);
    };
    let described = describe(&input);
    let body = match schema {
        Schema::Columns(columns) => {
            table::from_input(input, columns).and_then(|table| columns::enforce(table, columns, details))
        }
        Schema::Tensors(tensors) => tensors::enforce(input, tensors, details),
    };
    body.map_err(|problem| {
        let problem = bounded(problem);
        let problem = if details.hidden {
            "Failed to enforce model input schema. Please check your input data.".to_owned()
        } else {
            format!("Failed to enforce schema of data '{described}' with schema '{schema}'. Error: {problem}")
        };
        Error::new(
            Kind::SchemaViolation,
            format!("Failed to predict data '{described}'. \nError: {problem}"),
        )
    })
}

/// A shape that does not fit its elements: counted wrongly here, not by the client.
pub(crate) fn defect() -> Error {
    Error::new(Kind::Internal, "a decoded table does not fit its own shape")
}

/// Where MLflow prints the whole input, a message here says what kind of thing it was.
fn describe(input: &Input) -> String {
    match input {
        Input::Table(table) => format!("<{} rows x {} columns>", table.rows, table.columns.len()),
        Input::Dict(members) => format!("<dict of {}>", members.len()),
        Input::Records(records) => format!("<list of {} records>", records.len()),
        Input::Piece(Piece::Array(tensor)) => {
            format!("<{} array of shape {:?}>", tensor.dtype(), tensor.shape())
        }
        Input::Piece(Piece::Plain(value)) => format!("<{}>", value.python_type()),
    }
}

/// Missing inputs, in MLflow's words; `extra` is a Python set there, so its order is made up: it is sorted here.
pub(crate) fn missing_inputs(missing: &[&str], mut extra: Vec<&Name>, details: Details) -> String {
    use crate::protocol::mlflow::python::repr_text;
    if details.hidden {
        let more = if extra.is_empty() {
            ""
        } else {
            " Note that there were extra inputs provided."
        };
        return format!("Input schema validation failed. Mismatched or missing input(s).{more}");
    }
    let missing: Vec<String> = missing.iter().map(|name| repr_text(name)).collect();
    let mut message = format!("Model is missing inputs [{}].", missing.join(", "));
    extra.sort_by(|a, b| match (a, b) {
        (Name::Index(a), Name::Index(b)) => a.cmp(b),
        (Name::Text(a), Name::Text(b)) => a.cmp(b),
        (Name::Index(_), Name::Text(_)) => std::cmp::Ordering::Less,
        (Name::Text(_), Name::Index(_)) => std::cmp::Ordering::Greater,
    });
    extra.dedup();
    if !extra.is_empty() {
        let shown = |name: &&Name| match name {
            Name::Text(text) => repr_text(text),
            Name::Index(index) => index.to_string(),
        };
        let extra: Vec<String> = extra.iter().map(shown).collect();
        message.push_str(&format!(
            " Note that there were extra inputs: [{}].",
            extra.join(", ")
        ));
    }
    message
}

/// A frame whose labels are the signature's own where they are equal, so that they cost no copy.
pub(crate) fn frame(
    rows: usize,
    names: Vec<Name>,
    columns: Vec<Elements>,
    schema: Option<&ColumnSchema>,
) -> Option<Frame> {
    let names: Names = match schema {
        Some(schema) if **schema.names() == *names => schema.names().clone(),
        _ => names.into(),
    };
    assemble(rows, names, columns)
}

/// The input of a model without a signature.
fn pass(input: Input) -> Option<Body> {
    Some(match input {
        Input::Table(table) => {
            let (names, columns) = table
                .columns
                .into_iter()
                .map(|column| (column.name, column.values))
                .unzip();
            Body::Frame(frame(table.rows, names, columns, None)?)
        }
        Input::Dict(members) if members.iter().all(|(_, piece)| matches!(piece, Piece::Array(_))) => {
            let tensor = |piece| match piece {
                Piece::Array(tensor) => Some(tensor),
                Piece::Plain(_) => None,
            };
            let members = members
                .into_iter()
                .map(|(name, piece)| Some((Arc::from(name), tensor(piece)?)));
            Body::Named(members.collect::<Option<_>>()?)
        }
        Input::Dict(members) => Body::Value(record(members)),
        Input::Records(records) => Body::Value(Value::List(records.into_iter().map(record).collect())),
        Input::Piece(Piece::Array(tensor)) => Body::Array(tensor),
        Input::Piece(Piece::Plain(value)) => Body::Value(value),
    })
}

fn record(members: Vec<(Box<str>, Piece)>) -> Value {
    Value::Map(
        members
            .into_iter()
            .map(|(name, piece)| (name, piece.into_value()))
            .collect(),
    )
}

impl Piece {
    /// The same as a value in a cell.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Piece::Array(tensor) => Value::Tensor(Box::new(tensor)),
            Piece::Plain(value) => value,
        }
    }

    /// The same as a value in a cell of a table, where an array without axes is no NumPy scalar: it is wrapped.
    pub(crate) fn into_cell(self) -> Value {
        match self {
            Piece::Array(tensor) if tensor.shape().is_empty() => {
                series::scalar(Elements::Object(series::objects(tensor.elements())))
            }
            other => other.into_value(),
        }
    }

    /// `np.isscalar`, or `None`.
    pub(crate) fn is_scalar(&self) -> bool {
        match self {
            Piece::Array(_) => false,
            Piece::Plain(Value::Tensor(tensor)) => tensor.shape().is_empty(),
            Piece::Plain(value) => !matches!(value, Value::List(_) | Value::Map(_)),
        }
    }

    /// The class Python would name.
    pub(crate) fn class(&self) -> String {
        match self {
            Piece::Array(_) => "numpy.ndarray".into(),
            Piece::Plain(Value::Tensor(tensor)) => match series::value_at(tensor.elements(), 0) {
                Some(Value::Str(_)) => "numpy.str_".into(),
                _ => format!("numpy.{}", tensor.dtype()),
            },
            Piece::Plain(value) => value.python_type().into(),
        }
    }
}

/// A tensor of these elements; a mismatch would be a defect here.
pub(crate) fn tensor(shape: &[usize], elements: Elements) -> Result<Tensor, String> {
    Tensor::new(crate::model::tensor::Shape::from_slice(shape), elements).map_err(|error| error.to_string())
}
