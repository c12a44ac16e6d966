//! Products with matrices of coefficients.

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::numbers::Table;

/// `x · weightsᵀ + offsets`, one column an output. Takes `float64` or `float32`, computes in double.
///
/// scikit-learn leaves the order of additions to the BLAS library, so results agree to some 1e-14 relative only.
pub(super) struct Dense {
    /// `[outputs, features]`, row-major.
    weights: Table,
    /// One an output.
    offsets: Vec<f64>,
    /// The result is `float32`, as NumPy has it when coefficients and rows are.
    single: bool,
}

impl Dense {
    /// With weights `[outputs, features]` and an offset an output, or one for all.
    pub(super) fn new(weights: Table, mut offsets: Vec<f64>) -> Result<Dense, Refusal> {
        if offsets.len() == 1 {
            offsets.resize(weights.rows, offsets.first().copied().unwrap_or_default());
        }
        if offsets.len() != weights.rows {
            refuse!(
                "{} intercepts for {} rows of coefficients",
                offsets.len(),
                weights.rows
            );
        }
        Ok(Dense {
            weights,
            offsets,
            single: false,
        })
    }

    /// The same with a result in `float32` where the rows are and all coefficients fit.
    pub(super) fn narrow(mut self, rows_are_single: bool) -> Dense {
        // Coefficients fitted in double have all their bits; those that have not were fitted in single.
        let fits = |number: &f64| f64::from(*number as f32) == *number;
        let plain = |number: &f64| number.fract() == 0.0;
        let fit = self.weights.data.iter().chain(&self.offsets).all(fits);
        self.single = rows_are_single && fit && !self.weights.data.iter().all(plain);
        self
    }
}

/// The scalar product; four sums at a time, which the processor adds at once.
pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (xs, ys) = (x.chunks_exact(4), y.chunks_exact(4));
    let rest: f64 = xs
        .remainder()
        .iter()
        .zip(ys.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in xs.zip(ys) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    let [a, b, c, d] = sums;
    (a + b) + (c + d) + rest
}

impl Step for Dense {
    fn describe(&self) -> String {
        format!(
            "{} columns times coefficients to {}",
            self.weights.width, self.weights.rows
        )
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.width == self.weights.width && matches!(form.kind, Kind::F64 | Kind::F32) => {
                Ok(match self.single && form.kind == Kind::F32 {
                    true => Form::f32(self.weights.rows),
                    false => Form::f64(self.weights.rows),
                })
            }
            _ => Err(format!("{} coefficients for {inputs:?}", self.weights.width)),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.get(0)?;
        let width = self.weights.rows;
        let mut data = Vec::with_capacity(value.rows() * width);
        let mut extend = |row: &[f64]| {
            let outputs = self.weights.each_row().zip(&self.offsets);
            data.extend(outputs.map(|(weights, offset)| dot(row, weights) + offset));
        };
        let rows = match value {
            Value::F32(matrix) => {
                let mut doubles = vec![0.0; matrix.width];
                for row in matrix.each_row() {
                    for (double, single) in doubles.iter_mut().zip(row) {
                        *double = f64::from(*single);
                    }
                    extend(&doubles);
                }
                matrix.rows
            }
            other => {
                let matrix = other.f64()?;
                matrix.each_row().for_each(&mut extend);
                matrix.rows
            }
        };
        if self.single && matches!(value, Value::F32(_)) {
            let data = data.into_iter().map(|double: f64| double as f32).collect();
            return Ok(Value::F32(Matrix { rows, width, data }));
        }
        Ok(Value::F64(Matrix { rows, width, data }))
    }
}
