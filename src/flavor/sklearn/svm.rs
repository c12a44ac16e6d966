//! Support vector machines of libsvm: `SVC`, `NuSVC`, `SVR`, `NuSVR`, `OneClassSVM`.

use smallvec::SmallVec;

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::steps::labels::{Above, ArgMax, Labels};
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::{Ask, Context, no_method};
use super::kernel::Kernel;
use super::labels::{classes, label};
use super::numbers::{Table, expect, number, numbers, switch, table, vector, word};
use super::probability::log;
use super::rows::{Finite, doubles};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM"];

/// libsvm's decision values: one a pair of classes, or one.
struct Decisions {
    kernel: Kernel,
    vectors: Table,
    /// `[classes - 1, vectors]`
    weights: Table,
    /// First vector of each class, and the end; empty for what has no classes.
    starts: Vec<usize>,
    offsets: Vec<f64>,
}

/// What is made of decision values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vote {
    /// The votes for each class.
    Votes,
    /// Votes with confidences added, as `decision_function_shape="ovr"`.
    Confidences,
    /// The negated decision of two classes.
    Negated,
}

/// Votes among classes.
struct Voting {
    vote: Vote,
    classes: usize,
}

/// Platt's probabilities, coupled.
struct Coupled {
    a: Vec<f64>,
    b: Vec<f64>,
    classes: usize,
}

fn pairs(classes: usize) -> usize {
    classes * classes.saturating_sub(1) / 2
}

impl Step for Decisions {
    fn describe(&self) -> String {
        format!("{} of {} support vectors", self.kernel.name(), self.vectors.rows)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(self.vectors.width) => Ok(Form::f64(self.offsets.len())),
            _ => Err(format!("{} columns expected, got {inputs:?}", self.vectors.width)),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let x = inputs.get(0)?.f64()?;
        let width = self.offsets.len();
        let mut data = Vec::with_capacity(x.rows * width);
        let mut values = Vec::with_capacity(self.vectors.rows);
        for row in x.each_row() {
            values.clear();
            values.extend(
                self.vectors
                    .each_row()
                    .map(|vector| self.kernel.of_rows(row, vector)),
            );
            if self.starts.is_empty() {
                let weights = self.weights.each_row().next().unwrap_or_default();
                let sum: f64 = weights
                    .iter()
                    .zip(&values)
                    .map(|(weight, value)| weight * value)
                    .sum();
                data.push(sum + self.offsets.first().copied().unwrap_or_default());
                continue;
            }
            let sum = |weights: usize, class: usize| -> f64 {
                let range = match (self.starts.get(class), self.starts.get(class + 1)) {
                    (Some(&start), Some(&end)) => start..end,
                    _ => 0..0,
                };
                let from = weights * self.weights.width;
                let weights = self.weights.data.get(from + range.start..from + range.end);
                let values = values.get(range).unwrap_or_default();
                let weights = weights.unwrap_or_default();
                weights
                    .iter()
                    .zip(values)
                    .map(|(weight, value)| weight * value)
                    .sum()
            };
            let classes = self.starts.len() - 1;
            let mut offsets = self.offsets.iter();
            for first in 0..classes {
                for second in first + 1..classes {
                    let offset = offsets.next().copied().unwrap_or_default();
                    data.push(sum(second - 1, first) + sum(first, second) + offset);
                }
            }
        }
        Ok(Value::F64(Matrix {
            rows: x.rows,
            width,
            data,
        }))
    }
}

impl Step for Voting {
    fn describe(&self) -> String {
        format!("votes for {} classes", self.classes)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(pairs(self.classes)) => Ok(match self.vote {
                Vote::Negated => *form,
                _ => Form::f64(self.classes),
            }),
            _ => Err(format!(
                "decisions of {} classes expected, got {inputs:?}",
                self.classes
            )),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut decisions = inputs.take(0)?.into_f64()?;
        if self.vote == Vote::Negated {
            decisions.data.iter_mut().for_each(|x| *x = -*x);
            return Ok(Value::F64(decisions));
        }
        let mut data = Vec::with_capacity(decisions.rows * self.classes);
        for row in decisions.each_row() {
            let mut votes: SmallVec<[f64; 8]> = SmallVec::from_elem(0.0, self.classes);
            let mut confidences: SmallVec<[f64; 8]> = SmallVec::from_elem(0.0, self.classes);
            let mut row = row.iter();
            for first in 0..self.classes {
                for second in first + 1..self.classes {
                    let decision = row.next().copied().unwrap_or_default();
                    // libsvm counts nothing for the second class; the one-versus-rest form counts it for the first.
                    let for_first = match self.vote {
                        Vote::Votes => decision > 0.0,
                        _ => decision >= 0.0 || decision.is_nan(),
                    };
                    let winner = if for_first { first } else { second };
                    if let Some(votes) = votes.get_mut(winner) {
                        *votes += 1.0;
                    }
                    if let Some(confidence) = confidences.get_mut(first) {
                        *confidence += decision;
                    }
                    if let Some(confidence) = confidences.get_mut(second) {
                        *confidence -= decision;
                    }
                }
            }
            match self.vote {
                Vote::Confidences => {
                    let sum = |(vote, sum): (f64, f64)| vote + sum / (3.0 * (sum.abs() + 1.0));
                    data.extend(votes.into_iter().zip(confidences).map(sum));
                }
                _ => data.extend(votes),
            }
        }
        Ok(Value::F64(Matrix {
            rows: decisions.rows,
            width: self.classes,
            data,
        }))
    }
}

impl Step for Coupled {
    fn describe(&self) -> String {
        format!("coupled probabilities of {} classes", self.classes)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if *form == Form::f64(pairs(self.classes)) => Ok(Form::f64(self.classes)),
            _ => Err(format!(
                "decisions of {} classes expected, got {inputs:?}",
                self.classes
            )),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let decisions = inputs.take(0)?.into_f64()?;
        let classes = self.classes;
        let mut data = Vec::with_capacity(decisions.rows * classes);
        let mut chances = vec![0.0; classes * classes];
        for row in decisions.each_row() {
            let mut each = row.iter().zip(self.a.iter().zip(&self.b));
            for first in 0..classes {
                for second in first + 1..classes {
                    let Some((decision, (a, b))) = each.next() else {
                        continue;
                    };
                    let chance = sigmoid(decision * a + b).clamp(1e-7, 1.0 - 1e-7);
                    if let Some(place) = chances.get_mut(first * classes + second) {
                        *place = chance;
                    }
                    if let Some(place) = chances.get_mut(second * classes + first) {
                        *place = 1.0 - chance;
                    }
                }
            }
            data.extend(couple(&chances, classes));
        }
        Ok(Value::F64(Matrix {
            rows: decisions.rows,
            width: classes,
            data,
        }))
    }
}

/// libsvm's `sigmoid_predict`.
fn sigmoid(x: f64) -> f64 {
    match x >= 0.0 {
        true => (-x).exp() / (1.0 + (-x).exp()),
        false => 1.0 / (1.0 + x.exp()),
    }
}

/// libsvm's `multiclass_probability`: the second method of Wu, Lin and Weng, stopped where libsvm stops.
fn couple(chances: &[f64], classes: usize) -> Vec<f64> {
    let chance = |row: usize, column: usize| chances.get(row * classes + column).copied().unwrap_or(0.0);
    let mut q = vec![0.0; classes * classes];
    for t in 0..classes {
        let mut diagonal = 0.0;
        for j in 0..classes {
            if j != t {
                diagonal += chance(j, t) * chance(j, t);
            }
        }
        for j in 0..classes {
            let value = if j == t {
                diagonal
            } else {
                -chance(j, t) * chance(t, j)
            };
            if let Some(place) = q.get_mut(t * classes + j) {
                *place = value;
            }
        }
    }
    let mut p = vec![1.0 / classes as f64; classes];
    let tolerance = 0.005 / classes as f64;
    for _ in 0..classes.max(100) {
        let mut qp: Vec<f64> = q
            .chunks_exact(classes)
            .map(|row| row.iter().zip(&p).fold(0.0, |sum, (q, p)| sum + q * p))
            .collect();
        let mut pqp = p.iter().zip(&qp).fold(0.0, |sum, (p, qp)| sum + p * qp);
        let error = qp.iter().map(|qp| (qp - pqp).abs()).fold(0.0, f64::max);
        if error < tolerance {
            break;
        }
        for (t, row) in q.chunks_exact(classes).enumerate() {
            let (diagonal, qpt) = match (row.get(t), qp.get(t)) {
                (Some(&diagonal), Some(&qpt)) => (diagonal, qpt),
                _ => continue,
            };
            let step = (-qpt + pqp) / diagonal;
            if let Some(p) = p.get_mut(t) {
                *p += step;
            }
            pqp = (pqp + step * (step * diagonal + 2.0 * qpt)) / (1.0 + step) / (1.0 + step);
            for ((qp, p), q) in qp.iter_mut().zip(&mut p).zip(row) {
                *qp = (*qp + step * q) / (1.0 + step);
                *p /= 1.0 + step;
            }
        }
    }
    p
}

/// The decision values of an estimator with this many classes; 1 for regressors and `OneClassSVM`.
fn decisions(object: View<'_>, classes: usize) -> Result<Decisions, Refusal> {
    let vectors = table(object, "support_vectors_")?;
    let weights = table(object, "_dual_coef_")?;
    expect(
        &weights,
        "_dual_coef_",
        classes.saturating_sub(1).max(1),
        vectors.rows,
    )?;
    let kernel = Kernel::of(object, number(object, "_gamma")?, word(object, "kernel", "rbf")?)?;
    let mut starts = Vec::new();
    let offsets = vector(object, "_intercept_", pairs(classes).max(1))?;
    if classes > 1 {
        let (_, counts) = numbers(object, "_n_support")?;
        let mut end = 0.0;
        starts.push(0);
        for count in &counts {
            end += count;
            starts.push(end as usize);
        }
        let fits = counts.iter().all(|&count| count >= 0.0 && count.fract() == 0.0);
        if !fits || counts.len() != classes || end != vectors.rows as f64 {
            refuse!(
                "`_n_support` does not fit {} vectors of {classes} classes",
                vectors.rows
            );
        }
    }
    Ok(Decisions {
        kernel,
        vectors,
        weights,
        starts,
        offsets,
    })
}

fn classify(ask: Ask, object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let labels = classes(object, "classes_")?;
    let classes = labels.len();
    if classes < 2 {
        refuse!("one class only");
    }
    let decisions = context.plan.push(decisions(object, classes)?, &[x])?;
    let by_rest = word(object, "decision_function_shape", "ovr")? == "ovr";
    let vote = |vote: Vote| Voting { vote, classes };
    match ask {
        Ask::Predict => {
            let breaks_ties = switch(object, "break_ties", false)? && by_rest && classes > 2;
            let counted = if breaks_ties {
                Vote::Confidences
            } else {
                Vote::Votes
            };
            let votes = context.plan.push(vote(counted), &[decisions])?;
            let indices = context.plan.push(ArgMax, &[votes])?;
            label(context, labels, indices)
        }
        Ask::Decision if classes == 2 => context.plan.push(vote(Vote::Negated), &[decisions]),
        Ask::Decision if by_rest => context.plan.push(vote(Vote::Confidences), &[decisions]),
        Ask::Decision => Ok(decisions),
        Ask::Proba | Ask::LogProba => {
            let name = |private: &'static str, public: &'static str| match object.get(private) {
                Some(_) => private,
                None => public,
            };
            let count = pairs(classes);
            let coupled = Coupled {
                a: vector(object, name("_probA", "probA_"), count)?,
                b: vector(object, name("_probB", "probB_"), count)?,
                classes,
            };
            let chances = context.plan.push(coupled, &[decisions])?;
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
    let x = doubles(context, object, x, Finite::All)?;
    match (object.class(), ask) {
        (Some("SVC" | "NuSVC"), _) => classify(ask, object, context, x),
        (Some("OneClassSVM"), Ask::Predict) => {
            let scores = context.plan.push(decisions(object, 1)?, &[x])?;
            let inside = Above {
                bound: 0.0,
                inclusive: false,
            };
            let indices = context.plan.push(inside, &[scores])?;
            label(context, Labels::Int(vec![-1, 1]), indices)
        }
        (Some("OneClassSVM"), Ask::Decision) | (Some("SVR" | "NuSVR"), Ask::Predict) => {
            context.plan.push(decisions(object, 1)?, &[x])
        }
        _ => no_method(ask, object),
    }
}
