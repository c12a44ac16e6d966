//! Outputs of ONNX Runtime, copied out into tensors.

use ort::value::{DynValue, DynValueTypeMarker, TensorElementType, ValueType};

use crate::flavor::PredictError;
use crate::model::tensor::{Elements, Shape, Tensor};
use crate::model::value::Value;

use super::super::element::{Element, tensor_kind};
use super::super::shape_output::tensor;
use super::casts::Casts;
use super::{element, failed};

/// What an output of a graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tensor(Element),
    /// A list of tensors.
    Tensors(Element),
    /// A list of maps, as ZipMap gives, one a row.
    Maps(Key, Number),
    /// One map.
    Map(Key, Number),
}

/// Keys that maps of graphs have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    I64,
    Str,
}

/// Values that maps of graphs have; maps to text are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    F32,
    F64,
    I64,
}

impl Kind {
    /// What an output of that type is, unless it has no place in an answer.
    pub(super) fn of(kind: &ValueType) -> Option<Kind> {
        Some(match kind {
            ValueType::Tensor { ty, .. } => Kind::Tensor(element(*ty)?),
            ValueType::Map { key, value } => {
                let (key, value) = entry(*key, *value)?;
                Kind::Map(key, value)
            }
            ValueType::Sequence(inner) => match &**inner {
                ValueType::Tensor { ty, .. } => Kind::Tensors(element(*ty)?),
                ValueType::Map { key, value } => {
                    let (key, value) = entry(*key, *value)?;
                    Kind::Maps(key, value)
                }
                _ => return None,
            },
            ValueType::Optional(_) => return None,
        })
    }

    pub(super) fn element(&self) -> Option<Element> {
        match self {
            Kind::Tensor(element) | Kind::Tensors(element) => Some(*element),
            Kind::Maps(..) | Kind::Map(..) => None,
        }
    }

    /// For people: `float32[-1, 3]`, `list of map(int64 to float32)`.
    pub(super) fn describe(&self, kind: &ValueType) -> String {
        let inner = match kind {
            ValueType::Sequence(inner) => inner,
            other => other,
        };
        let shape: &[i64] = inner.tensor_shape().map_or(&[], |shape| shape);
        match *self {
            Kind::Tensor(element) => tensor_kind(element, shape),
            Kind::Tensors(element) => format!("list of {}", tensor_kind(element, shape)),
            Kind::Map(key, value) => map_kind(key, value),
            Kind::Maps(key, value) => format!("list of {}", map_kind(key, value)),
        }
    }
}

fn map_kind(key: Key, value: Number) -> String {
    let key = match key {
        Key::I64 => "int64",
        Key::Str => "str",
    };
    let value = match value {
        Number::F32 => "float32",
        Number::F64 => "float64",
        Number::I64 => "int64",
    };
    format!("map({key} to {value})")
}

fn entry(key: TensorElementType, value: TensorElementType) -> Option<(Key, Number)> {
    let key = match key {
        TensorElementType::Int64 => Key::I64,
        TensorElementType::String => Key::Str,
        _ => return None,
    };
    let value = match value {
        TensorElementType::Float32 => Number::F32,
        TensorElementType::Float64 => Number::F64,
        TensorElementType::Int64 => Number::I64,
        _ => return None,
    };
    Some((key, value))
}

/// Copies an output; lists and maps become tensors of objects.
pub(super) fn read(value: &DynValue, kind: Kind, casts: Option<&mut Casts>) -> Result<Tensor, PredictError> {
    match kind {
        Kind::Tensor(element) => read_tensor(value, element, casts),
        Kind::Tensors(element) => {
            let mut casts = casts;
            let items = value
                .try_extract_sequence::<DynValueTypeMarker>()
                .map_err(failed)?;
            let items = items
                .iter()
                .map(|item| {
                    Ok(Value::Tensor(Box::new(read_tensor(
                        item,
                        element,
                        casts.as_deref_mut(),
                    )?)))
                })
                .collect::<Result<Vec<_>, PredictError>>()?;
            Ok(Tensor::vector(Elements::Object(items)))
        }
        Kind::Maps(key, number) => {
            let items = value
                .try_extract_sequence::<DynValueTypeMarker>()
                .map_err(failed)?;
            let items = items
                .iter()
                .map(|item| read_map(item, key, number))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Tensor::vector(Elements::Object(items)))
        }
        Kind::Map(key, number) => tensor(
            Shape::new(),
            Elements::Object(vec![read_map(value, key, number)?]),
        ),
    }
}

fn read_tensor(
    value: &DynValue,
    element: Element,
    casts: Option<&mut Casts>,
) -> Result<Tensor, PredictError> {
    macro_rules! copied {
        ($type:ty, $variant:ident) => {{
            let (shape, elements) = value.try_extract_tensor::<$type>().map_err(failed)?;
            tensor(extents(shape), Elements::$variant(elements.to_vec()))
        }};
    }
    match element {
        Element::Bool => copied!(bool, Bool),
        Element::I8 => copied!(i8, I8),
        Element::I16 => copied!(i16, I16),
        Element::I32 => copied!(i32, I32),
        Element::I64 => copied!(i64, I64),
        Element::U8 => copied!(u8, U8),
        Element::U16 => copied!(u16, U16),
        Element::U32 => copied!(u32, U32),
        Element::U64 => copied!(u64, U64),
        Element::F32 => copied!(f32, F32),
        Element::F64 => copied!(f64, F64),
        Element::Str => {
            let (shape, texts) = value.try_extract_strings().map_err(failed)?;
            tensor(extents(shape), Elements::Str(texts))
        }
        Element::F16 | Element::BF16 => match casts {
            Some(casts) => casts.widen(value, element),
            None => Err(PredictError::Engine(
                "no cast for 16-bit floats was prepared".into(),
            )),
        },
    }
}

/// Extents of a value, which are never negative.
pub(super) fn extents(shape: &[i64]) -> Shape {
    shape
        .iter()
        .map(|&extent| usize::try_from(extent).unwrap_or(0))
        .collect()
}

fn read_map(value: &DynValue, key: Key, number: Number) -> Result<Value, PredictError> {
    macro_rules! entries {
        ($key:ty, $number:ty, $value:expr) => {
            value
                .try_extract_key_values::<$key, $number>()
                .map_err(failed)?
                .into_iter()
                .map(|(key, number)| (key.to_string().into_boxed_str(), $value(number)))
                .collect()
        };
    }
    let widened = |number: f32| Value::Float(f64::from(number));
    Ok(Value::Map(match (key, number) {
        (Key::I64, Number::F32) => entries!(i64, f32, widened),
        (Key::I64, Number::F64) => entries!(i64, f64, Value::Float),
        (Key::I64, Number::I64) => entries!(i64, i64, Value::Int),
        (Key::Str, Number::F32) => entries!(String, f32, widened),
        (Key::Str, Number::F64) => entries!(String, f64, Value::Float),
        (Key::Str, Number::I64) => entries!(String, i64, Value::Int),
    }))
}
