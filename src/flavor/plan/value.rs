//! What flows between the steps of a plan.

use crate::flavor::PredictError;
use crate::model::value::Value as Object;

use super::input::Input;

/// A dense `[rows, width]` array, row-major.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix<T> {
    /// Extent of axis 0.
    pub rows: usize,
    /// Extent of axis 1.
    pub width: usize,
    /// `rows * width` elements.
    pub data: Vec<T>,
}

impl<T> Matrix<T> {
    /// The rows, one slice each. A matrix without columns has none, however many rows it has.
    pub fn each_row(&self) -> std::slice::ChunksExact<'_, T> {
        self.data.chunks_exact(self.width.max(1))
    }

    /// The rows, to change in place.
    pub fn each_row_mut(&mut self) -> std::slice::ChunksExactMut<'_, T> {
        self.data.chunks_exact_mut(self.width.max(1))
    }
}

/// One cell of a column that is no plain number, and one label of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Python `None`.
    None,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double; NaN is pandas' missing value, which is another one than `None`.
    Float(f64),
    /// Text.
    Text(&'a str),
}

impl Cell<'_> {
    /// Whether the cell is NaN.
    pub fn is_nan(&self) -> bool {
        matches!(self, Cell::Float(float) if float.is_nan())
    }

    /// The number it is: booleans count 0 and 1, `None` is NaN, text is none.
    pub fn number(&self) -> Option<f64> {
        match self {
            Cell::None => Some(f64::NAN),
            Cell::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Cell::Int(whole) => Some(*whole as f64),
            Cell::Float(float) => Some(*float),
            Cell::Text(_) => None,
        }
    }

    /// The cell as an element of an object array.
    pub fn to_value(&self) -> Object {
        match self {
            Cell::None => Object::Null,
            Cell::Bool(truth) => Object::Bool(*truth),
            Cell::Int(whole) => Object::Int(*whole),
            Cell::Float(float) => Object::Float(*float),
            Cell::Text(text) => Object::Str((*text).into()),
        }
    }
}

/// The content of a register.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// The request.
    Input(Input<'a>),
    /// `float32`
    F32(Matrix<f32>),
    /// `float64`
    F64(Matrix<f64>),
    /// `int64`: class indices and integer labels
    I64(Matrix<i64>),
    /// Anything else: text, mixed columns, labels that are no integers
    Cells(Matrix<Cell<'a>>),
}

/// The type of a register's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request.
    Input,
    /// `float32`
    F32,
    /// `float64`
    F64,
    /// `int64`
    I64,
    /// Cells of any type.
    Cells,
}

/// What is known of a register when the plan is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Type of the elements.
    pub kind: Kind,
    /// Number of columns; 0 for [`Kind::Input`].
    pub width: usize,
}

impl Form {
    /// `width` columns of `float32`.
    pub fn f32(width: usize) -> Form {
        Form {
            kind: Kind::F32,
            width,
        }
    }

    /// `width` columns of `float64`.
    pub fn f64(width: usize) -> Form {
        Form {
            kind: Kind::F64,
            width,
        }
    }

    /// `width` columns of `int64`.
    pub fn i64(width: usize) -> Form {
        Form {
            kind: Kind::I64,
            width,
        }
    }

    /// `width` columns of cells.
    pub fn cells(width: usize) -> Form {
        Form {
            kind: Kind::Cells,
            width,
        }
    }
}

/// The typed views of a value; each errs when the plan was built wrongly.
macro_rules! typed {
    ($get:ident, $take:ident, $variant:ident, $element:ty, $name:literal) => {
        #[doc = concat!("The `", $name, "` matrix in it.")]
        ///
        /// # Errors
        /// When it holds another kind, which the builder of plans rules out.
        pub fn $get(&self) -> Result<&Matrix<$element>, PredictError> {
            match self {
                Value::$variant(matrix) => Ok(matrix),
                other => Err(other.unexpected($name)),
            }
        }

        #[doc = concat!("The `", $name, "` matrix in it, to change.")]
        ///
        /// # Errors
        /// When it holds another kind, which the builder of plans rules out.
        pub fn $take(self) -> Result<Matrix<$element>, PredictError> {
            match self {
                Value::$variant(matrix) => Ok(matrix),
                other => Err(other.unexpected($name)),
            }
        }
    };
}

impl<'a> Value<'a> {
    typed!(f32, into_f32, F32, f32, "float32");
    typed!(f64, into_f64, F64, f64, "float64");
    typed!(i64, into_i64, I64, i64, "int64");
    typed!(cells, into_cells, Cells, Cell<'a>, "cells");

    /// The request in it.
    ///
    /// # Errors
    /// When it holds another kind, which the builder of plans rules out.
    pub fn input(&self) -> Result<&Input<'a>, PredictError> {
        match self {
            Value::Input(input) => Ok(input),
            other => Err(other.unexpected("the request")),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Value::Input(input) => input.rows(),
            Value::F32(matrix) => matrix.rows,
            Value::F64(matrix) => matrix.rows,
            Value::I64(matrix) => matrix.rows,
            Value::Cells(matrix) => matrix.rows,
        }
    }

    fn unexpected(&self, wanted: &str) -> PredictError {
        let kind = match self {
            Value::Input(_) => "the request",
            Value::F32(_) => "float32",
            Value::F64(_) => "float64",
            Value::I64(_) => "int64",
            Value::Cells(_) => "cells",
        };
        PredictError::Engine(format!("a step of the plan wants {wanted} and is given {kind}"))
    }
}
