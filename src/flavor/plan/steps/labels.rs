//! From scores to classes to labels.

use std::sync::Arc;

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Cell, Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};

/// The index of the first largest score of a row, as `int64`; NaN is the largest of all, as in NumPy.
pub struct ArgMax;

/// 1 where the single score of a row is above a bound, else 0.
pub struct Above {
    /// The bound.
    pub bound: f64,
    /// Whether the bound itself counts as above.
    pub inclusive: bool,
}

/// The labels of a classifier, by class index.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// Integers.
    Int(Vec<i64>),
    /// Doubles.
    Float(Vec<f64>),
    /// Booleans.
    Bool(Vec<bool>),
    /// Text.
    Text(Vec<Arc<str>>),
}

impl Labels {
    /// Number of classes.
    pub fn len(&self) -> usize {
        match self {
            Labels::Int(labels) => labels.len(),
            Labels::Float(labels) => labels.len(),
            Labels::Bool(labels) => labels.len(),
            Labels::Text(labels) => labels.len(),
        }
    }

    /// Whether there are no classes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels of class indices, which are those of so many rows, `width` a row.
    ///
    /// # Errors
    /// When there is no class of an index.
    pub fn pick(
        &self,
        rows: usize,
        width: usize,
        indices: impl ExactSizeIterator<Item = usize>,
    ) -> Result<Value<'_>, PredictError> {
        fn each<'l, T, U>(
            labels: &'l [T],
            (rows, width): (usize, usize),
            indices: impl ExactSizeIterator<Item = usize>,
            cell: impl Fn(&'l T) -> U,
        ) -> Result<Matrix<U>, PredictError> {
            let mut data = Vec::with_capacity(indices.len());
            for index in indices {
                match labels.get(index) {
                    Some(label) => data.push(cell(label)),
                    None => {
                        return Err(PredictError::Engine(format!(
                            "a class index is not below {}",
                            labels.len()
                        )));
                    }
                }
            }
            Ok(Matrix { rows, width, data })
        }
        let form = (rows, width);
        Ok(match self {
            Labels::Int(labels) => Value::I64(each(labels, form, indices, |label| *label)?),
            Labels::Float(labels) => Value::F64(each(labels, form, indices, |label| *label)?),
            Labels::Bool(labels) => Value::Cells(each(labels, form, indices, |label| Cell::Bool(*label))?),
            Labels::Text(labels) => Value::Cells(each(labels, form, indices, |label| Cell::Text(label))?),
        })
    }
}

/// The label of each class index.
pub struct Label(pub Labels);

impl Step for ArgMax {
    fn describe(&self) -> String {
        "index of the largest score".into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if matches!(form.kind, Kind::F32 | Kind::F64) && form.width > 0 => Ok(Form::i64(1)),
            _ => Err(format!("scores expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        fn largest<T: PartialOrd + Copy>(row: &[T]) -> i64 {
            let mut best = 0;
            for (index, score) in row.iter().enumerate() {
                let incomparable = |x: &T| x.partial_cmp(x).is_none();
                let ahead = row
                    .get(best)
                    .is_some_and(|kept| score > kept || (incomparable(score) && !incomparable(kept)));
                if ahead {
                    best = index;
                }
            }
            best as i64
        }
        let value = inputs.get(0)?;
        let data = match value {
            Value::F32(scores) => scores.each_row().map(largest).collect(),
            other => other.f64()?.each_row().map(largest).collect(),
        };
        Ok(Value::I64(Matrix {
            rows: value.rows(),
            width: 1,
            data,
        }))
    }
}

impl Step for Above {
    fn describe(&self) -> String {
        let sign = if self.inclusive { ">=" } else { ">" };
        format!("class 1 where the score {sign} {}", self.bound)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if matches!(form.kind, Kind::F32 | Kind::F64) => Ok(Form::i64(form.width)),
            _ => Err(format!("scores expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let above = |score: f64| i64::from(score > self.bound || (self.inclusive && score == self.bound));
        let (rows, width, data) = match inputs.get(0)? {
            Value::F32(scores) => {
                let data = scores.data.iter().map(|&score| above(f64::from(score))).collect();
                (scores.rows, scores.width, data)
            }
            other => {
                let scores = other.f64()?;
                (
                    scores.rows,
                    scores.width,
                    scores.data.iter().map(|&score| above(score)).collect(),
                )
            }
        };
        Ok(Value::I64(Matrix { rows, width, data }))
    }
}

impl Step for Label {
    fn describe(&self) -> String {
        let shown = match &self.0 {
            Labels::Int(labels) => format!("{labels:?}"),
            Labels::Float(labels) => format!("{labels:?}"),
            Labels::Bool(labels) => format!("{labels:?}"),
            Labels::Text(labels) => format!("{labels:?}"),
        };
        let shown: String = shown.chars().take(100).collect();
        format!("one of {} labels: {shown}", self.0.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::I64 && !self.0.is_empty() => Ok(match &self.0 {
                Labels::Int(_) => Form::i64(form.width),
                Labels::Float(_) => Form::f64(form.width),
                Labels::Bool(_) | Labels::Text(_) => Form::cells(form.width),
            }),
            _ => Err(format!("class indices expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let indices = inputs.get(0)?.i64()?;
        // What is below nothing is below no number of classes.
        let index = |index: &i64| usize::try_from(*index).unwrap_or(usize::MAX);
        self.0
            .pick(indices.rows, indices.width, indices.data.iter().map(index))
    }
}
