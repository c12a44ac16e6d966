//! Tables against a signature of columns.

use std::collections::HashSet;

use super::{Details, frame, missing_inputs};
use crate::model::batch::{Body, Name};
use crate::model::signature::{ColumnSchema, ColumnSpec, ColumnType, DataType};
use crate::model::tensor::{DType, Elements};
use crate::model::value::Value;
use crate::protocol::mlflow::cast::{Column, Table, infer, nested, number, series};

/// Checks and converts a table; the message is what follows `Error: `.
pub(crate) fn enforce(table: Table, schema: &ColumnSchema, details: Details) -> Result<Body, String> {
    let rows = table.rows;
    let columns = if schema.named() {
        named(table, schema, details)?
    } else {
        unnamed(table, schema)?
    };
    // pandas gives a table without columns no rows either.
    let rows = if columns.is_empty() { 0 } else { rows };
    let (names, values) = columns
        .into_iter()
        .map(|column| (column.name, column.values))
        .unzip();
    let frame = frame(rows, names, values, Some(schema)).ok_or("the columns have different lengths")?;
    Ok(Body::Frame(frame))
}

fn named(table: Table, schema: &ColumnSchema, details: Details) -> Result<Vec<Column>, String> {
    let present: HashSet<&str> = table
        .columns
        .iter()
        .filter_map(|column| column.name.as_text())
        .collect();
    let name = |spec: &ColumnSpec| spec.name.clone().unwrap_or_default();
    let required = schema.columns().iter().filter(|spec| spec.required);
    let missing: Vec<&str> = required
        .filter_map(|spec| spec.name.as_deref())
        .filter(|name| !present.contains(name))
        .collect();
    if !missing.is_empty() {
        let known: HashSet<&str> = schema
            .columns()
            .iter()
            .filter_map(|spec| spec.name.as_deref())
            .collect();
        let names = table.columns.iter().map(|column| &column.name);
        let extra = names
            .filter(|name| name.as_text().is_none_or(|name| !known.contains(name)))
            .collect();
        return Err(missing_inputs(&missing, extra, details));
    }
    let mut sent: std::collections::HashMap<String, (usize, Column)> = std::collections::HashMap::new();
    for column in table.columns {
        let Some(text) = column.name.as_text() else {
            continue;
        };
        sent.entry(text.to_owned()).or_insert((0, column)).0 += 1;
    }
    let mut columns = Vec::with_capacity(schema.columns().len());
    for spec in schema.columns() {
        let Some((times, column)) = sent.remove(&*name(spec)) else {
            continue;
        };
        if times > 1 {
            return Err(DUPLICATE.into());
        }
        columns.push(enforce_column(column, &spec.kind, spec.required)?);
    }
    Ok(columns)
}

/// Two columns of one name are a table in pandas, and a table has no type.
const DUPLICATE: &str = "'DataFrame' object has no attribute 'dtype'";

fn unnamed(table: Table, schema: &ColumnSchema) -> Result<Vec<Column>, String> {
    let (declared, provided) = (schema.columns().len(), table.columns.len());
    if provided < declared {
        return Err(format!(
            "Model inference is missing inputs. The model signature declares {declared} inputs  but the provided value \
             only has {provided} inputs. Note: the inputs were not named in the signature so we can only verify their \
             count."
        ));
    }
    let mut seen = HashSet::new();
    let mut columns = Vec::with_capacity(declared);
    let repeated: HashSet<Name> = table
        .columns
        .iter()
        .map(|column| column.name.clone())
        .filter(|name| !seen.insert(name.clone()))
        .collect();
    for (column, spec) in table.columns.into_iter().zip(schema.columns()) {
        if repeated.contains(&column.name) {
            return Err(DUPLICATE.into());
        }
        columns.push(enforce_column(column, &spec.kind, true)?);
    }
    Ok(columns)
}

fn enforce_column(column: Column, kind: &ColumnType, required: bool) -> Result<Column, String> {
    match kind {
        ColumnType::Scalar(scalar) => enforce_scalar(column, *scalar),
        nested => {
            let values = nested::enforce_column(&column.values, nested, required)?;
            Ok(Column::new(column.name, values))
        }
    }
}

/// The conversions that lose nothing; everything else is refused.
pub(crate) fn enforce_scalar(mut column: Column, kind: DataType) -> Result<Column, String> {
    let is_object = |column: &Column| column.values.dtype() == DType::Object && !column.text;
    if is_object(&column) && !matches!(kind, DataType::Binary | DataType::String) {
        let Column { name, values, .. } = column;
        let values = match values {
            Elements::Object(values) if values.iter().any(is_unsized) => {
                return Err("len() of unsized object".into());
            }
            Elements::Object(values) => infer::pandas(values),
            other => other,
        };
        column = Column::new(name, values);
    }
    let dtype = column.values.dtype();
    match kind {
        DataType::String if is_object(&column) || column.is_str() => return Ok(column),
        DataType::Binary if is_object(&column) || column.is_str() => return Ok(column),
        DataType::Datetime if dtype == DType::Datetime && column.zoned => {
            return Err(
                "Cannot use .astype to convert from timezone-aware dtype to timezone-naive dtype. Use \
                        obj.tz_localize(None) or obj.tz_convert('UTC').tz_localize(None) instead."
                    .into(),
            );
        }
        DataType::Datetime if is_object(&column) => return object_times(column),
        DataType::Boolean if is_object(&column) => return Ok(column),
        DataType::Double if is_object(&column) => return object_doubles(column),
        DataType::Boolean
        | DataType::Integer
        | DataType::Long
        | DataType::Float
        | DataType::Double
        | DataType::String
        | DataType::Binary
        | DataType::Datetime => {}
    }
    let wanted = kind.dtype();
    if dtype == wanted && !is_object(&column) && !column.text {
        return Ok(column);
    }
    if !column.text && widens(dtype, kind) || only_zero_and_one(&column.values, kind) {
        column.values = series::convert(&column.values, wanted).map_err(|raised| raised.message)?;
        return Ok(column);
    }
    let target = match kind {
        DataType::String => "<U0",
        DataType::Binary => "|S0",
        other => other.dtype().numpy_name(),
    };
    Err(format!(
        "Incompatible input types for column {}. Can not safely convert {} to {target}.{}",
        column.name,
        column.dtype_name(),
        hint(&column.values, kind)
    ))
}

/// An array without axes in a cell, which is not a NumPy scalar.
fn is_unsized(value: &Value) -> bool {
    matches!(value, Value::Tensor(tensor) if tensor.shape().is_empty()
        && matches!(tensor.elements(), Elements::Object(values) if !matches!(values.first(), Some(Value::Bytes(_)))))
}

fn object_times(column: Column) -> Result<Column, String> {
    let Elements::Object(values) = &column.values else {
        return Ok(column);
    };
    let mut times = Column {
        values: Elements::Object(values.clone()),
        ..column
    };
    crate::protocol::mlflow::cast::datetime::pandas_times(&mut times).map_err(|raised| raised.message)?;
    Ok(times)
}

/// `pd.to_numeric`, which MLflow uses by accident of how NumPy compares `object` with a decimal type.
fn object_doubles(mut column: Column) -> Result<Column, String> {
    let Elements::Object(values) = &column.values else {
        return Ok(column);
    };
    let mut numbers = Vec::with_capacity(values.len());
    for (position, value) in values.iter().enumerate() {
        let number = match value {
            // pandas takes an empty list for a missing value.
            Value::List(items) if items.is_empty() => Ok(f64::NAN),
            Value::List(_) | Value::Map(_) | Value::Bytes(_) => {
                return Err(format!("Invalid object type at position {position}"));
            }
            Value::Tensor(tensor) if !tensor.shape().is_empty() => {
                return Err(format!("Invalid object type at position {position}"));
            }
            other => number::to_float(other),
        };
        numbers.push(number.map_err(|_| {
            format!(
                "Failed to convert column {} from type object to DataType.double.",
                column.name
            )
        })?);
    }
    column.values = Elements::F64(numbers);
    Ok(column)
}

/// Size in bytes of an element, and NumPy's letter for the kind of type.
fn kind_and_size(dtype: DType) -> (char, usize) {
    match dtype {
        DType::Bool => ('b', 1),
        DType::I8 => ('i', 1),
        DType::I16 => ('i', 2),
        DType::I32 => ('i', 4),
        DType::I64 => ('i', 8),
        DType::U8 => ('u', 1),
        DType::U16 => ('u', 2),
        DType::U32 => ('u', 4),
        DType::U64 => ('u', 8),
        DType::F16 => ('f', 2),
        DType::F32 => ('f', 4),
        DType::F64 => ('f', 8),
        DType::Str => ('U', 0),
        DType::Datetime => ('M', 8),
        DType::Object => ('O', 0),
    }
}

fn widens(from: DType, kind: DataType) -> bool {
    if matches!(kind, DataType::String | DataType::Binary) || matches!(from, DType::Str | DType::Object) {
        return false;
    }
    let ((from, from_size), (to, to_size)) = (kind_and_size(from), kind_and_size(kind.dtype()));
    match (from, to) {
        _ if from == to => from_size <= to_size,
        ('u', 'i') => from_size < to_size,
        ('i' | 'u', 'f') => kind == DataType::Double && from_size <= 6,
        _ => false,
    }
}

/// 64-bit integers pass for floats when they could as well be truth values.
fn only_zero_and_one(values: &Elements, kind: DataType) -> bool {
    matches!(kind, DataType::Float | DataType::Double)
        && matches!(values, Elements::I64(values) if values.iter().all(|value| matches!(value, 0 | 1)))
}

fn hint(values: &Elements, kind: DataType) -> &'static str {
    let whole = |&value: &f64| value.is_nan() || (value.is_finite() && value.trunc() == value);
    match (values, kind) {
        (Elements::F64(values), DataType::Integer | DataType::Long)
            if values.iter().any(|value| value.is_nan()) && values.iter().all(whole) =>
        {
            " Hint: the type mismatch is likely caused by missing values. Integer columns in python can not represent \
             missing values and are therefore encoded as floats. The best way to avoid this problem is to infer the \
             model schema based on a realistic data sample (training dataset) that includes missing values. \
             Alternatively, you can declare integer columns as doubles (float64) whenever these columns may have \
             missing values. See `Handling Integers With Missing Values \
             <https://www.mlflow.org/docs/latest/models.html#handling-integers-with-missing-values>`_ for more details."
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: Elements, kind: DataType) -> Result<DType, String> {
        Ok(enforce_scalar(Column::new(Name::from("x"), values), kind)?
            .values
            .dtype())
    }

    #[test]
    fn safe_conversions_are_made() {
        for (values, kind, wanted) in [
            (Elements::I32(vec![5]), DataType::Long, DType::I64),
            (Elements::U32(vec![5]), DataType::Long, DType::I64),
            (Elements::I32(vec![5]), DataType::Double, DType::F64),
            (Elements::F32(vec![0.5]), DataType::Double, DType::F64),
            (Elements::I64(vec![0, 1]), DataType::Float, DType::F32),
            (
                Elements::Object(vec![Value::Int(3)]),
                DataType::String,
                DType::Object,
            ),
            (
                Elements::Object(vec![Value::Null]),
                DataType::Boolean,
                DType::Object,
            ),
        ] {
            assert_eq!(check(values, kind).unwrap(), wanted);
        }
    }

    #[test]
    fn unsafe_conversions_are_refused() {
        for (values, kind, wanted) in [
            (
                Elements::I64(vec![5]),
                DataType::Double,
                "Can not safely convert int64 to float64.",
            ),
            (
                Elements::I64(vec![5]),
                DataType::Integer,
                "Can not safely convert int64 to int32.",
            ),
            (
                Elements::F64(vec![0.5]),
                DataType::Float,
                "Can not safely convert float64 to float32.",
            ),
            (
                Elements::Bool(vec![true]),
                DataType::Long,
                "Can not safely convert bool to int64.",
            ),
            (
                Elements::Str(vec!["a".into()]),
                DataType::Double,
                "Can not safely convert str to float64.",
            ),
            (
                Elements::U64(vec![1]),
                DataType::Long,
                "Can not safely convert uint64 to int64.",
            ),
            (
                Elements::F64(vec![1.0, f64::NAN]),
                DataType::Long,
                "float64 to int64. Hint: the type mismatch is likely",
            ),
        ] {
            let message = check(values, kind).unwrap_err();
            assert!(message.contains(wanted), "{message}");
        }
    }
}
