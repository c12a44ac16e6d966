//! What is done with the sums of the trees.

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Form, Kind, Value};
use crate::flavor::plan::{Inputs, Step};

/// `sum * scale + bias`, a bias for each output.
#[derive(Debug)]
pub(super) struct ScaleBias {
    pub(super) scale: f64,
    pub(super) bias: Vec<f64>,
}

impl Step for ScaleBias {
    fn describe(&self) -> String {
        format!("times {}, plus bias", self.scale)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(self.bias.len()) => Ok(*form),
            _ => Err(format!("{} sums expected, got {inputs:?}", self.bias.len())),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut sums = inputs.take(0)?.into_f64()?;
        for row in sums.each_row_mut() {
            for (sum, bias) in row.iter_mut().zip(&self.bias) {
                *sum = *sum * self.scale + bias;
            }
        }
        Ok(Value::F64(sums))
    }
}

/// Mean and logarithm of the deviation to mean and variance: `exp(2 * x)` of every second column.
#[derive(Debug)]
pub(super) struct Variance;

impl Step for Variance {
    fn describe(&self) -> String {
        "mean and variance".into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::F64 && form.width == 2 => Ok(*form),
            _ => Err(format!("mean and deviation expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut sums = inputs.take(0)?.into_f64()?;
        for deviation in sums.data.iter_mut().skip(1).step_by(2) {
            *deviation = (2.0 * *deviation).exp();
        }
        Ok(Value::F64(sums))
    }
}
