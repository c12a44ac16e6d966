//! Decision trees, and forests that average them.

use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::plan::steps::join::{Join, Select};
use crate::flavor::plan::steps::labels::{ArgMax, Label, Labels};
use crate::flavor::plan::steps::sums::pairwise;
use crate::flavor::refusal::{Refusal, refuse};

use super::elementwise::Each;
use super::estimator::{Ask, Context, no_method, version};
use super::grown::{Grove, Grown, TREES, takes_missing};
use super::labels;
use super::numbers;
use super::rows::{self, Finite};

pub(super) const CLASSES: &[&str] = &[
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ExtraTreeClassifier",
    "ExtraTreeRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
];

/// Targets of one model.
const MAX_OUTPUTS: usize = 10_000;

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let single = object.class().is_some_and(|class| TREES.contains(&class));
    let members = if single {
        vec![object]
    } else {
        object.attribute("estimators_")?.members().unwrap_or_default()
    };
    let Some(first) = members.first() else {
        refuse!("a forest without trees");
    };
    let takes_missing = takes_missing(*first)? && (single || version(object) >= (1, 4));
    let finite = if takes_missing {
        Finite::NanAllowed
    } else {
        Finite::All
    };
    let x = rows::singles(context, object, x, finite)?;
    let outputs = numbers::count(object, "n_outputs_")?;
    if outputs == 0 || outputs > MAX_OUTPUTS {
        refuse!("{outputs} outputs");
    }
    let parts = Parts {
        object,
        members,
        single,
        outputs,
    };
    if object.kind().ends_with("Regressor") {
        match ask {
            Ask::Predict => parts.values(context, x),
            _ => no_method(ask, object),
        }
    } else {
        parts.classes(ask, context, x)
    }
}

struct Parts<'a> {
    object: View<'a>,
    members: Vec<View<'a>>,
    single: bool,
    outputs: usize,
}

impl Parts<'_> {
    /// The mean of the trees' values, one column an output.
    fn values(&self, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
        let mut grove = Grove::default();
        for member in &self.members {
            let grown = Grown::of(*member)?;
            if (grown.outputs, grown.classes) != (self.outputs, 1) {
                refuse!(
                    "a tree of {} outputs with {} values each",
                    grown.outputs,
                    grown.classes
                );
            }
            grove.add(&grown, None, 0, |_, value, leaves| leaves.extend(value))?;
        }
        let sums = grove.push(context, vec![0.0; self.outputs], self.outputs, x)?;
        self.mean(context, sums)
    }

    /// Labels or probabilities.
    fn classes(&self, ask: Ask, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
        let labels = self.labels()?;
        let widest = labels.iter().map(Labels::len).max().unwrap_or(0);
        if !matches!(ask, Ask::Predict) && self.outputs > 1 || matches!(ask, Ask::Decision | Ask::Transform) {
            return no_method(ask, self.object);
        }
        let mut grove = Grove::default();
        for member in &self.members {
            let grown = Grown::of(*member)?;
            if (grown.outputs, grown.classes) != (self.outputs, widest) {
                refuse!(
                    "a tree of {} outputs with {} classes each",
                    grown.outputs,
                    grown.classes
                );
            }
            // The label of a single tree is that of the largest value as it is stored.
            let counts = version(*member) < (1, 4) && !(self.single && ask == Ask::Predict);
            grove.add(&grown, None, 0, |_, value, leaves| {
                if !counts {
                    leaves.extend(value);
                    return;
                }
                for (value, labels) in value.chunks_exact(widest.max(1)).zip(&labels) {
                    let sum = pairwise(value.get(..labels.len()).unwrap_or_default());
                    let divisor = if sum == 0.0 { 1.0 } else { sum };
                    leaves.extend(value.iter().map(|value| value / divisor));
                }
            })?;
        }
        let width = self.outputs.saturating_mul(widest);
        let sums = grove.push(context, vec![0.0; width], width, x)?;
        let shares = self.mean(context, sums)?;
        match ask {
            Ask::LogProba => context.plan.push(Each::Log, &[shares]),
            Ask::Proba => Ok(shares),
            _ => self.labelled(context, labels, widest, shares),
        }
    }

    fn mean(&self, context: &mut Context<'_>, sums: Register) -> Result<Register, Refusal> {
        if self.single {
            return Ok(sums);
        }
        context
            .plan
            .push(Each::Divide(self.members.len() as f64), &[sums])
    }

    fn labelled(
        &self,
        context: &mut Context<'_>,
        labels: Vec<Labels>,
        widest: usize,
        shares: Register,
    ) -> Result<Register, Refusal> {
        let mut columns = Vec::with_capacity(labels.len());
        for (output, labels) in labels.into_iter().enumerate() {
            let own = if self.outputs == 1 {
                shares
            } else {
                let own = (output * widest..output * widest + labels.len()).collect();
                context.plan.push(Select(own), &[shares])?
            };
            let index = context.plan.push(ArgMax, &[own])?;
            columns.push(context.plan.push(Label(labels), &[index])?);
        }
        match columns.as_slice() {
            [column] => Ok(*column),
            columns => context.plan.push(Join, columns),
        }
    }

    /// The labels of every output.
    fn labels(&self) -> Result<Vec<Labels>, Refusal> {
        if self.outputs == 1 {
            return Ok(vec![labels::classes(self.object, "classes_")?]);
        }
        let members = self.object.attribute("classes_")?.members().unwrap_or_default();
        if members.len() != self.outputs {
            refuse!("labels of {} outputs, there are {}", members.len(), self.outputs);
        }
        members.into_iter().map(labels::labels).collect()
    }
}
