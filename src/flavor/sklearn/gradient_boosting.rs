//! `GradientBoosting*`: a constant and trees of values, one tree a class and stage.

use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::plan::steps::labels::{Above, ArgMax};
use crate::flavor::plan::steps::link::Link;
use crate::flavor::plan::steps::sums::pairwise;
use crate::flavor::refusal::{Refusal, refuse};

use super::elementwise::{Each, EachRow};
use super::estimator::{Ask, Context, no_method, version};
use super::grown::{Grove, Grown};
use super::labels;
use super::numbers;
use super::rows::{self, Finite};

pub(super) const CLASSES: &[&str] = &["GradientBoostingClassifier", "GradientBoostingRegressor"];

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let classifier = object.kind().ends_with("Classifier");
    let x = rows::singles(context, object, x, Finite::All)?;
    if !classifier {
        return match ask {
            Ask::Predict => raw(object, context, x, None),
            _ => no_method(ask, object),
        };
    }
    let labels = labels::classes(object, "classes_")?;
    let exponential = numbers::word(object, "loss", "log_loss")? == "exponential";
    let scores = raw(object, context, x, Some((labels.len(), exponential)))?;
    let outputs = context.plan.form(scores).width;
    let expected = if labels.len() == 2 { 1 } else { labels.len() };
    if outputs != expected {
        refuse!("{outputs} trees a stage for {} classes", labels.len());
    }
    // Until 1.3 the label was that of the largest probability, and the probabilities came by way of a logsumexp.
    let old = version(object) < (1, 4);
    let index = match ask {
        Ask::Decision => return Ok(scores),
        Ask::Proba => return probabilities(context, scores, exponential, old),
        Ask::LogProba => {
            let probabilities = probabilities(context, scores, exponential, old)?;
            return context.plan.push(Each::Log, &[probabilities]);
        }
        Ask::Predict if outputs == 1 && (exponential || !old) => context.plan.push(
            Above {
                bound: 0.0,
                inclusive: true,
            },
            &[scores],
        )?,
        Ask::Predict => {
            let largest = if old {
                probabilities(context, scores, exponential, old)?
            } else {
                scores
            };
            context.plan.push(ArgMax, &[largest])?
        }
        _ => return no_method(ask, object),
    };
    labels::label(context, labels, index)
}

fn probabilities(
    context: &mut Context<'_>,
    scores: Register,
    exponential: bool,
    old: bool,
) -> Result<Register, Refusal> {
    match context.plan.form(scores).width {
        1 => {
            let scale = if exponential { 2.0 } else { 1.0 };
            let positive = context.plan.push(Link::Sigmoid { scale }, &[scores])?;
            context.plan.push(Link::Complement, &[positive])
        }
        _ if old => context.plan.push(EachRow::ExpNormalized, &[scores]),
        _ => context.plan.push(Link::Softmax, &[scores]),
    }
}

/// The sums of the trees; `classes` is the number of classes of a classifier and whether its loss is exponential.
fn raw(
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
    classes: Option<(usize, bool)>,
) -> Result<Register, Refusal> {
    let stages = object.attribute("estimators_")?;
    let outputs = match stages.array().map(|array| array.shape.as_slice()) {
        Some(&[_, outputs]) if outputs > 0 => outputs,
        _ => refuse!("`estimators_` is no table of trees"),
    };
    let base = base(object, outputs, classes)?;
    let rate = numbers::number(object, "learning_rate")?;
    let mut grove = Grove::default();
    for (place, tree) in stages.members().unwrap_or_default().into_iter().enumerate() {
        let grown = Grown::of(tree)?;
        if (grown.outputs, grown.classes) != (1, 1) {
            refuse!(
                "a tree of {} outputs with {} values each",
                grown.outputs,
                grown.classes
            );
        }
        grove.add(&grown, None, place % outputs, |_, value, leaves| {
            leaves.extend(value.iter().map(|value| rate * value));
        })?;
    }
    grove.push(context, base, 1, x)
}

/// What the sums start from: what the first estimator says, taken through the link of the loss.
fn base(object: View<'_>, outputs: usize, classes: Option<(usize, bool)>) -> Result<Vec<f64>, Refusal> {
    let init = object.attribute("init_")?;
    if init.text() == Some("zero") {
        return Ok(vec![0.0; outputs]);
    }
    let Some((count, exponential)) = classes else {
        if init.class() != Some("DummyRegressor") {
            refuse!(
                "`init` is a `{}`, which is not covered; export the model to ONNX",
                init.kind()
            );
        }
        return numbers::numbers(init, "constant_").and_then(|(_, constant)| match *constant {
            [constant] if outputs == 1 => Ok(vec![constant]),
            _ => refuse!("`init_` predicts {} values for {outputs} outputs", constant.len()),
        });
    };
    if init.class() != Some("DummyClassifier") || numbers::word(init, "strategy", "prior")? != "prior" {
        refuse!(
            "`init` is a `{}`, which is not covered; export the model to ONNX",
            init.kind()
        );
    }
    // Until 1.7 the shares were kept from 0 and 1 by the epsilon of float32.
    let (lowest, highest) = if version(object) < (1, 8) {
        (f64::from(f32::EPSILON), f64::from(1.0 - f32::EPSILON))
    } else {
        (f64::EPSILON, 1.0 - f64::EPSILON)
    };
    let prior = numbers::vector(init, "class_prior_", count)?;
    let prior: Vec<f64> = prior
        .into_iter()
        .map(|share| share.max(lowest).min(highest))
        .collect();
    let old = version(object) < (1, 4);
    if let (&[_, positive], 1) = (prior.as_slice(), outputs) {
        let odds = if old {
            (positive / (1.0 - positive)).ln()
        } else {
            logit(positive)
        };
        return Ok(vec![if exponential { 0.5 * odds } else { odds }]);
    }
    if prior.len() != outputs {
        refuse!("{} classes for {outputs} outputs", prior.len());
    }
    if old {
        return Ok(prior.into_iter().map(f64::ln).collect());
    }
    let logs: Vec<f64> = prior.iter().map(|share| share.ln()).collect();
    let mean = (pairwise(&logs) / logs.len() as f64).exp();
    Ok(prior.into_iter().map(|share| (share / mean).ln()).collect())
}

/// `scipy.special.logit`, which is more exact around one half than the plain formula.
fn logit(share: f64) -> f64 {
    if (0.3..=0.65).contains(&share) {
        let distance = 2.0 * (share - 0.5);
        distance.ln_1p() - (-distance).ln_1p()
    } else {
        (share / (1.0 - share)).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::logit;

    #[test]
    fn logit_has_the_bits_of_scipy() {
        // scipy.special.logit of SciPy 1.17.1
        for (share, expected) in [
            (0.1, -2.197224577336219),
            (0.3, -0.8472978603872037),
            (0.31, -0.8001193001121132),
            (0.45, -0.2006706954621511),
            (0.5, 0.0),
            (0.5025, 0.010000083334583142),
            (0.64, 0.5753641449035619),
            (0.65, 0.6190392084062235),
            (0.66, 0.6632942174102643),
            (0.9, 2.1972245773362196),
        ] {
            assert_eq!(logit(share).to_bits(), f64::to_bits(expected), "{share}");
        }
    }
}
