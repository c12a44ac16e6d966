//! A dynamically typed value: an element of an `object` array, a parameter, or a request that has no table form.

use crate::model::tensor::Tensor;

/// What JSON, or a Python object cell, can hold.
///
/// Numeric data travels in typed vectors; this type is for what has no single type: nested columns, parameters,
/// maps that a model returns.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// JSON `null`, Python `None`.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer beyond 64 bits, as its decimal digits with an optional leading `-`.
    BigInt(Box<str>),
    /// A double.
    Float(f64),
    /// Text. Lone surrogates of a JSON escape are replaced by U+FFFD.
    Str(Box<str>),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// An array; a 0-d tensor stands for a NumPy scalar.
    Tensor(Box<Tensor>),
    /// A list.
    List(Vec<Value>),
    /// A map with text keys, in order of appearance, each key once.
    Map(Vec<(Box<str>, Value)>),
}

impl Value {
    /// The Python type name of what this value would be, for messages: `int`, `str`, `NoneType` …
    pub fn python_type(&self) -> &'static str {
        match self {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::BigInt(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) => "str",
            Value::Bytes(_) => "bytes",
            Value::Tensor(_) => "ndarray",
            Value::List(_) => "list",
            Value::Map(_) => "dict",
        }
    }

    /// The value under `key` when this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries
                .iter()
                .find(|(name, _)| &**name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }
}
