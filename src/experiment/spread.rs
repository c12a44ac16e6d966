//! How the answers of a model are spread: its labels, or its numbers.

use serde::Serialize;

use super::frequent::{Frequent, Label};
use super::moments::Moments;
use super::sketch::Sketch;
use crate::model::batch::{Batch, Body, Columns};
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

/// Rows of one call that are looked at, evenly spread over it: a call of a million rows must not hold up others.
pub const MAX_ROWS: usize = 1024;
/// Labels that are shown.
const SHOWN: usize = 20;
/// Magnitude from which numbers are not counted: their squares have no place in a double.
pub(super) const TOO_LARGE: f64 = 1e150;

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
    /// Rows that were looked at: all of calls of up to [`MAX_ROWS`] rows.
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
    /// Counts the first column of an answer.
    pub(super) fn add(&mut self, output: &Batch) {
        match &output.body {
            Body::Frame(frame) => match frame.columns() {
                Columns::Matrix(matrix) => self.add_first_column(matrix),
                Columns::Separate(columns) => {
                    if let Some(column) = columns.first() {
                        self.add_first_column(column);
                    }
                }
            },
            Body::Array(tensor) => self.add_first_column(tensor),
            Body::Named(members) => {
                if let Some((_, tensor)) = members.first() {
                    self.add_first_column(tensor);
                }
            }
            Body::Value(Value::List(items)) => {
                for item in items.iter().step_by(stride(items.len())) {
                    self.add_value(item);
                }
            }
            Body::Value(value) => self.add_value(value),
        }
    }

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

    /// The moments of the numbers.
    pub(super) fn moments(&self) -> &Moments {
        &self.moments
    }

    fn add_first_column(&mut self, tensor: &Tensor) {
        let every = tensor.row_len().max(1).saturating_mul(stride(tensor.rows()));
        match tensor.elements() {
            Elements::Bool(all) => each(all, every, |value| self.add_label(bool_name(*value))),
            Elements::I8(all) => each(all, every, |value| self.add_integer(*value)),
            Elements::I16(all) => each(all, every, |value| self.add_integer(*value)),
            Elements::I32(all) => each(all, every, |value| self.add_integer(*value)),
            Elements::I64(all) => each(all, every, |value| self.add_integer(*value)),
            Elements::U8(all) => each(all, every, |value| self.add_integer(*value)),
            Elements::U16(all) => each(all, every, |value| self.add_integer(*value)),
            Elements::U32(all) => each(all, every, |value| self.add_integer(*value)),
            Elements::U64(all) => each(all, every, |value| self.add_integer(*value)),
            Elements::F16(all) => each(all, every, |value| self.add_float(value.to_f64())),
            Elements::F32(all) => each(all, every, |value| self.add_float(f64::from(*value))),
            Elements::F64(all) => each(all, every, |value| self.add_float(*value)),
            Elements::Str(all) => each(all, every, |value| self.add_label(value)),
            // Moments of time are all different: their range is what there is to see.
            Elements::Datetime(all) => each(all, every, |value| match *value {
                i64::MIN => self.add_missing(),
                nanoseconds => self.add_float(nanoseconds as f64),
            }),
            Elements::Object(all) => each(all, every, |value| self.add_value(value)),
        }
    }

    /// Counts a value alone, or the first member of what has several.
    fn add_value(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => self.add_label(bool_name(*value)),
            Value::Int(value) => self.add_integer(*value),
            Value::BigInt(digits) => self.add_label(digits),
            Value::Float(value) => self.add_float(*value),
            Value::Str(text) => self.add_label(text),
            Value::Tensor(tensor) => match tensor.elements() {
                // An element may be a tensor again; those of objects are not followed.
                Elements::Object(_) => self.add_missing(),
                elements if elements.is_empty() => self.add_missing(),
                _ => self.add_first_of(tensor),
            },
            Value::List(items) => self.add_scalar(items.first()),
            Value::Map(entries) => self.add_scalar(entries.first().map(|(_, value)| value)),
            Value::Null | Value::Bytes(_) => self.add_missing(),
        }
    }

    /// Counts what is no list, map or tensor: nothing is followed deeper than once.
    fn add_scalar(&mut self, value: Option<&Value>) {
        match value {
            None | Some(Value::List(_) | Value::Map(_) | Value::Tensor(_)) => self.add_missing(),
            Some(value) => self.add_value(value),
        }
    }

    /// Counts the first element of a tensor that is one cell.
    fn add_first_of(&mut self, tensor: &Tensor) {
        match tensor.elements() {
            Elements::Bool(all) => all
                .iter()
                .take(1)
                .for_each(|value| self.add_label(bool_name(*value))),
            Elements::I32(all) => all.iter().take(1).for_each(|value| self.add_integer(*value)),
            Elements::I64(all) => all.iter().take(1).for_each(|value| self.add_integer(*value)),
            Elements::F32(all) => all
                .iter()
                .take(1)
                .for_each(|value| self.add_float(f64::from(*value))),
            Elements::F64(all) => all.iter().take(1).for_each(|value| self.add_float(*value)),
            Elements::Str(all) => all.iter().take(1).for_each(|value| self.add_label(value)),
            _ => self.add_missing(),
        }
    }

    fn add_label(&mut self, label: &str) {
        self.rows += 1;
        self.labels.add(label);
    }

    fn add_integer<T: itoa::Integer + Copy + Integer>(&mut self, value: T) {
        self.add_label(itoa::Buffer::new().format(value));
        self.add_number(value.nearest());
    }

    fn add_float(&mut self, value: f64) {
        if value.abs() < TOO_LARGE {
            self.rows += 1;
            self.add_number(value);
        } else {
            self.add_missing();
        }
    }

    fn add_missing(&mut self) {
        self.rows += 1;
        self.missing += 1;
    }

    fn add_number(&mut self, value: f64) {
        if self.moments.count() == 0 {
            (self.smallest, self.largest) = (value, value);
        }
        self.smallest = self.smallest.min(value);
        self.largest = self.largest.max(value);
        self.moments.add(value);
        self.sketch.add(value);
    }
}

/// What has a nearest double.
trait Integer {
    fn nearest(self) -> f64;
}

macro_rules! integer {
    ($($integer:ty)*) => {
        $(impl Integer for $integer {
            fn nearest(self) -> f64 {
                self as f64
            }
        })*
    };
}
integer!(i8 i16 i32 i64 u8 u16 u32 u64);

fn each<T>(elements: &[T], every: usize, add: impl FnMut(&T)) {
    elements.iter().step_by(every).for_each(add);
}

/// So that at most [`MAX_ROWS`] rows are looked at.
fn stride(rows: usize) -> usize {
    rows.div_ceil(MAX_ROWS).max(1)
}

fn bool_name(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::batch::{Frame, Name};

    fn of(body: Body) -> Predictions {
        let mut spread = Spread::default();
        spread.add(&Batch::new(body));
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
