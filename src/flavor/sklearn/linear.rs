//! Linear models: regressors, classifiers, generalized ones.

use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::plan::steps::labels::{Above, ArgMax, Labels};
use crate::flavor::plan::steps::link::Link;
use crate::flavor::refusal::{Refusal, refuse};

use super::dense::Dense;
use super::estimator::{Ask, Context, lower as lower_estimator, no_method, version};
use super::labels::{classes, label};
use super::numbers::{Table, number, numbers, word};
use super::probability::{Normalize, NormalizeKind, log, negated_pair};
use super::rows::{Finite, doubles, floats, is_single, widened};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &[
    "ARDRegression",
    "BayesianRidge",
    "ElasticNet",
    "ElasticNetCV",
    "GammaRegressor",
    "HuberRegressor",
    "Lars",
    "LarsCV",
    "Lasso",
    "LassoCV",
    "LassoLars",
    "LassoLarsCV",
    "LassoLarsIC",
    "LinearRegression",
    "LinearSVC",
    "LinearSVR",
    "LogisticRegression",
    "LogisticRegressionCV",
    "MultiTaskElasticNet",
    "MultiTaskElasticNetCV",
    "MultiTaskLasso",
    "MultiTaskLassoCV",
    "OrthogonalMatchingPursuit",
    "OrthogonalMatchingPursuitCV",
    "PassiveAggressiveClassifier",
    "PassiveAggressiveRegressor",
    "Perceptron",
    "PoissonRegressor",
    "QuantileRegressor",
    "RANSACRegressor",
    "Ridge",
    "RidgeCV",
    "RidgeClassifier",
    "RidgeClassifierCV",
    "SGDClassifier",
    "SGDOneClassSVM",
    "SGDRegressor",
    "TheilSenRegressor",
    "TweedieRegressor",
];

/// `coef_` as `[outputs, features]`, and whether it has two axes.
fn coefficients(object: View<'_>) -> Result<(Table, bool), Refusal> {
    let (shape, data) = numbers(object, "coef_")?;
    match *shape {
        [rows, width] => Ok((Table { rows, width, data }, true)),
        [width] => Ok((Table { rows: 1, width, data }, false)),
        _ => refuse!("`coef_` has shape {shape:?}"),
    }
}

/// The numbers of an intercept: one, or one an output. Without one it is 0.
fn intercepts(object: View<'_>) -> Result<Vec<f64>, Refusal> {
    numbers(object, "intercept_").map(|(_, intercepts)| intercepts)
}

/// `X · coef_ᵀ + intercept_`, one column an output; whether the result has two axes.
pub(super) fn scores(
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<(Register, bool), Refusal> {
    let (weights, two_axes) = coefficients(object)?;
    let single = is_single(context, x);
    let x = floats(context, object, x, Finite::All)?;
    let dense = Dense::new(weights, intercepts(object)?)?.narrow(single);
    Ok((context.plan.push(dense, &[x])?, two_axes))
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    match object.class().unwrap_or_default() {
        "LogisticRegression" | "LogisticRegressionCV" => classify(ask, object, context, x, logistic(object)?),
        "SGDClassifier" => classify(ask, object, context, x, stochastic(object)?),
        "LinearSVC" | "Perceptron" | "PassiveAggressiveClassifier" => classify(ask, object, context, x, None),
        "RidgeClassifier" | "RidgeClassifierCV" => ridge(ask, object, context, x),
        "RANSACRegressor" if ask == Ask::Predict => {
            let x = floats(context, object, x, Finite::All)?;
            lower_estimator(ask, object.attribute("estimator_")?, context, x)
        }
        "SGDOneClassSVM" => one_class(ask, object, context, x),
        _ if ask != Ask::Predict => no_method(ask, object),
        "PoissonRegressor" | "GammaRegressor" => {
            let (scores, _) = scores(object, context, x)?;
            let scores = widened(context, scores)?;
            context.plan.push(Link::Exp, &[scores])
        }
        "TweedieRegressor" => {
            let log_link = match word(object, "link", "auto")? {
                "auto" => number(object, "power")? > 0.0,
                "log" => true,
                "identity" => false,
                other => refuse!("`link={other}` is not covered"),
            };
            let (scores, _) = scores(object, context, x)?;
            match log_link {
                true => {
                    let scores = widened(context, scores)?;
                    context.plan.push(Link::Exp, &[scores])
                }
                false => Ok(scores),
            }
        }
        class => {
            let (scores, two_axes) = scores(object, context, x)?;
            // These return a vector whatever they have learned.
            let flat = matches!(class, "SGDRegressor" | "PassiveAggressiveRegressor");
            if two_axes && !flat {
                context.mark_matrix(scores);
            }
            Ok(scores)
        }
    }
}

/// How scores of a classifier become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probability {
    /// The sigmoid of each, divided by their sum.
    OneVersusRest,
    /// Their softmax; one score of two classes counts as it is and negated.
    Multinomial,
    /// The sigmoid of one score, the softmax of several.
    Softmax,
    /// `(clip(score, -1, 1) + 1) / 2`, divided by their sum.
    ModifiedHuber,
}

/// How a logistic regression, of any version, makes probabilities.
fn logistic(object: View<'_>) -> Result<Option<Probability>, Refusal> {
    let binary = classes(object, "classes_")?.len() <= 2;
    if version(object) >= (1, 8) {
        return Ok(Some(Probability::Softmax));
    }
    let one_versus_rest = match word(object, "multi_class", "auto")? {
        "ovr" | "warn" => true,
        "auto" | "deprecated" => binary || word(object, "solver", "lbfgs")? == "liblinear",
        "multinomial" => false,
        other => refuse!("`multi_class={other}` is not covered"),
    };
    Ok(Some(match one_versus_rest {
        true => Probability::OneVersusRest,
        false => Probability::Multinomial,
    }))
}

/// How `SGDClassifier` makes probabilities, if its loss has any.
fn stochastic(object: View<'_>) -> Result<Option<Probability>, Refusal> {
    Ok(match word(object, "loss", "hinge")? {
        "log_loss" | "log" => Some(Probability::OneVersusRest),
        "modified_huber" => Some(Probability::ModifiedHuber),
        _ => None,
    })
}

/// Labels, scores or probabilities of a linear classifier.
pub(super) fn classify(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
    probability: Option<Probability>,
) -> Result<Register, Refusal> {
    let labels = classes(object, "classes_")?;
    let (scores, _) = scores(object, context, x)?;
    from_scores(ask, object, context, scores, labels, probability)
}

/// Labels, scores or probabilities from the scores of a linear classifier.
pub(super) fn from_scores(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    scores: Register,
    labels: Labels,
    probability: Option<Probability>,
) -> Result<Register, Refusal> {
    let width = context.plan.form(scores).width;
    if width != labels.len() && (width, labels.len()) != (1, 2) {
        refuse!("{width} scores for {} classes", labels.len());
    }
    match (ask, probability) {
        (Ask::Decision, _) => widened(context, scores),
        (Ask::Predict, _) => {
            let indices = match width {
                1 => context.plan.push(above(0.0), &[scores])?,
                _ => context.plan.push(ArgMax, &[scores])?,
            };
            label(context, labels, indices)
        }
        (Ask::Proba, Some(probability)) => {
            let scores = widened(context, scores)?;
            probabilities(context, scores, probability)
        }
        (Ask::LogProba, Some(probability)) => {
            let scores = widened(context, scores)?;
            let probabilities = probabilities(context, scores, probability)?;
            log(context, probabilities)
        }
        _ => no_method(ask, object),
    }
}

/// 1 where a score is above a bound.
pub(super) fn above(bound: f64) -> Above {
    Above {
        bound,
        inclusive: false,
    }
}

fn probabilities(
    context: &mut Context<'_>,
    scores: Register,
    probability: Probability,
) -> Result<Register, Refusal> {
    let one = context.plan.form(scores).width == 1;
    match (probability, one) {
        (Probability::OneVersusRest | Probability::Softmax, true) => {
            let chance = context.plan.push(Link::Sigmoid { scale: 1.0 }, &[scores])?;
            context.plan.push(Link::Complement, &[chance])
        }
        (Probability::OneVersusRest, false) => {
            let chances = context.plan.push(Link::Sigmoid { scale: 1.0 }, &[scores])?;
            context.plan.push(Normalize(NormalizeKind::BySum), &[chances])
        }
        (Probability::Multinomial, true) => {
            let pair = negated_pair(context, scores)?;
            context.plan.push(Link::Softmax, &[pair])
        }
        (Probability::Multinomial | Probability::Softmax, false) => {
            context.plan.push(Link::Softmax, &[scores])
        }
        (Probability::ModifiedHuber, _) => {
            let chances = context.plan.push(Normalize(NormalizeKind::Clipped), &[scores])?;
            match one {
                true => context.plan.push(Link::Complement, &[chances]),
                false => context
                    .plan
                    .push(Normalize(NormalizeKind::BySumOrEven), &[chances]),
            }
        }
    }
}

fn ridge(ask: Ask, object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let binarizer = object.attribute("_label_binarizer")?;
    if word(binarizer, "y_type_", "binary")?.starts_with("multilabel") {
        refuse!("several labels at once are not covered; export the model to ONNX");
    }
    let labels = classes(binarizer, "classes_")?;
    let (scores, _) = scores(object, context, x)?;
    from_scores(ask, object, context, scores, labels, None)
}

/// `SGDOneClassSVM`: 1 where the score is not below the offset, else -1.
fn one_class(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let (weights, _) = coefficients(object)?;
    let (_, offsets) = numbers(object, "offset_")?;
    let x = doubles(context, object, x, Finite::All)?;
    let offsets = offsets.into_iter().map(|offset| -offset).collect();
    let scores = context.plan.push(Dense::new(weights, offsets)?, &[x])?;
    match ask {
        Ask::Decision => Ok(scores),
        Ask::Predict => {
            let inside = Above {
                bound: 0.0,
                inclusive: true,
            };
            let indices = context.plan.push(inside, &[scores])?;
            label(context, Labels::Int(vec![-1, 1]), indices)
        }
        _ => no_method(ask, object),
    }
}
