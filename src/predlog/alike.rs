//! Whether batches have one form: what takes one of them takes the other.

use std::sync::Arc;

use crate::model::batch::{Batch, Body, Columns, Names};
use crate::model::tensor::Tensor;

/// Whether batches differ in their rows and values only.
pub(super) fn are_alike(one: Option<&Batch>, other: Option<&Batch>) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return one.is_none() && other.is_none();
    };
    match (&one.body, &other.body) {
        (Body::Array(one), Body::Array(other)) => are_of_one_type(one, other),
        (Body::Named(one), Body::Named(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len()
                && pairs.all(|((name, one), (other_name, other))| {
                    (Arc::ptr_eq(name, other_name) || name == other_name) && are_of_one_type(one, other)
                })
        }
        (Body::Frame(one), Body::Frame(other)) => {
            are_one(one.names(), other.names())
                && match (one.columns(), other.columns()) {
                    (Columns::Matrix(one), Columns::Matrix(other)) => one.dtype() == other.dtype(),
                    (Columns::Separate(one), Columns::Separate(other)) => {
                        let mut pairs = one.iter().zip(other);
                        pairs.all(|(one, other)| are_of_one_type(one, other))
                    }
                    _ => false,
                }
        }
        (Body::Value(_), Body::Value(_)) => true,
        _ => false,
    }
}

fn are_of_one_type(one: &Tensor, other: &Tensor) -> bool {
    one.dtype() == other.dtype() && one.shape().get(1..) == other.shape().get(1..)
}

fn are_one(one: &Names, other: &Names) -> bool {
    Arc::ptr_eq(one, other) || **one == **other
}
