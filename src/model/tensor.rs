//! Typed n-dimensional arrays: what a model takes and gives.

use std::fmt;

use half::f16;
use smallvec::SmallVec;

use crate::model::value::Value;

/// The extent of each axis, outermost first; empty for a scalar. Row-major throughout.
pub type Shape = SmallVec<[usize; 4]>;

/// Element type of a [`Tensor`], named as NumPy names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// `bool`
    Bool,
    /// `int8`
    I8,
    /// `int16`
    I16,
    /// `int32`
    I32,
    /// `int64`
    I64,
    /// `uint8`
    U8,
    /// `uint16`
    U16,
    /// `uint32`
    U32,
    /// `uint64`
    U64,
    /// `float16`
    F16,
    /// `float32`
    F32,
    /// `float64`
    F64,
    /// Text; `str` in a signature, `<U…` or pandas' `str` in Python
    Str,
    /// `datetime64[ns]`: nanoseconds since 1970-01-01T00:00:00, `i64::MIN` is NaT
    Datetime,
    /// `object`: any [`Value`] an element
    Object,
}

impl DType {
    /// The NumPy name, as it appears in signatures and messages.
    pub fn numpy_name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::I8 => "int8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::U8 => "uint8",
            DType::U16 => "uint16",
            DType::U32 => "uint32",
            DType::U64 => "uint64",
            DType::F16 => "float16",
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::Str => "str",
            DType::Datetime => "datetime64[ns]",
            DType::Object => "object",
        }
    }

    /// Whether the type is an integer, signed or not; `bool` is not one.
    pub fn is_integer(self) -> bool {
        matches!(
            self,
            DType::I8
                | DType::I16
                | DType::I32
                | DType::I64
                | DType::U8
                | DType::U16
                | DType::U32
                | DType::U64
        )
    }

    /// Whether the type is a binary floating-point number.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::F32 | DType::F64)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.numpy_name())
    }
}

/// The elements of a [`Tensor`], row-major, one vector per element type.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // why: the variants are those of `DType`, documented there
pub enum Elements {
    Bool(Vec<bool>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F16(Vec<f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Str(Vec<String>),
    Datetime(Vec<i64>),
    Object(Vec<Value>),
}

/// Runs one expression on the vector of whichever variant an [`Elements`] holds.
macro_rules! each_elements {
    ($elements:expr, $vector:ident => $body:expr) => {
        match $elements {
            $crate::model::tensor::Elements::Bool($vector) => $body,
            $crate::model::tensor::Elements::I8($vector) => $body,
            $crate::model::tensor::Elements::I16($vector) => $body,
            $crate::model::tensor::Elements::I32($vector) => $body,
            $crate::model::tensor::Elements::I64($vector) => $body,
            $crate::model::tensor::Elements::U8($vector) => $body,
            $crate::model::tensor::Elements::U16($vector) => $body,
            $crate::model::tensor::Elements::U32($vector) => $body,
            $crate::model::tensor::Elements::U64($vector) => $body,
            $crate::model::tensor::Elements::F16($vector) => $body,
            $crate::model::tensor::Elements::F32($vector) => $body,
            $crate::model::tensor::Elements::F64($vector) => $body,
            $crate::model::tensor::Elements::Str($vector) => $body,
            $crate::model::tensor::Elements::Datetime($vector) => $body,
            $crate::model::tensor::Elements::Object($vector) => $body,
        }
    };
}
pub(crate) use each_elements;

impl Elements {
    /// Number of elements.
    pub fn len(&self) -> usize {
        each_elements!(self, vector => vector.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        match self {
            Elements::Bool(_) => DType::Bool,
            Elements::I8(_) => DType::I8,
            Elements::I16(_) => DType::I16,
            Elements::I32(_) => DType::I32,
            Elements::I64(_) => DType::I64,
            Elements::U8(_) => DType::U8,
            Elements::U16(_) => DType::U16,
            Elements::U32(_) => DType::U32,
            Elements::U64(_) => DType::U64,
            Elements::F16(_) => DType::F16,
            Elements::F32(_) => DType::F32,
            Elements::F64(_) => DType::F64,
            Elements::Str(_) => DType::Str,
            Elements::Datetime(_) => DType::Datetime,
            Elements::Object(_) => DType::Object,
        }
    }

    /// No elements of the given type, room for `capacity`.
    pub fn empty(dtype: DType, capacity: usize) -> Elements {
        match dtype {
            DType::Bool => Elements::Bool(Vec::with_capacity(capacity)),
            DType::I8 => Elements::I8(Vec::with_capacity(capacity)),
            DType::I16 => Elements::I16(Vec::with_capacity(capacity)),
            DType::I32 => Elements::I32(Vec::with_capacity(capacity)),
            DType::I64 => Elements::I64(Vec::with_capacity(capacity)),
            DType::U8 => Elements::U8(Vec::with_capacity(capacity)),
            DType::U16 => Elements::U16(Vec::with_capacity(capacity)),
            DType::U32 => Elements::U32(Vec::with_capacity(capacity)),
            DType::U64 => Elements::U64(Vec::with_capacity(capacity)),
            DType::F16 => Elements::F16(Vec::with_capacity(capacity)),
            DType::F32 => Elements::F32(Vec::with_capacity(capacity)),
            DType::F64 => Elements::F64(Vec::with_capacity(capacity)),
            DType::Str => Elements::Str(Vec::with_capacity(capacity)),
            DType::Datetime => Elements::Datetime(Vec::with_capacity(capacity)),
            DType::Object => Elements::Object(Vec::with_capacity(capacity)),
        }
    }
}

/// Why a shape and its elements do not make a tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("shape {shape:?} holds {wanted} elements, got {got}")]
pub struct ShapeError {
    /// The shape asked for.
    pub shape: Shape,
    /// Its number of elements; saturates at `usize::MAX`.
    pub wanted: usize,
    /// The number of elements at hand.
    pub got: usize,
}

/// An n-dimensional row-major array; the product of `shape` always equals the number of elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Shape,
    elements: Elements,
}

impl Tensor {
    /// Joins a shape and its elements, or says how they differ.
    pub fn new(shape: impl Into<Shape>, elements: Elements) -> Result<Tensor, ShapeError> {
        let shape = shape.into();
        let wanted = element_count(&shape);
        if wanted != elements.len() {
            return Err(ShapeError {
                shape,
                wanted,
                got: elements.len(),
            });
        }
        Ok(Tensor { shape, elements })
    }

    /// A tensor of one axis.
    pub fn vector(elements: Elements) -> Tensor {
        let shape = Shape::from_slice(&[elements.len()]);
        Tensor { shape, elements }
    }

    /// Extent of each axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, row-major.
    pub fn elements(&self) -> &Elements {
        &self.elements
    }

    /// The elements, row-major, to change in place; their number cannot change the shape unseen, since
    /// [`Tensor::new`] is the only way to pair a vector with a shape.
    pub fn into_parts(self) -> (Shape, Elements) {
        (self.shape, self.elements)
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.elements.dtype()
    }

    /// Extent of axis 0, 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Elements a row: the product of every axis but the first.
    pub fn row_len(&self) -> usize {
        self.shape.get(1..).map_or(1, element_count)
    }

    /// The same elements under another shape of as many elements.
    pub fn reshape(self, shape: impl Into<Shape>) -> Result<Tensor, ShapeError> {
        Tensor::new(shape, self.elements)
    }
}

/// Product of the extents; saturates, so that a hostile shape cannot wrap around to a small number.
pub fn element_count(shape: &[usize]) -> usize {
    shape
        .iter()
        .fold(1usize, |product, &extent| product.saturating_mul(extent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_must_fit_its_elements() {
        let error = Tensor::new([2, 3].as_slice(), Elements::F32(vec![0.0; 5])).unwrap_err();
        assert_eq!((error.wanted, error.got), (6, 5));
        let tensor = Tensor::new([2, 3].as_slice(), Elements::F32(vec![0.0; 6])).unwrap();
        assert_eq!((tensor.rows(), tensor.row_len()), (2, 3));
    }

    #[test]
    fn a_scalar_is_one_row() {
        let tensor = Tensor::new(Shape::new(), Elements::F32(vec![1.0])).unwrap();
        assert_eq!((tensor.rows(), tensor.row_len()), (1, 1));
    }

    #[test]
    fn a_huge_shape_saturates() {
        assert!(Tensor::new([usize::MAX, 2].as_slice(), Elements::I8(vec![])).is_err());
    }
}
