//! `LinearDiscriminantAnalysis` and `QuadraticDiscriminantAnalysis`.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::steps::join::Select;
use crate::flavor::plan::steps::labels::ArgMax;
use crate::flavor::plan::steps::link::Link;
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::dense::{Dense, dot};
use super::estimator::{Ask, Context, no_method, version};
use super::labels::{classes, label};
use super::linear::{Probability, classify};
use super::numbers::{Table, count, expect, table, vector, word};
use super::probability::{Normalize, NormalizeKind, log};
use super::rows::{Finite, doubles};
use super::scale::{ByColumn, Operation};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["LinearDiscriminantAnalysis", "QuadraticDiscriminantAnalysis"];

/// One class of a quadratic discriminant.
struct Class {
    mean: Vec<f64>,
    /// Rotation over the root of its scaling, `[components, features]`.
    projection: Table,
    /// `log(prior) - sum(log(scaling)) / 2`
    offset: f64,
}

/// `offset - ‖projection (x - mean)‖² / 2` of each class.
struct Quadratic {
    features: usize,
    classes: Vec<Class>,
}

/// The second score less the first.
struct Difference;

impl Step for Quadratic {
    fn describe(&self) -> String {
        format!("quadratic scores of {} classes", self.classes.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(self.features) => Ok(Form::f64(self.classes.len())),
            _ => Err(format!("{} columns expected, got {inputs:?}", self.features)),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let x = inputs.get(0)?.f64()?;
        let mut data = Vec::with_capacity(x.rows * self.classes.len());
        let mut centred = Vec::with_capacity(self.features);
        for row in x.each_row() {
            for class in &self.classes {
                centred.clear();
                centred.extend(row.iter().zip(&class.mean).map(|(x, mean)| x - mean));
                let norm: f64 = class
                    .projection
                    .each_row()
                    .map(|direction| dot(direction, &centred))
                    .map(|length| length * length)
                    .sum();
                data.push(-0.5 * norm + class.offset);
            }
        }
        Ok(Value::F64(Matrix {
            rows: x.rows,
            width: self.classes.len(),
            data,
        }))
    }
}

impl Step for Difference {
    fn describe(&self) -> String {
        "second score less first".into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(2) => Ok(Form::f64(1)),
            _ => Err(format!("two scores expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let scores = inputs.take(0)?.into_f64()?;
        let difference = |row: &[f64]| match row {
            [first, second] => second - first,
            _ => f64::NAN,
        };
        Ok(Value::F64(Matrix {
            rows: scores.rows,
            width: 1,
            data: scores.each_row().map(difference).collect(),
        }))
    }
}

/// The second of two scores less the first.
pub(super) fn difference(context: &mut Context<'_>, scores: Register) -> Result<Register, Refusal> {
    context.plan.push(Difference, &[scores])
}

/// Labels, probabilities or scores from unnormalized logarithms of probabilities, a column a class.
pub(super) fn from_log_joint(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    scores: Register,
) -> Result<Register, Refusal> {
    let labels = classes(object, "classes_")?;
    let width = context.plan.form(scores).width;
    if width != labels.len() {
        refuse!("{width} scores for {} classes", labels.len());
    }
    match ask {
        Ask::Predict => {
            let indices = context.plan.push(ArgMax, &[scores])?;
            label(context, labels, indices)
        }
        Ask::Proba => {
            let shares = context
                .plan
                .push(Normalize(NormalizeKind::LogSumExp), &[scores])?;
            context.plan.push(Normalize(NormalizeKind::Exp), &[shares])
        }
        Ask::LogProba => context.plan.push(Normalize(NormalizeKind::LogSumExp), &[scores]),
        Ask::JointLogProba => Ok(scores),
        Ask::Decision | Ask::Transform => no_method(ask, object),
    }
}

fn linear(ask: Ask, object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    match ask {
        Ask::Transform => {
            let x = doubles(context, object, x, Finite::All)?;
            let width = context.plan.form(x).width;
            let scalings = table(object, "scalings_")?;
            expect(&scalings, "scalings_", width, scalings.width)?;
            let mut x = x;
            match word(object, "solver", "svd")? {
                "svd" => {
                    let centre = vector(object, "xbar_", width)?;
                    x = context
                        .plan
                        .push(ByColumn(vec![Operation::Subtract(centre)]), &[x])?;
                }
                "eigen" => {}
                other => refuse!("`transform` with `solver={other}` is not there"),
            }
            let all = scalings.transposed();
            let projected = context.plan.push(Dense::new(all, vec![0.0])?, &[x])?;
            let kept = count(object, "_max_components")?.min(context.plan.form(projected).width);
            context.plan.push(Select((0..kept).collect()), &[projected])
        }
        Ask::LogProba => {
            let chances = classify(Ask::Proba, object, context, x, Some(Probability::Softmax))?;
            // The smallest normal number stands for no chance at all.
            let lifted = context.plan.push(Lift, &[chances])?;
            log(context, lifted)
        }
        _ => classify(ask, object, context, x, Some(Probability::Softmax)),
    }
}

/// 0 becomes the smallest normal number.
struct Lift;

impl Step for Lift {
    fn describe(&self) -> String {
        "least probabilities".into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(form.width) => Ok(*form),
            _ => Err(format!("probabilities expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut chances = inputs.take(0)?.into_f64()?;
        for chance in chances.data.iter_mut().filter(|chance| **chance == 0.0) {
            *chance = f64::MIN_POSITIVE;
        }
        Ok(Value::F64(chances))
    }
}

fn quadratic(object: View<'_>, features: usize) -> Result<Quadratic, Refusal> {
    let means = table(object, "means_")?;
    expect(&means, "means_", means.rows, features)?;
    let priors = vector(object, "priors_", means.rows)?;
    let rotations = object.attribute("rotations_")?.members().unwrap_or_default();
    let scalings = object.attribute("scalings_")?.members().unwrap_or_default();
    if rotations.len() != means.rows || scalings.len() != means.rows {
        refuse!(
            "rotations and scalings of another number of classes than {}",
            means.rows
        );
    }
    let mut classes = Vec::with_capacity(means.rows);
    for (((mean, prior), rotation), scaling) in means.each_row().zip(priors).zip(rotations).zip(scalings) {
        let (Some((shape, rotation)), Some((_, scaling))) = (rotation.numbers(), scaling.numbers()) else {
            refuse!("rotations and scalings are no numbers");
        };
        let components = scaling.len();
        if *shape != [features, components] {
            refuse!("a rotation has shape {shape:?} instead of [{features}, {components}]");
        }
        let rotation = Table {
            rows: features,
            width: components,
            data: rotation,
        };
        let mut projection = rotation.transposed();
        for (direction, scaling) in projection.data.chunks_exact_mut(features.max(1)).zip(&scaling) {
            let by = scaling.powf(-0.5);
            direction.iter_mut().for_each(|x| *x *= by);
        }
        let spread: f64 = scaling.iter().map(|scaling| scaling.ln()).sum();
        classes.push(Class {
            mean: mean.to_vec(),
            projection,
            offset: -0.5 * spread + prior.ln(),
        });
    }
    Ok(Quadratic { features, classes })
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    if object.class() == Some("LinearDiscriminantAnalysis") {
        return linear(ask, object, context, x);
    }
    let x = doubles(context, object, x, Finite::All)?;
    let scores = quadratic(object, context.plan.form(x).width)?;
    let scores = context.plan.push(scores, &[x])?;
    match (ask, context.plan.form(scores).width) {
        (Ask::Decision, 2) => difference(context, scores),
        (Ask::Decision, _) => Ok(scores),
        // `values - max`, exponentials, divided by their sum.
        (Ask::Proba, _) => context.plan.push(Link::Softmax, &[scores]),
        // Until 1.5 the logarithm of the probability, which is infinite for small ones.
        (Ask::LogProba, _) if version(object) < (1, 6) => {
            let chances = context.plan.push(Link::Softmax, &[scores])?;
            log(context, chances)
        }
        _ => from_log_joint(ask, object, context, scores),
    }
}
