//! Tree ensembles: one evaluator under every library that grows trees.
//!
//! A loader describes its trees ([`Tree`]) in the terms that all libraries share: a row goes left where a value is at
//! most a threshold, a missing value goes where the node says, categories go by sets; a leaf adds its values to the
//! outputs from `group` on. Additions are made in the order of the trees, in the type `A`, so that the sum has the bits
//! of the library's own. What differs between the libraries is settled when the trees are described:
//!
//! - `x < t` is `x <= t.next_down()`; `x >= t` is the same with the sides changed.
//! - A threshold in double compared with values in single is rounded down to single ([`round_down`]).
//! - Learning rates, weights of dropped trees and the like are multiplied into the leaves.

mod category;
mod compile;
mod layout;
mod number;
pub mod oblivious;
mod run;
pub mod step;

use crate::flavor::refusal::{Refusal, refuse};

pub use self::category::{CategoryRule, CategorySet, MAX_CATEGORY};
pub use self::number::{Number, round_down};

/// A path from a root to a leaf may be this long.
pub const MAX_DEPTH: usize = 4096;

/// Nodes of a whole forest.
pub const MAX_NODES: usize = 1 << 30;

/// A tree as it is described by a loader.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree<T> {
    /// The nodes in any order, the root first.
    pub nodes: Vec<TreeNode<T>>,
    /// The first output that its leaves add to.
    pub group: usize,
}

/// A node of a described tree.
#[derive(Debug, Clone, PartialEq)]
pub enum TreeNode<T> {
    /// A leaf; its values start here in [`Forest::leaves`](ForestSpec::leaves).
    Leaf(usize),
    /// An inner node.
    Split {
        /// The column that is looked at.
        feature: usize,
        /// What sends a row left.
        test: Test<T>,
        /// Whether a missing value (NaN) goes left.
        missing_left: bool,
        /// Where a row goes that passes the test.
        left: usize,
        /// Where other rows go.
        right: usize,
    },
}

/// What sends a row left. Missing values are not tested.
#[derive(Debug, Clone, PartialEq)]
pub enum Test<T> {
    /// The value is at most this; a threshold that is NaN sends every row right.
    AtMost(T),
    /// The value equals this.
    Equal(T),
    /// Like [`Test::AtMost`], but zero goes where missing values go (LightGBM's `zero_as_missing`).
    AtMostZeroMissing(T),
    /// The value is a category of a set, by the rule of the forest.
    Category(CategorySet),
}

/// All that is needed to compile a forest.
#[derive(Debug, Clone, PartialEq)]
pub struct ForestSpec<T, A> {
    /// Number of columns of a row.
    pub features: usize,
    /// What the sums start from; as many as there are outputs.
    pub base: Vec<A>,
    /// The trees, in the order in which they are added.
    pub trees: Vec<Tree<T>>,
    /// The values of all leaves.
    pub leaves: Vec<A>,
    /// Values a leaf adds, to as many outputs from its tree's group on.
    pub leaf_width: usize,
    /// How category sets are asked.
    pub categories: CategoryRule,
}

/// A compiled ensemble of trees over rows of `T` that adds in `A`.
#[derive(Debug)]
pub struct Forest<T, A> {
    features: usize,
    base: Vec<A>,
    leaf_width: usize,
    leaves: Vec<A>,
    /// The value of each node that is a leaf, when leaves have one.
    values: Option<Vec<A>>,
    links: layout::Links<T>,
    /// By node: of a leaf, where its values are; of a special node, which test it has.
    payload: Vec<u32>,
    trees: Vec<compile::Root>,
    specials: Vec<compile::Special<T>>,
    categories: CategoryRule,
}

impl<T: Number, A: Number> Forest<T, A> {
    /// Checks the trees and lays them out for walking.
    ///
    /// # Errors
    /// When a child, feature, leaf or group does not exist, a node is reached twice, or a tree is too deep.
    pub fn new(spec: ForestSpec<T, A>) -> Result<Forest<T, A>, Refusal> {
        compile::compile(spec)
    }

    /// Number of columns of a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Number of outputs of a row.
    pub fn outputs(&self) -> usize {
        self.base.len()
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Number of nodes, leaves included.
    pub fn nodes(&self) -> usize {
        self.payload.len()
    }

    /// Length of the longest path.
    pub fn depth(&self) -> usize {
        self.trees
            .iter()
            .map(|tree| tree.depth as usize)
            .max()
            .unwrap_or(0)
    }
}

/// Checks a number that a file gives as an index.
///
/// # Errors
/// When it is negative or not below `limit`; `what` names it.
pub fn index(value: i64, limit: usize, what: &str) -> Result<usize, Refusal> {
    match usize::try_from(value) {
        Ok(index) if index < limit => Ok(index),
        _ => refuse!("{what} {value} of {limit}"),
    }
}

#[cfg(test)]
mod tests;
