//! Whatever was parsed, as the table that a signature of columns takes.

use std::collections::{HashMap, HashSet};

use crate::model::batch::Name;
use crate::model::signature::text::Tuple;
use crate::model::signature::{ColumnSchema, ColumnType};
use crate::model::tensor::{DType, Elements, Tensor};
use crate::model::value::Value;
use crate::protocol::mlflow::cast::frame::{bounded, records, split};
use crate::protocol::mlflow::cast::{Column, Input, Piece, Table, infer, nested, series};

/// Makes a table of the input; the message is what follows `Error: `.
pub(crate) fn from_input(input: Input, schema: &ColumnSchema) -> Result<Table, String> {
    match input {
        Input::Table(table) => Ok(table),
        Input::Dict(members) => from_dict(members, schema),
        Input::Records(list) => {
            let record = |members: Vec<(Box<str>, Piece)>| {
                Value::Map(
                    members
                        .into_iter()
                        .map(|(name, piece)| (name, piece.into_cell()))
                        .collect(),
                )
            };
            records(list.into_iter().map(record).collect())
        }
        Input::Piece(Piece::Array(tensor)) => from_array(tensor),
        Input::Piece(Piece::Plain(value)) => match value {
            Value::List(_) => split(value, None, None),
            Value::Map(_) | Value::Null => Err(format!(
                "Expected input to be DataFrame. Found: {}",
                value.python_type()
            )),
            // MLflow makes one row of a single value.
            scalar => split(Value::List(vec![scalar]), None, None),
        },
    }
}

fn from_array(tensor: Tensor) -> Result<Table, String> {
    let (shape, elements) = tensor.into_parts();
    let (rows, width) = match *shape.as_slice() {
        [rows] => (rows, 1),
        [rows, width] => (rows, width),
        _ => return Err(format!("Must pass 2-d input. shape={}", Tuple(&shape))),
    };
    let column = |position: usize| {
        let name = Name::Index(position as i64);
        Column::new(name, every(&elements, position, width))
    };
    Ok(Table {
        rows,
        columns: (0..width).map(column).collect(),
    })
}

/// Every `step`th element from `start` on; `object` columns are inferred anew, as pandas does.
fn every(elements: &Elements, start: usize, step: usize) -> Elements {
    if let Elements::Datetime(times) = elements {
        return Elements::Datetime(times.iter().skip(start).step_by(step.max(1)).copied().collect());
    }
    crate::model::tensor::each_elements!(elements, values => pick(values, start, step))
}

trait Pick: Sized {
    fn wrap(values: Vec<Self>) -> Elements;
}

macro_rules! pick_types {
    ($($type:ty => $variant:ident),*) => {
        $(impl Pick for $type {
            fn wrap(values: Vec<$type>) -> Elements {
                Elements::$variant(values)
            }
        })*
    };
}

// Times are `i64` too, and are picked before these.
pick_types!(bool => Bool, i8 => I8, i16 => I16, i32 => I32, i64 => I64, u8 => U8, u16 => U16, u32 => U32, u64 => U64,
    half::f16 => F16, f32 => F32, f64 => F64, String => Str);

impl Pick for Value {
    fn wrap(values: Vec<Value>) -> Elements {
        infer::pandas(values)
    }
}

fn pick<T: Pick + Clone>(values: &[T], start: usize, step: usize) -> Elements {
    T::wrap(values.iter().skip(start).step_by(step.max(1)).cloned().collect())
}

fn from_dict(members: Vec<(Box<str>, Piece)>, schema: &ColumnSchema) -> Result<Table, String> {
    let nested = schema
        .columns()
        .iter()
        .any(|spec| matches!(spec.kind, ColumnType::Array(_) | ColumnType::Object(_)));
    let texts = |piece: &Piece| match piece {
        Piece::Plain(Value::List(items)) => items.iter().all(|item| matches!(item, Value::Str(_))),
        _ => false,
    };
    let single = members.iter().all(|(_, piece)| piece.is_scalar() || texts(piece));
    let text_scalar = |piece: &Piece| matches!(piece, Piece::Array(tensor) if tensor.shape().is_empty() && tensor.dtype() == DType::Str);
    if nested || single || members.iter().all(|(_, piece)| text_scalar(piece)) {
        return Ok(one_row(members));
    }
    from_columns(members).map_err(|problem| {
        format!(
            "This model contains a column-based signature, which suggests a DataFrame input. There was an error casting \
             the input data to a DataFrame: {problem}"
        )
    })
}

/// `DataFrame([dict])`.
fn one_row(members: Vec<(Box<str>, Piece)>) -> Table {
    let column = |(name, piece): (Box<str>, Piece)| {
        Column::new(Name::Text(name.into()), infer::pandas(vec![piece.into_cell()]))
    };
    Table {
        rows: 1,
        columns: members.into_iter().map(column).collect(),
    }
}

/// `DataFrame(dict)`: arrays of one length, single values repeated.
fn from_columns(members: Vec<(Box<str>, Piece)>) -> Result<Table, String> {
    let mut rows = None;
    let mut keyed: Option<Vec<Box<str>>> = None;
    let mut seen: HashSet<Box<str>> = HashSet::new();
    for (_, piece) in &members {
        let length = match piece {
            // Repeated, like a single value.
            Piece::Array(tensor) if tensor.shape().is_empty() => continue,
            Piece::Array(tensor) => tensor.rows(),
            Piece::Plain(Value::List(items)) => items.len(),
            Piece::Plain(Value::Map(entries)) => {
                let keys = keyed.get_or_insert_with(Vec::new);
                for (key, _) in entries {
                    if seen.insert(key.clone()) {
                        keys.push(key.clone());
                    }
                }
                continue;
            }
            Piece::Plain(_) => continue,
        };
        if *rows.get_or_insert(length) != length {
            return Err("All arrays must be of the same length".into());
        }
    }
    if rows.is_some() && keyed.is_some() {
        return Err("Mixing dicts with non-Series may lead to ambiguous ordering.".into());
    }
    let Some(rows) = rows.or(keyed.as_ref().map(Vec::len)) else {
        return Err("If using all scalar values, you must pass an index".into());
    };
    let repeated = |piece: &Piece| match piece {
        Piece::Array(tensor) => tensor.shape().is_empty(),
        Piece::Plain(value) => !matches!(value, Value::List(_) | Value::Map(_)),
    };
    let sent = members
        .iter()
        .filter(|(_, piece)| !repeated(piece))
        .count()
        .saturating_mul(rows);
    bounded(rows, members.len(), sent)?;
    let column = |(name, piece): (Box<str>, Piece)| {
        let values = match piece {
            Piece::Array(tensor) if tensor.shape().len() == 1 => {
                let (_, elements) = tensor.into_parts();
                match elements {
                    Elements::Object(values) if !keep_object(&values) => infer::pandas(values),
                    other => other,
                }
            }
            Piece::Array(tensor) if tensor.shape().is_empty() => {
                let value = series::value_at(tensor.elements(), 0).unwrap_or(Value::Null);
                infer::pandas(vec![value; rows])
            }
            // More axes than a column has: the rows become lists.
            Piece::Array(tensor) => match nested::unpack(Value::Tensor(Box::new(tensor))) {
                Value::List(rows) => infer::pandas(rows),
                other => infer::pandas(vec![other]),
            },
            Piece::Plain(Value::List(items)) => infer::pandas(items),
            Piece::Plain(Value::Map(entries)) => {
                let mut cells: HashMap<Box<str>, Value> = entries.into_iter().collect();
                let mut cell = |key: &str| cells.remove(key).unwrap_or(Value::Float(f64::NAN));
                infer::pandas(keyed.iter().flatten().map(|key| cell(key)).collect())
            }
            Piece::Plain(Value::Tensor(scalar)) if scalar.dtype() == DType::Datetime => {
                let time = match scalar.elements() {
                    Elements::Datetime(values) => values.first().copied().unwrap_or(i64::MIN),
                    _ => i64::MIN,
                };
                Elements::Datetime(vec![time; rows])
            }
            Piece::Plain(scalar) => infer::pandas(vec![scalar; rows]),
        };
        Column::new(Name::Text(name.into()), values)
    };
    Ok(Table {
        rows,
        columns: members.into_iter().map(column).collect(),
    })
}

/// An `object` array stays one in a table, except that pandas makes `str` of text.
fn keep_object(values: &[Value]) -> bool {
    let text = |value: &Value| match value {
        Value::Tensor(tensor) => tensor.shape().is_empty() && tensor.dtype() == DType::Str,
        other => matches!(other, Value::Str(_)),
    };
    !values.iter().any(text)
        || !values
            .iter()
            .all(|value| text(value) || matches!(value, Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_values_do_not_build_huge_tables() {
        let long = Tensor::vector(Elements::Bool(vec![true; 10_000]));
        let single = Tensor::new(crate::model::tensor::Shape::new(), Elements::I64(vec![1])).unwrap();
        let mut members = vec![("a".into(), Piece::Array(long))];
        members.extend((0..10_000).map(|key| (format!("k{key}").into(), Piece::Array(single.clone()))));
        let message = from_columns(members).unwrap_err();
        assert!(message.contains("larger than is read"), "{message}");
    }

    #[test]
    fn an_array_is_cut_into_columns() {
        let tensor = Tensor::new(
            crate::model::tensor::Shape::from_slice(&[2, 2]),
            Elements::F32(vec![1.0, 2.0, 3.0, 4.0]),
        )
        .unwrap();
        let table = from_array(tensor).unwrap();
        assert_eq!(table.columns[1].values, Elements::F32(vec![2.0, 4.0]));
    }
}
