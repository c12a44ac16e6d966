//! From described trees to the layout that is walked.
//!
//! Nodes of a tree lie breadth first with siblings side by side, so that a step is `left + went_right`. A leaf leads to
//! itself: a walk of as many steps as the deepest leaf needs is right for every row, and several go on at once without
//! asking who has arrived.

use std::collections::VecDeque;

use super::{CategorySet, Forest, ForestSpec, MAX_DEPTH, MAX_NODES, Number, Test, Tree, TreeNode};
use crate::flavor::refusal::{Refusal, refuse};

/// The bit of [`Node::feature`] that sends missing values left.
pub(super) const MISSING_LEFT: u32 = 1 << 31;
/// The bit of [`Node::feature`] of a node whose test is a [`Special`].
pub(super) const SPECIAL: u32 = 1 << 30;
/// The bits of [`Node::feature`] that are the column.
pub(super) const FEATURE: u32 = SPECIAL - 1;

/// A node as it is walked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Node<T> {
    /// Rows with a value up to this go left.
    pub(super) threshold: T,
    /// Column and flags.
    pub(super) feature: u32,
    /// The left child, the right one being next; of a leaf, itself.
    pub(super) left: u32,
    /// Of a leaf, where its values are; of a special node, where its test is.
    pub(super) payload: u32,
}

/// Where a tree starts and how it is added.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root {
    pub(super) node: u32,
    pub(super) depth: u32,
    pub(super) group: u32,
}

/// A test that is no plain comparison.
#[derive(Debug)]
pub(super) enum Special<T> {
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
    if features >= FEATURE as usize {
        refuse!("{features} features, at most {FEATURE} are read");
    }
    let total: usize = trees.iter().map(|tree| tree.nodes.len()).sum();
    if total > MAX_NODES || leaves.len() > u32::MAX as usize {
        refuse!("the trees have {total} nodes, at most {MAX_NODES} are read");
    }
    let mut forest = Forest {
        features,
        leaf_width,
        base,
        leaves,
        nodes: Vec::with_capacity(total),
        trees: Vec::with_capacity(trees.len()),
        specials: Vec::new(),
        categories,
    };
    for (number, tree) in trees.into_iter().enumerate() {
        forest
            .add(tree)
            .map_err(|refusal| refusal.within(format_args!("tree {number}")))?;
    }
    Ok(forest)
}

impl<T: Number, A: Number> Forest<T, A> {
    fn add(&mut self, tree: Tree<T>) -> Result<(), Refusal> {
        let Tree { mut nodes, group } = tree;
        if group.saturating_add(self.leaf_width) > self.base.len() {
            refuse!("it adds to output {group} of {}", self.base.len());
        }
        let root = self.nodes.len() as u32;
        let mut depth = 0;
        // A node that is taken is replaced, so that coming back to it is seen.
        let mut waiting = VecDeque::from([(0usize, 0usize)]);
        self.nodes.push(Node::default());
        let mut place = root as usize;
        while let Some((source, level)) = waiting.pop_front() {
            if level > MAX_DEPTH {
                refuse!("it is deeper than {MAX_DEPTH} levels");
            }
            depth = depth.max(level);
            let count = nodes.len();
            let Some(slot) = nodes.get_mut(source) else {
                refuse!("node {source} of {count}");
            };
            let node = std::mem::replace(slot, TreeNode::Leaf(TAKEN));
            let compiled = match node {
                TreeNode::Leaf(TAKEN) => refuse!("node {source} is reached twice"),
                TreeNode::Leaf(first) => {
                    if first.saturating_add(self.leaf_width) > self.leaves.len() {
                        refuse!("node {source}: leaf value {first} of {}", self.leaves.len());
                    }
                    Node {
                        threshold: T::INFINITY,
                        feature: MISSING_LEFT,
                        left: place as u32,
                        payload: first as u32,
                    }
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
                    let below = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.nodes.push(Node::default());
                    waiting.push_back((left, level + 1));
                    waiting.push_back((right, level + 1));
                    let flag = if missing_left { MISSING_LEFT } else { 0 };
                    let mut compiled = Node {
                        threshold: T::ZERO,
                        feature: feature as u32 | flag,
                        left: below as u32,
                        payload: 0,
                    };
                    let special = match test {
                        Test::AtMost(threshold) => {
                            compiled.threshold = threshold;
                            None
                        }
                        Test::AtMostZeroMissing(threshold) if (T::ZERO <= threshold) == missing_left => {
                            compiled.threshold = threshold;
                            None
                        }
                        Test::AtMostZeroMissing(threshold) => Some(Special::AtMostZeroMissing(threshold)),
                        Test::Equal(value) => Some(Special::Equal(value)),
                        Test::Category(set) => Some(Special::Category(set)),
                    };
                    if let Some(special) = special {
                        compiled.feature |= SPECIAL;
                        compiled.payload = self.specials.len() as u32;
                        self.specials.push(special);
                    }
                    compiled
                }
            };
            if self.nodes.len() > MAX_NODES {
                refuse!("the trees have more than {MAX_NODES} nodes");
            }
            if let Some(slot) = self.nodes.get_mut(place) {
                *slot = compiled;
            }
            place += 1;
        }
        self.trees.push(Root {
            node: root,
            depth: depth as u32,
            group: group as u32,
        });
        Ok(())
    }
}

/// Marks a described node that has been laid out; no leaf has its values there.
const TAKEN: usize = usize::MAX;
