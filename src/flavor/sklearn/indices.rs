//! From labels back to the indices of classes.

use std::collections::HashMap;

use crate::flavor::PredictError;
use crate::flavor::plan::steps::labels::Labels;
use crate::flavor::plan::value::{Cell, Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};

/// The index of each label among the classes, -1 for one that is none of them.
pub(super) struct ClassIndex(pub(super) Labels);

impl Step for ClassIndex {
    fn describe(&self) -> String {
        format!("indices of labels among {} classes", self.0.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == kind(&self.0) => Ok(Form::i64(form.width)),
            _ => Err(format!(
                "labels of {} classes expected, got {inputs:?}",
                self.0.len()
            )),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.get(0)?;
        let rows = value.rows();
        let (width, data) = match (&self.0, value) {
            (Labels::Int(labels), Value::I64(matrix)) => (matrix.width, found(labels, &matrix.data)),
            (Labels::Float(labels), Value::F64(matrix)) => {
                let labels: Vec<u64> = labels.iter().map(|label| label.to_bits()).collect();
                let data: Vec<u64> = matrix.data.iter().map(|label| label.to_bits()).collect();
                (matrix.width, found(&labels, &data))
            }
            (Labels::Text(labels), other) => {
                let cells = other.cells()?;
                let places: HashMap<&str, i64> = labels.iter().map(|label| &**label).zip(0..).collect();
                let index = |cell: &Cell<'_>| match cell {
                    Cell::Text(text) => places.get(text).copied().unwrap_or(-1),
                    _ => -1,
                };
                (cells.width, cells.data.iter().map(index).collect())
            }
            (Labels::Bool(labels), other) => {
                let cells = other.cells()?;
                let index = |cell: &Cell<'_>| match cell {
                    Cell::Bool(truth) => labels
                        .iter()
                        .position(|label| label == truth)
                        .map_or(-1, |at| at as i64),
                    _ => -1,
                };
                (cells.width, cells.data.iter().map(index).collect())
            }
            (_, other) => {
                other.i64()?;
                (0, Vec::new())
            }
        };
        Ok(Value::I64(Matrix { rows, width, data }))
    }
}

/// The kind of a register that holds these labels.
pub(super) fn kind(labels: &Labels) -> Kind {
    match labels {
        Labels::Int(_) => Kind::I64,
        Labels::Float(_) => Kind::F64,
        Labels::Bool(_) | Labels::Text(_) => Kind::Cells,
    }
}

fn found<T: Eq + std::hash::Hash>(labels: &[T], given: &[T]) -> Vec<i64> {
    let places: HashMap<&T, i64> = labels.iter().zip(0..).collect();
    given
        .iter()
        .map(|label| places.get(label).copied().unwrap_or(-1))
        .collect()
}
