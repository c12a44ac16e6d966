//! Objectives: from the base score to the margin, and from margins to what is answered.
//!
//! All in single, with the C library's `expf` and `logf`, in the order of XGBoost's own sources.

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};
use crate::flavor::refusal::{Refusal, refuse};

/// What the scores of a model stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Objective {
    /// The margin itself.
    Identity,
    /// The margin itself; the base score is a probability (`binary:logitraw`).
    LogitRaw,
    /// A probability.
    Logistic,
    /// `exp` of the margin: a count, a duration, a hazard.
    Exp,
    /// 1 above zero, else 0.
    Hinge,
    /// The class with the largest margin.
    Softmax,
    /// A probability for each class.
    Softprob,
}

/// `kRtEps`: a base score is kept this far from 0 and 1.
const EPSILON: f32 = 1e-6;

impl Objective {
    /// The objective of that name.
    ///
    /// # Errors
    /// For one that is unknown: what its scores stand for is then unknown too.
    pub(super) fn named(name: &str) -> Result<Objective, Refusal> {
        Ok(match name {
            "reg:squarederror"
            | "reg:linear"
            | "reg:squaredlogerror"
            | "reg:pseudohubererror"
            | "reg:absoluteerror"
            | "reg:quantileerror"
            | "rank:pairwise"
            | "rank:ndcg"
            | "rank:map" => Objective::Identity,
            "binary:logitraw" => Objective::LogitRaw,
            "binary:logistic" | "reg:logistic" => Objective::Logistic,
            "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft" => Objective::Exp,
            "binary:hinge" => Objective::Hinge,
            "multi:softmax" => Objective::Softmax,
            "multi:softprob" => Objective::Softprob,
            other => refuse!("objective `{other}` is not known: export the model to ONNX"),
        })
    }

    /// The margin that a base score stands for.
    pub(super) fn margin(self, score: f32) -> f32 {
        match self {
            Objective::Logistic => {
                let score = score.clamp(EPSILON, 1.0 - EPSILON);
                -(1.0 / score - 1.0).ln()
            }
            Objective::Exp => score.ln(),
            _ => score,
        }
    }

    /// What a margin stands for; of objectives with several classes, itself.
    pub(super) fn value(self, margin: f32) -> f32 {
        match self {
            Objective::Logistic => sigmoid(margin),
            Objective::Exp => margin.exp(),
            Objective::Hinge => f32::from(u8::from(margin > 0.0)),
            _ => margin,
        }
    }
}

/// `1 / (exp(min(-x, 88.7)) + 1 + 1e-16)`; the last term is lost in single, yet the order of the sums is kept.
fn sigmoid(margin: f32) -> f32 {
    // By comparison, for `min` would hide a NaN.
    let exponent = if 88.7 < -margin { 88.7f32 } else { -margin };
    1.0 / (exponent.exp() + 1.0 + 1e-16)
}

/// Turns margins into what the objective answers.
pub(super) struct Transform(pub(super) Objective);

impl Step for Transform {
    fn describe(&self) -> String {
        match self.0 {
            Objective::Identity | Objective::LogitRaw => "margins".into(),
            Objective::Logistic => "sigmoid (float32)".into(),
            Objective::Exp => "exp (float32)".into(),
            Objective::Hinge => "1 above zero".into(),
            Objective::Softmax => "index of the largest margin, as float32".into(),
            Objective::Softprob => "softmax (float32)".into(),
        }
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::F32 && form.width > 0 => match self.0 {
                Objective::Softmax => Ok(Form::f32(1)),
                _ => Ok(*form),
            },
            _ => Err(format!("margins in single expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut margins = inputs.take(0)?.into_f32()?;
        match self.0 {
            Objective::Identity | Objective::LogitRaw => {}
            Objective::Softprob => margins.each_row_mut().for_each(softmax),
            Objective::Softmax => {
                let data = margins.each_row().map(largest).collect();
                margins = Matrix {
                    rows: margins.rows,
                    width: 1,
                    data,
                };
            }
            each => {
                for margin in &mut margins.data {
                    *margin = each.value(*margin);
                }
            }
        }
        Ok(Value::F32(margins))
    }
}

/// `exp(x - max) / sum`: the sum in double, the division in single.
fn softmax(row: &mut [f32]) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0f64;
    for margin in row.iter_mut() {
        *margin = (*margin - largest).exp();
        sum += f64::from(*margin);
    }
    let sum = sum as f32;
    for share in row {
        *share /= sum;
    }
}

/// The index of the first largest margin.
fn largest(row: &[f32]) -> f32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, &margin) in row.iter().enumerate() {
        if index == 0 || margin > best.1 {
            best = (index, margin);
        }
    }
    best.0 as f32
}

/// `[1 - p, p]` of the one probability `p`, in single.
pub(super) struct Complement;

impl Step for Complement {
    fn describe(&self) -> String {
        "probabilities of two classes (float32)".into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f32(1) => Ok(Form::f32(2)),
            _ => Err(format!("one probability in single expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let shares = inputs.take(0)?.into_f32()?;
        Ok(Value::F32(Matrix {
            rows: shares.rows,
            width: 2,
            data: shares.data.iter().flat_map(|&p| [1.0 - p, p]).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_score_becomes_the_margin_whose_value_it_is() {
        assert_eq!(Objective::Logistic.margin(0.5), 0.0);
        // Not folded by the compiler, whose logarithm is another one than the C library's.
        assert_eq!(Objective::Logistic.margin(std::hint::black_box(0.0)), -13.815_51);
        assert_eq!(Objective::Exp.margin(1.0), 0.0);
        assert_eq!(Objective::Softprob.margin(0.5), 0.5);
    }

    #[test]
    fn a_sigmoid_ends_before_it_overflows() {
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!(sigmoid(-1000.0), sigmoid(-88.7));
        assert!(sigmoid(-1000.0) > 0.0);
        assert_eq!(sigmoid(1000.0), 1.0);
        assert!(sigmoid(f32::NAN).is_nan());
    }

    #[test]
    fn of_equal_margins_the_first_wins() {
        assert_eq!(largest(&[1.0, 3.0, 3.0]), 1.0);
        let mut row = [1.0, 1.0];
        softmax(&mut row);
        assert_eq!(row, [0.5, 0.5]);
    }
}
