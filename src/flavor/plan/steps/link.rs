//! From raw scores to what they stand for, in double.
//!
//! `exp` and its like are the C library's, as SciPy, LightGBM and CatBoost call them.

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Form, Kind, Value};
use crate::flavor::plan::{Inputs, Step};

/// A function of each score, or of each row of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Link {
    /// `exp(x)`
    Exp,
    /// `1 / (1 + exp(-scale * x))`
    Sigmoid {
        /// 1 but for LightGBM's `sigmoid` parameter.
        scale: f64,
    },
    /// `[1 - p, p]` of the one score `p`
    Complement,
    /// `exp(x - max) / sum`, the sum in order
    Softmax,
    /// `log1p(exp(x))`
    Log1pExp,
    /// `sign(x) * x * x`
    SignedSquare,
}

impl Step for Link {
    fn describe(&self) -> String {
        match self {
            Link::Exp => "exp".into(),
            Link::Sigmoid { scale } => format!("sigmoid, scale {scale}"),
            Link::Complement => "probabilities of two classes".into(),
            Link::Softmax => "softmax".into(),
            Link::Log1pExp => "log(1 + exp)".into(),
            Link::SignedSquare => "signed square".into(),
        }
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match (inputs, self) {
            ([form], Link::Complement) if *form == Form::f64(1) => Ok(Form::f64(2)),
            ([form], _) if form.kind == Kind::F64 && *self != Link::Complement => Ok(*form),
            _ => Err(format!("scores in double expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut scores = inputs.take(0)?.into_f64()?;
        let each = |scores: &mut [f64], function: fn(f64) -> f64| {
            for score in scores {
                *score = function(*score);
            }
        };
        match *self {
            Link::Exp => each(&mut scores.data, f64::exp),
            Link::Log1pExp => each(&mut scores.data, |x| x.exp().ln_1p()),
            Link::SignedSquare => each(&mut scores.data, |x| if x < 0.0 { -x * x } else { x * x }),
            Link::Sigmoid { scale } => {
                for score in &mut scores.data {
                    *score = 1.0 / (1.0 + (-scale * *score).exp());
                }
            }
            Link::Complement => {
                scores.data = scores.data.iter().flat_map(|&p| [1.0 - p, p]).collect();
                scores.width = 2;
            }
            Link::Softmax => {
                for row in scores.each_row_mut() {
                    softmax(row);
                }
            }
        }
        Ok(Value::F64(scores))
    }
}

/// Turns scores into shares of one: `exp(x - max) / sum`, the sum in order.
pub fn softmax(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in row.iter_mut() {
        *score = (*score - largest).exp();
        sum += *score;
    }
    for score in row {
        *score /= sum;
    }
}
