//! The request as a plan sees it: a table or an array, read column by column.

use half::f16;

use crate::flavor::PredictError;
use crate::model::batch::{Body, Columns, Frame, Name};
use crate::model::tensor::{DType, Elements, Tensor};
use crate::model::value::Value as Object;

use super::value::Cell;

/// What a native model is handed.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A table (Python: a pandas `DataFrame`).
    Frame(&'a Frame),
    /// An array of any number of axes (Python: an `ndarray`).
    Array(&'a Tensor),
}

impl<'a> Input<'a> {
    /// The table or array that a request is.
    ///
    /// # Errors
    /// For anything else: named arrays, nested values.
    pub fn of(body: &'a Body) -> Result<Input<'a>, PredictError> {
        match body {
            Body::Frame(frame) => Ok(Input::Frame(frame)),
            Body::Array(tensor) => Ok(Input::Array(tensor)),
            Body::Named(_) => Err(PredictError::Input(
                "the model takes a table or one array, the request has named arrays".into(),
            )),
            Body::Value(value) => Err(PredictError::Input(format!(
                "the model takes a table or one array, the request is a {}",
                value.python_type()
            ))),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Input::Frame(frame) => frame.rows(),
            Input::Array(tensor) => tensor.rows(),
        }
    }

    /// Number of columns; of an array, the product of every axis but the first.
    pub fn width(&self) -> usize {
        match self {
            Input::Frame(frame) => frame.width(),
            Input::Array(tensor) => tensor.row_len(),
        }
    }

    /// The names of the columns; an array has none.
    pub fn names(&self) -> Option<&'a [Name]> {
        match self {
            Input::Frame(frame) => Some(frame.names()),
            Input::Array(_) => None,
        }
    }

    /// The column at `index`, `None` beyond the last.
    pub fn column(&self, index: usize) -> Option<Column<'a>> {
        match self {
            Input::Array(tensor) => Column::within(tensor, index),
            Input::Frame(frame) => match frame.columns() {
                Columns::Matrix(matrix) => Column::within(matrix, index),
                Columns::Separate(separate) => separate.get(index).and_then(|tensor| {
                    (tensor.shape().len() == 1).then(|| Column {
                        elements: tensor.elements(),
                        start: 0,
                        stride: 1,
                        rows: tensor.rows(),
                    })
                }),
            },
        }
    }

    /// All columns as one row-major slice of doubles, if that is how they are stored.
    pub fn doubles(&self) -> Option<&'a [f64]> {
        match self.whole()?.elements() {
            Elements::F64(doubles) => Some(doubles),
            _ => None,
        }
    }

    /// All columns as one row-major slice of singles, if that is how they are stored.
    pub fn singles(&self) -> Option<&'a [f32]> {
        match self.whole()?.elements() {
            Elements::F32(singles) => Some(singles),
            _ => None,
        }
    }

    fn whole(&self) -> Option<&'a Tensor> {
        match self {
            Input::Array(tensor) => Some(tensor),
            Input::Frame(frame) => match frame.columns() {
                Columns::Matrix(matrix) => Some(matrix),
                Columns::Separate(_) => None,
            },
        }
    }
}

/// One column: every `stride`-th of some elements.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    elements: &'a Elements,
    start: usize,
    stride: usize,
    rows: usize,
}

impl<'a> Column<'a> {
    fn within(tensor: &'a Tensor, index: usize) -> Option<Column<'a>> {
        let width = tensor.row_len();
        (index < width).then(|| Column {
            elements: tensor.elements(),
            start: index,
            stride: width,
            rows: tensor.rows(),
        })
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.elements.dtype()
    }

    /// Writes the column as doubles into every `stride`-th place of `into`, from its first on. Booleans count 0 and 1,
    /// `None` is NaN, datetimes are refused.
    ///
    /// # Errors
    /// The first element that is no number, as text for a message.
    pub fn doubles_into(&self, into: &mut [f64], stride: usize) -> Result<(), NoNumber> {
        self.numbers_into(into, stride, |number| number)
    }

    /// Like [`Column::doubles_into`], each number rounded once from its own type to `float32`.
    ///
    /// # Errors
    /// See [`Column::doubles_into`].
    pub fn singles_into(&self, into: &mut [f32], stride: usize) -> Result<(), NoNumber> {
        let stride = stride.max(1);
        match self.elements {
            // Twice rounded, by way of double, some integers would end up elsewhere.
            Elements::I64(whole) => self.plain(into, stride, whole, |x| x as f32),
            Elements::U64(whole) => self.plain(into, stride, whole, |x| x as f32),
            Elements::F32(singles) => self.plain(into, stride, singles, |x| x),
            _ => return self.numbers_into(into, stride, |number| number as f32),
        }
        Ok(())
    }

    fn numbers_into<T>(
        &self,
        into: &mut [T],
        stride: usize,
        cast: impl Fn(f64) -> T,
    ) -> Result<(), NoNumber> {
        let stride = stride.max(1);
        match self.elements {
            Elements::Bool(truths) => self.plain(into, stride, truths, |x| cast(f64::from(u8::from(x)))),
            Elements::I8(whole) => self.plain(into, stride, whole, |x| cast(f64::from(x))),
            Elements::I16(whole) => self.plain(into, stride, whole, |x| cast(f64::from(x))),
            Elements::I32(whole) => self.plain(into, stride, whole, |x| cast(f64::from(x))),
            Elements::I64(whole) => self.plain(into, stride, whole, |x| cast(x as f64)),
            Elements::U8(whole) => self.plain(into, stride, whole, |x| cast(f64::from(x))),
            Elements::U16(whole) => self.plain(into, stride, whole, |x| cast(f64::from(x))),
            Elements::U32(whole) => self.plain(into, stride, whole, |x| cast(f64::from(x))),
            Elements::U64(whole) => self.plain(into, stride, whole, |x| cast(x as f64)),
            Elements::F16(floats) => self.plain(into, stride, floats, |x: f16| cast(x.to_f64())),
            Elements::F32(floats) => self.plain(into, stride, floats, |x| cast(f64::from(x))),
            Elements::F64(floats) => self.plain(into, stride, floats, cast),
            Elements::Str(_) | Elements::Object(_) | Elements::Datetime(_) => {
                for (row, place) in into.iter_mut().step_by(stride).take(self.rows).enumerate() {
                    let cell = self.cell(row);
                    *place = match cell.and_then(|cell| cell.number()) {
                        Some(number) => cast(number),
                        None => return Err(NoNumber(self.text(row))),
                    };
                }
            }
        }
        Ok(())
    }

    fn plain<S: Copy, T>(&self, into: &mut [T], stride: usize, from: &[S], cast: impl Fn(S) -> T) {
        let from = from.get(self.start..).unwrap_or_default();
        let from = from.iter().step_by(self.stride).take(self.rows);
        for (place, &element) in into.iter_mut().step_by(stride).zip(from) {
            *place = cast(element);
        }
    }

    /// The cell in `row`; `None` beyond the last, and for what is no cell: lists, bytes, datetimes.
    pub fn cell(&self, row: usize) -> Option<Cell<'a>> {
        let at = self.start + row * self.stride;
        Some(match self.elements {
            Elements::Bool(truths) => Cell::Bool(*truths.get(at)?),
            Elements::I8(whole) => Cell::Int(i64::from(*whole.get(at)?)),
            Elements::I16(whole) => Cell::Int(i64::from(*whole.get(at)?)),
            Elements::I32(whole) => Cell::Int(i64::from(*whole.get(at)?)),
            Elements::I64(whole) => Cell::Int(*whole.get(at)?),
            Elements::U8(whole) => Cell::Int(i64::from(*whole.get(at)?)),
            Elements::U16(whole) => Cell::Int(i64::from(*whole.get(at)?)),
            Elements::U32(whole) => Cell::Int(i64::from(*whole.get(at)?)),
            Elements::U64(whole) => match i64::try_from(*whole.get(at)?) {
                Ok(whole) => Cell::Int(whole),
                Err(_) => Cell::Float(*whole.get(at)? as f64),
            },
            Elements::F16(floats) => Cell::Float(floats.get(at)?.to_f64()),
            Elements::F32(floats) => Cell::Float(f64::from(*floats.get(at)?)),
            Elements::F64(floats) => Cell::Float(*floats.get(at)?),
            Elements::Str(texts) => Cell::Text(texts.get(at)?),
            Elements::Datetime(_) => return None,
            Elements::Object(objects) => match objects.get(at)? {
                Object::Null => Cell::None,
                Object::Bool(truth) => Cell::Bool(*truth),
                Object::Int(whole) => Cell::Int(*whole),
                Object::BigInt(digits) => Cell::Float(digits.parse().ok()?),
                Object::Float(float) => Cell::Float(*float),
                Object::Str(text) => Cell::Text(text),
                _ => return None,
            },
        })
    }

    /// The element in `row` as Python's `repr` shows it, roughly, for messages.
    fn text(&self, row: usize) -> String {
        match self.cell(row) {
            Some(Cell::Text(text)) => format!("'{text}'"),
            Some(cell) => format!("{:?}", cell.to_value()),
            None => format!("an element of type {}", self.dtype()),
        }
    }
}

/// An element is no number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not convert to float: {0}")]
pub struct NoNumber(String);

impl From<NoNumber> for PredictError {
    fn from(error: NoNumber) -> PredictError {
        PredictError::Input(error.to_string())
    }
}
