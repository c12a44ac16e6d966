//! `AdaBoost*`: weighted votes of classifiers, the weighted median of regressors.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::steps::join::Join;
use crate::flavor::plan::steps::labels::{Above, ArgMax, Labels};
use crate::flavor::plan::steps::link::Link;
use crate::flavor::plan::steps::sums::pairwise;
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::elementwise::{Each, EachRow, Widen};
use super::estimator::{self, Ask, Context, no_method, version};
use super::grown::{Grove, Grown, TREES};
use super::indices::ClassIndex;
use super::labels;
use super::numbers;
use super::rows::{self, Finite};

pub(super) const CLASSES: &[&str] = &["AdaBoostClassifier", "AdaBoostRegressor"];

/// Adds the votes of members; each gives the index of a class, or its probabilities.
struct Votes {
    votes: Vec<Vote>,
    classes: usize,
}

/// What a member adds to the score of a class.
#[derive(Debug, Clone, Copy)]
enum Vote {
    /// For the class it names, and for each other one.
    Class { named: f64, other: f64 },
    /// By the logarithms of its probabilities (SAMME.R).
    Logs,
}

/// Of the predictions of each row, the one at which half of the weights is reached in ascending order.
struct Median {
    weights: Vec<f64>,
}

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let members = object.attribute("estimators_")?.members().unwrap_or_default();
    let (_, weights) = numbers::numbers(object, "estimator_weights_")?;
    if members.is_empty() || weights.len() < members.len() {
        refuse!("{} weights for {} estimators", weights.len(), members.len());
    }
    let x = rows::doubles(context, object, x, Finite::All)?;
    if object.class() == Some("AdaBoostRegressor") {
        return match ask {
            Ask::Predict => median(context, members, weights, x),
            _ => no_method(ask, object),
        };
    }
    let labels = labels::classes(object, "classes_")?;
    if labels.len() < 2 {
        refuse!("a classifier of one class");
    }
    let sums = sums(object, context, &members, &weights, &labels, x)?;
    let scores = context.plan.push(Each::Divide(pairwise(&weights)), &[sums])?;
    let two = labels.len() == 2;
    let scores = if two {
        context.plan.push(EachRow::Difference, &[scores])?
    } else {
        scores
    };
    let index = match ask {
        Ask::Decision => return Ok(scores),
        Ask::Proba | Ask::LogProba => {
            let step = if two {
                context.plan.push(EachRow::Halves, &[scores])?
            } else {
                context
                    .plan
                    .push(Each::Divide((labels.len() - 1) as f64), &[scores])?
            };
            let probabilities = context.plan.push(Link::Softmax, &[step])?;
            return match ask {
                Ask::LogProba => context.plan.push(Each::Log, &[probabilities]),
                _ => Ok(probabilities),
            };
        }
        Ask::Predict if two => context.plan.push(
            Above {
                bound: 0.0,
                inclusive: false,
            },
            &[scores],
        )?,
        Ask::Predict => context.plan.push(ArgMax, &[scores])?,
        _ => return no_method(ask, object),
    };
    labels::label(context, labels, index)
}

/// The votes of all members, one column a class.
fn sums(
    object: View<'_>,
    context: &mut Context<'_>,
    members: &[View<'_>],
    weights: &[f64],
    labels: &Labels,
    x: Register,
) -> Result<Register, Refusal> {
    let classes = labels.len();
    // SAMME.R was the default before 1.6 and is gone since.
    let logs = version(object) < (1, 6) && numbers::word(object, "algorithm", "SAMME.R")? == "SAMME.R";
    let vote = |weight: f64| match (logs, version(object) < (1, 3)) {
        (true, _) => Vote::Logs,
        (false, true) => Vote::Class {
            named: weight,
            other: 0.0,
        },
        (false, false) => Vote::Class {
            named: weight,
            other: -1.0 / (classes as f64 - 1.0) * weight,
        },
    };
    if !all_trees(members) || !same_labels(members, labels) {
        let mut registers = Vec::with_capacity(members.len());
        for member in members {
            registers.push(if logs {
                estimator::lower(Ask::Proba, *member, context, x)?
            } else {
                let predicted = estimator::lower(Ask::Predict, *member, context, x)?;
                context.plan.push(ClassIndex(labels.clone()), &[predicted])?
            });
        }
        let votes = weights
            .iter()
            .take(members.len())
            .map(|weight| vote(*weight))
            .collect();
        return context.plan.push(Votes { votes, classes }, &registers);
    }
    let x = singles(context, members, x)?;
    let mut grove = Grove::default();
    for (member, weight) in members.iter().zip(weights) {
        let grown = Grown::of(*member)?;
        if (grown.outputs, grown.classes) != (1, classes) {
            refuse!(
                "a tree of {} outputs with {} classes",
                grown.outputs,
                grown.classes
            );
        }
        let counts = version(*member) < (1, 4);
        grove.add(&grown, None, 0, |_, value, leaves| {
            let start = leaves.len();
            leaves.resize(start + classes, 0.0);
            let votes = leaves.get_mut(start..).unwrap_or_default();
            match vote(*weight) {
                Vote::Logs if counts => {
                    let sum = pairwise(value);
                    let divisor = if sum == 0.0 { 1.0 } else { sum };
                    let shares: Vec<f64> = value.iter().map(|value| value / divisor).collect();
                    Vote::Logs.add(&shares, 0, votes);
                }
                Vote::Logs => Vote::Logs.add(value, 0, votes),
                named => {
                    let largest =
                        value
                            .iter()
                            .enumerate()
                            .fold((0, f64::NEG_INFINITY), |best, (index, &value)| {
                                if value > best.1 { (index, value) } else { best }
                            });
                    named.add(&[], largest.0, votes);
                }
            }
        })?;
    }
    grove.push(context, vec![0.0; classes], classes, x)
}

fn median(
    context: &mut Context<'_>,
    members: Vec<View<'_>>,
    weights: Vec<f64>,
    x: Register,
) -> Result<Register, Refusal> {
    let predictions = if all_trees(&members) {
        let x = singles(context, &members, x)?;
        let mut grove = Grove::default();
        for (place, member) in members.iter().enumerate() {
            let grown = Grown::of(*member)?;
            if (grown.outputs, grown.classes) != (1, 1) {
                refuse!(
                    "a tree of {} outputs with {} values",
                    grown.outputs,
                    grown.classes
                );
            }
            grove.add(&grown, None, place, |_, value, leaves| leaves.extend(value))?;
        }
        grove.push(context, vec![0.0; members.len()], 1, x)?
    } else {
        let mut registers = Vec::with_capacity(members.len());
        for member in &members {
            let predicted = estimator::lower(Ask::Predict, *member, context, x)?;
            registers.push(context.plan.push(Widen, &[predicted])?);
        }
        context.plan.push(Join, &registers)?
    };
    let weights = weights.into_iter().take(members.len()).collect();
    context.plan.push(Median { weights }, &[predictions])
}

/// The rows as trees look at them; each member would check them so.
fn singles(context: &mut Context<'_>, members: &[View<'_>], x: Register) -> Result<Register, Refusal> {
    match members.first() {
        Some(first) => rows::singles(context, *first, x, Finite::All),
        None => refuse!("there are no estimators"),
    }
}

/// Whether all members are single trees, so that one forest does for all.
pub(super) fn all_trees(members: &[View<'_>]) -> bool {
    members
        .iter()
        .all(|member| member.class().is_some_and(|class| TREES.contains(&class)))
}

fn same_labels(members: &[View<'_>], expected: &Labels) -> bool {
    members
        .iter()
        .all(|member| labels::classes(*member, "classes_").is_ok_and(|labels| labels == *expected))
}

impl Vote {
    /// Adds the vote of a member with these probabilities, or this class, to the sums of a row.
    fn add(self, probabilities: &[f64], class: usize, sums: &mut [f64]) {
        match self {
            Vote::Class { named, other } => {
                for (index, sum) in sums.iter_mut().enumerate() {
                    *sum += if index == class { named } else { other };
                }
            }
            Vote::Logs => {
                let classes = probabilities.len() as f64;
                // What is NaN stays so.
                let kept = |share: &f64| {
                    if *share < f64::EPSILON {
                        f64::EPSILON
                    } else {
                        *share
                    }
                };
                let logs: Vec<f64> = probabilities.iter().map(|share| kept(share).ln()).collect();
                let mean = 1.0 / classes * pairwise(&logs);
                for (sum, log) in sums.iter_mut().zip(&logs) {
                    *sum += (classes - 1.0) * (log - mean);
                }
            }
        }
    }
}

impl Step for Votes {
    fn describe(&self) -> String {
        format!(
            "votes of {} classifiers on {} classes",
            self.votes.len(),
            self.classes
        )
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        let fits = |(form, vote): (&Form, &Vote)| match vote {
            Vote::Class { .. } => *form == Form::i64(1),
            Vote::Logs => *form == Form::f64(self.classes),
        };
        if inputs.len() == self.votes.len() && inputs.iter().zip(&self.votes).all(fits) {
            Ok(Form::f64(self.classes))
        } else {
            Err(format!(
                "votes on {} classes expected, got {inputs:?}",
                self.classes
            ))
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let rows = inputs.get(0)?.rows();
        let mut sums = Matrix {
            rows,
            width: self.classes,
            data: vec![0.0; rows * self.classes],
        };
        for (position, vote) in self.votes.iter().enumerate() {
            match inputs.get(position)? {
                Value::I64(indices) => {
                    for (sums, index) in sums.each_row_mut().zip(&indices.data) {
                        vote.add(&[], usize::try_from(*index).unwrap_or(usize::MAX), sums);
                    }
                }
                other => {
                    for (sums, shares) in sums.each_row_mut().zip(other.f64()?.each_row()) {
                        vote.add(shares, 0, sums);
                    }
                }
            }
        }
        Ok(Value::F64(sums))
    }
}

impl Step for Median {
    fn describe(&self) -> String {
        format!("weighted median of {} predictions", self.weights.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::F64 && form.width == self.weights.len() && form.width > 0 => {
                Ok(Form::f64(1))
            }
            _ => Err(format!(
                "{} predictions expected, got {inputs:?}",
                self.weights.len()
            )),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let predictions = inputs.get(0)?.f64()?;
        let mut order: Vec<(f64, f64)> = Vec::with_capacity(predictions.width);
        let mut data = Vec::with_capacity(predictions.rows);
        for row in predictions.each_row() {
            order.clear();
            order.extend(row.iter().copied().zip(self.weights.iter().copied()));
            order.sort_by(|(first, _), (second, _)| first.total_cmp(second));
            let mut total = 0.0;
            for (_, weight) in &order {
                total += weight;
            }
            let mut reached = 0.0;
            let median = order.iter().find(|(_, weight)| {
                reached += weight;
                reached >= 0.5 * total
            });
            // With weights that are NaN nothing is reached, and the first one is taken.
            let median = median.or(order.first());
            data.push(median.map_or(f64::NAN, |(prediction, _)| *prediction));
        }
        Ok(Value::F64(Matrix {
            rows: predictions.rows,
            width: 1,
            data,
        }))
    }
}
