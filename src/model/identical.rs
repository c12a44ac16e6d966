//! Whether two outputs are the same to the last bit.
//!
//! Equality of numbers is not that: it tells a NaN from itself, and takes zero for minus zero.

use crate::model::batch::{Batch, Body, Columns};
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

/// Whether two outputs are the same to the last bit; numbers that are not numbers are equal here.
pub fn identical(one: &Batch, other: &Batch) -> bool {
    match (&one.body, &other.body) {
        (Body::Frame(one), Body::Frame(other)) => {
            one.names() == other.names()
                && match (one.columns(), other.columns()) {
                    (Columns::Matrix(one), Columns::Matrix(other)) => same_tensor(one, other),
                    (Columns::Separate(one), Columns::Separate(other)) => {
                        one.iter().zip(other).all(|(one, other)| same_tensor(one, other))
                    }
                    _ => false,
                }
        }
        (Body::Array(one), Body::Array(other)) => same_tensor(one, other),
        (Body::Named(one), Body::Named(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((a, one), (b, other))| a == b && same_tensor(one, other))
        }
        (Body::Value(one), Body::Value(other)) => same_value(one, other),
        _ => false,
    }
}

/// Whether two tensors are.
pub fn same_tensor(one: &Tensor, other: &Tensor) -> bool {
    let elements = match (one.elements(), other.elements()) {
        (Elements::F16(one), Elements::F16(other)) => one
            .iter()
            .map(|x| x.to_bits())
            .eq(other.iter().map(|x| x.to_bits())),
        (Elements::F32(one), Elements::F32(other)) => one
            .iter()
            .map(|x| x.to_bits())
            .eq(other.iter().map(|x| x.to_bits())),
        (Elements::F64(one), Elements::F64(other)) => one
            .iter()
            .map(|x| x.to_bits())
            .eq(other.iter().map(|x| x.to_bits())),
        (Elements::Object(one), Elements::Object(other)) => same_values(one, other),
        (one, other) => one == other,
    };
    one.shape() == other.shape() && elements
}

fn same_values(one: &[Value], other: &[Value]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_value(one, other))
}

fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Float(one), Value::Float(other)) => one.to_bits() == other.to_bits(),
        (Value::List(one), Value::List(other)) => same_values(one, other),
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((a, one), (b, other))| a == b && same_value(one, other))
        }
        (Value::Tensor(one), Value::Tensor(other)) => same_tensor(one, other),
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bit_counts_and_nan_is_itself() {
        let of = |value: f32| Batch::new(Body::Array(Tensor::vector(Elements::F32(vec![value]))));
        assert!(identical(&of(f32::NAN), &of(f32::NAN)));
        assert!(!identical(&of(0.1), &of(0.1f32.next_up())));
        assert!(!identical(&of(0.0), &of(-0.0)));
    }
}
