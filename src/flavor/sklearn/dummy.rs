//! `DummyClassifier` and `DummyRegressor`: the same answer for every row, which nothing checks.

use crate::flavor::PredictError;
use crate::flavor::formats::object::{ArrayElements, View};
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::categories::{Categories, cell};
use super::estimator::{Ask, Context, no_method};
use super::labels::{classes, label};
use super::numbers::{numbers, vector, word};
use super::probability::log;

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["DummyClassifier", "DummyRegressor"];

/// The same doubles for every row.
struct Constant(Vec<f64>);

/// The same integer for every row.
struct Integer(i64);

impl Step for Constant {
    fn describe(&self) -> String {
        format!(
            "always {:?}",
            self.0.get(..self.0.len().min(8)).unwrap_or_default()
        )
    }

    fn form(&self, _inputs: &[Form]) -> Result<Form, String> {
        Ok(Form::f64(self.0.len()))
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let rows = inputs.get(0)?.rows();
        Ok(Value::F64(Matrix {
            rows,
            width: self.0.len(),
            data: self.0.repeat(rows),
        }))
    }
}

impl Step for Integer {
    fn describe(&self) -> String {
        format!("always {}", self.0)
    }

    fn form(&self, _inputs: &[Form]) -> Result<Form, String> {
        Ok(Form::i64(1))
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let rows = inputs.get(0)?.rows();
        Ok(Value::I64(Matrix {
            rows,
            width: 1,
            data: vec![self.0; rows],
        }))
    }
}

fn classify(ask: Ask, object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let labels = classes(object, "classes_")?;
    let prior = vector(object, "class_prior_", labels.len())?;
    let mut most = 0;
    for (index, chance) in prior.iter().enumerate() {
        if prior.get(most).is_some_and(|kept| chance > kept) {
            most = index;
        }
    }
    let strategy = match object.get("_strategy") {
        Some(_) => word(object, "_strategy", "prior")?,
        None => word(object, "strategy", "prior")?,
    };
    let class = match strategy {
        "prior" | "most_frequent" => most,
        "constant" => {
            let constant = object.attribute("constant")?;
            let constant = cell(constant).or_else(|| cell(*constant.members()?.first()?));
            let known = Categories::of(object.attribute("classes_")?)?;
            match constant.and_then(|constant| known.find(&constant)) {
                Some(class) => class,
                None => refuse!("`constant` is none of the classes"),
            }
        }
        other => refuse!("`strategy={other}` answers at random, which is not served"),
    };
    match ask {
        Ask::Predict => {
            let indices = context.plan.push(Integer(class as i64), &[x])?;
            label(context, labels, indices)
        }
        Ask::Proba | Ask::LogProba => {
            let only = |index: usize| f64::from(u8::from(index == class));
            let chances = match strategy {
                "prior" => prior,
                _ => (0..labels.len()).map(only).collect(),
            };
            let chances = context.plan.push(Constant(chances), &[x])?;
            match ask {
                Ask::LogProba => log(context, chances),
                _ => Ok(chances),
            }
        }
        _ => no_method(ask, object),
    }
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    match (object.class(), ask) {
        (Some("DummyClassifier"), _) => classify(ask, object, context, x),
        (_, Ask::Predict) => {
            // A constant that was given as an integer stays one.
            if let Some(ArrayElements::Int(constant)) =
                object.attribute("constant_")?.array().map(|a| &a.elements)
                && let [whole] = **constant
            {
                return context.plan.push(Integer(whole), &[x]);
            }
            let (_, constant) = numbers(object, "constant_")?;
            if constant.is_empty() {
                refuse!("`constant_` is empty");
            }
            context.plan.push(Constant(constant), &[x])
        }
        _ => no_method(ask, object),
    }
}
