//! Categories of a column and the cells that are looked up in them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::flavor::PredictError;
use crate::flavor::formats::object::{Array, ArrayElements, Object, View};
use crate::flavor::plan::Register;
use crate::flavor::plan::input::Column;
use crate::flavor::plan::value::{Cell, Form, Kind, Matrix, Value};
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::Context;
use super::request::Reader;
use super::rows::check_width;

/// A value as Python compares it: `2`, `2.0` and, for 1, `True` are one category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Number {
    /// An integer.
    Whole(i64),
    /// The bits of any other double but NaN.
    Double(u64),
}

impl Number {
    fn of(double: f64) -> Number {
        // 2^63 itself is no `i64`.
        let range = i64::MIN as f64..-(i64::MIN as f64);
        let whole = double.fract() == 0.0 && range.contains(&double);
        match whole {
            true => Number::Whole(double as i64),
            false => Number::Double(double.to_bits()),
        }
    }
}

/// Hashes short keys; the tables hold what the model file holds, requests only look things up.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (place, byte) in word.iter_mut().zip(chunk) {
                *place = *byte;
            }
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}

type Table<K> = HashMap<K, u32, BuildHasherDefault<Quick>>;

/// The categories of one column, by value.
pub(super) struct Categories {
    numbers: Table<Number>,
    texts: Table<Arc<str>>,
    nan: Option<u32>,
    none: Option<u32>,
    count: usize,
}

impl Categories {
    /// The categories in an array of any dtype.
    pub(super) fn of(value: View<'_>) -> Result<Categories, Refusal> {
        let Object::Array(Array { shape, elements }) = value.object() else {
            refuse!("categories expected, got a `{}`", value.kind());
        };
        if shape.len() != 1 {
            refuse!("categories of shape {shape:?}");
        }
        let mut categories = Categories {
            numbers: Table::default(),
            texts: Table::default(),
            nan: None,
            none: None,
            count: 0,
        };
        match elements {
            ArrayElements::Float(floats) => floats.iter().for_each(|&x| categories.add(&Cell::Float(x))),
            ArrayElements::Int(whole) => whole.iter().for_each(|&x| categories.add(&Cell::Int(x))),
            ArrayElements::Bool(truths) => truths.iter().for_each(|&x| categories.add(&Cell::Bool(x))),
            ArrayElements::Text(texts) => texts.iter().for_each(|x| categories.add(&Cell::Text(x))),
            ArrayElements::Object(ids) => {
                for &id in ids {
                    let member = value.at(id);
                    match cell(member) {
                        Some(cell) => categories.add(&cell),
                        None => refuse!("a category is a `{}`", member.kind()),
                    }
                }
            }
            ArrayElements::Records(_) => refuse!("records are no categories"),
        }
        Ok(categories)
    }

    fn add(&mut self, cell: &Cell<'_>) {
        let index = u32::try_from(self.count).unwrap_or(u32::MAX);
        self.count += 1;
        match cell {
            Cell::None => self.none = Some(index),
            Cell::Text(text) => {
                self.texts.insert((*text).into(), index);
            }
            cell if cell.is_nan() => self.nan = Some(index),
            cell => {
                if let Some(number) = number(cell) {
                    self.numbers.insert(number, index);
                }
            }
        }
    }

    /// Number of categories.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The index of the category that a cell is.
    pub(super) fn find(&self, cell: &Cell<'_>) -> Option<usize> {
        let index = match cell {
            Cell::Text(text) => self.texts.get(*text).copied(),
            Cell::None => self.none,
            cell if cell.is_nan() => self.nan,
            cell => self.numbers.get(&number(cell)?).copied(),
        };
        index.map(|index| index as usize)
    }
}

fn number(cell: &Cell<'_>) -> Option<Number> {
    match cell {
        Cell::Bool(truth) => Some(Number::Whole(i64::from(*truth))),
        Cell::Int(whole) => Some(Number::Whole(*whole)),
        Cell::Float(double) => Some(Number::of(*double)),
        Cell::None | Cell::Text(_) => None,
    }
}

/// A plain Python value as a cell.
pub(super) fn cell(value: View<'_>) -> Option<Cell<'_>> {
    Some(match value.object() {
        Object::None => Cell::None,
        Object::Bool(truth) => Cell::Bool(*truth),
        Object::Int(whole) => Cell::Int(*whole),
        Object::Float(float) => Cell::Float(*float),
        Object::Text(text) => Cell::Text(text),
        _ => return None,
    })
}

/// How a step that takes cells of any type reads what it is given: the request, cells, or floats.
pub(super) struct Source(Option<Reader>, usize);

/// The cells of one call. On the stack, so that a call of a row does not allocate for it.
#[allow(clippy::large_enum_variant)] // why: a box would be that allocation
pub(super) enum Grid<'r, 'a> {
    /// Columns of the request.
    Columns(SmallVec<[Column<'a>; 8]>),
    /// Cells of another step.
    Cells(&'r Matrix<Cell<'a>>),
    /// Doubles of another step.
    Doubles(&'r Matrix<f64>),
    /// Singles of another step.
    Singles(&'r Matrix<f32>),
}

impl Source {
    /// How an estimator reads `x`.
    pub(super) fn new(context: &Context<'_>, object: View<'_>, x: Register) -> Result<Source, Refusal> {
        let form = context.plan.form(x);
        if form.kind == Kind::Input {
            let reader = Reader::new(context, object, x)?;
            let width = reader.width();
            return Ok(Source(Some(reader), width));
        }
        check_width(object, form.width)?;
        Ok(Source(None, form.width))
    }

    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        self.1
    }

    /// Whether this is a form it reads.
    pub(super) fn accepts(&self, inputs: &[Form]) -> Result<(), String> {
        match inputs {
            [form] if self.0.is_some() == (form.kind == Kind::Input) && form.kind != Kind::I64 => Ok(()),
            _ => Err(format!("{} columns expected, got {inputs:?}", self.1)),
        }
    }

    /// The cells of this call.
    pub(super) fn grid<'r, 'a>(&self, value: &'r Value<'a>) -> Result<Grid<'r, 'a>, PredictError> {
        Ok(match (value, &self.0) {
            (Value::Input(input), Some(reader)) => Grid::Columns(reader.columns(input)?),
            (Value::F64(matrix), _) => Grid::Doubles(matrix),
            (Value::F32(matrix), _) => Grid::Singles(matrix),
            (other, _) => Grid::Cells(other.cells()?),
        })
    }
}

impl<'a> Grid<'_, 'a> {
    /// The cell at this place.
    pub(super) fn cell(&self, row: usize, column: usize) -> Result<Cell<'a>, PredictError> {
        let cell = match self {
            Grid::Columns(columns) => columns.get(column).and_then(|column| column.cell(row)),
            Grid::Cells(matrix) => matrix.data.get(row * matrix.width + column).copied(),
            Grid::Doubles(matrix) => matrix
                .data
                .get(row * matrix.width + column)
                .map(|&x| Cell::Float(x)),
            Grid::Singles(matrix) => {
                let single = matrix.data.get(row * matrix.width + column);
                single.map(|&x| Cell::Float(f64::from(x)))
            }
        };
        cell.ok_or_else(|| {
            PredictError::Input(format!(
                "row {row} of column {column} is no number, text, boolean or null"
            ))
        })
    }

    /// Whether a column is stored as floats, so that scikit-learn looks for infinities in it.
    pub(super) fn floats(&self, column: usize) -> bool {
        match self {
            Grid::Columns(columns) => columns
                .get(column)
                .is_some_and(|column| column.dtype().is_float()),
            Grid::Cells(_) => false,
            Grid::Doubles(_) | Grid::Singles(_) => true,
        }
    }
}
