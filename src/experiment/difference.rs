//! How two answers to the same rows differ.

use std::sync::Arc;

use crate::model::batch::{Batch, Body, Columns, Name};
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

/// How one answer differs from another.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Difference {
    /// Rows that were compared.
    pub rows: usize,
    /// Rows in which a label differs: text, a whole number, a boolean.
    pub disagreements: usize,
    /// The largest difference of a number, of each row that has numbers.
    pub absolute: Vec<f64>,
    /// The same over the larger of the two numbers' sizes.
    pub relative: Vec<f64>,
    /// The largest difference over the size of the largest number beside it, in either answer, of each row that has
    /// numbers: of probabilities, those near 0 do not count as far apart.
    pub scaled: Vec<f64>,
    /// Whether a label differs, of each row.
    pub labels: Vec<bool>,
}

impl Difference {
    /// Rows in which a label differs, or a number by more than this share of the largest number beside it.
    pub fn rows_apart(&self, tolerance: f64) -> usize {
        let beyond = |at: usize| self.scaled.get(at).is_some_and(|scaled| *scaled > tolerance);
        let apart = |(at, label): (usize, &bool)| *label || beyond(at);
        self.labels.iter().enumerate().filter(|row| apart(*row)).count()
    }
}

/// How far the numbers of a row are apart.
#[derive(Debug, Clone, Copy, Default)]
struct Apart {
    absolute: f64,
    relative: f64,
    scaled: f64,
}

/// Compares two answers; `None` when they do not have the same rows, names and kinds of values.
pub fn difference(one: &Batch, other: &Batch) -> Option<Difference> {
    let (one_parts, other_parts) = (parts(one)?, parts(other)?);
    let rows = one.rows();
    if rows != other.rows() || one_parts.len() != other_parts.len() {
        return None;
    }
    let mut labels = vec![false; rows];
    let mut numbers: Vec<Option<Apart>> = vec![None; rows];
    for ((name, one), (other_name, other)) in one_parts.iter().zip(&other_parts) {
        if name != other_name || one.shape() != other.shape() {
            return None;
        }
        compare(one, other, rows, &mut labels, &mut numbers)?;
    }
    Some(Difference {
        rows,
        disagreements: labels.iter().filter(|differs| **differs).count(),
        absolute: numbers.iter().flatten().map(|apart| apart.absolute).collect(),
        relative: numbers.iter().flatten().map(|apart| apart.relative).collect(),
        scaled: numbers.iter().flatten().map(|apart| apart.scaled).collect(),
        labels,
    })
}

/// The named tensors of an answer.
fn parts(batch: &Batch) -> Option<Vec<(Name, &Tensor)>> {
    let position = |at: usize| Name::Index(at as i64);
    Some(match &batch.body {
        Body::Array(tensor) => vec![(position(0), tensor)],
        Body::Named(members) => members
            .iter()
            .map(|(name, tensor)| (Name::Text(Arc::clone(name)), tensor))
            .collect(),
        Body::Frame(frame) => match frame.columns() {
            Columns::Matrix(matrix) => vec![(position(0), matrix)],
            Columns::Separate(columns) => frame.names().iter().cloned().zip(columns).collect(),
        },
        Body::Value(_) => return None,
    })
}

fn compare(
    one: &Tensor,
    other: &Tensor,
    rows: usize,
    labels: &mut [bool],
    numbers: &mut [Option<Apart>],
) -> Option<()> {
    if rows == 0 {
        return Some(());
    }
    match (floats(one), floats(other)) {
        (Some(one), Some(other)) => {
            let width = (one.len() / rows).max(1);
            let pairs = one.chunks(width).zip(other.chunks(width));
            for (row, (one, other)) in numbers.iter_mut().zip(pairs) {
                let worst = row.get_or_insert_default();
                let mut largest = Apart::default();
                let mut scale = 0.0f64;
                for (one, other) in one.iter().zip(other) {
                    let (absolute, relative) = apart(*one, *other);
                    largest.absolute = largest.absolute.max(absolute);
                    largest.relative = largest.relative.max(relative);
                    scale = scale.max(one.abs()).max(other.abs());
                }
                largest.scaled = if largest.absolute == 0.0 {
                    0.0
                } else if largest.absolute < f64::MAX {
                    largest.absolute / scale
                } else {
                    // One of two is no number, or not finite.
                    f64::INFINITY
                };
                worst.absolute = worst.absolute.max(largest.absolute);
                worst.relative = worst.relative.max(largest.relative);
                worst.scaled = worst.scaled.max(largest.scaled);
            }
        }
        (None, None) => {
            let (one, other) = (texts(one), texts(other));
            let width = one.len() / rows;
            for (at, (one, other)) in one.iter().zip(&other).enumerate() {
                *labels.get_mut(at / width.max(1))? |= one != other;
            }
        }
        _ => return None,
    }
    Some(())
}

/// How far two numbers are apart, and over the larger one's size. Two that are not numbers are the same; one that is not
/// is as far from another as can be.
fn apart(one: f64, other: f64) -> (f64, f64) {
    if one == other || (one.is_nan() && other.is_nan()) {
        return (0.0, 0.0);
    }
    let absolute = (one - other).abs();
    if !absolute.is_finite() {
        return (f64::MAX, 1.0);
    }
    (absolute, absolute / one.abs().max(other.abs()))
}

fn floats(tensor: &Tensor) -> Option<Vec<f64>> {
    match tensor.elements() {
        Elements::F32(values) => Some(values.iter().map(|&value| value.into()).collect()),
        Elements::F64(values) => Some(values.clone()),
        Elements::F16(values) => Some(values.iter().map(|&value| value.into()).collect()),
        _ => None,
    }
}

/// Labels as texts: 1 is the same as 1 whatever its width.
fn texts(tensor: &Tensor) -> Vec<String> {
    match tensor.elements() {
        Elements::Str(values) => values.iter().map(ToString::to_string).collect(),
        Elements::Object(values) => values
            .iter()
            .map(|value| match value {
                Value::Str(text) => text.to_string(),
                other => format!("{other:?}"),
            })
            .collect(),
        other => crate::model::tensor::each_elements!(other, values => {
            values.iter().map(|value| format!("{value:?}")).collect()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(labels: &[i64], scores: &[f64]) -> Batch {
        let width = scores.len() / labels.len();
        Batch::new(Body::Named(vec![
            ("label".into(), Tensor::vector(Elements::I64(labels.to_vec()))),
            (
                "scores".into(),
                Tensor::new(vec![labels.len(), width], Elements::F64(scores.to_vec())).unwrap(),
            ),
        ]))
    }

    #[test]
    fn labels_disagree_and_numbers_differ_by_row() {
        let one = answer(&[0, 1, 2], &[0.5, 0.5, 1.0, 0.0, 0.25, f64::NAN]);
        assert_eq!(
            difference(&one, &one).unwrap(),
            Difference {
                rows: 3,
                disagreements: 0,
                absolute: vec![0.0; 3],
                relative: vec![0.0; 3],
                scaled: vec![0.0; 3],
                labels: vec![false; 3],
            }
        );
        let other = answer(&[0, 2, 2], &[0.5, 0.25, 1.0, 0.0, 0.25, 1.0]);
        let found = difference(&one, &other).unwrap();
        assert_eq!((found.rows, found.disagreements), (3, 1));
        assert_eq!(found.absolute, [0.25, 0.0, f64::MAX]);
        assert_eq!(found.relative, [0.5, 0.0, 1.0]);
        assert_eq!(found.labels, [false, true, false]);
        assert_eq!(found.scaled, [0.5, 0.0, f64::INFINITY]);
        assert_eq!((found.rows_apart(0.4), found.rows_apart(0.5)), (3, 2));
    }

    #[test]
    fn a_small_probability_is_measured_by_the_large_one_beside_it() {
        let found = difference(&answer(&[0], &[0.999, 0.001]), &answer(&[0], &[0.997, 0.003])).unwrap();
        assert!(found.relative[0] > 0.6 && found.scaled[0] < 0.003, "{found:?}");
        assert_eq!((found.rows_apart(0.5), found.rows_apart(0.001)), (0, 1));
        let alone = difference(&answer(&[0], &[3.0]), &answer(&[0], &[-1.0])).unwrap();
        assert_eq!(alone.rows_apart(0.5), 1);
    }

    #[test]
    fn answers_of_another_form_are_not_compared() {
        let one = answer(&[0, 1], &[0.5, 0.5]);
        let alone = Batch::new(Body::Array(Tensor::vector(Elements::F64(vec![0.5, 0.5]))));
        assert_eq!(difference(&one, &alone), None);
        assert_eq!(difference(&one, &answer(&[0], &[0.5])), None);
        assert_eq!(difference(&one, &answer(&[0, 1], &[0.5; 4])), None);
        let texts = Batch::new(Body::Array(Tensor::vector(Elements::I64(vec![1, 2]))));
        assert_eq!(difference(&alone, &texts), None);
    }
}
