//! Walking trees.

use super::compile::{FEATURE, MISSING_LEFT, Node, SPECIAL, Special};
use super::{Forest, Number};

/// Walks that go on at once: enough to hide the latency of memory, few enough to stay in registers.
const FLIGHT: usize = 8;

impl<T: Number, A: Number> Forest<T, A> {
    /// Adds every tree to the sums of every row.
    ///
    /// `rows` is `[n, features]`, row-major; `sums` is `[n, outputs]` and is overwritten.
    pub fn run(&self, rows: &[T], sums: &mut [A]) {
        for sum in sums.chunks_exact_mut(self.base.len().max(1)) {
            sum.copy_from_slice(&self.base);
        }
        if self.base.is_empty() {
            return;
        }
        let width = self.features.max(1);
        for (row, sum) in rows
            .chunks_exact(width)
            .zip(sums.chunks_exact_mut(self.base.len()))
        {
            self.row(row, sum);
        }
    }

    /// The first value of the leaf that `row` reaches in every tree, in the order of the trees.
    pub fn reached(&self, row: &[T]) -> Vec<u32> {
        let mut reached = Vec::with_capacity(self.trees.len());
        self.each_leaf(row, |_, payload| reached.push(payload));
        reached
    }

    fn row(&self, row: &[T], sum: &mut [A]) {
        let width = self.leaf_width;
        self.each_leaf(row, |group, payload| {
            let values = self.leaves.get(payload as usize..).unwrap_or_default();
            let sums = sum.get_mut(group as usize..).unwrap_or_default();
            for (sum, value) in sums.iter_mut().zip(values).take(width) {
                *sum += *value;
            }
        });
    }

    fn each_leaf(&self, row: &[T], mut leaf: impl FnMut(u32, u32)) {
        for trees in self.trees.chunks(FLIGHT) {
            let mut at = [0u32; FLIGHT];
            let mut depth = 0;
            for (at, tree) in at.iter_mut().zip(trees) {
                *at = tree.node;
                depth = depth.max(tree.depth);
            }
            for _ in 0..depth {
                for at in &mut at {
                    *at = self.step(*at, row);
                }
            }
            for (at, tree) in at.iter().zip(trees) {
                if let Some(node) = self.nodes.get(*at as usize) {
                    leaf(tree.group, node.payload);
                }
            }
        }
    }

    fn step(&self, at: u32, row: &[T]) -> u32 {
        let (Some(node), Some(&value)) = (
            self.nodes.get(at as usize),
            self.nodes
                .get(at as usize)
                .and_then(|node| row.get((node.feature & FEATURE) as usize)),
        ) else {
            return at;
        };
        node.left + u32::from(!self.goes_left(node, value))
    }

    fn goes_left(&self, node: &Node<T>, value: T) -> bool {
        let missing_left = node.feature & MISSING_LEFT != 0;
        if value.missing() {
            return missing_left;
        }
        if node.feature & SPECIAL == 0 {
            return value <= node.threshold;
        }
        match self.specials.get(node.payload as usize) {
            Some(Special::Equal(wanted)) => value == *wanted,
            Some(Special::AtMostZeroMissing(threshold)) => {
                if value == T::ZERO {
                    missing_left
                } else {
                    value <= *threshold
                }
            }
            Some(Special::Category(set)) => self.categories.left(set, value, missing_left),
            None => false,
        }
    }
}
