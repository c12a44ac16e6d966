//! `Bagging*`: the mean of members, each on some of the columns.

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::steps::join::Select;
use crate::flavor::plan::steps::labels::{ArgMax, Labels};
use crate::flavor::plan::steps::sums::pairwise;
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::ada_boost::all_trees;
use super::elementwise::{Each, Mean, Widen, together};
use super::estimator::{self, Ask, Context, no_method, version};
use super::grown::{Grove, Grown, takes_missing};
use super::isolation_forest::columns;
use super::labels;
use super::methods;
use super::rows::{self, Finite};

pub(super) const CLASSES: &[&str] = &["BaggingClassifier", "BaggingRegressor"];

/// Puts the shares of some classes, or one vote for a class, into as many columns as there are classes.
struct Spread {
    /// The class of each column; `None` if the class is given by its index.
    classes: Option<Vec<usize>>,
    count: usize,
}

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let members = object.attribute("estimators_")?.members().unwrap_or_default();
    let subsets = object
        .attribute("estimators_features_")?
        .members()
        .unwrap_or_default();
    if members.is_empty() || members.len() != subsets.len() {
        refuse!(
            "{} estimators with {} sets of features",
            members.len(),
            subsets.len()
        );
    }
    let subsets: Vec<Vec<usize>> = subsets.into_iter().map(columns).collect::<Result<_, _>>()?;
    let x = rows::doubles(context, object, x, Finite::Any)?;
    let bag = Bag {
        object,
        members,
        subsets,
    };
    if object.class() == Some("BaggingRegressor") {
        return match ask {
            Ask::Predict => bag.values(context, x),
            _ => no_method(ask, object),
        };
    }
    let labels = labels::classes(object, "classes_")?;
    match ask {
        Ask::Decision => bag.decisions(context, x),
        Ask::Proba => bag.shares(context, &labels, x),
        Ask::Predict => {
            let shares = bag.shares(context, &labels, x)?;
            let index = context.plan.push(ArgMax, &[shares])?;
            labels::label(context, labels, index)
        }
        _ => no_method(ask, object),
    }
}

struct Bag<'a> {
    object: View<'a>,
    members: Vec<View<'a>>,
    /// By member, the columns it was fitted on.
    subsets: Vec<Vec<usize>>,
}

impl Bag<'_> {
    /// Whether the members are trees that look at every column together, so that one forest does for all.
    fn is_forest(&self, width: usize) -> bool {
        let mut seen = vec![false; width];
        for column in self.subsets.iter().flatten() {
            if let Some(seen) = seen.get_mut(*column) {
                *seen = true;
            }
        }
        all_trees(&self.members) && seen.into_iter().all(|seen| seen)
    }

    fn each(&self) -> impl Iterator<Item = (View<'_>, &[usize])> {
        self.members
            .iter()
            .copied()
            .zip(self.subsets.iter().map(Vec::as_slice))
    }

    fn values(&self, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
        if self.is_forest(context.plan.form(x).width) {
            let x = self.singles(context, x)?;
            let mut grove = Grove::default();
            let outputs = self
                .members
                .first()
                .map_or(Ok(0), |first| Grown::of(*first).map(|grown| grown.outputs))?;
            for (member, subset) in self.each() {
                let grown = Grown::of(member)?;
                if (grown.outputs, grown.classes) != (outputs, 1) {
                    refuse!(
                        "a tree of {} outputs with {} values",
                        grown.outputs,
                        grown.classes
                    );
                }
                grove.add(&grown, Some(subset), 0, |_, value, leaves| leaves.extend(value))?;
            }
            let sums = grove.push(context, vec![0.0; outputs], outputs, x)?;
            return context
                .plan
                .push(Each::Divide(self.members.len() as f64), &[sums]);
        }
        let mut parts = Vec::with_capacity(self.members.len());
        for (member, subset) in self.each() {
            let chosen = choose(context, x, subset)?;
            parts.push(estimator::lower(Ask::Predict, member, context, chosen)?);
        }
        let parts = together(context, &parts)?;
        context.plan.push(Mean(None), &parts)
    }

    fn decisions(&self, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
        let mut parts = Vec::with_capacity(self.members.len());
        for (member, subset) in self.each() {
            let chosen = choose(context, x, subset)?;
            parts.push(estimator::lower(Ask::Decision, member, context, chosen)?);
        }
        context.plan.push(Mean(None), &parts)
    }

    fn shares(&self, context: &mut Context<'_>, labels: &Labels, x: Register) -> Result<Register, Refusal> {
        let count = labels.len();
        if self.is_forest(context.plan.form(x).width) {
            let x = self.singles(context, x)?;
            let mut grove = Grove::default();
            for (member, subset) in self.each() {
                let classes = own_classes(member, count)?;
                let grown = Grown::of(member)?;
                if (grown.outputs, grown.classes) != (1, classes.len()) {
                    refuse!(
                        "a tree of {} outputs with {} classes",
                        grown.outputs,
                        grown.classes
                    );
                }
                let counts = version(member) < (1, 4);
                grove.add(&grown, Some(subset), 0, |_, value, leaves| {
                    let sum = if counts { pairwise(value) } else { 1.0 };
                    let divisor = if sum == 0.0 { 1.0 } else { sum };
                    let start = leaves.len();
                    leaves.resize(start + count, 0.0);
                    for (class, value) in classes.iter().zip(value) {
                        if let Some(share) = leaves.get_mut(start + class) {
                            *share = value / divisor;
                        }
                    }
                })?;
            }
            let sums = grove.push(context, vec![0.0; count], count, x)?;
            return context
                .plan
                .push(Each::Divide(self.members.len() as f64), &[sums]);
        }
        let mut parts = Vec::with_capacity(self.members.len());
        for (member, subset) in self.each() {
            let chosen = choose(context, x, subset)?;
            let classes = if methods::has_proba(member)? {
                Some(own_classes(member, count)?)
            } else {
                None
            };
            let ask = if classes.is_some() {
                Ask::Proba
            } else {
                Ask::Predict
            };
            let said = estimator::lower(ask, member, context, chosen)?;
            // Shares are added to sums in double, whatever they are.
            let said = if classes.is_some() {
                context.plan.push(Widen, &[said])?
            } else {
                said
            };
            parts.push(context.plan.push(Spread { classes, count }, &[said])?);
        }
        context.plan.push(Mean(None), &parts)
    }

    /// The rows as trees look at them.
    fn singles(&self, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
        let Some(first) = self.members.first() else {
            refuse!("there are no estimators");
        };
        let finite = if takes_missing(*first)? {
            Finite::NanAllowed
        } else {
            Finite::All
        };
        // The trees may know some of the columns only, the whole knows all.
        rows::singles(context, self.object, x, finite)
    }
}

/// The columns of a member; itself if it was fitted on all of them.
fn choose(context: &mut Context<'_>, x: Register, subset: &[usize]) -> Result<Register, Refusal> {
    let width = context.plan.form(x).width;
    if subset.len() == width && subset.iter().enumerate().all(|(place, column)| place == *column) {
        return Ok(x);
    }
    context.plan.push(Select(subset.to_vec()), &[x])
}

/// The classes of a member, which are indices of those of the whole.
fn own_classes(member: View<'_>, count: usize) -> Result<Vec<usize>, Refusal> {
    let holder = match member.get("classes_") {
        Some(_) => member,
        None => methods::answering(member)?,
    };
    let Labels::Int(own) = labels::classes(holder, "classes_")? else {
        refuse!("a member has labels of its own");
    };
    own.into_iter()
        .map(|class| crate::flavor::forest::index(class, count, "class"))
        .collect()
}

impl Step for Spread {
    fn describe(&self) -> String {
        format!("shares of {} classes", self.count)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        let fits = match (inputs, &self.classes) {
            ([form], Some(classes)) => form.kind == Kind::F64 && form.width == classes.len(),
            ([form], None) => *form == Form::i64(1),
            _ => false,
        };
        if fits {
            Ok(Form::f64(self.count))
        } else {
            Err(format!("shares of classes expected, got {inputs:?}"))
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.get(0)?;
        let rows = value.rows();
        let mut data = vec![0.0; rows * self.count];
        let places = data.chunks_exact_mut(self.count.max(1));
        match &self.classes {
            Some(classes) => {
                for (place, row) in places.zip(value.f64()?.each_row()) {
                    for (class, share) in classes.iter().zip(row) {
                        if let Some(place) = place.get_mut(*class) {
                            *place = *share;
                        }
                    }
                }
            }
            None => {
                for (place, class) in places.zip(&value.i64()?.data) {
                    if let Some(place) = usize::try_from(*class)
                        .ok()
                        .and_then(|class| place.get_mut(class))
                    {
                        *place = 1.0;
                    }
                }
            }
        }
        Ok(Value::F64(Matrix {
            rows,
            width: self.count,
            data,
        }))
    }
}
