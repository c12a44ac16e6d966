//! How the answers of a model are spread: its labels, or its numbers.

use serde::Serialize;

use super::first_column::{Integer, Visit};
use super::frequent::{Frequent, Label};
use super::moments::Moments;
use super::sketch::Sketch;

/// Labels that are shown.
const SHOWN: usize = 20;

/// The answers of a model, by the first column of its output. Text, booleans and integers are labels; floats are numbers,
/// and so are integers.
#[derive(Debug, Clone, Default)]
pub(super) struct Spread {
    labels: Frequent,
    moments: Moments,
    sketch: Sketch,
    smallest: f64,
    largest: f64,
    rows: u64,
    /// Nulls, NaNs, infinities, and what is neither label nor number.
    missing: u64,
}

/// How the answers of a model are spread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Predictions {
    /// Rows that were looked at: all of calls of up to 1,024 rows.
    pub rows: u64,
    /// Of those, rows without a label or a finite number.
    pub missing: u64,
    /// The most frequent labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// How often any label was seen that is not among `labels`.
    #[serde(skip_serializing_if = "is_zero")]
    pub other_labels: u64,
    /// The numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // why: the signature that serde wants
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How numbers are spread. Quantiles are within `error` of a number of that rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Numbers {
    /// How many there are.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// The smallest.
    pub min: f64,
    /// What one in twenty does not exceed.
    pub p5: f64,
    /// What a quarter does not exceed.
    pub p25: f64,
    /// What half do not exceed.
    pub p50: f64,
    /// What three quarters do not exceed.
    pub p75: f64,
    /// What 19 in twenty do not exceed.
    pub p95: f64,
    /// The largest.
    pub max: f64,
    /// Relative error of the quantiles.
    pub error: f64,
}

impl Spread {
    /// What was counted.
    pub(super) fn predictions(&self) -> Predictions {
        let labels = self.labels.top(SHOWN);
        let shown: u64 = labels.iter().map(|label| label.count).sum();
        let quantile = |part| {
            self.sketch
                .quantile(part)
                .map(|value| value.clamp(self.smallest, self.largest))
        };
        let numbers = || {
            Some(Numbers {
                count: self.moments.count(),
                mean: self.moments.mean(),
                deviation: self.moments.variance().sqrt(),
                min: self.smallest,
                p5: quantile(0.05)?,
                p25: quantile(0.25)?,
                p50: quantile(0.5)?,
                p75: quantile(0.75)?,
                p95: quantile(0.95)?,
                max: self.largest,
                error: self.sketch.relative_error(),
            })
        };
        Predictions {
            rows: self.rows,
            missing: self.missing,
            other_labels: self.labels.total().saturating_sub(shown),
            labels,
            numbers: numbers(),
        }
    }
}

impl Visit for Spread {
    fn label(&mut self, label: &str) {
        self.rows += 1;
        self.labels.add(label);
    }

    fn integer<T: Integer>(&mut self, value: T) {
        self.label(itoa::Buffer::new().format(value));
        self.number(value.nearest());
    }

    fn float(&mut self, value: f64) {
        self.rows += 1;
        self.number(value);
    }

    fn missing(&mut self) {
        self.rows += 1;
        self.missing += 1;
    }
}

impl Spread {
    fn number(&mut self, value: f64) {
        if self.moments.count() == 0 {
            (self.smallest, self.largest) = (value, value);
        }
        self.smallest = self.smallest.min(value);
        self.largest = self.largest.max(value);
        self.moments.add(value);
        self.sketch.add(value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::experiment::first_column::{MAX_ROWS, visit};
    use crate::model::batch::{Batch, Body, Columns, Frame, Name};
    use crate::model::tensor::{Elements, Tensor};
    use crate::model::value::Value;

    fn of(body: Body) -> Predictions {
        let mut spread = Spread::default();
        visit(&Batch::new(body), &mut spread);
        spread.predictions()
    }

    fn labels(predictions: &Predictions) -> Vec<(&str, u64)> {
        let labels = predictions.labels.iter();
        labels.map(|label| (label.label.as_str(), label.count)).collect()
    }

    #[test]
    fn the_first_column_counts() {
        let matrix = Tensor::new(
            [3, 2].as_slice(),
            Elements::F64(vec![1.0, 9.0, 2.0, 9.0, 6.0, 9.0]),
        )
        .unwrap();
        let found = of(Body::Array(matrix.clone()));
        let numbers = found.numbers.unwrap();
        assert_eq!(
            (numbers.count, numbers.mean, numbers.min, numbers.max),
            (3, 3.0, 1.0, 6.0)
        );
        assert_eq!((found.rows, labels(&found)), (3, vec![]));
        let names = [Name::from("a"), Name::from("b")];
        let frame = Frame::new(3, Arc::from(names.clone()), Columns::Matrix(matrix.clone())).unwrap();
        assert_eq!(of(Body::Frame(frame)), found);
        let texts = Tensor::vector(Elements::Str(vec!["x".into(), "y".into(), "x".into()]));
        let column = Tensor::vector(Elements::F64(vec![0.0; 3]));
        let columns = Columns::Separate(vec![texts.clone(), column]);
        let found = of(Body::Frame(Frame::new(3, Arc::from(names), columns).unwrap()));
        assert_eq!((labels(&found), found.numbers), (vec![("x", 2), ("y", 1)], None));
        let named = Body::Named(vec![("p".into(), texts), ("q".into(), matrix)]);
        assert_eq!(labels(&of(named)), [("x", 2), ("y", 1)]);
    }

    #[test]
    fn integers_are_labels_and_numbers() {
        let found = of(Body::Array(Tensor::vector(Elements::I64(vec![2, 0, 2, 2]))));
        assert_eq!(labels(&found), [("2", 3), ("0", 1)]);
        assert_eq!((found.rows, found.numbers.unwrap().mean), (4, 1.5));
    }

    #[test]
    fn what_is_no_answer_is_missing() {
        let floats = vec![1.0, f64::NAN, f64::INFINITY, 1e200];
        let found = of(Body::Array(Tensor::vector(Elements::F64(floats))));
        assert_eq!(
            (found.rows, found.missing, found.numbers.unwrap().count),
            (4, 3, 1)
        );
        let cells = vec![
            Value::Null,
            Value::Map(vec![("label".into(), Value::Str("a".into()))]),
            Value::List(vec![Value::List(vec![])]),
            Value::Tensor(Box::new(Tensor::vector(Elements::F32(vec![0.5, 0.25])))),
            Value::Bool(true),
        ];
        let found = of(Body::Value(Value::List(cells)));
        assert_eq!((found.rows, found.missing), (5, 2));
        assert_eq!(labels(&found), [("a", 1), ("true", 1)]);
    }

    #[test]
    fn long_calls_are_sampled_from_end_to_end() {
        let rows = 10 * MAX_ROWS + 1;
        let values = (0..rows).flat_map(|row| [row as f32, -1.0]).collect();
        let found = of(Body::Array(
            Tensor::new([rows, 2].as_slice(), Elements::F32(values)).unwrap(),
        ));
        let numbers = found.numbers.unwrap();
        assert!(
            found.rows as usize <= MAX_ROWS && found.rows > 900,
            "{}",
            found.rows
        );
        assert_eq!(numbers.min, 0.0);
        assert!(
            numbers.max > 10_200.0 && (numbers.p50 / 5120.0 - 1.0).abs() < 0.03,
            "{numbers:?}"
        );
    }

    #[test]
    fn the_labels_that_are_not_shown_are_counted() {
        let texts = (0..60).map(|n| (n % 30).to_string()).collect();
        let found = of(Body::Array(Tensor::vector(Elements::Str(texts))));
        assert_eq!(
            (found.labels.len(), found.other_labels, found.rows),
            (SHOWN, 20, 60)
        );
    }
}
