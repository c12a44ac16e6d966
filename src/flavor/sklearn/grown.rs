//! scikit-learn's `Tree` objects as trees of a forest.

use std::sync::Arc;

use crate::flavor::forest::step::Trees;
use crate::flavor::forest::{CategoryRule, Forest, ForestSpec, Test, Tree, TreeNode, round_down};
use crate::flavor::formats::object::{ArrayElements, Records, View};
use crate::flavor::plan::Register;
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::{Context, version};
use super::numbers;

/// What `left_child` of a leaf is.
const LEAF: i64 = -1;

/// The estimators that are one tree.
pub(super) const TREES: &[&str] = &[
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ExtraTreeClassifier",
    "ExtraTreeRegressor",
];

/// The arrays of a tree: records of nodes, and values of shape `[nodes, outputs, classes]`.
pub(super) struct Grown<'a> {
    left: &'a [i64],
    right: &'a [i64],
    feature: &'a [i64],
    threshold: &'a [f64],
    /// Absent before 1.3.
    missing_left: Option<&'a [i64]>,
    samples: &'a [i64],
    values: &'a [f64],
    /// Extent of axis 1 of the values.
    pub(super) outputs: usize,
    /// Extent of axis 2 of the values.
    pub(super) classes: usize,
}

impl<'a> Grown<'a> {
    /// The tree of an estimator that is one tree.
    pub(super) fn of(estimator: View<'a>) -> Result<Grown<'a>, Refusal> {
        if !estimator.class().is_some_and(|class| TREES.contains(&class)) {
            refuse!("a tree expected, got a `{}`", estimator.kind());
        }
        let tree = estimator.attribute("tree_")?;
        let nodes = tree.attribute("nodes")?;
        let Some(ArrayElements::Records(records)) = nodes.array().map(|array| &array.elements) else {
            refuse!("the nodes of a tree are no records but a `{}`", nodes.kind());
        };
        let values = tree.attribute("values")?;
        let (shape, values) = match values
            .array()
            .map(|array| (array.shape.as_slice(), &array.elements))
        {
            Some((shape, ArrayElements::Float(values))) => (shape, values),
            _ => refuse!("the values of a tree are no floats but a `{}`", values.kind()),
        };
        let &[count, outputs, classes] = shape else {
            refuse!("the values of a tree have shape {shape:?}");
        };
        if count != records.count || count == 0 {
            refuse!("a tree of {} nodes with values for {count}", records.count);
        }
        Ok(Grown {
            left: whole(records, "left_child")?,
            right: whole(records, "right_child")?,
            feature: whole(records, "feature")?,
            threshold: match field(records, "threshold") {
                Some(ArrayElements::Float(threshold)) => threshold,
                _ => refuse!("the nodes of a tree have no thresholds"),
            },
            missing_left: match field(records, "missing_go_to_left") {
                Some(ArrayElements::Int(missing)) => Some(missing),
                _ => None,
            },
            samples: whole(records, "n_node_samples")?,
            values,
            outputs,
            classes,
        })
    }

    /// Number of nodes.
    pub(super) fn nodes(&self) -> usize {
        self.left.len()
    }

    /// Number of training rows that a node was grown from.
    pub(super) fn samples(&self, node: usize) -> i64 {
        self.samples.get(node).copied().unwrap_or(0)
    }

    /// The children of a node, if it is no leaf.
    pub(super) fn children(&self, node: usize) -> Option<(usize, usize)> {
        let (left, right) = (*self.left.get(node)?, *self.right.get(node)?);
        if left == LEAF {
            return None;
        }
        Some((usize::try_from(left).ok()?, usize::try_from(right).ok()?))
    }

    /// The values of a node, `outputs * classes` of them.
    fn value(&self, node: usize) -> &'a [f64] {
        let width = self.outputs.saturating_mul(self.classes);
        let start = node.saturating_mul(width);
        self.values
            .get(start..start.saturating_add(width))
            .unwrap_or_default()
    }
}

/// Trees of a model, collected for one forest over `float32` rows.
#[derive(Default)]
pub(super) struct Grove {
    trees: Vec<Tree<f32>>,
    leaves: Vec<f64>,
}

impl Grove {
    /// Adds a tree whose leaves add to the outputs from `group` on.
    ///
    /// `features` are the columns that the tree's own features are, if it does not know all; `leaf` writes what a leaf
    /// adds, given its number and its values.
    pub(super) fn add(
        &mut self,
        grown: &Grown<'_>,
        features: Option<&[usize]>,
        group: usize,
        mut leaf: impl FnMut(usize, &[f64], &mut Vec<f64>),
    ) -> Result<(), Refusal> {
        let mut nodes = Vec::with_capacity(grown.nodes());
        let splits = grown
            .left
            .iter()
            .zip(grown.right)
            .zip(grown.feature.iter().zip(grown.threshold));
        for (node, ((&left, &right), (&feature, &threshold))) in splits.enumerate() {
            if left == LEAF {
                nodes.push(TreeNode::Leaf(self.leaves.len()));
                leaf(node, grown.value(node), &mut self.leaves);
                continue;
            }
            let (Ok(feature), Ok(left), Ok(right)) = (
                usize::try_from(feature),
                usize::try_from(left),
                usize::try_from(right),
            ) else {
                refuse!("node {node}: feature {feature}, children {left} and {right}");
            };
            let feature = match features {
                None => feature,
                Some(features) => match features.get(feature) {
                    Some(feature) => *feature,
                    None => refuse!("node {node}: feature {feature} of {}", features.len()),
                },
            };
            let missing = grown.missing_left.and_then(|missing| missing.get(node));
            nodes.push(TreeNode::Split {
                feature,
                test: Test::AtMost(round_down(threshold)),
                missing_left: missing.is_some_and(|missing| *missing != 0),
                left,
                right,
            });
        }
        self.trees.push(Tree { nodes, group });
        Ok(())
    }

    /// Pushes the forest of these trees over the `float32` rows in `x`.
    pub(super) fn push(
        self,
        context: &mut Context<'_>,
        base: Vec<f64>,
        leaf_width: usize,
        x: Register,
    ) -> Result<Register, Refusal> {
        let forest = Forest::<f32, f64>::new(ForestSpec {
            features: context.plan.form(x).width,
            base,
            trees: self.trees,
            leaves: self.leaves,
            leaf_width,
            categories: CategoryRule::Hist,
        })?;
        context.plan.push(Trees(Arc::new(forest)), &[x])
    }
}

/// Whether an estimator that is one tree takes missing values, as its version's tags say.
pub(super) fn takes_missing(tree: View<'_>) -> Result<bool, Refusal> {
    let version = version(tree);
    if version < (1, 3) {
        return Ok(false);
    }
    let splitter = numbers::word(tree, "splitter", "best")?;
    let extra = tree.class().is_some_and(|class| class.starts_with("Extra"));
    if version >= (1, 9) {
        return Ok(!extra || splitter == "random");
    }
    let known = match numbers::word(tree, "criterion", "")? {
        "gini" | "log_loss" | "entropy" => tree.kind().ends_with("Classifier"),
        "squared_error" | "friedman_mse" | "poisson" => tree.kind().ends_with("Regressor"),
        _ => false,
    };
    let split = match (version < (1, 6), extra) {
        (true, _) => splitter == "best",
        // The tag of this one was not set by a slip of the pen.
        (false, true) if version == (1, 6) && tree.class() == Some("ExtraTreeRegressor") => {
            matches!(splitter, "best" | "random")
        }
        (false, true) => splitter == "random",
        (false, false) => matches!(splitter, "best" | "random"),
    };
    let monotonic = tree
        .get("monotonic_cst")
        .is_some_and(|constraints| !constraints.is_none());
    Ok(known && split && (version < (1, 4) || !monotonic))
}

fn field<'a>(records: &'a Records, name: &str) -> Option<&'a ArrayElements> {
    let found = records.fields.iter().find(|(field, _)| &**field == name);
    found.map(|(_, elements)| elements)
}

/// A field of whole numbers of a tree's records.
fn whole<'a>(records: &'a Records, name: &str) -> Result<&'a [i64], Refusal> {
    match field(records, name) {
        Some(ArrayElements::Int(numbers)) => Ok(numbers),
        _ => refuse!("the nodes of a tree have no `{name}`"),
    }
}
