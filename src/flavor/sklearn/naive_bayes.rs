//! Naive Bayes: Gaussian, Bernoulli, multinomial, complement.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::dense::Dense;
use super::discriminant::from_log_joint;
use super::estimator::{Ask, Context};
use super::numbers::{Table, expect, table, vector};
use super::rows::{Finite, doubles};
use super::scale::binarize;

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["GaussianNB", "BernoulliNB", "MultinomialNB", "ComplementNB"];

/// `offset - ½ Σ (x - mean)² / variance` of each class.
struct Gaussian {
    means: Table,
    variances: Table,
    /// `log(prior) - ½ Σ log(2π variance)`
    offsets: Vec<f64>,
}

impl Step for Gaussian {
    fn describe(&self) -> String {
        format!("normal densities of {} classes", self.means.rows)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(self.means.width) => Ok(Form::f64(self.means.rows)),
            _ => Err(format!("{} columns expected, got {inputs:?}", self.means.width)),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let x = inputs.get(0)?.f64()?;
        let mut data = Vec::with_capacity(x.rows * self.means.rows);
        for row in x.each_row() {
            let classes = self
                .means
                .each_row()
                .zip(self.variances.each_row())
                .zip(&self.offsets);
            data.extend(classes.map(|((means, variances), offset)| {
                let mut sum = 0.0;
                for ((x, mean), variance) in row.iter().zip(means).zip(variances) {
                    sum += (x - mean) * (x - mean) / variance;
                }
                offset - 0.5 * sum
            }));
        }
        Ok(Value::F64(Matrix {
            rows: x.rows,
            width: self.means.rows,
            data,
        }))
    }
}

fn gaussian(object: View<'_>, features: usize) -> Result<Gaussian, Refusal> {
    let means = table(object, "theta_")?;
    // `sigma_` until 1.1.
    let name = if object.get("var_").is_some() {
        "var_"
    } else {
        "sigma_"
    };
    let variances = table(object, name)?;
    expect(&means, "theta_", means.rows, features)?;
    expect(&variances, name, means.rows, features)?;
    let priors = vector(object, "class_prior_", means.rows)?;
    let offsets = variances.each_row().zip(priors).map(|(variances, prior)| {
        let spread: f64 = variances
            .iter()
            .map(|variance| (2.0 * std::f64::consts::PI * variance).ln())
            .sum();
        prior.ln() - 0.5 * spread
    });
    Ok(Gaussian {
        offsets: offsets.collect(),
        means,
        variances,
    })
}

/// The logarithms that discrete classes weigh features with, and what is added.
fn discrete(object: View<'_>, features: usize) -> Result<Dense, Refusal> {
    let mut weights = table(object, "feature_log_prob_")?;
    expect(&weights, "feature_log_prob_", weights.rows, features)?;
    let prior = vector(object, "class_log_prior_", weights.rows)?;
    let offsets = match object.class() {
        // The complement has no prior but of a class that is alone.
        Some("ComplementNB") if weights.rows > 1 => vec![0.0; weights.rows],
        Some("BernoulliNB") => {
            let mut offsets = Vec::with_capacity(weights.rows);
            for (row, prior) in weights.data.chunks_exact_mut(features.max(1)).zip(prior) {
                let mut sum = 0.0;
                for weight in row {
                    let absent = (1.0 - weight.exp()).ln();
                    sum += absent;
                    *weight -= absent;
                }
                offsets.push(prior + sum);
            }
            offsets
        }
        _ => prior,
    };
    Dense::new(weights, offsets)
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let mut x = doubles(context, object, x, Finite::All)?;
    let width = context.plan.form(x).width;
    if object.class() == Some("GaussianNB") {
        let scores = context.plan.push(gaussian(object, width)?, &[x])?;
        return from_log_joint(ask, object, context, scores);
    }
    if object.class() == Some("BernoulliNB") {
        let bound = object.attribute("binarize")?;
        if !bound.is_none() {
            let Some(bound) = bound.number() else {
                refuse!("`binarize` is no number");
            };
            x = binarize(context, bound, x)?;
        }
    }
    let scores = context.plan.push(discrete(object, width)?, &[x])?;
    from_log_joint(ask, object, context, scores)
}
