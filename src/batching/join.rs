//! Several batches as one, and one as several: rows one after the other.
//!
//! [`join`] and [`split`] are inverse. Only batches of one shape join: the same members, element types, extents of every
//! axis but the first, and parameters.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::model::batch::{Batch, Body, Columns, Frame};
use crate::model::tensor::{Elements, Shape, Tensor};
use crate::model::value::Value;

/// Whether the batch has rows in every member, as many in each, so that it can be part of another.
pub(super) fn has_rows(batch: &Batch) -> bool {
    match &batch.body {
        Body::Frame(_) => true,
        Body::Array(tensor) => !tensor.shape().is_empty(),
        Body::Named(members) => {
            let rows = batch.rows();
            !members.is_empty()
                && members
                    .iter()
                    .all(|(_, tensor)| !tensor.shape().is_empty() && tensor.rows() == rows)
        }
        Body::Value(value) => matches!(value, Value::List(_)),
    }
}

/// Whether two batches, each of which has rows, can be one.
pub(super) fn fit(one: &Batch, other: &Batch) -> bool {
    if one.params != other.params {
        return false;
    }
    match (&one.body, &other.body) {
        (Body::Frame(one), Body::Frame(other)) => {
            let same_names = Arc::ptr_eq(one.names(), other.names()) || one.names() == other.names();
            same_names
                && match (one.columns(), other.columns()) {
                    (Columns::Matrix(one), Columns::Matrix(other)) => alike(one, other),
                    (Columns::Separate(one), Columns::Separate(other)) => {
                        one.iter().zip(other).all(|(one, other)| alike(one, other))
                    }
                    _ => false,
                }
        }
        (Body::Array(one), Body::Array(other)) => alike(one, other),
        (Body::Named(one), Body::Named(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((a, one), (b, other))| a == b && alike(one, other))
        }
        (Body::Value(Value::List(_)), Body::Value(Value::List(_))) => true,
        _ => false,
    }
}

fn alike(one: &Tensor, other: &Tensor) -> bool {
    one.dtype() == other.dtype() && one.shape().get(1..) == other.shape().get(1..)
}

/// One batch of all these rows, in their order; `None` when they do not [`fit`].
pub(crate) fn join(batches: &[&Batch]) -> Option<Batch> {
    let (first, rest) = batches.split_first()?;
    let fits = has_rows(first) && rest.iter().all(|other| has_rows(other) && fit(first, other));
    if !fits {
        return None;
    }
    let rows = batches.iter().map(|batch| batch.rows()).sum();
    // Whatever does not have what the first has was refused above.
    let body = match &first.body {
        Body::Frame(frame) => {
            let frames = batches.iter().map(|batch| match &batch.body {
                Body::Frame(frame) => Some(frame.columns()),
                _ => None,
            });
            let frames: SmallVec<[&Columns; 32]> = frames.collect::<Option<_>>()?;
            let columns = match frame.columns() {
                Columns::Matrix(_) => {
                    Columns::Matrix(join_tensors(frames.iter().filter_map(|columns| match columns {
                        Columns::Matrix(matrix) => Some(matrix),
                        Columns::Separate(_) => None,
                    }))?)
                }
                Columns::Separate(separate) => {
                    let column = |at: usize| {
                        join_tensors(frames.iter().filter_map(|columns| match columns {
                            Columns::Separate(separate) => separate.get(at),
                            Columns::Matrix(_) => None,
                        }))
                    };
                    Columns::Separate((0..separate.len()).map(column).collect::<Option<_>>()?)
                }
            };
            Body::Frame(Frame::new(rows, Arc::clone(frame.names()), columns).ok()?)
        }
        Body::Array(_) => Body::Array(join_tensors(batches.iter().filter_map(
            |batch| match &batch.body {
                Body::Array(tensor) => Some(tensor),
                _ => None,
            },
        ))?),
        Body::Named(members) => {
            let member = |at: usize| {
                join_tensors(batches.iter().filter_map(|batch| match &batch.body {
                    Body::Named(members) => members.get(at).map(|(_, tensor)| tensor),
                    _ => None,
                }))
            };
            let named = members
                .iter()
                .enumerate()
                .map(|(at, (name, _))| Some((Arc::clone(name), member(at)?)));
            Body::Named(named.collect::<Option<_>>()?)
        }
        Body::Value(_) => {
            let mut all = Vec::with_capacity(rows);
            for batch in batches {
                if let Body::Value(Value::List(items)) = &batch.body {
                    all.extend_from_slice(items);
                }
            }
            Body::Value(Value::List(all))
        }
    };
    Some(Batch {
        body,
        params: first.params.clone(),
    })
}

/// Tensors that are alike, one after the other.
fn join_tensors<'a>(mut tensors: impl Iterator<Item = &'a Tensor> + Clone) -> Option<Tensor> {
    let all = tensors.clone();
    let first = tensors.next()?;
    let mut shape = Shape::from_slice(first.shape());
    *shape.first_mut()? = all.clone().map(Tensor::rows).sum();
    let length = all.clone().map(|tensor| tensor.elements().len()).sum();
    let mut elements = Elements::empty(first.dtype(), length);
    for tensor in all {
        append(&mut elements, tensor.elements(), 0..tensor.elements().len())?;
    }
    Tensor::new(shape, elements).ok()
}

/// Appends a range of elements of the same type.
fn append(to: &mut Elements, from: &Elements, range: std::ops::Range<usize>) -> Option<()> {
    macro_rules! same_type {
        ($($variant:ident),*) => {
            match (to, from) {
                $((Elements::$variant(to), Elements::$variant(from)) => {
                    to.extend_from_slice(from.get(range)?);
                    Some(())
                })*
                _ => None,
            }
        };
    }
    same_type!(
        Bool, I8, I16, I32, I64, U8, U16, U32, U64, F16, F32, F64, Str, Datetime, Object
    )
}

/// The rows of a batch as several, so many in each; `None` when it has not as many rows, or not in every member.
pub(crate) fn split(batch: &Batch, rows: &[usize]) -> Option<Vec<Batch>> {
    if !has_rows(batch) || rows.iter().sum::<usize>() != batch.rows() {
        return None;
    }
    let mut from = 0;
    rows.iter()
        .map(|&rows| {
            let part = part(batch, from, rows)?;
            from += rows;
            Some(part)
        })
        .collect()
}

fn part(batch: &Batch, from: usize, rows: usize) -> Option<Batch> {
    let body = match &batch.body {
        Body::Frame(frame) => {
            let columns = match frame.columns() {
                Columns::Matrix(matrix) => Columns::Matrix(part_of(matrix, from, rows)?),
                Columns::Separate(separate) => Columns::Separate(
                    separate
                        .iter()
                        .map(|column| part_of(column, from, rows))
                        .collect::<Option<_>>()?,
                ),
            };
            Body::Frame(Frame::new(rows, Arc::clone(frame.names()), columns).ok()?)
        }
        Body::Array(tensor) => Body::Array(part_of(tensor, from, rows)?),
        Body::Named(members) => Body::Named(
            members
                .iter()
                .map(|(name, tensor)| Some((Arc::clone(name), part_of(tensor, from, rows)?)))
                .collect::<Option<_>>()?,
        ),
        Body::Value(Value::List(items)) => Body::Value(Value::List(items.get(from..from + rows)?.to_vec())),
        Body::Value(_) => return None,
    };
    Some(Batch {
        body,
        params: batch.params.clone(),
    })
}

fn part_of(tensor: &Tensor, from: usize, rows: usize) -> Option<Tensor> {
    let width = tensor.row_len();
    let mut shape = Shape::from_slice(tensor.shape());
    *shape.first_mut()? = rows;
    let mut elements = Elements::empty(tensor.dtype(), rows * width);
    append(
        &mut elements,
        tensor.elements(),
        from * width..(from + rows) * width,
    )?;
    Tensor::new(shape, elements).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::identical::identical;

    /// Batches of every kind, from rows of three numbers.
    fn kinds(rows: &[[f32; 3]]) -> Vec<Batch> {
        let column = |at: usize| Elements::F32(rows.iter().map(|row| row[at]).collect());
        let text = Elements::Str(rows.iter().map(|row| row[0].to_string()).collect());
        let matrix = Tensor::new(&[rows.len(), 3][..], Elements::F32(rows.concat())).unwrap();
        let named = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
        let frame =
            |columns, names: &[&str]| Body::Frame(Frame::new(rows.len(), named(names), columns).unwrap());
        let separate = vec![Tensor::vector(column(0)), Tensor::vector(text)];
        let items = rows.iter().map(|row| Value::Float(row[1].into())).collect();
        let bodies = [
            Body::Array(matrix.clone()),
            Body::Named(vec![
                ("a".into(), matrix.clone()),
                ("b".into(), Tensor::vector(column(2))),
            ]),
            frame(Columns::Matrix(matrix), &["x", "y", "z"]),
            frame(Columns::Separate(separate), &["x", "t"]),
            Body::Value(Value::List(items)),
        ];
        bodies.map(Batch::new).into()
    }

    proptest! {
        #[test]
        fn split_undoes_join(parts in proptest::collection::vec(proptest::collection::vec(any::<[f32; 3]>(), 1..5), 1..5)) {
            let rows: Vec<usize> = parts.iter().map(Vec::len).collect();
            let all: Vec<Vec<Batch>> = parts.iter().map(|rows| kinds(rows)).collect();
            let whole = kinds(&parts.concat());
            for (kind, whole) in whole.iter().enumerate() {
                let batches: Vec<&Batch> = all.iter().map(|kinds| &kinds[kind]).collect();
                let joined = join(&batches).unwrap();
                prop_assert!(identical(&joined, whole));
                let apart = split(&joined, &rows).unwrap();
                prop_assert!(apart.iter().zip(&batches).all(|(apart, batch)| identical(apart, batch)));
                prop_assert!(split(&joined, &[rows.iter().sum::<usize>() + 1]).is_none());
            }
        }
    }

    #[test]
    fn only_what_is_alike_joins() {
        let three = kinds(&[[1.0, 2.0, 3.0]]);
        for (at, one) in three.iter().enumerate() {
            for (other_at, other) in three.iter().enumerate() {
                assert_eq!(
                    join(&[one, other]).is_some(),
                    at == other_at,
                    "{at} and {other_at}"
                );
            }
        }
        let narrow = Batch::new(Body::Array(
            Tensor::new(&[1, 2][..], Elements::F32(vec![0.0; 2])).unwrap(),
        ));
        let double = Batch::new(Body::Array(
            Tensor::new(&[1, 3][..], Elements::F64(vec![0.0; 3])).unwrap(),
        ));
        let mut params = three[0].clone();
        params.params.push(("p".into(), Value::Int(1)));
        for other in [&narrow, &double, &params] {
            assert!(join(&[&three[0], other]).is_none());
        }
        let scalar = Batch::new(Body::Value(Value::Int(1)));
        assert!(join(&[&scalar, &scalar]).is_none() && split(&scalar, &[1]).is_none());
    }
}
