//! Arrays, or tables of arrays, against a signature of tensors.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Details, missing_inputs, tensor};
use crate::model::batch::{Body, Name};
use crate::model::signature::TensorSpec;
use crate::model::signature::text::Tuple;
use crate::model::tensor::{DType, Elements, Tensor};
use crate::model::value::Value;
use crate::protocol::mlflow::cast::{Column, Input, Piece, Table, array, number, series};

/// Checks and converts the input; the message is what follows `Error: `.
pub(crate) fn enforce(input: Input, specs: &[TensorSpec], details: Details) -> Result<Body, String> {
    match specs {
        [spec] if spec.name.is_none() => unnamed(input, spec).map(Body::Array),
        _ => named(input, specs, details).map(Body::Named),
    }
}

fn named(input: Input, specs: &[TensorSpec], details: Details) -> Result<Vec<(Arc<str>, Tensor)>, String> {
    let name = |spec: &TensorSpec| spec.name.clone().unwrap_or_default();
    // One array answers to the only name there is.
    let input = match (input, specs) {
        (Input::Piece(Piece::Array(tensor)), [spec]) => {
            Input::Dict(vec![((*name(spec)).into(), Piece::Array(tensor))])
        }
        (input, _) => input,
    };
    let sent: Vec<Name> = match &input {
        Input::Table(table) => table.columns.iter().map(|column| column.name.clone()).collect(),
        Input::Dict(members) => members.iter().map(|(name, _)| Name::from(&**name)).collect(),
        Input::Records(_) | Input::Piece(_) => Vec::new(),
    };
    let present: HashSet<&str> = sent.iter().filter_map(Name::as_text).collect();
    let missing = specs
        .iter()
        .filter_map(|spec| spec.name.as_deref())
        .filter(|name| !present.contains(name));
    let missing: Vec<&str> = missing.collect();
    if !missing.is_empty() {
        let known: HashSet<&str> = specs.iter().filter_map(|spec| spec.name.as_deref()).collect();
        let extra = sent
            .iter()
            .filter(|name| name.as_text().is_none_or(|name| !known.contains(name)));
        return Err(missing_inputs(&missing, extra.collect(), details));
    }
    let mut tensors = Vec::with_capacity(specs.len());
    match input {
        Input::Dict(mut members) => {
            for spec in specs {
                let position = members.iter().position(|(key, _)| **key == *name(spec));
                let piece = position.map(|position| members.swap_remove(position).1);
                let tensor = match piece {
                    Some(Piece::Array(tensor)) => tensor,
                    Some(other) => {
                        return Err(format!(
                            "This model contains a tensor-based model signature with input names, which suggests a \
                             dictionary input mapping input name to a numpy array, but a dict with value type <class \
                             '{}'> was found.",
                            other.class()
                        ));
                    }
                    None => continue,
                };
                tensors.push((name(spec), check(tensor, spec)?));
            }
        }
        Input::Table(table) => {
            for spec in specs {
                let mut columns = table
                    .columns
                    .iter()
                    .filter(|column| column.name.as_text() == spec.name.as_deref());
                let Some(column) = columns.next() else { continue };
                if columns.next().is_some() {
                    return Err(OTHER_CELLS.into());
                }
                tensors.push((name(spec), reshape(Some(&name(spec)), column, spec)?));
            }
        }
        Input::Records(_) | Input::Piece(_) => {
            // All names are missing then, and that was said above; without any name there is nothing to miss.
        }
    }
    Ok(tensors)
}

fn unnamed(input: Input, spec: &TensorSpec) -> Result<Tensor, String> {
    let found = match input {
        Input::Piece(Piece::Array(tensor)) => return check(tensor, spec),
        Input::Table(table) => return from_table(&table, spec),
        Input::Dict(_) => "dict".to_owned(),
        Input::Records(_) => "list".to_owned(),
        Input::Piece(piece) => piece.class(),
    };
    Err(format!(
        "This model contains a tensor-based model signature with no input names, which suggests a numpy array input or a \
         pandas dataframe input with proper column values, but an input of type <class '{found}'> was found."
    ))
}

fn from_table(table: &Table, spec: &TensorSpec) -> Result<Tensor, String> {
    let width = table.columns.len();
    match table.columns.as_slice() {
        _ if table.rows == 0 => Err("Input DataFrame is empty.".into()),
        [] => Err("Input DataFrame is empty.".into()),
        [only] => reshape(None, only, spec),
        columns => {
            if *spec.shape != [-1, width as i64] {
                return Err(format!(
                    "This model contains a model signature with an unnamed input. Since the input data is a pandas \
                     DataFrame containing multiple columns, the input shape must be of the structure (-1, \
                     number_of_dataframe_columns). Instead, the input DataFrame passed had {width} columns and an input \
                     shape of {} with all values within the DataFrame of scalar type. Please adjust the passed in \
                     DataFrame to match the expected structure",
                    Tuple(&spec.shape)
                ));
            }
            check(to_matrix(table.rows, columns)?, spec)
        }
    }
}

/// `DataFrame.to_numpy()`: one type for all columns, `object` where they differ.
fn to_matrix(rows: usize, columns: &[Column]) -> Result<Tensor, String> {
    let dtype = columns.first().map_or(DType::F64, |column| column.values.dtype());
    let same = columns.iter().all(|column| column.values.dtype() == dtype);
    let values: Vec<Vec<Value>> = columns
        .iter()
        .map(|column| series::objects(&column.values))
        .collect();
    let cells = (0..rows).flat_map(|row| values.iter().filter_map(move |column| column.get(row)));
    let cells: Vec<Value> = cells.cloned().collect();
    let elements = match dtype {
        dtype if same => number::cast(cells.iter(), dtype).map_err(|raised| raised.message)?,
        _ => Elements::Object(cells),
    };
    tensor(&[rows, columns.len()], elements)
}

fn is_scalar(value: &Value) -> bool {
    match value {
        // NumPy does not count `None` as a scalar.
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

/// Cells that make no tensor; a column that is there twice is no cell either.
const OTHER_CELLS: &str = "Because the model signature requires tensor spec input, the input pandas dataframe values \
                           should be either scalar value, python list containing scalar values or numpy array \
                           containing scalar values, other types are not supported.";

/// The cells of one column as a tensor: single values for a vector, lists reshaped to what the signature says.
fn reshape(name: Option<&str>, column: &Column, spec: &TensorSpec) -> Result<Tensor, String> {
    if spec.shape.first() != Some(&-1) || spec.shape.iter().skip(1).any(|&extent| extent == -1) {
        return Err(format!(
            "For pandas dataframe input, the first dimension of shape must be a variable dimension and other dimensions \
             must be fixed, but in model signature the shape of {} is {}.",
            name.map_or_else(|| "the unnamed input".into(), |name| format!("input {name}")),
            Tuple(&spec.shape)
        ));
    }
    let shown = name.unwrap_or("None");
    let rows = column.values.len();
    let Some(first) = series::value_at(&column.values, 0) else {
        return Err("single positional indexer is out-of-bounds".into());
    };
    if is_scalar(&first) {
        let shape = match *spec.shape.as_slice() {
            [_] => vec![rows],
            [_, 1] => vec![rows, 1],
            _ => {
                return Err(format!(
                    "The input pandas dataframe column '{shown}' contains scalar values, which requires the shape to be \
                     (-1,) or (-1, 1), but got tensor spec shape of {}.",
                    Tuple(&spec.shape)
                ));
            }
        };
        let elements = series::convert(&column.values, spec.dtype).map_err(|raised| raised.message)?;
        return check(tensor(&shape, elements)?, spec);
    }
    match &first {
        Value::List(items) if items.first().is_some_and(is_scalar) => {}
        Value::List(items) if items.is_empty() => return Err("list index out of range".into()),
        Value::Tensor(_) => {}
        _ => {
            return Err(OTHER_CELLS.into());
        }
    }
    let refused = || {
        format!(
            "The value in the Input DataFrame column '{shown}' could not be converted to the expected shape of: '{}'. \
             Ensure that each of the input list elements are of uniform length and that the data can be coerced to the \
             tensor type '{}'",
            Tuple(&spec.shape),
            if spec.dtype == DType::Str {
                "<U0"
            } else {
                spec.dtype.numpy_name()
            }
        )
    };
    let lists = Value::List(series::objects(&column.values));
    let flat = array::infer(&lists).map_err(|_| refused())?;
    let per_row: i64 = spec.shape.iter().skip(1).product();
    if flat.shape().len() != 2 || flat.row_len() as i64 != per_row {
        return Err(refused());
    }
    let mut shape = vec![rows];
    shape.extend(
        spec.shape
            .iter()
            .skip(1)
            .filter_map(|&extent| usize::try_from(extent).ok()),
    );
    let elements = series::convert(flat.elements(), spec.dtype).map_err(|_| refused())?;
    tensor(&shape, elements)
}

/// Shape and type must be the signature's; `-1` is any extent.
fn check(tensor: Tensor, spec: &TensorSpec) -> Result<Tensor, String> {
    if *spec.shape == [-1] && spec.dtype == DType::Object {
        return Ok(tensor);
    }
    let ragged = spec.shape.iter().skip(1).any(|&extent| extent == -1);
    if ragged && tensor.shape().len() == 1 && tensor.dtype() == DType::Object {
        return Ok(tensor);
    }
    let fits = spec.shape.len() == tensor.shape().len()
        && spec
            .shape
            .iter()
            .zip(tensor.shape())
            .all(|(&wanted, &extent)| wanted == -1 || wanted == extent as i64);
    if !fits {
        return Err(format!(
            "Shape of input {} does not match expected shape {}.",
            Tuple(tensor.shape()),
            Tuple(&spec.shape)
        ));
    }
    if tensor.dtype() != spec.dtype {
        return Err(format!(
            "dtype of input {} does not match expected dtype {}",
            tensor.dtype(),
            spec.dtype
        ));
    }
    Ok(tensor)
}
