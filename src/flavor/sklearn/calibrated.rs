//! `CalibratedClassifierCV`: scores taken to probabilities by curves that were fitted to them.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::steps::join::Select;
use crate::flavor::plan::steps::labels::{ArgMax, Labels};
use crate::flavor::plan::steps::sums::pairwise;
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::elementwise::{Each, Mean, together};
use super::estimator::{self, Ask, Context, no_method};
use super::labels;
use super::methods::{answering, has_decision};
use super::numbers;

pub(super) const CLASSES: &[&str] = &["CalibratedClassifierCV"];

/// A curve from scores to probabilities.
#[derive(Debug, Clone, PartialEq)]
enum Curve {
    /// `1 / (1 + exp(slope * x + intercept))`
    Sigmoid { slope: f64, intercept: f64 },
    /// Straight lines between points.
    Isotonic {
        lowest: f64,
        highest: f64,
        points: Vec<(f64, f64)>,
    },
}

/// Takes each column of scores by its curve to the column of a class, and makes a distribution of it.
struct Calibrate {
    /// With the class that each is for.
    curves: Vec<(Curve, usize)>,
    classes: usize,
}

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    if !matches!(ask, Ask::Predict | Ask::Proba | Ask::LogProba) {
        return no_method(ask, object);
    }
    let labels = labels::classes(object, "classes_")?;
    let mut shares = Vec::new();
    for member in object
        .attribute("calibrated_classifiers_")?
        .members()
        .unwrap_or_default()
    {
        shares.push(calibrated(member, &labels, context, x)?);
    }
    if shares.is_empty() {
        refuse!("there are no calibrated classifiers");
    }
    let mean = context.plan.push(Mean(None), &shares)?;
    match ask {
        Ask::Proba => Ok(mean),
        // The method is inherited by nobody, but searches and stacks ask for it.
        Ask::LogProba => context.plan.push(Each::Log, &[mean]),
        _ => {
            let index = context.plan.push(ArgMax, &[mean])?;
            labels::label(context, labels, index)
        }
    }
}

/// The probabilities of one classifier and its curves.
fn calibrated(
    member: View<'_>,
    labels: &Labels,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    // `base_estimator` before 1.2.
    let classifier = match member.get("estimator") {
        Some(classifier) => classifier,
        None => member.attribute("base_estimator")?,
    };
    match numbers::word(member, "method", "sigmoid")? {
        "sigmoid" | "isotonic" => {}
        other => refuse!("`method` `{other}` is not covered; export the model to ONNX"),
    }
    if labels::classes(member, "classes")? != *labels {
        refuse!("its classes are not those of the whole");
    }
    let ask = if has_decision(classifier)? {
        Ask::Decision
    } else {
        Ask::Proba
    };
    let scores = estimator::lower(ask, classifier, context, x)?;
    let two = labels.len() == 2;
    let scores = if ask == Ask::Proba && two {
        context.plan.push(Select(vec![1]), &[scores])?
    } else {
        scores
    };
    let scores = *together(context, &[scores])?.first().unwrap_or(&scores);
    let places = places(classifier, labels)?;
    let mut curves = Vec::new();
    for (position, curve) in member
        .attribute("calibrators")?
        .members()
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let class = if two {
            Some(1)
        } else {
            places.get(position).copied()
        };
        let Some(class) = class else {
            refuse!("more curves than classes");
        };
        curves.push((self::curve(curve)?, class));
    }
    let classes = labels.len();
    context.plan.push(Calibrate { curves, classes }, &[scores])
}

/// Which of `labels` the classes of a classifier are.
fn places(classifier: View<'_>, labels: &Labels) -> Result<Vec<usize>, Refusal> {
    let classifier = match classifier.get("classes_") {
        Some(_) => classifier,
        None => answering(classifier)?,
    };
    let own = match labels::classes(classifier, "classes_") {
        Ok(own) => own,
        // Some keep them in their state in other ways; then they are those that they were fitted on.
        Err(_) => return Ok((0..labels.len()).collect()),
    };
    fn found<T: PartialEq>(own: &[T], all: &[T]) -> Option<Vec<usize>> {
        own.iter()
            .map(|label| all.iter().position(|other| other == label))
            .collect()
    }
    let places = match (&own, labels) {
        (Labels::Int(own), Labels::Int(all)) => found(own, all),
        (Labels::Float(own), Labels::Float(all)) => found(own, all),
        (Labels::Bool(own), Labels::Bool(all)) => found(own, all),
        (Labels::Text(own), Labels::Text(all)) => found(own, all),
        // Members of other estimators are fitted on indices.
        (Labels::Int(own), all) => own
            .iter()
            .map(|&own| usize::try_from(own).ok().filter(|own| *own < all.len()))
            .collect(),
        _ => None,
    };
    match places {
        Some(places) => Ok(places),
        None => refuse!("its classifier has other classes"),
    }
}

fn curve(calibrator: View<'_>) -> Result<Curve, Refusal> {
    match calibrator.class() {
        Some("_SigmoidCalibration") => Ok(Curve::Sigmoid {
            slope: numbers::number(calibrator, "a_")?,
            intercept: numbers::number(calibrator, "b_")?,
        }),
        Some("IsotonicRegression") => {
            let (_, x) = numbers::numbers(calibrator, "X_thresholds_")?;
            let y = numbers::vector(calibrator, "y_thresholds_", x.len())?;
            if x.is_empty() || numbers::word(calibrator, "out_of_bounds", "nan")? != "clip" {
                refuse!("an isotonic curve that is not clipped");
            }
            Ok(Curve::Isotonic {
                lowest: numbers::number(calibrator, "X_min_")?,
                highest: numbers::number(calibrator, "X_max_")?,
                points: x.into_iter().zip(y).collect(),
            })
        }
        _ => refuse!("a `{}` is no curve that is covered", calibrator.kind()),
    }
}

impl Curve {
    fn at(&self, score: f64) -> f64 {
        match self {
            Curve::Sigmoid { slope, intercept } => {
                let inner = -(slope * score + intercept);
                1.0 / (1.0 + (-inner).exp())
            }
            Curve::Isotonic {
                lowest,
                highest,
                points,
            } => interpolated(points, score.max(*lowest).min(*highest)),
        }
    }
}

/// `numpy.interp`.
fn interpolated(points: &[(f64, f64)], x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let after = points.partition_point(|(place, _)| *place <= x);
    let Some(before) = after.checked_sub(1).and_then(|before| points.get(before)) else {
        return points.first().map_or(f64::NAN, |(_, y)| *y);
    };
    let Some(next) = points.get(after) else {
        return before.1;
    };
    if before.0 == x {
        return before.1;
    }
    let slope = (next.1 - before.1) / (next.0 - before.0);
    slope * (x - before.0) + before.1
}

impl Step for Calibrate {
    fn describe(&self) -> String {
        format!(
            "calibrate {} scores to {} classes",
            self.curves.len(),
            self.classes
        )
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form]
                if form.kind == Kind::F64
                    && form.width == self.curves.len()
                    && self.curves.iter().all(|(_, class)| *class < self.classes) =>
            {
                Ok(Form::f64(self.classes))
            }
            _ => Err(format!("{} scores expected, got {inputs:?}", self.curves.len())),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let scores = inputs.get(0)?.f64()?;
        let mut shares = Matrix {
            rows: scores.rows,
            width: self.classes,
            data: vec![0.0; scores.rows * self.classes],
        };
        for (row, scores) in shares.each_row_mut().zip(scores.each_row()) {
            for ((curve, class), score) in self.curves.iter().zip(scores) {
                if matches!(curve, Curve::Isotonic { .. }) && !score.is_finite() {
                    return Err(PredictError::Input("Input contains NaN or infinity.".into()));
                }
                if let Some(share) = row.get_mut(*class) {
                    *share = curve.at(*score);
                }
            }
            if let [no, yes] = row {
                *no = 1.0 - *yes;
            } else {
                let sum = pairwise(row);
                let even = 1.0 / self.classes as f64;
                for share in row.iter_mut() {
                    *share = if sum == 0.0 { even } else { *share / sum };
                }
            }
            for share in row {
                if 1.0 < *share && *share <= 1.0 + 1e-5 {
                    *share = 1.0;
                }
            }
        }
        Ok(Value::F64(shares))
    }
}
