//! The specification: a request of any shape, step by step as MLflow's scoring server reads it.

mod cells;

use std::collections::{HashMap, HashSet};

use super::{read, text};
use crate::model::batch::Name;
use crate::model::signature::{ColumnSchema, ColumnType, DataType, Schema, Signature};
use crate::model::tensor::DType;
use crate::model::value::Value;
use crate::protocol::mlflow::cast::{Column, Input, Table, frame, nested, series};
use crate::protocol::mlflow::enforce::{self, Details};
use crate::protocol::mlflow::python::{Raised, bounded, repr_bytes, repr_text};
use crate::protocol::{Decoded, Limits, Reply};
use crate::serve::error::{Error, Kind};

const REQUIRED_FORMAT: &str = "The input must be a JSON dictionary with exactly one of the input fields \
                               {'dataframe_records', 'dataframe_split', 'inputs', 'instances'}";

const PROTOCOL_CHANGE: &str = "IMPORTANT: The MLflow Model scoring protocol has changed in MLflow version 2.0. If you are \
     seeing this error, you are likely using an outdated scoring request format. To resolve the error, either update your \
     request format or adjust your MLflow Model's requirements file to specify an older version of MLflow (for example, \
     change the 'mlflow' requirement specifier to 'mlflow==1.30.0'). If you are making a request using the MLflow client \
     (e.g. via `mlflow.pyfunc.spark_udf()`), upgrade your MLflow client to a version >= 2.0 in order to use the new \
     request format. For more information about the updated MLflow Model scoring protocol in MLflow 2.0, see \
     https://mlflow.org/docs/latest/models.html#deploy-mlflow-models.";

/// Several columns of one label are a table in pandas, and a table has no type.
const NO_DTYPE: &str = "'DataFrame' object has no attribute 'dtype'";

/// A request that cannot be read, or whose values cannot be cast.
fn invalid(message: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidInput, bounded(format!("Invalid input. {message}")))
}

/// Decodes a request of any shape.
pub(crate) fn decode(
    body: &[u8],
    signature: &Signature,
    limits: Limits,
    disable_schema_details: bool,
) -> Result<Decoded, Error> {
    let details = Details {
        hidden: disable_schema_details,
    };
    let mut entries = document(body, limits)?;
    if entries
        .iter()
        .any(|(key, _)| matches!(&**key, "messages" | "prompt" | "input"))
    {
        return chat(entries, signature, details);
    }
    let formats: Vec<usize> = (0..entries.len())
        .filter(|&position| {
            entries.get(position).is_some_and(|(key, _)| {
                matches!(
                    &**key,
                    "dataframe_split" | "dataframe_records" | "instances" | "inputs"
                )
            })
        })
        .collect();
    let [format] = *formats.as_slice() else {
        let names = formats
            .iter()
            .filter_map(|&position| entries.get(position))
            .map(|(key, _)| repr_text(key));
        let names: Vec<String> = names.collect();
        return Err(Error::new(
            Kind::InvalidInput,
            format!(
                "{REQUIRED_FORMAT}. Received dictionary with input fields: [{}]. {PROTOCOL_CHANGE}",
                names.join(", ")
            ),
        ));
    };
    let params = entries.iter().position(|(key, _)| &**key == "params");
    let params = params
        .and_then(|position| entries.get_mut(position))
        .map(|(_, value)| std::mem::replace(value, Value::Null));
    let (format, data) = entries.swap_remove(format);
    let schema = signature.inputs.as_ref();
    let input = match &*format {
        "dataframe_split" => table(split(data)?, schema)?,
        "dataframe_records" => table(records(data)?, schema)?,
        "instances" => cells::instances(data, schema).map_err(invalid)?,
        _ => cells::inputs(data, schema).map_err(invalid)?,
    };
    enforce::finish(input, params, Reply::Wrapped, signature, details)
}

/// The members of the body, which must be a JSON object.
fn document(body: &[u8], limits: Limits) -> Result<Vec<(Box<str>, Value)>, Error> {
    let unreadable = |problem: String| {
        let echo = repr_bytes(body, text::ECHO);
        invalid(format_args!(
            "Ensure that input is a valid JSON formatted string. Error: '{problem}'\nInput: \n{echo}\n"
        ))
    };
    let text = text::decode(body).map_err(unreadable)?;
    match read::read(&text, limits.depth).map_err(unreadable)? {
        Value::Map(entries) => Ok(entries),
        Value::List(_) => Err(invalid(format_args!("{REQUIRED_FORMAT}. Received a list."))),
        other => Err(invalid(format_args!(
            "{REQUIRED_FORMAT}. Received unexpected input type '<class '{}'>.",
            other.python_type()
        ))),
    }
}

/// A chat-like request is handed on whole, apart from what the signature calls parameters.
fn chat(entries: Vec<(Box<str>, Value)>, signature: &Signature, details: Details) -> Result<Decoded, Error> {
    let known = |key: &str| signature.params.iter().flatten().any(|spec| *spec.name == *key);
    let (params, members): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| known(key));
    let plain = |(key, value)| (key, crate::protocol::mlflow::cast::Piece::Plain(value));
    let input = Input::Dict(members.into_iter().map(plain).collect());
    enforce::finish(input, Some(Value::Map(params)), Reply::Bare, signature, details)
}

fn class_or(value: &Value, name: &str, special: &str) -> String {
    if value.python_type() == name {
        special.into()
    } else {
        format!("type <class '{}'>", value.python_type())
    }
}

fn records(data: Value) -> Result<Table, Error> {
    let Value::List(data) = data else {
        let found = class_or(&data, "dict", "dictionary");
        return Err(invalid(format_args!(
            "Dataframe records format must be a list of records. Got {found}."
        )));
    };
    frame::records(data).map_err(|problem| {
        invalid(format_args!(
            "Provided dataframe_records field is not a valid dataframe representation in 'records' format. Error: \
             '{problem}'"
        ))
    })
}

fn split(data: Value) -> Result<Table, Error> {
    let Value::Map(entries) = data else {
        let found = class_or(&data, "list", "list");
        return Err(invalid(format_args!(
            "Dataframe split format must be a dictionary. Got {found}."
        )));
    };
    let proper = |key: &str| matches!(key, "columns" | "data" | "index");
    if !entries.iter().any(|(key, _)| &**key == "data") || !entries.iter().all(|(key, _)| proper(key)) {
        let mut keys: Vec<String> = entries.iter().map(|(key, _)| repr_text(key)).collect();
        keys.sort_unstable();
        let keys = if keys.is_empty() {
            "set()".into()
        } else {
            format!("{{{}}}", keys.join(", "))
        };
        return Err(invalid(format_args!(
            "Dataframe split format must have 'data' field and optionally 'columns' and 'index' fields. Got {keys}.'"
        )));
    }
    let (mut cells, mut columns, mut index) = (Value::Null, None, None);
    for (key, value) in entries {
        match &*key {
            "data" => cells = value,
            _ if value == Value::Null => {}
            "columns" => columns = Some(value),
            _ => index = Some(value),
        }
    }
    frame::split(cells, columns, index).map_err(|problem| {
        invalid(format_args!(
            "Provided dataframe_split field is not a valid dataframe representation in 'split' format. Error: \
             '{problem}'"
        ))
    })
}

/// Casts the columns of a table to the types of the signature.
fn table(mut table: Table, schema: Option<&Schema>) -> Result<Input, Error> {
    match schema {
        None => {}
        Some(Schema::Columns(schema)) => cast_columns(&mut table, schema)?,
        Some(Schema::Tensors(specs)) => {
            let repeats = repeated_names(&table);
            for spec in specs {
                let named = spec.name.as_deref();
                for column in &mut table.columns {
                    if named.is_none() || column.name.as_text() == named {
                        if repeats.contains(&column.name)
                            && !column.values.is_empty()
                            && matches!(spec.dtype, DType::Str | DType::Object)
                        {
                            let raised = Raised::new("AttributeError", NO_DTYPE);
                            return Err(incompatible(&column.name, tensor_name(spec.dtype), &raised));
                        }
                        cast_tensor(column, spec.dtype)?;
                    }
                }
            }
        }
    }
    Ok(Input::Table(table))
}

fn incompatible(column: impl std::fmt::Display, kind: &str, raised: &Raised) -> Error {
    invalid(format_args!(
        "Data is not compatible with model signature. Failed to convert column {column} to type '{kind}'. Error: '{}'",
        raised.repr()
    ))
}

fn cast_columns(table: &mut Table, schema: &ColumnSchema) -> Result<(), Error> {
    if !schema.named() {
        let repeats = repeated_names(table);
        for (column, spec) in table.columns.iter_mut().zip(schema.columns()) {
            if repeats.contains(&column.name)
                && let Some(raised) = repeated(&spec.kind)
            {
                return Err(incompatible(&column.name, &kind_name(&spec.kind), &raised));
            }
            cast_column(column, &spec.kind, spec.required)?;
        }
        return Ok(());
    }
    // Columns are found by name in one pass over each; the order of the signature decides which error is first.
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (position, column) in table.columns.iter().enumerate() {
        if let Some(name) = column.name.as_text() {
            by_name.entry(name.to_owned()).or_default().push(position);
        }
    }
    for spec in schema.columns() {
        let name = spec.name.as_deref().unwrap_or_default();
        let positions = by_name.get(name).map_or(&[][..], Vec::as_slice);
        if positions.len() > 1
            && let Some(raised) = repeated(&spec.kind)
        {
            return Err(incompatible(name, &kind_name(&spec.kind), &raised));
        }
        for &position in positions {
            if let Some(column) = table.columns.get_mut(position) {
                cast_column(column, &spec.kind, spec.required)?;
            }
        }
    }
    Ok(())
}

/// Labels that stand for several columns.
fn repeated_names(table: &Table) -> HashSet<Name> {
    let mut seen = HashSet::new();
    let names = table.columns.iter().map(|column| &column.name);
    names.filter(|&name| !seen.insert(name)).cloned().collect()
}

/// What pandas raises for a label that stands for several columns, in casts that need one.
fn repeated(kind: &ColumnType) -> Option<Raised> {
    Some(match kind {
        ColumnType::Scalar(DataType::Boolean) => Raised::new(
            "ValueError",
            "The truth value of a Series is ambiguous. Use a.empty, a.item(), a.any() or a.all().",
        ),
        ColumnType::Scalar(DataType::String) => Raised::new("AttributeError", NO_DTYPE),
        ColumnType::Scalar(DataType::Datetime) => {
            Raised::new("ValueError", "cannot assemble with duplicate keys")
        }
        _ => return None,
    })
}

/// The type as pandas names it.
fn kind_name(kind: &ColumnType) -> String {
    match kind {
        ColumnType::Scalar(DataType::String | DataType::Binary) => "<class 'object'>".to_owned(),
        ColumnType::Scalar(scalar) => scalar.dtype().numpy_name().to_owned(),
        nested => nested.to_string(),
    }
}

fn cast_column(column: &mut Column, kind: &ColumnType, required: bool) -> Result<(), Error> {
    let done = match kind {
        ColumnType::Scalar(scalar) => series::cast_scalar(column, *scalar),
        ColumnType::Any => Ok(()),
        nested => match nested::enforce_column(&column.values, nested, required) {
            Ok(values) => {
                *column = Column::new(column.name.clone(), values);
                Ok(())
            }
            Err(message) => Err(Raised::new("MlflowException", message)),
        },
    };
    done.map_err(|raised| incompatible(&column.name, &kind_name(kind), &raised))
}

/// The type as NumPy names it.
fn tensor_name(dtype: DType) -> &'static str {
    if dtype == DType::Str {
        "<U0"
    } else {
        dtype.numpy_name()
    }
}

/// Columns of lists are left to enforcement, which knows the shape.
fn cast_tensor(column: &mut Column, dtype: DType) -> Result<(), Error> {
    let cast = match series::value_at(&column.values, 0) {
        None => Err(Raised::new(
            "IndexError",
            "single positional indexer is out-of-bounds",
        )),
        Some(Value::List(_)) => return Ok(()),
        Some(_) if matches!(dtype, DType::Str | DType::Object) && column.is_str() => return Ok(()),
        Some(_) => series::astype(column, dtype),
    };
    match cast {
        Ok(values) => {
            *column = Column::new(column.name.clone(), values);
            Ok(())
        }
        Err(raised) => {
            let name = if dtype == DType::Str {
                "<U0"
            } else {
                dtype.numpy_name()
            };
            Err(incompatible(&column.name, name, &raised))
        }
    }
}
