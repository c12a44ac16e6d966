//! Tree ensembles of `ai.onnx.ml`, as ONNX Runtime reads and adds them.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::smallvec;

use super::super::element::Element;
use super::lowering::{Attributes, Held, Lowering, Rows};
use super::proto::Node;
use super::scores::{Transform, logistic};
use crate::flavor::PredictError;
use crate::flavor::forest::step::Trees;
use crate::flavor::forest::{CategoryRule, Forest, ForestSpec, Test, Tree, TreeNode};
use crate::flavor::plan::steps::labels::{Label, Labels};
use crate::flavor::plan::value::{Matrix, Value};
use crate::flavor::refusal::{Refusal, refuse};

/// Attributes of both operators but for those of leaves.
const KNOWN: [&str; 11] = [
    "nodes_falsenodeids",
    "nodes_featureids",
    "nodes_hitrates",
    "nodes_missing_value_tracks_true",
    "nodes_modes",
    "nodes_nodeids",
    "nodes_treeids",
    "nodes_truenodeids",
    "nodes_values",
    "post_transform",
    "base_values",
];

/// What the leaves add, and to which outputs.
struct Leaves {
    values: Vec<f32>,
    /// Outputs a leaf has values for; with one, the tree says which.
    width: usize,
    /// Whether every leaf adds to this output, by output; or no leaf does.
    every: Vec<Option<bool>>,
    positive: bool,
}

/// `TreeEnsembleRegressor`.
pub(super) fn regressor<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Result<Vec<Held>, Refusal> {
    let mut known = KNOWN.to_vec();
    known.extend([
        "aggregate_function",
        "n_targets",
        "target_ids",
        "target_nodeids",
        "target_treeids",
        "target_weights",
    ]);
    let attributes = Attributes::of(node, &known)?;
    let targets = match usize::try_from(attributes.int("n_targets", 1)) {
        Ok(targets) if (1..=1 << 16).contains(&targets) => targets,
        _ => refuse!("`n_targets` is {}", attributes.int("n_targets", 1)),
    };
    let (trees, leaves) = ensemble(&attributes, "target", targets, false)?;
    let base = attributes.floats("base_values").to_vec();
    if !(base.is_empty() || base.len() == targets) {
        refuse!("{} base values for {targets} targets", base.len());
    }
    let transform = Transform::of(attributes.text("post_transform", "NONE"))?;
    // Of one score alone, ONNX Runtime computes no transform.
    let transform = if targets == 1 { Transform::None } else { transform };
    // An output that no leaf has added to stays zero in ONNX Runtime, whatever its base value.
    let sure = leaves.every.iter().all(|every| *every == Some(true));
    let plain = base.is_empty() && matches!(transform, Transform::None | Transform::Logistic);
    if !(sure || plain) {
        refuse!("some leaves are of a target that others of the same ensemble leave out");
    }
    let count = trees.len() as f32;
    let sums = match attributes.text("aggregate_function", "SUM") {
        "SUM" | "AVERAGE" => sums(lowering, node, trees, leaves)?,
        other => refuse!("`aggregate_function` is `{other}`"),
    };
    let average = attributes.text("aggregate_function", "SUM") == "AVERAGE";
    if !average && base.iter().all(|&base| base == 0.0) && transform == Transform::None {
        return Ok(vec![Held::Rows(sums)]);
    }
    let form = (Element::F32, sums.tail.clone());
    let out = lowering.push("base values and post transform", &[&sums], form, move |inputs| {
        let mut scores = inputs.take(0)?.into_f32()?;
        for row in scores.each_row_mut() {
            for (at, score) in row.iter_mut().enumerate() {
                if average {
                    *score /= count;
                }
                *score += base.get(at).copied().unwrap_or(0.0);
            }
            transform.apply(row);
        }
        Ok(Value::F32(scores))
    })?;
    Ok(vec![Held::Rows(out)])
}

/// `TreeEnsembleClassifier`.
pub(super) fn classifier<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Result<Vec<Held>, Refusal> {
    let mut known = KNOWN.to_vec();
    known.extend([
        "class_ids",
        "class_nodeids",
        "class_treeids",
        "class_weights",
        "classlabels_int64s",
        "classlabels_strings",
    ]);
    let attributes = Attributes::of(node, &known)?;
    let labels = attributes.labels("classlabels_int64s", "classlabels_strings")?;
    let classes = labels.len();
    if !(2..=1 << 16).contains(&classes) {
        refuse!("{classes} classes");
    }
    let ids = attributes.ints("class_ids");
    // Of two classes, one score may speak for both.
    let binary = classes == 2 && ids.first().is_some_and(|first| ids.iter().all(|id| id == first));
    if binary && ids.first() != Some(&0) && ids.first() != Some(&1) {
        refuse!("leaves are of class {:?} of 2", ids.first());
    }
    let outputs = if binary { 1 } else { classes };
    let (trees, leaves) = ensemble(&attributes, "class", outputs, binary)?;
    // A class that no leaf has added to is no candidate for the label.
    if leaves.every.iter().any(|every| *every != Some(true)) {
        refuse!("some leaves are of a class that others of the same ensemble leave out");
    }
    let base = attributes.floats("base_values").to_vec();
    let transform = Transform::of(attributes.text("post_transform", "NONE"))?;
    let positive = leaves.positive;
    let second = binary && ids.first() == Some(&1);
    if binary && (second || base.len() > 1)
        || base.len() > 1 && base.len() != classes
        || !binary && base.len() == 1
    {
        refuse!(
            "{} base values for leaves of {} classes",
            base.len(),
            if binary { 1 } else { classes }
        );
    }
    let sums = sums(lowering, node, trees, leaves)?;
    let form = (Element::F32, smallvec![outputs]);
    let scores = lowering.push("base values", &[&sums], form, move |inputs| {
        let mut scores = inputs.take(0)?.into_f32()?;
        if let (false, 2, [_, second]) = (binary, outputs, base.as_slice()) {
            // ONNX Runtime takes the first score, in this case alone, for that of the second class.
            for row in scores.each_row_mut() {
                if let [one, two] = row {
                    *two = *second + *one;
                    *one = -*two;
                }
            }
        } else if !base.is_empty() {
            for row in scores.each_row_mut() {
                row.iter_mut().zip(&base).for_each(|(score, base)| *score += base);
            }
        }
        Ok(Value::F32(scores))
    })?;
    let out = (Element::F32, smallvec![classes]);
    if binary {
        let bound = if positive { 0.5 } else { 0.0 };
        let label = above(lowering, &scores, bound, labels)?;
        let both = lowering.push("scores of two classes", &[&scores], out, move |inputs| {
            two_classes(inputs.get(0)?.f32()?, |score| match (positive, transform) {
                (true, _) => [1.0 - score, score],
                (false, Transform::Logistic) => [logistic(-score), logistic(score)],
                (false, _) => [-score, score],
            })
        })?;
        return Ok(vec![Held::Rows(label), Held::Rows(both)]);
    }
    let label = if classes == 2 {
        // ONNX Runtime looks at the second score alone.
        let second = lowering.push(
            "score of the second class",
            &[&scores],
            (Element::F32, smallvec![1]),
            |inputs| {
                let scores = inputs.get(0)?.f32()?;
                let data = scores.each_row().filter_map(|row| row.get(1).copied()).collect();
                Ok(Value::F32(Matrix {
                    rows: scores.rows,
                    width: 1,
                    data,
                }))
            },
        )?;
        above(lowering, &second, 0.0, two_labels(labels))?
    } else {
        largest(lowering, &scores, labels)?
    };
    let scores = lowering.push("post transform", &[&scores], out, move |inputs| {
        let mut scores = inputs.take(0)?.into_f32()?;
        scores.each_row_mut().for_each(|row| transform.apply(row));
        Ok(Value::F32(scores))
    })?;
    Ok(vec![Held::Rows(label), Held::Rows(scores)])
}

/// The labels of two classes of which every leaf knows both: integers are not those of the file.
fn two_labels(labels: Labels) -> Labels {
    match labels {
        Labels::Int(_) => Labels::Int(vec![0, 1]),
        other => other,
    }
}

/// Two scores out of one.
pub(super) fn two_classes<'a>(
    scores: &Matrix<f32>,
    both: impl Fn(f32) -> [f32; 2],
) -> Result<Value<'a>, PredictError> {
    let data = scores.data.iter().flat_map(|&score| both(score)).collect();
    Ok(Value::F32(Matrix {
        rows: scores.rows,
        width: 2,
        data,
    }))
}

/// The second label where the one score is above a bound.
pub(super) fn above(
    lowering: &mut Lowering<'_>,
    score: &Rows,
    bound: f32,
    labels: Labels,
) -> Result<Rows, Refusal> {
    let what = format!("class 1 where the score > {bound}");
    let index = lowering.push(what, &[score], (Element::I64, smallvec![]), move |inputs| {
        let scores = inputs.get(0)?.f32()?;
        let data = scores
            .data
            .iter()
            .map(|&score| i64::from(score > bound))
            .collect();
        Ok(Value::I64(Matrix {
            rows: scores.rows,
            width: 1,
            data,
        }))
    })?;
    label(lowering, &index, labels)
}

/// The label of the first largest score; NaN is none.
pub(super) fn largest(lowering: &mut Lowering<'_>, scores: &Rows, labels: Labels) -> Result<Rows, Refusal> {
    let what = "index of the largest score";
    let index = lowering.push(what, &[scores], (Element::I64, smallvec![]), |inputs| {
        let scores = inputs.get(0)?.f32()?;
        let largest = |row: &[f32]| {
            let ahead = |best: usize, at: usize| row.get(at) > row.get(best);
            (1..row.len()).fold(0, |best, at| if ahead(best, at) { at } else { best }) as i64
        };
        let data = scores.each_row().map(largest).collect();
        Ok(Value::I64(Matrix {
            rows: scores.rows,
            width: 1,
            data,
        }))
    })?;
    label(lowering, &index, labels)
}

/// The labels of class indices.
pub(super) fn label(lowering: &mut Lowering<'_>, index: &Rows, labels: Labels) -> Result<Rows, Refusal> {
    let element = if matches!(labels, Labels::Text(_)) {
        Element::Str
    } else {
        Element::I64
    };
    lowering.step(Label(labels), index, (element, index.tail.clone()))
}

/// Pushes the forest.
fn sums<'m>(
    lowering: &mut Lowering<'m>,
    node: &Node<'m>,
    trees: Vec<Tree<f32>>,
    leaves: Leaves,
) -> Result<Rows, Refusal> {
    let rows = lowering.rows(node, 0)?;
    if rows.element == Element::F64 {
        refuse!("trees over float64 are not computed natively");
    }
    let rows = lowering.as_f32(rows)?;
    let outputs = leaves.every.len();
    let forest = Forest::<f32, f32>::new(ForestSpec {
        features: rows.columns()?,
        base: vec![0.0; outputs],
        trees,
        leaves: leaves.values,
        leaf_width: leaves.width,
        categories: CategoryRule::Xgboost,
    })?;
    lowering.step(Trees(Arc::new(forest)), &rows, (Element::F32, smallvec![outputs]))
}

/// Reads the trees of an ensemble, whose leaves' attributes begin with `prefix`; with `one`, all are of one output.
fn ensemble(
    attributes: &Attributes<'_, '_>,
    prefix: &str,
    outputs: usize,
    one: bool,
) -> Result<(Vec<Tree<f32>>, Leaves), Refusal> {
    let trees = attributes.ints("nodes_treeids");
    let nodes = attributes.ints("nodes_nodeids");
    let modes = attributes.texts("nodes_modes");
    let features = attributes.ints("nodes_featureids");
    let values = attributes.floats("nodes_values");
    let yes = attributes.ints("nodes_truenodeids");
    let no = attributes.ints("nodes_falsenodeids");
    let tracks = attributes.ints("nodes_missing_value_tracks_true");
    let count = trees.len();
    let lengths = [
        nodes.len(),
        modes.len(),
        features.len(),
        values.len(),
        yes.len(),
        no.len(),
    ];
    if count == 0
        || lengths.iter().any(|&length| length != count)
        || !(tracks.is_empty() || tracks.len() == count)
    {
        refuse!("the attributes of {count} nodes have lengths {lengths:?}");
    }
    // Every node by its name; a tree's first node is its root.
    let mut places: HashMap<(i64, i64), usize> = HashMap::with_capacity(count);
    let mut order: Vec<(i64, Vec<usize>)> = Vec::new();
    let mut tree_of: HashMap<i64, usize> = HashMap::new();
    let mut within = vec![0; count];
    for (at, (&tree, &node)) in trees.iter().zip(nodes).enumerate() {
        if places.insert((tree, node), at).is_some() {
            refuse!("node {node} of tree {tree} is there twice");
        }
        let place = *tree_of.entry(tree).or_insert_with(|| {
            order.push((tree, Vec::new()));
            order.len() - 1
        });
        if let (Some((_, members)), Some(within)) = (order.get_mut(place), within.get_mut(at)) {
            *within = members.len();
            members.push(at);
        }
    }
    let (leaves, first_value, groups) = read_leaves(attributes, prefix, outputs, one, &places, count)?;
    let mut read = Vec::with_capacity(order.len());
    for (tree, members) in order {
        let child = |node: i64| match places.get(&(tree, node)).and_then(|&at| within.get(at)) {
            Some(&within) => Ok(within),
            None => refuse!("tree {tree} has no node {node}"),
        };
        let mut described = Vec::with_capacity(members.len());
        let mut group = None;
        for at in members {
            let (Some(mode), Some(&value), Some(&feature)) =
                (modes.get(at), values.get(at), features.get(at))
            else {
                continue;
            };
            let (Some(&yes), Some(&no)) = (yes.get(at), no.get(at)) else {
                continue;
            };
            if *mode == b"LEAF" {
                let Some(&Some(first)) = first_value.get(at) else {
                    refuse!("a leaf of tree {tree} has no weight");
                };
                let own = groups.get(at).copied().unwrap_or(0);
                if leaves.width == 1 && *group.get_or_insert(own) != own {
                    refuse!("leaves of tree {tree} are of several outputs");
                }
                described.push(TreeNode::Leaf(first));
                continue;
            }
            let feature = crate::flavor::forest::index(feature, 1 << 24, "feature")?;
            let tracks = tracks.get(at).is_some_and(|&tracks| tracks != 0);
            described.push(split(mode, value, tracks, feature, (child(yes)?, child(no)?))?);
        }
        read.push(Tree {
            nodes: described,
            group: if leaves.width == 1 { group.unwrap_or(0) } else { 0 },
        });
    }
    Ok((read, leaves))
}

/// A node in the terms of forests, which send rows left by `<=` or `==`.
fn split(
    mode: &[u8],
    value: f32,
    tracks: bool,
    feature: usize,
    (yes, no): (usize, usize),
) -> Result<TreeNode<f32>, Refusal> {
    // No number is less than the least one: a threshold that is NaN sends all numbers right.
    let below = if value == f32::NEG_INFINITY {
        f32::NAN
    } else {
        value.next_down()
    };
    let (test, yes_left) = match mode {
        b"BRANCH_LEQ" => (Test::AtMost(value), true),
        b"BRANCH_LT" => (Test::AtMost(below), true),
        b"BRANCH_EQ" => (Test::Equal(value), true),
        // No number compares with NaN.
        b"BRANCH_GT" | b"BRANCH_GTE" if value.is_nan() => (Test::AtMost(value), true),
        b"BRANCH_GT" => (Test::AtMost(value), false),
        b"BRANCH_GTE" => (Test::AtMost(below), false),
        b"BRANCH_NEQ" => (Test::Equal(value), false),
        other => refuse!("nodes of mode `{}`", String::from_utf8_lossy(other)),
    };
    // A missing value differs from everything.
    let missing_yes = tracks || mode == b"BRANCH_NEQ";
    let (left, right) = if yes_left { (yes, no) } else { (no, yes) };
    Ok(TreeNode::Split {
        feature,
        test,
        missing_left: missing_yes == yes_left,
        left,
        right,
    })
}

/// Reads the weights: all of them, for each node where its own begin, and of which output they are.
type ReadLeaves = (Leaves, Vec<Option<usize>>, Vec<usize>);

fn read_leaves(
    attributes: &Attributes<'_, '_>,
    prefix: &str,
    outputs: usize,
    one: bool,
    places: &HashMap<(i64, i64), usize>,
    count: usize,
) -> Result<ReadLeaves, Refusal> {
    let list = |name: &str| attributes.ints(&format!("{prefix}_{name}"));
    let (trees, nodes, ids) = (list("treeids"), list("nodeids"), list("ids"));
    let weights = attributes.floats(&format!("{prefix}_weights"));
    if weights.is_empty()
        || [trees.len(), nodes.len(), ids.len()]
            .iter()
            .any(|&length| length != weights.len())
    {
        refuse!(
            "{} weights of leaves, {} {} {}",
            weights.len(),
            trees.len(),
            nodes.len(),
            ids.len()
        );
    }
    let mut own: Vec<Vec<(usize, f32)>> = vec![Vec::new(); count];
    for (((tree, node), &id), &weight) in trees.iter().zip(nodes).zip(ids).zip(weights) {
        let Some(of) = places.get(&(*tree, *node)).and_then(|&at| own.get_mut(at)) else {
            refuse!("a weight is of node {node} of tree {tree}, which is not there");
        };
        let id = if one {
            0
        } else {
            crate::flavor::forest::index(id, outputs, "output")?
        };
        if of.iter().any(|(other, _)| *other == id) {
            refuse!("node {node} of tree {tree} has two weights of one output");
        }
        of.push((id, weight));
    }
    let single = own.iter().all(|own| own.len() <= 1);
    // Where every leaf has one weight, trees of one output each may still be of different ones.
    let mut of_tree: HashMap<i64, usize> = HashMap::new();
    let mut uniform = single;
    for (tree, id) in trees.iter().zip(ids) {
        let id = if one { 0 } else { usize::try_from(*id).unwrap_or(0) };
        uniform &= *of_tree.entry(*tree).or_insert(id) == id;
    }
    let width = if uniform { 1 } else { outputs };
    let mut values = Vec::new();
    let mut first_value = vec![None; count];
    let mut groups = vec![0; count];
    let mut counts = vec![0usize; outputs];
    let mut leaves = 0;
    for ((own, first), group) in own.into_iter().zip(&mut first_value).zip(&mut groups) {
        let Some(&(id, weight)) = own.first() else {
            continue;
        };
        leaves += 1;
        *first = Some(values.len());
        for (id, _) in &own {
            if let Some(count) = counts.get_mut(*id) {
                *count += 1;
            }
        }
        if uniform {
            *group = id;
            values.push(weight);
            continue;
        }
        if values.len().saturating_add(outputs) > 1 << 30 {
            refuse!("the leaves have too many values");
        }
        let start = values.len();
        values.resize(start + outputs, 0.0);
        for (id, weight) in own {
            if let Some(value) = values.get_mut(start + id) {
                *value = weight;
            }
        }
    }
    let every = counts.iter().enumerate().map(|(output, &count)| {
        let in_a_tree = uniform && of_tree.values().any(|&of| of == output);
        match count {
            _ if in_a_tree => Some(true),
            0 => Some(false),
            count if count == leaves => Some(true),
            _ => None,
        }
    });
    let leaves = Leaves {
        every: every.collect(),
        values,
        width,
        positive: weights.iter().all(|&weight| weight >= 0.0),
    };
    Ok((leaves, first_value, groups))
}
