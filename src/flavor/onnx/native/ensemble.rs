//! Reads the trees of an ensemble: which node leads where, and what its leaves add.

use std::collections::HashMap;

use super::lowering::Attributes;
use crate::flavor::forest::{Test, Tree, TreeNode};
use crate::flavor::refusal::{Refusal, refuse};

/// What the leaves add, and to which outputs.
pub(super) struct Leaves {
    pub(super) values: Vec<f32>,
    /// Outputs a leaf has values for; with one, the tree says which.
    pub(super) width: usize,
    /// Whether every leaf adds to this output, by output; or no leaf does.
    pub(super) every: Vec<Option<bool>>,
    pub(super) positive: bool,
}

/// Reads the trees of an ensemble, whose leaves' attributes begin with `prefix`; with `one`, all are of one output.
pub(super) fn ensemble(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flavor::forest::{CategoryRule, Forest, ForestSpec};

    /// Whether a row takes the way for rows that the test is true of, by the words of the operator.
    fn true_of(mode: &[u8], x: f32, value: f32, tracks: bool) -> bool {
        let test = match mode {
            b"BRANCH_LEQ" => x <= value,
            b"BRANCH_LT" => x < value,
            b"BRANCH_GTE" => x >= value,
            b"BRANCH_GT" => x > value,
            b"BRANCH_EQ" => x == value,
            _ => x != value,
        };
        test || (tracks && x.is_nan())
    }

    #[test]
    fn every_mode_sends_every_value_the_right_way() {
        let modes: [&[u8]; 6] = [
            b"BRANCH_LEQ",
            b"BRANCH_LT",
            b"BRANCH_GTE",
            b"BRANCH_GT",
            b"BRANCH_EQ",
            b"BRANCH_NEQ",
        ];
        let numbers = [
            0.0,
            -0.0,
            1.0,
            -1.5,
            1e-45,
            -1e-45,
            f32::MAX,
            f32::MIN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
        ];
        for (mode, value, tracks) in modes
            .iter()
            .flat_map(|mode| numbers.map(|value| [false, true].map(|tracks| (mode, value, tracks))))
            .flatten()
        {
            let nodes = vec![
                split(mode, value, tracks, 0, (1, 2)).unwrap(),
                TreeNode::Leaf(0),
                TreeNode::Leaf(1),
            ];
            let forest = Forest::<f32, f32>::new(ForestSpec {
                features: 1,
                base: vec![0.0],
                trees: vec![Tree { nodes, group: 0 }],
                leaves: vec![1.0, 2.0],
                leaf_width: 1,
                categories: CategoryRule::Xgboost,
            })
            .unwrap();
            for x in numbers {
                let mut sums = [0.0];
                forest.run(&[x], &mut sums);
                let wanted = if true_of(mode, x, value, tracks) { 1.0 } else { 2.0 };
                assert_eq!(
                    sums,
                    [wanted],
                    "{} {x} {value} {tracks}",
                    String::from_utf8_lossy(mode)
                );
            }
        }
    }
}
