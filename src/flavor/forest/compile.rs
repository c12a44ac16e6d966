//! From described trees to the layout that is walked.
//!
//! Nodes of a tree lie breadth first with siblings side by side, so that a step is `left + went_right`. A leaf leads to
//! itself: a walk of as many steps as the deepest leaf needs is right for every row, and several go on at once without
//! asking who has arrived.

use std::collections::VecDeque;

use super::layout::{Link, Links, Narrow, Node, Wide};
use super::{CategorySet, Forest, ForestSpec, MAX_DEPTH, MAX_NODES, Number, Test, Tree, TreeNode};
use crate::flavor::refusal::{Refusal, refuse};

/// Where a tree starts and how it is added.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Root {
    /// Its first node.
    pub(super) node: u32,
    /// Steps to the deepest leaf.
    pub(super) depth: u32,
    /// The first output that its leaves add to.
    pub(super) group: u32,
}

/// A test that is no plain comparison.
#[derive(Debug)]
pub(super) enum Special<T> {
    Never,
    Equal(T),
    AtMostZeroMissing(T),
    Category(CategorySet),
}

pub(super) fn compile<T: Number, A: Number>(spec: ForestSpec<T, A>) -> Result<Forest<T, A>, Refusal> {
    let ForestSpec {
        features,
        base,
        trees,
        leaves,
        leaf_width,
        categories,
    } = spec;
    if features > Wide::FEATURES {
        refuse!("{features} features, at most {} are read", Wide::FEATURES);
    }
    let total: usize = trees.iter().map(|tree| tree.nodes.len()).sum();
    if total > MAX_NODES || leaves.len() > u32::MAX as usize {
        refuse!("the trees have {total} nodes, at most {MAX_NODES} are read");
    }
    let plain = |test: &Test<T>, missing_left: bool| match test {
        // Nothing is at most NaN, not even what stands for a missing value.
        Test::AtMost(threshold) => !(threshold.missing() && missing_left),
        Test::AtMostZeroMissing(threshold) => (T::ZERO <= *threshold) == missing_left,
        Test::Equal(_) | Test::Category(_) => false,
    };
    let narrow = features <= Narrow::FEATURES
        && trees.iter().all(|tree| {
            tree.nodes.len() <= Narrow::NODES
                && tree.nodes.iter().all(|node| match node {
                    TreeNode::Leaf(_) => true,
                    TreeNode::Split {
                        test, missing_left, ..
                    } => plain(test, *missing_left),
                })
        });
    let layout = Layout {
        features,
        outputs: base.len(),
        leaf_width,
        leaves: leaves.len(),
        roots: Vec::with_capacity(trees.len()),
        payload: Vec::with_capacity(total),
        specials: Vec::new(),
    };
    let (layout, links) = if narrow {
        let (layout, nodes) = layout.all::<Narrow>(trees, total)?;
        (layout, Links::Narrow(nodes))
    } else {
        let (layout, nodes) = layout.all::<Wide>(trees, total)?;
        (layout, Links::Wide(nodes))
    };
    // With one value a leaf, the values lie as the nodes do and a leaf is one look away.
    let values = (leaf_width == 1).then(|| {
        let value = |&at: &u32| leaves.get(at as usize).copied().unwrap_or_default();
        layout.payload.iter().map(value).collect()
    });
    Ok(Forest {
        features,
        leaf_width,
        base,
        leaves,
        values,
        links,
        payload: layout.payload,
        trees: layout.roots,
        specials: layout.specials,
        categories,
    })
}

/// What is laid out so far, apart from the nodes.
struct Layout<T> {
    features: usize,
    outputs: usize,
    leaf_width: usize,
    leaves: usize,
    roots: Vec<Root>,
    payload: Vec<u32>,
    specials: Vec<Special<T>>,
}

/// All that is laid out, and the nodes.
type Laid<T, L> = (Layout<T>, Vec<Node<T, L>>);

impl<T: Number> Layout<T> {
    fn all<L: Link>(mut self, trees: Vec<Tree<T>>, total: usize) -> Result<Laid<T, L>, Refusal> {
        let mut nodes = Vec::with_capacity(total);
        for (number, tree) in trees.into_iter().enumerate() {
            self.add(tree, &mut nodes)
                .map_err(|refusal| refusal.within(format_args!("tree {number}")))?;
        }
        Ok((self, nodes))
    }

    fn add<L: Link>(&mut self, tree: Tree<T>, placed: &mut Vec<Node<T, L>>) -> Result<(), Refusal> {
        let Tree { mut nodes, group } = tree;
        if group.saturating_add(self.leaf_width) > self.outputs {
            refuse!("it adds to output {group} of {}", self.outputs);
        }
        let root = placed.len();
        let mut depth = 0;
        let mut waiting = VecDeque::from([(0usize, 0usize)]);
        placed.push(Node::default());
        let mut place = root;
        while let Some((source, level)) = waiting.pop_front() {
            if level > MAX_DEPTH {
                refuse!("it is deeper than {MAX_DEPTH} levels");
            }
            depth = depth.max(level);
            let count = nodes.len();
            let Some(slot) = nodes.get_mut(source) else {
                refuse!("node {source} of {count}");
            };
            // A node that is taken is replaced, so that coming back to it is seen.
            let (node, payload) = match std::mem::replace(slot, TreeNode::Leaf(TAKEN)) {
                TreeNode::Leaf(TAKEN) => refuse!("node {source} is reached twice"),
                TreeNode::Leaf(first) => {
                    if first.saturating_add(self.leaf_width) > self.leaves {
                        refuse!("node {source}: leaf value {first} of {}", self.leaves);
                    }
                    let link = L::new(0, true, false, (place - root) as u32);
                    (Node::new(T::INFINITY, link), first)
                }
                TreeNode::Split {
                    feature,
                    test,
                    missing_left,
                    left,
                    right,
                } => {
                    if feature >= self.features {
                        refuse!("node {source}: feature {feature} of {}", self.features);
                    }
                    let below = placed.len();
                    placed.push(Node::default());
                    placed.push(Node::default());
                    waiting.push_back((left, level + 1));
                    waiting.push_back((right, level + 1));
                    let (threshold, special) = match test {
                        Test::AtMost(threshold) if threshold.missing() => {
                            (threshold, missing_left.then_some(Special::Never))
                        }
                        Test::AtMost(threshold) => (threshold, None),
                        Test::AtMostZeroMissing(threshold) if (T::ZERO <= threshold) == missing_left => {
                            (threshold, None)
                        }
                        Test::AtMostZeroMissing(threshold) => {
                            (T::ZERO, Some(Special::AtMostZeroMissing(threshold)))
                        }
                        Test::Equal(value) => (T::ZERO, Some(Special::Equal(value))),
                        Test::Category(set) => (T::ZERO, Some(Special::Category(set))),
                    };
                    let link = L::new(feature, missing_left, special.is_some(), (below - root) as u32);
                    let payload = self.specials.len();
                    self.specials.extend(special);
                    (Node::new(threshold, link), payload)
                }
            };
            if placed.len() > MAX_NODES {
                refuse!("the trees have more than {MAX_NODES} nodes");
            }
            if let Some(slot) = placed.get_mut(place) {
                *slot = node;
            }
            self.payload.push(payload as u32);
            place += 1;
        }
        self.roots.push(Root {
            node: root as u32,
            depth: depth as u32,
            group: group as u32,
        });
        Ok(())
    }
}

/// Marks a described node that has been laid out; no leaf has its values there.
const TAKEN: usize = usize::MAX;
