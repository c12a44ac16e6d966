//! `IsolationForest`: how early a row is alone.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::steps::labels::{Above, Labels};
use crate::flavor::plan::value::{Form, Kind, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::{Ask, Context, no_method, version};
use super::grown::{Grove, Grown};
use super::labels;
use super::numbers;
use super::rows::{self, Finite};

pub(super) const CLASSES: &[&str] = &["IsolationForest"];

/// Euler's constant.
const GAMMA: f64 = 0.577_215_664_901_532_9;

/// The score of the sum of depths: `-(2 ** -(depths / denominator)) - offset`.
struct Isolation {
    /// Number of trees times the mean depth of a row; zero if a tree has one row.
    denominator: f64,
    offset: f64,
}

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    if !matches!(ask, Ask::Predict | Ask::Decision) {
        return no_method(ask, object);
    }
    let version = version(object);
    let x = if version >= (1, 6) {
        rows::singles(context, object, x, Finite::Any)?
    } else {
        rows::singles(context, object, x, Finite::All)?
    };
    let trees = object.attribute("estimators_")?.members().unwrap_or_default();
    let subsets = object
        .attribute("estimators_features_")?
        .members()
        .unwrap_or_default();
    if trees.is_empty() || trees.len() != subsets.len() {
        refuse!("{} trees with {} sets of features", trees.len(), subsets.len());
    }
    let lengths = if version >= (1, 3) {
        let depths = object
            .attribute("_decision_path_lengths")?
            .members()
            .unwrap_or_default();
        let rests = object
            .attribute("_average_path_length_per_tree")?
            .members()
            .unwrap_or_default();
        if depths.len() != trees.len() || rests.len() != trees.len() {
            refuse!(
                "path lengths of {} trees, there are {}",
                depths.len(),
                trees.len()
            );
        }
        Some((depths, rests))
    } else {
        None
    };
    let mut grove = Grove::default();
    for (place, (tree, subset)) in trees.iter().zip(&subsets).enumerate() {
        let grown = Grown::of(*tree)?;
        let features = columns(*subset)?;
        let (depths, rests) = match &lengths {
            Some((depths, rests)) => (numbers_of(depths.get(place))?, numbers_of(rests.get(place))?),
            None => (
                path_lengths(&grown)?,
                (0..grown.nodes())
                    .map(|node| mean_length(grown.samples(node) as f64))
                    .collect(),
            ),
        };
        if depths.len() != grown.nodes() || rests.len() != grown.nodes() {
            refuse!(
                "tree {place}: path lengths of {} nodes, there are {}",
                depths.len(),
                grown.nodes()
            );
        }
        grove.add(&grown, Some(&features), 0, |node, _, leaves| {
            let depth = depths.get(node).copied().unwrap_or_default();
            let rest = rests.get(node).copied().unwrap_or_default();
            leaves.push(depth + rest - 1.0);
        })?;
    }
    let depths = grove.push(context, vec![0.0], 1, x)?;
    let rows = numbers::number(
        object,
        if version >= (1, 3) {
            "_max_samples"
        } else {
            "max_samples_"
        },
    )?;
    let isolation = Isolation {
        denominator: trees.len() as f64 * mean_length(rows),
        offset: numbers::number(object, "offset_")?,
    };
    let scores = context.plan.push(isolation, &[depths])?;
    if ask == Ask::Decision {
        return Ok(scores);
    }
    let above = Above {
        bound: 0.0,
        inclusive: true,
    };
    let inside = context.plan.push(above, &[scores])?;
    labels::label(context, Labels::Int(vec![-1, 1]), inside)
}

/// The columns that a tree was grown on.
pub(super) fn columns(subset: View<'_>) -> Result<Vec<usize>, Refusal> {
    let columns = subset.numbers().map(|(_, columns)| columns).unwrap_or_default();
    let whole = |column: f64| (column >= 0.0 && column.fract() == 0.0).then_some(column as usize);
    match columns.into_iter().map(whole).collect() {
        Some(columns) => Ok(columns),
        None => refuse!("features of a member are no positions"),
    }
}

fn numbers_of(view: Option<&View<'_>>) -> Result<Vec<f64>, Refusal> {
    match view.and_then(|view| view.numbers()) {
        Some((_, numbers)) => Ok(numbers),
        None => refuse!("path lengths of a tree are no numbers"),
    }
}

/// By node, how many nodes the path from the root to it has.
fn path_lengths(grown: &Grown<'_>) -> Result<Vec<f64>, Refusal> {
    let mut lengths = vec![0.0; grown.nodes()];
    let mut waiting = vec![(0usize, 1.0)];
    while let Some((node, length)) = waiting.pop() {
        match lengths.get_mut(node) {
            Some(place) if *place == 0.0 => *place = length,
            _ => refuse!("node {node} is reached twice, or is not there"),
        }
        if let Some((left, right)) = grown.children(node) {
            waiting.push((left, length + 1.0));
            waiting.push((right, length + 1.0));
        }
    }
    Ok(lengths)
}

/// The mean length of a path in a tree of so many rows.
fn mean_length(rows: f64) -> f64 {
    if rows <= 1.0 {
        0.0
    } else if rows == 2.0 {
        1.0
    } else {
        2.0 * ((rows - 1.0).ln() + GAMMA) - 2.0 * (rows - 1.0) / rows
    }
}

impl Step for Isolation {
    fn describe(&self) -> String {
        format!("isolation score, less {}", self.offset)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::F64 && form.width == 1 => Ok(*form),
            _ => Err(format!("one sum of depths expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut depths = inputs.take(0)?.into_f64()?;
        for depth in &mut depths.data {
            let share = if self.denominator == 0.0 {
                1.0
            } else {
                *depth / self.denominator
            };
            *depth = -(2f64.powf(-share)) - self.offset;
        }
        Ok(Value::F64(depths))
    }
}
