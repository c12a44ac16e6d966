//! `Voting*`: the mean of members, or the class that most of them name.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::steps::labels::ArgMax;
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::elementwise::{Each, Mean, together};
use super::estimator::{self, Ask, Context, no_method};
use super::labels;
use super::numbers;

pub(super) const CLASSES: &[&str] = &["VotingClassifier", "VotingRegressor"];

/// The class with the largest weight among those that members name, the first of several.
struct Majority {
    weights: Vec<f64>,
    classes: usize,
}

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let members = object.attribute("estimators_")?.members().unwrap_or_default();
    if members.is_empty() {
        refuse!("there are no estimators");
    }
    let weights = weights(object, members.len())?;
    if object.class() == Some("VotingRegressor") {
        if ask != Ask::Predict {
            return no_method(ask, object);
        }
        let mut predictions = Vec::with_capacity(members.len());
        for member in members {
            predictions.push(estimator::lower(Ask::Predict, member, context, x)?);
        }
        let predictions = together(context, &predictions)?;
        return context.plan.push(Mean(weights), &predictions);
    }
    let encoder = object.attribute("le_")?;
    let labels = labels::classes(encoder, "classes_")?;
    let soft = match numbers::word(object, "voting", "hard")? {
        "soft" => true,
        "hard" => false,
        other => refuse!("`voting` `{other}`"),
    };
    let index = match ask {
        Ask::Proba | Ask::LogProba | Ask::Predict if soft => {
            let mut shares = Vec::with_capacity(members.len());
            for member in members {
                shares.push(estimator::lower(Ask::Proba, member, context, x)?);
            }
            let shares = together(context, &shares)?;
            let mean = context.plan.push(Mean(weights), &shares)?;
            match ask {
                Ask::Proba => return Ok(mean),
                Ask::LogProba => return context.plan.push(Each::Log, &[mean]),
                _ => context.plan.push(ArgMax, &[mean])?,
            }
        }
        Ask::Predict => {
            // The members were fitted on indices of classes.
            let mut named = Vec::with_capacity(members.len());
            for member in &members {
                named.push(estimator::lower(Ask::Predict, *member, context, x)?);
            }
            let majority = Majority {
                weights: weights.unwrap_or_else(|| vec![1.0; members.len()]),
                classes: labels.len(),
            };
            context.plan.push(majority, &named)?
        }
        _ => return no_method(ask, object),
    };
    labels::label(context, labels, index)
}

/// The weights of the members that are not dropped.
fn weights(object: View<'_>, members: usize) -> Result<Option<Vec<f64>>, Refusal> {
    let Some(weights) = object.get("weights").filter(|weights| !weights.is_none()) else {
        return Ok(None);
    };
    let Some((_, weights)) = weights.numbers() else {
        refuse!("`weights` are no numbers");
    };
    let named = object.attribute("estimators")?.members().unwrap_or_default();
    let kept = |(pair, _): &(&View<'_>, &f64)| {
        let estimator = pair.members().and_then(|pair| pair.get(1).copied());
        estimator.is_some_and(|estimator| estimator.text() != Some("drop") && !estimator.is_none())
    };
    let weights: Vec<f64> = named
        .iter()
        .zip(&weights)
        .filter(kept)
        .map(|(_, weight)| *weight)
        .collect();
    if weights.len() != members {
        refuse!("{} weights for {members} estimators", weights.len());
    }
    Ok(Some(weights))
}

impl Step for Majority {
    fn describe(&self) -> String {
        format!(
            "majority of {} classifiers on {} classes",
            self.weights.len(),
            self.classes
        )
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        if inputs.len() == self.weights.len() && inputs.iter().all(|form| *form == Form::i64(1)) {
            Ok(Form::i64(1))
        } else {
            Err(format!("class indices expected, got {inputs:?}"))
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let rows = inputs.get(0)?.rows();
        let mut votes = vec![0.0; rows * self.classes];
        for (position, weight) in self.weights.iter().enumerate() {
            let named = inputs.get(position)?.i64()?;
            for (votes, class) in votes.chunks_exact_mut(self.classes.max(1)).zip(&named.data) {
                match usize::try_from(*class)
                    .ok()
                    .and_then(|class| votes.get_mut(class))
                {
                    Some(vote) => *vote += weight,
                    None => return Err(PredictError::Engine(format!("class {class} of {}", self.classes))),
                }
            }
        }
        let largest = |votes: &[f64]| {
            let first = (0, f64::NEG_INFINITY);
            let best = votes.iter().zip(0..).fold(
                first,
                |best, (&vote, index)| {
                    if vote > best.1 { (index, vote) } else { best }
                },
            );
            best.0
        };
        Ok(Value::I64(Matrix {
            rows,
            width: 1,
            data: votes.chunks_exact(self.classes.max(1)).map(largest).collect(),
        }))
    }
}
