//! Elements between our tensors and those of tract.

use tract_onnx::prelude::tract_ndarray::ArrayD;
use tract_onnx::prelude::*;

use crate::flavor::PredictError;
use crate::model::tensor::{Elements, Shape, Tensor as OurTensor};

use super::super::element::Element;
use super::super::feed::Feed;
use super::super::shape_output::tensor;

/// The element type of a number of `TensorProto.DataType`, as far as tract has it.
pub(super) fn element(number: i32) -> Option<Element> {
    Some(match number {
        1 => Element::F32,
        2 => Element::U8,
        3 => Element::I8,
        4 => Element::U16,
        5 => Element::I16,
        6 => Element::I32,
        7 => Element::I64,
        8 => Element::Str,
        9 => Element::Bool,
        10 => Element::F16,
        11 => Element::F64,
        12 => Element::U32,
        13 => Element::U64,
        _ => return None,
    })
}

/// tract's name for an element type.
pub(super) fn datum_type(element: Element) -> DatumType {
    match element {
        Element::Bool => DatumType::Bool,
        Element::I8 => DatumType::I8,
        Element::I16 => DatumType::I16,
        Element::I32 => DatumType::I32,
        Element::I64 => DatumType::I64,
        Element::U8 => DatumType::U8,
        Element::U16 => DatumType::U16,
        Element::U32 => DatumType::U32,
        Element::U64 => DatumType::U64,
        Element::F16 => DatumType::F16,
        // A bfloat16 port is refused before; its values travel as float32.
        Element::BF16 | Element::F32 => DatumType::F32,
        Element::F64 => DatumType::F64,
        Element::Str => DatumType::String,
    }
}

/// A feed as a value of tract, which owns what it is given.
pub(super) fn write(feed: &Feed<'_>) -> Result<TValue, PredictError> {
    let shape = feed.shape.as_slice();
    let tensor = match feed.elements {
        Elements::Bool(v) => Tensor::from_shape(shape, v),
        Elements::I8(v) => Tensor::from_shape(shape, v),
        Elements::I16(v) => Tensor::from_shape(shape, v),
        Elements::I32(v) => Tensor::from_shape(shape, v),
        Elements::I64(v) => Tensor::from_shape(shape, v),
        Elements::U8(v) => Tensor::from_shape(shape, v),
        Elements::U16(v) => Tensor::from_shape(shape, v),
        Elements::U32(v) => Tensor::from_shape(shape, v),
        Elements::U64(v) => Tensor::from_shape(shape, v),
        Elements::F16(v) => Tensor::from_shape(shape, v),
        Elements::F32(v) => Tensor::from_shape(shape, v),
        Elements::F64(v) => Tensor::from_shape(shape, v),
        Elements::Str(v) => ArrayD::from_shape_vec(shape, v.clone())
            .map(Tensor::from)
            .map_err(TractError::from),
        other => Err(TractError::msg(format!(
            "{} cannot be fed to tract",
            other.dtype()
        ))),
    };
    tensor.map(IntoTValue::into_tvalue).map_err(engine)
}

/// A value of tract as a tensor of the element type the graph declares.
pub(super) fn read(value: &Tensor, element: Element) -> Result<OurTensor, PredictError> {
    // Lengths and shapes are symbolic numbers to tract, integers to ONNX.
    let value = value.cast_to_dt(datum_type(element)).map_err(engine)?;
    macro_rules! copied {
        ($type:ty, $variant:ident) => {
            Elements::$variant(
                value
                    .to_plain_array_view::<$type>()
                    .map_err(engine)?
                    .iter()
                    .cloned()
                    .collect(),
            )
        };
    }
    let elements = match element {
        Element::Bool => copied!(bool, Bool),
        Element::I8 => copied!(i8, I8),
        Element::I16 => copied!(i16, I16),
        Element::I32 => copied!(i32, I32),
        Element::I64 => copied!(i64, I64),
        Element::U8 => copied!(u8, U8),
        Element::U16 => copied!(u16, U16),
        Element::U32 => copied!(u32, U32),
        Element::U64 => copied!(u64, U64),
        Element::F16 => copied!(half::f16, F16),
        Element::BF16 | Element::F32 => copied!(f32, F32),
        Element::F64 => copied!(f64, F64),
        Element::Str => copied!(String, Str),
    };
    tensor(Shape::from_slice(value.shape()), elements)
}

fn engine(error: TractError) -> PredictError {
    PredictError::Engine(format!("{error:#}"))
}
