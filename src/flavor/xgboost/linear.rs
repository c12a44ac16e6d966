//! `gblinear`: a weight for each feature and output.

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};

/// Adds up weighted values in single, in order of the features, missing ones left out; gives `[rows, outputs]`.
pub(super) struct Linear {
    pub(super) features: usize,
    pub(super) outputs: usize,
    /// `[features + 1, outputs]`, row-major; the last row is the bias.
    pub(super) weights: Vec<f32>,
    /// The base margin of the first output, which XGBoost adds to every one.
    pub(super) margin: f32,
}

impl Step for Linear {
    fn describe(&self) -> String {
        format!(
            "linear model of {} features, {} outputs (float32)",
            self.features, self.outputs
        )
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        if Some(self.weights.len())
            != self
                .features
                .checked_add(1)
                .and_then(|x| x.checked_mul(self.outputs))
        {
            return Err(format!("{} weights", self.weights.len()));
        }
        match inputs {
            [form] if *form == Form::f32(self.features) => Ok(Form::f32(self.outputs)),
            _ => Err(format!(
                "{} columns in single expected, got {inputs:?}",
                self.features
            )),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let rows = inputs.get(0)?.f32()?;
        let biases = self
            .weights
            .get(self.features * self.outputs..)
            .unwrap_or_default();
        let mut data = Vec::with_capacity(rows.rows * self.outputs);
        for number in 0..rows.rows {
            let from = number * rows.width;
            let row = rows.data.get(from..from + rows.width).unwrap_or_default();
            for (output, bias) in biases.iter().enumerate() {
                let mut sum = bias + self.margin;
                let weights = self
                    .weights
                    .get(output..)
                    .unwrap_or_default()
                    .iter()
                    .step_by(self.outputs);
                for (value, weight) in row.iter().zip(weights) {
                    if !value.is_nan() {
                        sum += value * weight;
                    }
                }
                data.push(sum);
            }
        }
        Ok(Value::F32(Matrix {
            rows: rows.rows,
            width: self.outputs,
            data,
        }))
    }
}
