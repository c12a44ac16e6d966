//! Array, Object and Map columns: each value is checked, and its numbers cast, against the type it should have.

use super::{infer, series};
use crate::model::batch::Name;
use crate::model::signature::text::Tuple;
use crate::model::signature::{ColumnType, DataType, Property};
use crate::model::tensor::{DType, Elements, Tensor};
use crate::model::value::Value;
use crate::protocol::mlflow::enforce::columns::enforce_scalar;
use crate::protocol::mlflow::python::{glimpse, repr_text, text_of};

/// Checks one value against a type; the message is what an `MlflowException` says.
pub(crate) fn enforce(value: Value, kind: &ColumnType, required: bool) -> Result<Value, String> {
    match kind {
        ColumnType::Scalar(scalar) => enforce_one(value, *scalar, required),
        ColumnType::Array(items) => enforce_array(value, items, required),
        ColumnType::Object(properties) => enforce_object(value, kind, properties, required),
        ColumnType::Map(values) => enforce_map(value, values, required),
        ColumnType::Any => Ok(value),
        // No such value arrives over this protocol; MLflow reads it as a list of doubles.
        ColumnType::SparkMlVector => Ok(value),
    }
}

/// Checks a column of values.
pub(crate) fn enforce_column(
    values: &Elements,
    kind: &ColumnType,
    required: bool,
) -> Result<Elements, String> {
    let values = series::objects(values).into_iter();
    Ok(infer::pandas(
        values
            .map(|value| enforce(value, kind, required))
            .collect::<Result<_, String>>()?,
    ))
}

fn python_name(value: &Value) -> &'static str {
    match value {
        Value::Tensor(tensor) if tensor.shape().is_empty() => match tensor.dtype() {
            DType::Bool => "bool",
            DType::Str => "str_",
            DType::Datetime => "datetime64",
            dtype => dtype.numpy_name(),
        },
        other => other.python_type(),
    }
}

fn is_scalar(value: &Value) -> bool {
    match value {
        Value::Null | Value::List(_) | Value::Map(_) => false,
        Value::Tensor(tensor) => tensor.shape().is_empty(),
        Value::Bool(_)
        | Value::Int(_)
        | Value::BigInt(_)
        | Value::Float(_)
        | Value::Str(_)
        | Value::Bytes(_) => true,
    }
}

fn enforce_one(value: Value, kind: DataType, required: bool) -> Result<Value, String> {
    if !required && super::is_missing(&value) {
        return Ok(Value::Null);
    }
    if !is_scalar(&value) {
        return Err(format!("Expected data to be scalar, got {}", python_name(&value)));
    }
    let column = super::Column::new(Name::from(""), infer::pandas(vec![value.clone()]));
    let enforced = enforce_scalar(column, kind).map_err(|_| {
        format!(
            "Failed to enforce schema of data `{}` with dtype `{}`",
            glimpse(&text_of(&value)),
            kind.name()
        )
    })?;
    Ok(match enforced.values {
        // An element of a pandas series of text is Python's own, of numbers NumPy's.
        Elements::Str(_) | Elements::Object(_) => {
            series::value_at(&enforced.values, 0).unwrap_or(Value::Null)
        }
        numbers => series::scalar(numbers),
    })
}

fn enforce_array(value: Value, items: &ColumnType, required: bool) -> Result<Value, String> {
    let empty = match &value {
        Value::Null => true,
        Value::List(values) => values.is_empty(),
        Value::Tensor(tensor) => !tensor.shape().is_empty() && tensor.rows() == 0,
        _ => false,
    };
    if empty && (!required || *items == ColumnType::Any) {
        return Ok(value);
    }
    if empty && matches!(items, ColumnType::Scalar(_)) && value != Value::Null {
        return Ok(value);
    }
    if let (Value::Tensor(tensor), ColumnType::Scalar(_)) = (&value, items)
        && tensor.shape().len() > 1
    {
        let shape = Tuple(tensor.shape());
        return Err(format!(
            "Data must be 1-dimensional, got ndarray of shape {shape} instead"
        ));
    }
    let (values, was_list) = match value {
        Value::List(values) => (values, true),
        Value::Tensor(tensor) if !tensor.shape().is_empty() => (rows(&tensor), false),
        other => {
            return Err(format!(
                "Expected data to be list or numpy array, got {}",
                python_name(&other)
            ));
        }
    };
    let ColumnType::Scalar(scalar) = items else {
        let values = values
            .into_iter()
            .map(|value| enforce(value, items, required))
            .collect::<Result<Vec<_>, _>>()?;
        return Ok(if was_list {
            Value::List(values)
        } else {
            stack(values)
        });
    };
    let enforced = enforce_scalar(super::Column::new(Name::from(""), infer::pandas(values)), *scalar)?.values;
    let is_sequence = |value: &Value| match value {
        Value::List(_) => true,
        Value::Tensor(tensor) => !tensor.shape().is_empty(),
        _ => false,
    };
    if matches!(&enforced, Elements::Object(values) if values.iter().any(is_sequence)) {
        return Err("setting an array element with a sequence".into());
    }
    // As NumPy sees the column: text is text, whatever the objects are.
    let enforced = match (scalar, enforced) {
        (DataType::String, Elements::Object(values)) => Elements::Str(values.iter().map(text_of).collect()),
        (DataType::Boolean, Elements::Object(values)) => {
            Elements::Bool(values.iter().map(super::number::truthy).collect())
        }
        (_, enforced) => enforced,
    };
    if was_list {
        return Ok(Value::List(series::objects(&enforced)));
    }
    Ok(Value::Tensor(Box::new(Tensor::vector(enforced))))
}

/// Members of an array along its first axis: scalars of a vector, else arrays.
fn rows(tensor: &Tensor) -> Vec<Value> {
    let elements = series::objects(tensor.elements());
    let Some(inner) = tensor.shape().get(1..).filter(|inner| !inner.is_empty()) else {
        return elements;
    };
    let length = tensor.row_len();
    let row = |index: usize| {
        let part =
            (index * length..(index + 1) * length).filter_map(|at| series::value_at(tensor.elements(), at));
        let cast = super::number::cast(part.collect::<Vec<_>>().iter(), tensor.dtype());
        match cast.map(|elements| super::array::tensor(inner, elements)) {
            Ok(Ok(tensor)) => Value::Tensor(Box::new(tensor)),
            _ => Value::Null,
        }
    };
    (0..tensor.rows()).map(row).collect()
}

/// `np.array(values)` of arrays or Python values.
pub(crate) fn stack(values: Vec<Value>) -> Value {
    let plain = Value::List(values.into_iter().map(unpack).collect());
    match super::array::infer(&plain) {
        Ok(tensor) => Value::Tensor(Box::new(tensor)),
        Err(_) => plain,
    }
}

/// Arrays as nested lists.
pub(crate) fn unpack(value: Value) -> Value {
    match value {
        Value::Tensor(tensor) => unpack_tensor(&tensor),
        other => other,
    }
}

fn unpack_tensor(tensor: &Tensor) -> Value {
    if tensor.shape().is_empty() {
        // NumPy's own lists hold times as numbers.
        return match tensor.elements() {
            Elements::Datetime(times) => times.first().map_or(Value::Null, |&time| Value::Int(time)),
            elements => series::value_at(elements, 0).unwrap_or(Value::Null),
        };
    }
    Value::List(rows(tensor).into_iter().map(unpack).collect())
}

fn key_set<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    let mut keys: Vec<String> = keys.map(repr_text).collect();
    keys.sort_unstable();
    format!("{{{}}}", keys.join(", "))
}

fn type_word(kind: &ColumnType) -> &'static str {
    match kind {
        ColumnType::Scalar(scalar) => scalar.name(),
        ColumnType::Array(_) => "array",
        ColumnType::Object(_) => "object",
        ColumnType::Map(_) => "map",
        ColumnType::Any => "any",
        ColumnType::SparkMlVector => "sparkml_vector",
    }
}

fn enforce_object(
    value: Value,
    kind: &ColumnType,
    properties: &[Property],
    required: bool,
) -> Result<Value, String> {
    let entries = match value {
        Value::Null if !required => return Ok(Value::Null),
        Value::Map(entries) if entries.is_empty() && !required => return Ok(Value::Map(entries)),
        Value::Map(entries) => entries,
        other => {
            return Err(format!(
                "Failed to enforce schema of '{}' with type '{kind}'. Expected data to be dictionary, got {}",
                glimpse(&shown(&other)),
                python_name(&other)
            ));
        }
    };
    let absent = properties
        .iter()
        .filter(|property| property.required && !entries.iter().any(|(key, _)| **key == *property.name));
    let absent: Vec<&str> = absent.map(|property| &*property.name).collect();
    if !absent.is_empty() {
        return Err(format!(
            "Missing required properties: {}",
            key_set(absent.into_iter())
        ));
    }
    let property = |key: &str| properties.iter().find(|property| *property.name == *key);
    let unknown: Vec<&str> = entries
        .iter()
        .map(|(key, _)| &**key)
        .filter(|key| property(key).is_none())
        .collect();
    if !unknown.is_empty() {
        let unknown = key_set(unknown.into_iter());
        return Err(format!(
            "Invalid properties not defined in the schema found: {unknown}"
        ));
    }
    let mut enforced = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let Some(property) = property(&key) else { continue };
        let received = python_name(&value);
        let value = enforce(value, &property.kind, property.required).map_err(|_| {
            format!(
                "Failed to enforce schema for key `{key}`. Expected type {}, received type {received}",
                type_word(&property.kind)
            )
        })?;
        enforced.push((key, value));
    }
    Ok(Value::Map(enforced))
}

/// An array in a message reads like the list it was stacked from.
fn shown(value: &Value) -> String {
    match value {
        Value::Tensor(tensor) if tensor.dtype() == DType::Object => text_of(&unpack_tensor(tensor)),
        other => text_of(other),
    }
}

fn enforce_map(value: Value, values: &ColumnType, required: bool) -> Result<Value, String> {
    let lenient = !required || *values == ColumnType::Any;
    match value {
        Value::Null if lenient => Ok(Value::Null),
        Value::Map(entries) => {
            let one = |(key, value)| Ok((key, enforce(value, values, required)?));
            Ok(Value::Map(
                entries.into_iter().map(one).collect::<Result<_, String>>()?,
            ))
        }
        other => Err(format!("Expected data to be a dict, got {}", python_name(&other))),
    }
}
