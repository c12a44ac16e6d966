//! Nodes as they are walked.

use std::fmt;

/// A node: a threshold and where to go. Packed, so that a double and a narrow link take twelve bytes, not sixteen: what
/// limits a walk is how many nodes the nearer caches hold.
#[derive(Clone, Copy, Default)]
#[repr(C, packed(4))]
pub(super) struct Node<T, L> {
    /// Rows with a value up to this go left.
    pub(super) threshold: T,
    /// What is compared, and the left child.
    pub(super) link: L,
}

impl<T, L> Node<T, L> {
    pub(super) fn new(threshold: T, link: L) -> Node<T, L> {
        Node { threshold, link }
    }
}

/// The nodes of all trees, one after another.
pub(super) enum Links<T> {
    /// Half the memory: few features, trees of at most a million nodes, plain comparisons only.
    Narrow(Vec<Node<T, Narrow>>),
    /// Everything else.
    Wide(Vec<Node<T, Wide>>),
}

impl<T> fmt::Debug for Links<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Links::Narrow(nodes) => write!(out, "{} narrow nodes", nodes.len()),
            Links::Wide(nodes) => write!(out, "{} wide nodes", nodes.len()),
        }
    }
}

/// Which value a node compares, and its left child, counted from the tree's first node; the right child is the next one.
/// A leaf's left child is itself.
///
/// A row is walked as pairs of its values: one of each pair as it is, so that a missing value compares false and goes
/// right, and one with minus infinity for a missing value, which goes left. The place of a value is twice the column,
/// plus one for the latter.
pub(super) trait Link: Copy + Default {
    /// Columns that can be told apart.
    const FEATURES: usize;

    fn new(feature: usize, missing_left: bool, special: bool, left: u32) -> Self;
    fn place(self) -> usize;
    fn left(self) -> u32;
}

/// 12 bits of place, 20 of left child.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Narrow(u32);

impl Narrow {
    /// Nodes a tree may have.
    pub(super) const NODES: usize = 1 << 20;
}

impl Link for Narrow {
    const FEATURES: usize = 1 << 11;

    fn new(feature: usize, missing_left: bool, _special: bool, left: u32) -> Narrow {
        Narrow(left << 12 | (feature as u32) << 1 & 0xfff | u32::from(missing_left))
    }

    #[inline(always)]
    fn place(self) -> usize {
        (self.0 & 0xfff) as usize
    }

    #[inline(always)]
    fn left(self) -> u32 {
        self.0 >> 12
    }
}

/// 31 bits of place, 1 for tests that are no plain comparison, 32 of left child.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wide(u64);

impl Wide {
    /// Whether the test is no plain comparison.
    pub(super) fn special(self) -> bool {
        self.0 & 1 << 31 != 0
    }

    /// The column.
    pub(super) fn feature(self) -> usize {
        self.place() >> 1
    }

    /// Whether missing values go left.
    pub(super) fn missing_left(self) -> bool {
        self.0 & 1 != 0
    }
}

impl Link for Wide {
    const FEATURES: usize = 1 << 30;

    fn new(feature: usize, missing_left: bool, special: bool, left: u32) -> Wide {
        let place = (feature as u64) << 1 & 0x7fff_ffff | u64::from(missing_left);
        Wide(u64::from(left) << 32 | u64::from(special) << 31 | place)
    }

    #[inline(always)]
    fn place(self) -> usize {
        (self.0 & 0x7fff_ffff) as usize
    }

    #[inline(always)]
    fn left(self) -> u32 {
        (self.0 >> 32) as u32
    }
}
