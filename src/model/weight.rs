//! About how much memory values take, for bounds on what may wait.

use crate::model::batch::{Batch, Body, Columns};
use crate::model::tensor::{Elements, Tensor, each_elements};
use crate::model::value::Value;

impl Batch {
    /// About how many bytes its values take.
    pub fn weight(&self) -> usize {
        let body = match &self.body {
            Body::Frame(frame) => match frame.columns() {
                Columns::Matrix(matrix) => matrix.weight(),
                Columns::Separate(columns) => columns.iter().map(Tensor::weight).sum(),
            },
            Body::Array(tensor) => tensor.weight(),
            Body::Named(members) => members.iter().map(|(_, tensor)| tensor.weight()).sum(),
            Body::Value(value) => value.weight(),
        };
        let params: usize = self.params.iter().map(|(_, value)| value.weight()).sum();
        body + params
    }
}

impl Tensor {
    /// About how many bytes its elements take.
    pub fn weight(&self) -> usize {
        match self.elements() {
            Elements::Str(texts) => texts.iter().map(|text| text.len() + size_of::<String>()).sum(),
            Elements::Object(values) => values.iter().map(Value::weight).sum(),
            other => each_elements!(other, vector => size_of_val(vector.as_slice())),
        }
    }
}

impl Value {
    /// About how many bytes it takes, with what it holds.
    pub fn weight(&self) -> usize {
        let held = match self {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 0,
            Value::BigInt(text) | Value::Str(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Tensor(tensor) => tensor.weight(),
            Value::List(items) => items.iter().map(Value::weight).sum(),
            Value::Map(entries) => entries
                .iter()
                .map(|(key, value)| size_of::<Box<str>>() + key.len() + value.weight())
                .sum(),
        };
        size_of::<Value>() + held
    }
}
