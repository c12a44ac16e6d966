//! From scores to probabilities, where the shared steps do not say it.

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::Refusal;

use super::estimator::Context;

/// What is done to each row of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NormalizeKind {
    /// Divided by the sum.
    BySum,
    /// Divided by the sum; all alike where that is 0.
    BySumOrEven,
    /// `(clip(x, -1, 1) + 1) / 2`
    Clipped,
    /// The natural logarithm.
    Log,
    /// `exp`
    Exp,
    /// Less the logarithm of the sum of `exp`, computed from the largest.
    LogSumExp,
}

/// Does it.
pub(super) struct Normalize(pub(super) NormalizeKind);

/// `[-x, x]` of the one score `x`.
struct Negated;

impl Step for Normalize {
    fn describe(&self) -> String {
        match self.0 {
            NormalizeKind::BySum | NormalizeKind::BySumOrEven => "divide rows by their sum",
            NormalizeKind::Clipped => "scores from -1 to 1 as probabilities",
            NormalizeKind::Log => "logarithm",
            NormalizeKind::Exp => "exp",
            NormalizeKind::LogSumExp => "logarithms of shares",
        }
        .into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::F64 => Ok(*form),
            _ => Err(format!("scores in double expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut scores = inputs.take(0)?.into_f64()?;
        for row in scores.each_row_mut() {
            match self.0 {
                NormalizeKind::BySum => {
                    let sum: f64 = row.iter().sum();
                    row.iter_mut().for_each(|x| *x /= sum);
                }
                NormalizeKind::BySumOrEven => {
                    let sum: f64 = row.iter().sum();
                    let even = 1.0 / row.len() as f64;
                    row.iter_mut()
                        .for_each(|x| *x = if sum == 0.0 { even } else { *x / sum });
                }
                NormalizeKind::Clipped => row.iter_mut().for_each(|x| *x = (x.clamp(-1.0, 1.0) + 1.0) / 2.0),
                NormalizeKind::Log => row.iter_mut().for_each(|x| *x = x.ln()),
                NormalizeKind::Exp => row.iter_mut().for_each(|x| *x = x.exp()),
                NormalizeKind::LogSumExp => {
                    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let from = if largest.is_finite() { largest } else { 0.0 };
                    let sum: f64 = row.iter().map(|x| (x - from).exp()).sum();
                    let whole = sum.ln() + from;
                    row.iter_mut().for_each(|x| *x -= whole);
                }
            }
        }
        Ok(Value::F64(scores))
    }
}

impl Step for Negated {
    fn describe(&self) -> String {
        "scores of two classes".into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(1) => Ok(Form::f64(2)),
            _ => Err(format!("one score expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let scores = inputs.take(0)?.into_f64()?;
        Ok(Value::F64(Matrix {
            rows: scores.rows,
            width: 2,
            data: scores.data.iter().flat_map(|&x| [-x, x]).collect(),
        }))
    }
}

/// `[-x, x]` of the one score in a register.
pub(super) fn negated_pair(context: &mut Context<'_>, scores: Register) -> Result<Register, Refusal> {
    context.plan.push(Negated, &[scores])
}

/// Logarithms of probabilities.
pub(super) fn log(context: &mut Context<'_>, probabilities: Register) -> Result<Register, Refusal> {
    context.plan.push(Normalize(NormalizeKind::Log), &[probabilities])
}
