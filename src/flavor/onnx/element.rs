//! Element types and ports of a graph, under the names ONNX, NumPy and people give them.

use std::sync::Arc;

use crate::flavor::Port;
use crate::model::tensor::DType;

/// Element type of a graph's tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    /// Travels as `float32` on our side, which holds every value of it.
    BF16,
    F32,
    F64,
    Str,
}

impl Element {
    /// The type its values have in a [`Tensor`](crate::model::tensor::Tensor).
    pub(super) fn dtype(self) -> DType {
        match self {
            Element::Bool => DType::Bool,
            Element::I8 => DType::I8,
            Element::I16 => DType::I16,
            Element::I32 => DType::I32,
            Element::I64 => DType::I64,
            Element::U8 => DType::U8,
            Element::U16 => DType::U16,
            Element::U32 => DType::U32,
            Element::U64 => DType::U64,
            Element::F16 => DType::F16,
            Element::BF16 | Element::F32 => DType::F32,
            Element::F64 => DType::F64,
            Element::Str => DType::Str,
        }
    }

    /// Name in a port's description: NumPy's, but `bfloat16`, which NumPy has not.
    fn port_name(self) -> &'static str {
        match self {
            Element::BF16 => "bfloat16",
            other => other.dtype().numpy_name(),
        }
    }

    /// ONNX Runtime's name, for messages: `tensor(float)`.
    pub(super) fn onnx_name(self) -> &'static str {
        match self {
            Element::BF16 => "tensor(bfloat16)",
            other => onnx_name(other.dtype()),
        }
    }
}

/// What ONNX Runtime calls an array of this type in its messages; Python objects are taken for text.
pub(super) fn onnx_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "tensor(bool)",
        DType::I8 => "tensor(int8)",
        DType::I16 => "tensor(int16)",
        DType::I32 => "tensor(int32)",
        DType::I64 => "tensor(int64)",
        DType::U8 => "tensor(uint8)",
        DType::U16 => "tensor(uint16)",
        DType::U32 => "tensor(uint32)",
        DType::U64 => "tensor(uint64)",
        DType::F16 => "tensor(float16)",
        DType::F32 => "tensor(float)",
        DType::F64 => "tensor(double)",
        DType::Str | DType::Object => "tensor(string)",
        DType::Datetime => "tensor(datetime64[ns])",
    }
}

/// One input of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) name: Arc<str>,
    pub(super) element: Element,
    /// Extents, `-1` for any; empty for a scalar and for an input of any rank.
    pub(super) shape: Vec<i64>,
}

impl Input {
    pub(super) fn port(&self) -> Port {
        Port {
            name: self.name.to_string(),
            kind: tensor_kind(self.element, &self.shape),
        }
    }
}

/// `float32[-1, 4]`
pub(super) fn tensor_kind(element: Element, shape: &[i64]) -> String {
    format!("{}{shape:?}", element.port_name())
}
