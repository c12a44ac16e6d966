//! What MLflow's parser makes of a request before the signature is enforced: tables, named arrays, single values.
//!
//! The rules are those of NumPy 2 and pandas 3, because the values a model sees depend on them.

pub(crate) mod array;
pub(crate) mod datetime;
pub(crate) mod frame;
pub(crate) mod infer;
pub(crate) mod nested;
pub(crate) mod number;
pub(crate) mod series;

use crate::model::batch::{Columns, Frame, Name, Names};
use crate::model::tensor::{DType, Elements, Shape, Tensor};
use crate::model::value::Value;

/// A parsed request body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    /// A `DataFrame`.
    Table(Table),
    /// A `dict`, one entry a column or tensor.
    Dict(Vec<(Box<str>, Piece)>),
    /// A list of `dict`s.
    Records(Vec<Vec<(Box<str>, Piece)>>),
    /// One array, or one bare value.
    Piece(Piece),
}

/// One member of a parsed request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    /// An `ndarray`, of any number of axes including none.
    Array(Tensor),
    /// Any other Python object; a NumPy scalar is a 0-d tensor.
    Plain(Value),
}

/// A table as pandas holds it before enforcement. Column labels may repeat.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// Number of rows, also of a table without columns.
    pub(crate) rows: usize,
    /// The columns.
    pub(crate) columns: Vec<Column>,
}

/// One column of a [`Table`]: a tensor of one axis.
///
/// A pandas `str` column with missing values is an `Object` tensor of text and NaN with `text` set.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    /// Its label.
    pub(crate) name: Name,
    /// Its values, `rows` of them.
    pub(crate) values: Elements,
    /// Whether times carry a time zone; they are kept as UTC.
    pub(crate) zoned: bool,
    /// Whether pandas holds the column as `str` although it is an `Object` here, for its missing values.
    pub(crate) text: bool,
}

impl Column {
    /// A column as pandas infers or reads it.
    pub(crate) fn new(name: Name, values: Elements) -> Column {
        let text = is_text(&values);
        Column {
            name,
            values,
            zoned: false,
            text,
        }
    }

    /// The dtype as pandas prints it.
    pub(crate) fn dtype_name(&self) -> &'static str {
        match self.values.dtype() {
            DType::Object if self.text => "str",
            DType::Datetime if self.zoned => "datetime64[ns, UTC]",
            dtype => dtype.numpy_name(),
        }
    }

    /// Whether pandas holds the column as `str`.
    pub(crate) fn is_str(&self) -> bool {
        self.text || self.values.dtype() == DType::Str
    }
}

/// Whether pandas 3 holds these values as `str`: text and missing values, and at least one text.
pub(crate) fn is_text(values: &Elements) -> bool {
    match values {
        Elements::Str(_) => true,
        Elements::Object(values) => {
            values.iter().any(|value| matches!(value, Value::Str(_)))
                && values
                    .iter()
                    .all(|value| matches!(value, Value::Str(_)) || is_missing(value))
        }
        _ => false,
    }
}

/// What pandas calls missing: `None`, NaN, NaT.
pub(crate) fn is_missing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Float(float) => float.is_nan(),
        Value::Tensor(tensor) if tensor.shape().is_empty() => match tensor.elements() {
            Elements::F64(values) => values.iter().all(|value| value.is_nan()),
            Elements::F32(values) => values.iter().all(|value| value.is_nan()),
            Elements::F16(values) => values.iter().all(|value| value.is_nan()),
            Elements::Datetime(values) => values.iter().all(|&value| value == i64::MIN),
            _ => false,
        },
        _ => false,
    }
}

/// The table of these columns as a model is handed it: one matrix when all are of one numeric type.
///
/// The decoders of every media type end here, so that equal requests make equal batches.
pub(crate) fn assemble(rows: usize, names: Names, columns: Vec<Elements>) -> Option<Frame> {
    if let [only] = columns.as_slice()
        && is_matrix_type(only.dtype())
    {
        let matrix = columns
            .into_iter()
            .next()
            .and_then(|column| Tensor::new(Shape::from_slice(&[rows, 1]), column).ok())?;
        return Frame::new(rows, names, Columns::Matrix(matrix)).ok();
    }
    let first = columns.first().map(Elements::dtype);
    if let Some(dtype) = first
        && is_matrix_type(dtype)
        && columns.iter().all(|column| column.dtype() == dtype)
    {
        let matrix = Tensor::new(
            Shape::from_slice(&[rows, columns.len()]),
            interleave(rows, &columns)?,
        )
        .ok()?;
        return Frame::new(rows, names, Columns::Matrix(matrix)).ok();
    }
    Frame::new(
        rows,
        names,
        Columns::Separate(columns.into_iter().map(Tensor::vector).collect()),
    )
    .ok()
}

/// Whether columns of this type are joined into a matrix.
pub(crate) fn is_matrix_type(dtype: DType) -> bool {
    dtype.is_float() || dtype.is_integer()
}

fn interleave(rows: usize, columns: &[Elements]) -> Option<Elements> {
    macro_rules! join {
        ($variant:ident) => {{
            let mut slices = Vec::with_capacity(columns.len());
            for column in columns {
                match column {
                    Elements::$variant(values) if values.len() == rows => slices.push(values.as_slice()),
                    _ => return None,
                }
            }
            let mut joined = Vec::with_capacity(rows.saturating_mul(columns.len()));
            for row in 0..rows {
                joined.extend(slices.iter().filter_map(|slice| slice.get(row).copied()));
            }
            Elements::$variant(joined)
        }};
    }
    Some(match columns.first()?.dtype() {
        DType::I8 => join!(I8),
        DType::I16 => join!(I16),
        DType::I32 => join!(I32),
        DType::I64 => join!(I64),
        DType::U8 => join!(U8),
        DType::U16 => join!(U16),
        DType::U32 => join!(U32),
        DType::U64 => join!(U64),
        DType::F16 => join!(F16),
        DType::F32 => join!(F32),
        DType::F64 => join!(F64),
        _ => return None,
    })
}
