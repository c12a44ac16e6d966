//! `inputs` and `instances`: lists, objects of columns or tensors, lists of objects, single values.

use std::collections::HashMap;

use crate::model::signature::{ColumnSpec, ColumnType, DataType, Schema, TensorSpec};
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;
use crate::protocol::mlflow::cast::{Input, Piece, array, nested, series};
use crate::protocol::mlflow::python::{Raised, glimpse, text_of};

/// What a value is cast to.
#[derive(Clone, Copy)]
enum Spec<'a> {
    Column(&'a ColumnSpec),
    Tensor(&'a TensorSpec),
}

impl std::fmt::Display for Spec<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Spec::Column(column) => column.fmt(out),
            Spec::Tensor(tensor) => tensor.fmt(out),
        }
    }
}

/// The signature as values are looked up in it.
struct Specs<'a> {
    /// By name; empty when nothing is named.
    by_name: HashMap<&'a str, Spec<'a>>,
    /// The first, which a value without a name is cast to.
    first: Option<Spec<'a>>,
    /// Whether there is a signature at all.
    present: bool,
}

impl<'a> Specs<'a> {
    fn of(schema: Option<&'a Schema>) -> Specs<'a> {
        let all: Vec<(Option<&str>, Spec<'_>)> = match schema {
            None => Vec::new(),
            Some(Schema::Columns(columns)) => columns
                .columns()
                .iter()
                .map(|spec| (spec.name.as_deref(), Spec::Column(spec)))
                .collect(),
            Some(Schema::Tensors(tensors)) => tensors
                .iter()
                .map(|spec| (spec.name.as_deref(), Spec::Tensor(spec)))
                .collect(),
        };
        Specs {
            first: all.first().map(|&(_, spec)| spec),
            by_name: all
                .into_iter()
                .filter_map(|(name, spec)| Some((name?, spec)))
                .collect(),
            present: schema.is_some(),
        }
    }

    fn get(&self, name: &str) -> Option<Spec<'a>> {
        self.by_name.get(name).copied()
    }

    fn only_name(&self) -> Option<&'a str> {
        match self.by_name.len() {
            1 => self.by_name.keys().next().copied(),
            _ => None,
        }
    }
}

/// Errors that MLflow did not foresee are wrapped once more.
fn unforeseen(raised: &Raised) -> String {
    format!(
        "Ensure that the input is a valid JSON-formatted string.\nError: {}",
        raised.repr()
    )
}

/// Reads the value of `inputs`; an error is what follows `Invalid input. `.
pub(super) fn inputs(value: Value, schema: Option<&Schema>) -> Result<Input, String> {
    let specs = Specs::of(schema);
    let is_record = |value: &Value| matches!(value, Value::Map(_));
    let value = match (value, specs.only_name()) {
        (Value::List(items), Some(name)) if !items.iter().any(is_record) => {
            Value::Map(vec![(name.into(), Value::List(items))])
        }
        (value, _) => value,
    };
    if specs.present && specs.by_name.is_empty() && matches!(value, Value::Map(_) | Value::Null) {
        return Err(format!(
            "Failed to parse input data. This model contains an un-named  model signature which expects a single \
             n-dimensional array or a single value as input, however, an input of type <class '{}'> was found.",
            value.python_type()
        ));
    }
    match value {
        Value::Map(entries) => record(entries, &specs).map(Input::Dict),
        Value::List(items) if items.iter().all(is_record) => {
            let one = |item| match item {
                Value::Map(entries) => record(entries, &specs),
                _ => Ok(Vec::new()),
            };
            Ok(Input::Records(
                items.into_iter().map(one).collect::<Result<_, _>>()?,
            ))
        }
        Value::List(_) => convert(value, first(&specs)?).map(Input::Piece),
        scalar => {
            let spec = first(&specs)?;
            let shown = glimpse(&text_of(&scalar));
            convert(scalar, spec).map(Input::Piece).map_err(|problem| match spec {
                Some(spec) => {
                    format!("Failed to convert data `{shown}` to type `{spec}` defined in the model signature.")
                }
                None => problem,
            })
        }
    }
}

/// What an unnamed value is cast to; a signature without inputs has nothing to offer.
fn first<'a>(specs: &Specs<'a>) -> Result<Option<Spec<'a>>, String> {
    if specs.present && specs.first.is_none() {
        return Err(unforeseen(&Raised::new("IndexError", "list index out of range")));
    }
    Ok(specs.first)
}

fn record(entries: Vec<(Box<str>, Value)>, specs: &Specs<'_>) -> Result<Vec<(Box<str>, Piece)>, String> {
    let one = |(name, value): (Box<str>, Value)| {
        let piece = convert(value, specs.get(&name))?;
        Ok((name, piece))
    };
    entries.into_iter().map(one).collect()
}

/// Reads the value of `instances`; an error is what follows `Invalid input. `.
pub(super) fn instances(value: Value, schema: Option<&Schema>) -> Result<Input, String> {
    let input = match value {
        Value::List(items) if matches!(items.first(), Some(Value::Map(_))) => {
            Input::Dict(by_column(items, &Specs::of(schema))?)
        }
        value => inputs(value, schema)?,
    };
    if let Input::Dict(members) = &input {
        check_lengths(members, schema)?;
    }
    Ok(input)
}

/// Turns a list of objects into one array a key.
fn by_column(items: Vec<Value>, specs: &Specs<'_>) -> Result<Vec<(Box<str>, Piece)>, String> {
    let mut columns: Vec<(Box<str>, Vec<Piece>)> = Vec::new();
    let mut positions: HashMap<Box<str>, usize> = HashMap::new();
    for item in items {
        let Value::Map(entries) = item else {
            let message = format!("'{}' object has no attribute 'items'", item.python_type());
            return Err(unforeseen(&Raised::new("AttributeError", message)));
        };
        for (name, value) in entries {
            let piece = convert(value, specs.get(&name))?;
            let position = *positions.entry(name.clone()).or_insert(columns.len());
            if position == columns.len() {
                columns.push((name, Vec::new()));
            }
            if let Some((_, pieces)) = columns.get_mut(position) {
                pieces.push(piece);
            }
        }
    }
    let stacked = |(name, pieces)| {
        Ok((
            name,
            Piece::Array(stack(pieces).map_err(|raised| unforeseen(&raised))?),
        ))
    };
    columns.into_iter().map(stacked).collect()
}

/// `np.array(pieces)`, which keeps the type the pieces share.
fn stack(pieces: Vec<Piece>) -> Result<Tensor, Raised> {
    let tensors: Option<Vec<&Tensor>> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Array(tensor) => Some(tensor),
            Piece::Plain(Value::Tensor(tensor)) => Some(&**tensor),
            Piece::Plain(_) => None,
        })
        .collect();
    if let Some(tensors) = tensors
        && let Some(first) = tensors.first()
        && tensors
            .iter()
            .all(|tensor| tensor.dtype() == first.dtype() && tensor.shape() == first.shape())
        && let Some(elements) = array::concat(&tensors)
    {
        let mut shape = vec![tensors.len()];
        shape.extend_from_slice(first.shape());
        return array::tensor(&shape, elements);
    }
    let missing = |piece: &Piece| matches!(piece, Piece::Plain(Value::Null));
    if pieces.iter().any(missing) && pieces.iter().all(Piece::is_scalar) {
        let values: Vec<Value> = pieces.into_iter().map(Piece::into_value).collect();
        return array::tensor(&[values.len()], Elements::Object(values));
    }
    let plain = pieces
        .into_iter()
        .map(|piece| nested::unpack(piece.into_value()))
        .collect();
    array::infer(&Value::List(plain))
}

/// All arrays that the signature requires must be of one length.
fn check_lengths(members: &[(Box<str>, Piece)], schema: Option<&Schema>) -> Result<(), String> {
    let checked = |name: &str| match schema {
        Some(Schema::Columns(columns)) if columns.named() => columns
            .position(name)
            .and_then(|position| columns.columns().get(position))
            .is_some_and(|spec| spec.required && !matches!(spec.kind, ColumnType::Array(_))),
        Some(Schema::Tensors(specs)) if specs.iter().any(|spec| spec.name.is_some()) => {
            specs.iter().any(|spec| spec.name.as_deref() == Some(name))
        }
        _ => true,
    };
    let mut lengths = Vec::new();
    for (name, piece) in members {
        match piece {
            _ if !checked(name) => {}
            Piece::Array(tensor) if tensor.shape().is_empty() => lengths.push(None),
            Piece::Array(tensor) => lengths.push(Some(tensor.rows())),
            Piece::Plain(Value::List(items)) => lengths.push(Some(items.len())),
            Piece::Plain(_) => {}
        }
    }
    if lengths.contains(&None) {
        return Err(unforeseen(&Raised::new("TypeError", "len() of unsized object")));
    }
    let first = lengths.first();
    if lengths.iter().any(|length| Some(length) != first) {
        return Err("The length of values for each input/column name are not the same".into());
    }
    Ok(())
}

/// Casts one value as NumPy does; an error is the exception's text.
fn convert(value: Value, spec: Option<Spec<'_>>) -> Result<Piece, String> {
    let text = |raised: Raised| raised.message;
    let column = match spec {
        None => return array::infer(&value).map(Piece::Array).map_err(text),
        Some(Spec::Tensor(spec)) => return array::cast(&value, spec.dtype).map(Piece::Array).map_err(text),
        Some(Spec::Column(column)) => column,
    };
    match &column.kind {
        ColumnType::Scalar(kind) => scalar_column(value, *kind).map_err(text),
        kind @ ColumnType::Array(_) => {
            let value = nested::enforce(value, kind, column.required)?;
            array::infer(&value).map(Piece::Array).map_err(text)
        }
        kind @ (ColumnType::Object(_) | ColumnType::Map(_)) => {
            nested::enforce(value, kind, column.required).map(Piece::Plain)
        }
        ColumnType::Any | ColumnType::SparkMlVector => Ok(Piece::Plain(value)),
    }
}

fn cast_values(value: &Value, kind: DataType) -> Result<Tensor, Raised> {
    match kind {
        DataType::Binary => array::bytes(value),
        other => array::cast(value, other.dtype()),
    }
}

fn scalar_column(value: Value, kind: DataType) -> Result<Piece, Raised> {
    let keeps_null = matches!(kind, DataType::Boolean | DataType::String | DataType::Binary);
    match value {
        Value::Null if keeps_null => Ok(Piece::Plain(Value::Null)),
        Value::List(items) => {
            let single = |item: &Value| !matches!(item, Value::List(_) | Value::Map(_));
            if keeps_null && items.contains(&Value::Null) && items.iter().all(single) {
                let one = |item| match scalar_column(item, kind)? {
                    Piece::Plain(value) => Ok(value),
                    Piece::Array(tensor) => Ok(Value::Tensor(Box::new(tensor))),
                };
                let values: Vec<Value> = items.into_iter().map(one).collect::<Result<_, Raised>>()?;
                return array::tensor(&[values.len()], Elements::Object(values)).map(Piece::Array);
            }
            cast_values(&Value::List(items), kind).map(Piece::Array)
        }
        single => {
            let (_, elements) = cast_values(&Value::List(vec![single]), kind)?.into_parts();
            Ok(Piece::Plain(series::scalar(elements)))
        }
    }
}
