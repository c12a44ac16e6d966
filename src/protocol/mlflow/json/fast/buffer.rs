//! Typed buffers that cells are pushed to.

use super::cursor::{Cursor, Token};
use crate::model::signature::DataType;
use crate::model::tensor::{DType, Elements};

/// Which library's casts apply. Where they differ for a cell, the cell is declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// Cells of a column that pandas infers first: integers wrap, and reach `float32` directly.
    Pandas,
    /// Cells that NumPy casts one by one: integers must fit, and reach `float32` by way of a double.
    NumPy,
}

/// Whole numbers within this are doubles exactly, so that it does not matter by what way they become floats.
const EXACT: std::ops::RangeInclusive<i64> = -(1 << 53)..=(1 << 53);

/// An element type of regular requests.
pub(super) trait Cell: Clone + Default {
    /// The cell of this token.
    fn read(token: Token<'_>, rules: Rules) -> Option<Self>;

    /// The cell at the cursor.
    #[inline]
    fn next(cursor: &mut Cursor<'_>, rules: Rules) -> Option<Self> {
        Self::read(cursor.token()?, rules)
    }

    /// The vector as elements.
    fn elements(values: Vec<Self>) -> Elements;
}

impl Cell for f64 {
    #[inline]
    fn read(token: Token<'_>, _rules: Rules) -> Option<f64> {
        match token {
            Token::Float(float) => Some(float),
            Token::Int(integer) => Some(integer as f64),
            Token::Null => Some(f64::NAN),
            Token::Bool(_) | Token::Text(_) => None,
        }
    }

    #[inline]
    fn next(cursor: &mut Cursor<'_>, rules: Rules) -> Option<f64> {
        match cursor.plain_float() {
            Some(float) => Some(float),
            None => Self::read(cursor.token()?, rules),
        }
    }

    fn elements(values: Vec<f64>) -> Elements {
        Elements::F64(values)
    }
}

impl Cell for f32 {
    #[inline]
    fn read(token: Token<'_>, rules: Rules) -> Option<f32> {
        match token {
            Token::Float(float) => Some(float as f32),
            Token::Int(integer) if rules == Rules::NumPy || EXACT.contains(&integer) => {
                Some(integer as f64 as f32)
            }
            Token::Null => Some(f32::NAN),
            Token::Int(_) | Token::Bool(_) | Token::Text(_) => None,
        }
    }

    #[inline]
    fn next(cursor: &mut Cursor<'_>, rules: Rules) -> Option<f32> {
        match cursor.plain_float() {
            Some(float) => Some(float as f32),
            None => Self::read(cursor.token()?, rules),
        }
    }

    fn elements(values: Vec<f32>) -> Elements {
        Elements::F32(values)
    }
}

macro_rules! integer_cells {
    ($($type:ty => $variant:ident),*) => {
        $(impl Cell for $type {
            #[inline]
            fn read(token: Token<'_>, rules: Rules) -> Option<$type> {
                match token {
                    Token::Int(integer) => match rules {
                        Rules::Pandas => Some(integer as $type),
                        Rules::NumPy => <$type>::try_from(integer).ok(),
                    },
                    _ => None,
                }
            }

            fn elements(values: Vec<$type>) -> Elements {
                Elements::$variant(values)
            }
        })*
    };
}

integer_cells!(i8 => I8, i16 => I16, i32 => I32, i64 => I64, u8 => U8, u16 => U16, u32 => U32, u64 => U64);

impl Cell for bool {
    #[inline]
    fn read(token: Token<'_>, _rules: Rules) -> Option<bool> {
        match token {
            Token::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    fn elements(values: Vec<bool>) -> Elements {
        Elements::Bool(values)
    }
}

impl Cell for String {
    #[inline]
    fn read(token: Token<'_>, rules: Rules) -> Option<String> {
        match token {
            // NumPy cuts trailing NULs off.
            Token::Text(text) if rules == Rules::Pandas || !text.ends_with('\0') => Some(text.into_owned()),
            _ => None,
        }
    }

    fn elements(values: Vec<String>) -> Elements {
        Elements::Str(values)
    }
}

/// Runs an expression with `$type` standing for the element type of `$dtype`; declines types without one.
macro_rules! with_cell {
    ($dtype:expr, $type:ident => $body:expr) => {
        match $dtype {
            DType::Bool => {
                type $type = bool;
                $body
            }
            DType::I8 => {
                type $type = i8;
                $body
            }
            DType::I16 => {
                type $type = i16;
                $body
            }
            DType::I32 => {
                type $type = i32;
                $body
            }
            DType::I64 => {
                type $type = i64;
                $body
            }
            DType::U8 => {
                type $type = u8;
                $body
            }
            DType::U16 => {
                type $type = u16;
                $body
            }
            DType::U32 => {
                type $type = u32;
                $body
            }
            DType::U64 => {
                type $type = u64;
                $body
            }
            DType::F32 => {
                type $type = f32;
                $body
            }
            DType::F64 => {
                type $type = f64;
                $body
            }
            DType::Str => {
                type $type = String;
                $body
            }
            DType::F16 | DType::Datetime | DType::Object => None,
        }
    };
}
pub(super) use with_cell;

/// A column whose type is known only when it is read.
#[derive(Debug)]
pub(super) enum Buffer {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Str(Vec<String>),
    /// Not yet known: nothing was read.
    Unknown,
    /// As pandas infers it: integers so far.
    Integers(Vec<i64>),
    /// As pandas infers it: floats, or integers with missing ones.
    Floats(Vec<f64>),
}

impl Buffer {
    /// A column of a scalar type; `None` for types that are not regular.
    pub(super) fn of(kind: DataType) -> Option<Buffer> {
        Some(match kind {
            DataType::Boolean => Buffer::Bool(Vec::new()),
            DataType::Integer => Buffer::I32(Vec::new()),
            DataType::Long => Buffer::I64(Vec::new()),
            DataType::Float => Buffer::F32(Vec::new()),
            DataType::Double => Buffer::F64(Vec::new()),
            DataType::String => Buffer::Str(Vec::new()),
            DataType::Binary | DataType::Datetime => return None,
        })
    }

    /// Adds a cell.
    #[inline]
    pub(super) fn push(&mut self, token: Token<'_>, rules: Rules) -> Option<()> {
        match self {
            Buffer::Bool(values) => values.push(Cell::read(token, rules)?),
            Buffer::I32(values) => values.push(Cell::read(token, rules)?),
            Buffer::I64(values) => values.push(Cell::read(token, rules)?),
            Buffer::F32(values) => values.push(Cell::read(token, rules)?),
            Buffer::F64(values) | Buffer::Floats(values) => values.push(Cell::read(token, rules)?),
            Buffer::Str(values) => values.push(Cell::read(token, rules)?),
            Buffer::Unknown => *self = Buffer::begin(token)?,
            Buffer::Integers(values) => match token {
                Token::Int(integer) => values.push(integer),
                Token::Float(_) | Token::Null => {
                    let mut floats: Vec<f64> = values.iter().map(|&integer| integer as f64).collect();
                    floats.push(f64::read(token, rules)?);
                    *self = Buffer::Floats(floats);
                }
                Token::Bool(_) | Token::Text(_) => return None,
            },
        }
        Some(())
    }

    /// The column that begins with this cell; with a missing one nothing can be said yet, and it is declined.
    fn begin(token: Token<'_>) -> Option<Buffer> {
        Some(match token {
            Token::Null => return None,
            Token::Bool(truth) => Buffer::Bool(vec![truth]),
            Token::Int(integer) => Buffer::Integers(vec![integer]),
            Token::Float(float) => Buffer::Floats(vec![float]),
            Token::Text(text) => Buffer::Str(vec![text.into_owned()]),
        })
    }

    /// The column's elements.
    pub(super) fn finish(self) -> Option<Elements> {
        Some(match self {
            Buffer::Bool(values) => Elements::Bool(values),
            Buffer::I32(values) => Elements::I32(values),
            Buffer::I64(values) | Buffer::Integers(values) => Elements::I64(values),
            Buffer::F32(values) => Elements::F32(values),
            Buffer::F64(values) | Buffer::Floats(values) => Elements::F64(values),
            Buffer::Str(values) => Elements::Str(values),
            Buffer::Unknown => return None,
        })
    }
}

/// The element type of regular columns.
pub(super) fn is_regular(kind: DataType) -> bool {
    !matches!(kind, DataType::Binary | DataType::Datetime)
}

/// Whether the columns of this type are a matrix when all are.
pub(super) fn is_number(dtype: DType) -> bool {
    dtype.is_integer() || dtype.is_float()
}
