//! Nearest neighbours by comparing with every row that was learned, and nearest centroids.

use std::cmp::Ordering;

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::steps::labels::ArgMax;
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::cluster::Nearest;
use super::estimator::{Ask, Context, no_method, version};
use super::kernel::squared_distance;
use super::labels::{classes, label};
use super::numbers::{Table, count, expect, number, numbers, table, vector, word};
use super::probability::log;
use super::rows::{Finite, doubles};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["KNeighborsClassifier", "KNeighborsRegressor", "NearestCentroid"];

/// A distance of two rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Metric {
    /// Root of the sum of squares.
    Euclidean,
    /// Sum of absolute differences.
    Manhattan,
    /// Largest absolute difference.
    Chebyshev,
    /// `(Σ |x - y|^p)^(1/p)`
    Minkowski(f64),
}

impl Metric {
    /// The distance of two rows, in a form that has the same order and is cheaper.
    fn reduced(self, x: &[f64], y: &[f64]) -> f64 {
        let apart = || x.iter().zip(y).map(|(x, y)| (x - y).abs());
        match self {
            Metric::Euclidean => squared_distance(x, y),
            Metric::Manhattan => apart().fold(0.0, |sum, apart| sum + apart),
            Metric::Chebyshev => apart().fold(0.0, f64::max),
            Metric::Minkowski(p) => apart().fold(0.0, |sum, apart| sum + apart.powf(p)),
        }
    }

    /// The distance itself.
    fn full(self, reduced: f64) -> f64 {
        match self {
            Metric::Euclidean => reduced.sqrt(),
            Metric::Manhattan | Metric::Chebyshev => reduced,
            Metric::Minkowski(p) => reduced.powf(1.0 / p),
        }
    }
}

/// What is made of the neighbours.
enum Targets {
    /// The class of each learned row, of so many; gives the share of each class.
    Classes(Vec<usize>, usize),
    /// `[rows, outputs]`; gives their mean.
    Values(Table),
}

/// The nearest learned rows of each row, averaged.
struct Neighbors {
    learned: Table,
    targets: Targets,
    neighbors: usize,
    metric: Metric,
    /// Nearer ones weigh more: 1 over the distance.
    by_distance: bool,
    /// Rows all of whose neighbours weigh nothing are refused.
    refuses_none: bool,
}

impl Neighbors {
    fn width(&self) -> usize {
        match &self.targets {
            Targets::Classes(_, classes) => *classes,
            Targets::Values(values) => values.width,
        }
    }
}

impl Step for Neighbors {
    fn describe(&self) -> String {
        format!("{} nearest of {} rows", self.neighbors, self.learned.rows)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(self.learned.width) => Ok(Form::f64(self.width())),
            _ => Err(format!("{} columns expected, got {inputs:?}", self.learned.width)),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let x = inputs.get(0)?.f64()?;
        let width = self.width();
        let mut data = vec![0.0; x.rows * width];
        let mut distances: Vec<(f64, usize)> = Vec::with_capacity(self.learned.rows);
        let nearer = |x: &(f64, usize), y: &(f64, usize)| {
            x.0.partial_cmp(&y.0)
                .unwrap_or(Ordering::Equal)
                .then(x.1.cmp(&y.1))
        };
        for (row, result) in x.each_row().zip(data.chunks_exact_mut(width.max(1))) {
            distances.clear();
            let learned = self.learned.each_row().enumerate();
            distances.extend(
                learned.map(|(index, learned)| match self.metric.reduced(row, learned) {
                    // scikit-learn never takes what is infinitely far; places it does not fill are the first row's.
                    distance if distance == f64::INFINITY => (distance, 0),
                    distance => (distance, index),
                }),
            );
            if self.neighbors < distances.len() {
                distances.select_nth_unstable_by(self.neighbors, nearer);
                distances.truncate(self.neighbors);
            }
            distances.sort_unstable_by(nearer);
            // Rows that are the very same outweigh all others.
            let same = self.by_distance && distances.iter().any(|(distance, _)| *distance == 0.0);
            let weight = |reduced: f64| match (self.by_distance, same) {
                (false, _) => 1.0,
                (true, true) => f64::from(u8::from(reduced == 0.0)),
                (true, false) => 1.0 / self.metric.full(reduced),
            };
            let mut total = 0.0;
            for &(distance, index) in &distances {
                let weight = weight(distance);
                total += weight;
                match &self.targets {
                    Targets::Classes(classes, _) => {
                        let class = classes.get(index).and_then(|&class| result.get_mut(class));
                        if let Some(share) = class {
                            *share += weight;
                        }
                    }
                    Targets::Values(values) => {
                        let from = index * values.width;
                        let values = values.data.get(from..from + values.width).unwrap_or_default();
                        for (mean, value) in result.iter_mut().zip(values) {
                            *mean += weight * value;
                        }
                    }
                }
            }
            if total == 0.0 && matches!(self.targets, Targets::Classes(..)) {
                if self.refuses_none {
                    return Err(PredictError::Input(
                        "All neighbors of some sample is getting zero weights. Please modify 'weights' to avoid this \
                         case."
                            .into(),
                    ));
                }
                total = 1.0;
            }
            result.iter_mut().for_each(|x| *x /= total);
        }
        Ok(Value::F64(Matrix {
            rows: x.rows,
            width,
            data,
        }))
    }
}

/// The metric that an estimator settled on.
fn metric(object: View<'_>) -> Result<Metric, Refusal> {
    let name = word(object, "effective_metric_", word(object, "metric", "minkowski")?)?;
    let parameters = object
        .get("effective_metric_params_")
        .filter(|parameters| !parameters.is_none());
    let given = parameters.and_then(View::entries).unwrap_or_default();
    for (key, value) in &given {
        if key.text() != Some("p") && !value.is_none() {
            refuse!(
                "the metric's `{}` is not covered",
                key.text().unwrap_or("parameter")
            );
        }
    }
    let p = match parameters.and_then(|parameters| parameters.entry("p")?.number()) {
        Some(p) => p,
        None => number(object, "p").unwrap_or(2.0),
    };
    Ok(match name {
        "euclidean" | "l2" => Metric::Euclidean,
        "manhattan" | "cityblock" | "l1" => Metric::Manhattan,
        "chebyshev" => Metric::Chebyshev,
        "minkowski" if p == 1.0 => Metric::Manhattan,
        "minkowski" if p == 2.0 => Metric::Euclidean,
        "minkowski" if p == f64::INFINITY => Metric::Chebyshev,
        "minkowski" if p > 0.0 => Metric::Minkowski(p),
        other => refuse!("metric `{other}` is not covered; export the model to ONNX"),
    })
}

fn neighbors(object: View<'_>, targets: Targets) -> Result<Neighbors, Refusal> {
    let learned = table(object, "_fit_X")?;
    let rows = match &targets {
        Targets::Classes(classes, _) => classes.len(),
        Targets::Values(values) => values.rows,
    };
    if rows != learned.rows {
        refuse!("{rows} targets for {} rows", learned.rows);
    }
    let neighbors = count(object, "n_neighbors")?;
    if neighbors == 0 || neighbors > learned.rows {
        refuse!("{neighbors} neighbours of {} rows", learned.rows);
    }
    let by_distance = match object.attribute("weights")? {
        weights if weights.is_none() => false,
        _ => match word(object, "weights", "uniform")? {
            "uniform" => false,
            "distance" => true,
            other => refuse!("`weights={other}` is not covered"),
        },
    };
    Ok(Neighbors {
        learned,
        targets,
        neighbors,
        metric: metric(object)?,
        by_distance,
        refuses_none: version(object) >= (1, 3),
    })
}

fn classify(ask: Ask, object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    if object
        .attribute("classes_")?
        .members()
        .is_some_and(|members| members.iter().any(|m| m.array().is_some()))
    {
        refuse!("several targets at once are not covered; export the model to ONNX");
    }
    let labels = classes(object, "classes_")?;
    let (_, learned) = numbers(object, "_y")?;
    let class = |&class: &f64| (class >= 0.0 && class < labels.len() as f64).then_some(class as usize);
    let Some(learned) = learned.iter().map(class).collect::<Option<Vec<usize>>>() else {
        refuse!("`_y` names a class that is not there");
    };
    let shares = neighbors(object, Targets::Classes(learned, labels.len()))?;
    let shares = context.plan.push(shares, &[x])?;
    match ask {
        Ask::Predict => {
            let indices = context.plan.push(ArgMax, &[shares])?;
            label(context, labels, indices)
        }
        Ask::Proba => Ok(shares),
        Ask::LogProba => log(context, shares),
        _ => no_method(ask, object),
    }
}

/// `NearestCentroid`, as far as all classes have the same prior.
fn centroid(object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let labels = classes(object, "classes_")?;
    let centres = table(object, "centroids_")?;
    expect(&centres, "centroids_", labels.len(), context.plan.form(x).width)?;
    if version(object) >= (1, 6) || object.get("class_prior_").is_some() {
        let even = 1.0 / labels.len() as f64;
        let priors = vector(object, "class_prior_", labels.len())?;
        // NumPy's `isclose`.
        if priors
            .iter()
            .any(|prior| (prior - even).abs() > 1e-8 + 1e-5 * even)
        {
            refuse!("priors that differ are not covered; export the model to ONNX");
        }
    }
    let nearest = match word(object, "metric", "euclidean")? {
        "euclidean" => Nearest::euclidean(centres).by_distance(),
        "manhattan" => Nearest::manhattan(centres),
        other => refuse!("metric `{other}` is not covered"),
    };
    let indices = context.plan.push(nearest, &[x])?;
    label(context, labels, indices)
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let x = doubles(context, object, x, Finite::All)?;
    match (object.class(), ask) {
        (Some("KNeighborsClassifier"), _) => classify(ask, object, context, x),
        (Some("KNeighborsRegressor"), Ask::Predict) => {
            let (shape, data) = numbers(object, "_y")?;
            let (values, two_axes) = match *shape {
                [rows] => (Table { rows, width: 1, data }, false),
                [rows, width] => (Table { rows, width, data }, true),
                _ => refuse!("`_y` has shape {shape:?}"),
            };
            let mean = context
                .plan
                .push(neighbors(object, Targets::Values(values))?, &[x])?;
            if two_axes {
                context.mark_matrix(mean);
            }
            Ok(mean)
        }
        (Some("NearestCentroid"), Ask::Predict) => centroid(object, context, x),
        _ => no_method(ask, object),
    }
}
