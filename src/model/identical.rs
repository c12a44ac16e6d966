//! Whether two outputs are the same, to the last bit or nearly.
//!
//! Equality of numbers is not the former: it tells a NaN from itself, and takes zero for minus zero.

use crate::model::batch::{Batch, Body, Columns};
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

/// Whether two outputs are the same to the last bit; numbers that are not numbers are equal here.
pub fn identical(one: &Batch, other: &Batch) -> bool {
    close(one, other, 0.0)
}

/// Whether two outputs are the same but for their floats, which may differ by `within`, relative to the larger of the two
/// and of `within` itself. With 0, floats must be the same to the last bit.
pub fn close(one: &Batch, other: &Batch, within: f64) -> bool {
    let tensors = |one: &Tensor, other: &Tensor| close_tensors(one, other, within);
    match (&one.body, &other.body) {
        (Body::Frame(one), Body::Frame(other)) => {
            one.names() == other.names()
                && match (one.columns(), other.columns()) {
                    (Columns::Matrix(one), Columns::Matrix(other)) => tensors(one, other),
                    (Columns::Separate(one), Columns::Separate(other)) => {
                        one.iter().zip(other).all(|(one, other)| tensors(one, other))
                    }
                    _ => false,
                }
        }
        (Body::Array(one), Body::Array(other)) => tensors(one, other),
        (Body::Named(one), Body::Named(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((a, one), (b, other))| a == b && tensors(one, other))
        }
        (Body::Value(one), Body::Value(other)) => close_values(one, other, within),
        _ => false,
    }
}

/// Whether two tensors are the same to the last bit.
pub fn same_tensor(one: &Tensor, other: &Tensor) -> bool {
    close_tensors(one, other, 0.0)
}

fn close_tensors(one: &Tensor, other: &Tensor, within: f64) -> bool {
    fn all<T>(one: &[T], other: &[T], near: impl Fn(&T, &T) -> bool) -> bool {
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| near(one, other))
    }
    let near = |one: f64, other: f64| close_floats(one, other, within);
    let elements = match (one.elements(), other.elements()) {
        (Elements::F16(one), Elements::F16(other)) => {
            all(one, other, |one, other| near(one.to_f64(), other.to_f64()))
        }
        (Elements::F32(one), Elements::F32(other)) => {
            all(one, other, |one, other| near(f64::from(*one), f64::from(*other)))
        }
        (Elements::F64(one), Elements::F64(other)) => all(one, other, |one, other| near(*one, *other)),
        (Elements::Object(one), Elements::Object(other)) => {
            all(one, other, |one, other| close_values(one, other, within))
        }
        (one, other) => one == other,
    };
    one.shape() == other.shape() && elements
}

/// Widened to double, two floats have the same bits if they had before, but for the bits that tell one NaN from another.
fn close_floats(one: f64, other: f64, within: f64) -> bool {
    let same = one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan());
    let larger = one.abs().max(other.abs()).max(within);
    let near = larger.is_finite() && (one - other).abs() <= within * larger;
    same || (within > 0.0 && (one == other || near))
}

fn close_values(one: &Value, other: &Value, within: f64) -> bool {
    match (one, other) {
        (Value::Float(one), Value::Float(other)) => close_floats(*one, *other, within),
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| close_values(one, other, within))
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((a, one), (b, other))| a == b && close_values(one, other, within))
        }
        (Value::Tensor(one), Value::Tensor(other)) => close_tensors(one, other, within),
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

    #[test]
    fn nearly_is_relative_to_the_larger() {
        let of = |value: f64| Batch::new(Body::Array(Tensor::vector(Elements::F64(vec![value]))));
        assert!(close(&of(1e9), &of(1e9 + 900.0), 1e-6));
        assert!(!close(&of(1e9), &of(1e9 + 1100.0), 1e-6));
        assert!(close(&of(0.0), &of(-0.0), 1e-6) && close(&of(0.0), &of(1e-12), 1e-6));
        assert!(!close(&of(0.0), &of(1e-11), 1e-6));
        assert!(close(&of(f64::INFINITY), &of(f64::INFINITY), 1e-6));
        assert!(!close(&of(f64::INFINITY), &of(1.0), 1e-6));
        assert!(!close(&of(f64::NAN), &of(1.0), 1e-6));
    }
}
