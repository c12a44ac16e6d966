//! Small steps on matrices of scores.

use crate::flavor::PredictError;
use crate::flavor::plan::steps::sums::pairwise;
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::Context;

/// A function of each number of a `float64` matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Each {
    /// `x / by`
    Divide(f64),
    /// `ln(x)`
    Log,
}

/// A function of each row of a `float64` matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum EachRow {
    /// `exp(x - ln(sum(exp(x))))`, as `scipy.special.logsumexp` has it.
    ExpNormalized,
    /// `[-x, x] / 2` of one score.
    Halves,
    /// `x1 - x0` of two scores, as the sum of `-x0` and `x1`.
    Difference,
    /// `x / sum`, and as it is where the sum is zero.
    Shares,
    /// `x / sum`, NaN where the sum is zero.
    AnyShares,
}

/// `float64` of a matrix of other numbers.
pub(super) struct Widen;

/// The index of the last largest score of a row.
pub(super) struct LastArgMax;

/// The mean of several matrices, weighted or not: `(w1 x1 + w2 x2 + …) / (w1 + w2 + …)`, added in order.
pub(super) struct Mean(pub(super) Option<Vec<f64>>);

impl Step for Each {
    fn describe(&self) -> String {
        match self {
            Each::Divide(by) => format!("divide by {by}"),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        doubles(inputs)
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut numbers = inputs.take(0)?.into_f64()?;
        for number in &mut numbers.data {
            *number = match *self {
                Each::Divide(by) => *number / by,
                Each::Log => number.ln(),
            };
        }
        Ok(Value::F64(numbers))
    }
}

impl Step for EachRow {
    fn describe(&self) -> String {
        match self {
            EachRow::ExpNormalized => "exp of scores less their logsumexp".into(),
            EachRow::Halves => "half the score for and against".into(),
            EachRow::Difference => "second score less the first".into(),
            EachRow::Shares | EachRow::AnyShares => "shares of the sum of a row".into(),
        }
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        let form = doubles(inputs)?;
        match self {
            EachRow::Halves if form.width == 1 => Ok(Form::f64(2)),
            EachRow::Difference if form.width == 2 => Ok(Form::f64(1)),
            EachRow::ExpNormalized | EachRow::Shares | EachRow::AnyShares => Ok(form),
            _ => Err(format!("{} scores a row", form.width)),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut scores = inputs.take(0)?.into_f64()?;
        match self {
            EachRow::ExpNormalized => {
                for row in scores.each_row_mut() {
                    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let exponentials: Vec<f64> = row.iter().map(|score| (score - largest).exp()).collect();
                    let total = pairwise(&exponentials).ln() + largest;
                    for score in row {
                        *score = (*score - total).exp();
                    }
                }
            }
            EachRow::Halves => {
                scores.data = scores
                    .data
                    .iter()
                    .flat_map(|&score| [-score / 2.0, score / 2.0])
                    .collect();
                scores.width = 2;
            }
            EachRow::Difference => {
                let pairs = scores.data.as_chunks::<2>().0;
                scores.data = pairs.iter().map(|[first, second]| -first + second).collect();
                scores.width = 1;
            }
            EachRow::Shares | EachRow::AnyShares => {
                for row in scores.each_row_mut() {
                    let sum: f64 = row.iter().sum();
                    if sum != 0.0 || *self == EachRow::AnyShares {
                        for score in row {
                            *score /= sum;
                        }
                    }
                }
            }
        }
        Ok(Value::F64(scores))
    }
}

impl Step for Widen {
    fn describe(&self) -> String {
        "as float64".into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if matches!(form.kind, Kind::F32 | Kind::F64 | Kind::I64) => Ok(Form::f64(form.width)),
            _ => Err(format!("numbers expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        Ok(Value::F64(match inputs.take(0)? {
            Value::F32(from) => Matrix {
                rows: from.rows,
                width: from.width,
                data: from.data.into_iter().map(f64::from).collect(),
            },
            Value::I64(from) => Matrix {
                rows: from.rows,
                width: from.width,
                data: from.data.into_iter().map(|whole| whole as f64).collect(),
            },
            other => other.into_f64()?,
        }))
    }
}

impl Step for LastArgMax {
    fn describe(&self) -> String {
        "index of the last largest score".into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        doubles(inputs).map(|_| Form::i64(1))
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let scores = inputs.get(0)?.f64()?;
        let last = |row: &[f64]| {
            let mut best = (0, f64::NEG_INFINITY);
            for (index, &score) in row.iter().enumerate() {
                if score >= best.1 {
                    best = (index as i64, score);
                }
            }
            best.0
        };
        Ok(Value::I64(Matrix {
            rows: scores.rows,
            width: 1,
            data: scores.each_row().map(last).collect(),
        }))
    }
}

impl Step for Mean {
    fn describe(&self) -> String {
        match &self.0 {
            Some(weights) => format!("mean with weights {weights:?}")
                .chars()
                .take(100)
                .collect(),
            None => "mean".into(),
        }
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        if self
            .0
            .as_ref()
            .is_some_and(|weights| weights.len() != inputs.len())
        {
            return Err(format!("weights of others than {} parts", inputs.len()));
        }
        let form = doubles(inputs.get(..1).unwrap_or_default())?;
        if inputs.iter().any(|other| *other != form) {
            return Err(format!("parts of the same form expected, got {inputs:?}"));
        }
        Ok(form)
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut sum = inputs.take(0)?.into_f64()?;
        let weight = |position: usize| self.0.as_ref().and_then(|weights| weights.get(position)).copied();
        if let Some(weight) = weight(0) {
            sum.data.iter_mut().for_each(|number| *number *= weight);
        }
        for position in 1..inputs.count() {
            let part = inputs.get(position)?.f64()?;
            match weight(position) {
                Some(weight) => {
                    for (sum, number) in sum.data.iter_mut().zip(&part.data) {
                        *sum += number * weight;
                    }
                }
                None => {
                    for (sum, number) in sum.data.iter_mut().zip(&part.data) {
                        *sum += number;
                    }
                }
            }
        }
        let total = match &self.0 {
            Some(weights) => pairwise(weights),
            None => inputs.count() as f64,
        };
        sum.data.iter_mut().for_each(|number| *number /= total);
        Ok(Value::F64(sum))
    }
}

/// What several estimators say as `float64`, as NumPy has it once they are put together.
///
/// # Errors
/// When all of them say `float32`, in which NumPy would go on.
pub(super) fn together(context: &mut Context<'_>, parts: &[Register]) -> Result<Vec<Register>, Refusal> {
    if parts
        .iter()
        .all(|part| context.plan.form(*part).kind == Kind::F32)
    {
        refuse!(
            "estimators that answer in float32 are put together, which is not covered; export the model to ONNX"
        );
    }
    parts
        .iter()
        .map(|part| context.plan.push(Widen, &[*part]))
        .collect()
}

fn doubles(inputs: &[Form]) -> Result<Form, String> {
    match inputs {
        [form] if form.kind == Kind::F64 => Ok(*form),
        _ => Err(format!("scores in double expected, got {inputs:?}")),
    }
}
