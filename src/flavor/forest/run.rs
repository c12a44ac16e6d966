//! Walking trees.
//!
//! A walk is a chain of loads, each waiting for the one before; only several at once keep a core busy. One row walks
//! [`FLIGHT`] trees at once; many rows walk one tree at once, so that the tree stays in the nearest cache. Sums are made
//! in the order of the trees either way.

use super::compile::{Root, Special};
use super::layout::{Link, Links, Node, Wide};
use super::{Forest, Number};

/// Walks that go on at once.
const FLIGHT: usize = 16;

/// Of deeper trees it is asked now and then whether all walks have arrived: leaves are rarely all at the bottom.
const STRIDE: usize = 4;

/// The pairs of values (see [`Link`]) that walks look at, by walk.
trait Pairs<T> {
    fn value(&self, walk: usize, place: usize) -> T;
}

/// One row for all walks, with places for a power of two: the place is masked, not checked.
struct Same<'a, T, const N: usize>(&'a [T; N]);

/// A row a walk.
struct Each<'a, T, const N: usize>(&'a [[T; N]; FLIGHT]);

/// One row of any length for all walks.
struct LongSame<'a, T>(&'a [T]);

/// A row of any length a walk, one after another.
struct LongEach<'a, T> {
    rows: &'a [T],
    /// Places a row.
    stride: usize,
}

impl<T: Number, const N: usize> Pairs<T> for Same<'_, T, N> {
    #[inline(always)]
    fn value(&self, _walk: usize, place: usize) -> T {
        self.0[place & (N - 1)]
    }
}

impl<T: Number, const N: usize> Pairs<T> for Each<'_, T, N> {
    #[inline(always)]
    fn value(&self, walk: usize, place: usize) -> T {
        self.0[walk][place & (N - 1)]
    }
}

impl<T: Number> Pairs<T> for LongSame<'_, T> {
    #[inline(always)]
    fn value(&self, _walk: usize, place: usize) -> T {
        self.0[place]
    }
}

impl<T: Number> Pairs<T> for LongEach<'_, T> {
    #[inline(always)]
    fn value(&self, walk: usize, place: usize) -> T {
        self.rows[walk * self.stride + place]
    }
}

impl<T: Number, A: Number> Forest<T, A> {
    /// Adds every tree to the sums of every row.
    ///
    /// `rows` is `[n, features]`, row-major; `sums` is `[n, outputs]` and is overwritten.
    pub fn run(&self, rows: &[T], sums: &mut [A]) {
        let outputs = self.base.len().max(1);
        for sum in sums.chunks_exact_mut(outputs) {
            for (sum, base) in sum.iter_mut().zip(&self.base) {
                *sum = *base;
            }
        }
        if self.base.is_empty() || self.features == 0 && self.trees.is_empty() {
            return;
        }
        match &self.links {
            Links::Wide(nodes) if !self.specials.is_empty() => {
                let width = self.features.max(1);
                for (row, sum) in rows.chunks_exact(width).zip(sums.chunks_exact_mut(outputs)) {
                    for tree in &self.trees {
                        self.add(tree, self.special_leaf(nodes, tree, row), sum);
                    }
                }
            }
            Links::Narrow(nodes) => self.plain(nodes, rows, sums),
            Links::Wide(nodes) => self.plain(nodes, rows, sums),
        }
    }

    /// Where the values of the leaf start that `row` reaches, for every tree in order.
    ///
    /// `row` has as many values as there are features.
    pub fn reached(&self, row: &[T]) -> Vec<usize> {
        let mut paired = vec![T::ZERO; 2 * self.features.max(1)];
        pair(&mut paired, row);
        let leaf = |tree: &Root| match &self.links {
            Links::Narrow(nodes) => walk(nodes, [tree.node], tree.depth, &LongSame(&paired))[0],
            Links::Wide(nodes) => self.special_leaf(nodes, tree, row),
        };
        let payload = |tree| self.payload.get(leaf(tree) as usize).copied().unwrap_or_default() as usize;
        self.trees.iter().map(payload).collect()
    }

    /// Rows are paired in places of a fixed size where that is not much more than they need.
    fn plain<L: Link>(&self, nodes: &[Node<T, L>], rows: &[T], sums: &mut [A]) {
        match self.features {
            0..=16 => self.padded::<L, 32, 4>(nodes, rows, sums),
            17..=32 => self.padded::<L, 64, 4>(nodes, rows, sums),
            33..=128 => self.padded::<L, 256, 2>(nodes, rows, sums),
            _ => self.long(nodes, rows, sums),
        }
    }

    /// Takes `FLIGHTS` times as many rows as walk at once through a tree before the next tree.
    fn padded<L: Link, const N: usize, const FLIGHTS: usize>(
        &self,
        nodes: &[Node<T, L>],
        rows: &[T],
        sums: &mut [A],
    ) {
        let (features, outputs) = (self.features.max(1), self.base.len());
        let count = rows.len() / features;
        let few = count % FLIGHT;
        let (rows, few) = rows.split_at((count - few) * features);
        let (sums, few_sums) = sums.split_at_mut((count - few.len() / features) * outputs);
        if !rows.is_empty() {
            self.flights::<L, N, FLIGHTS>(nodes, rows, sums);
        }
        let mut place = [T::ZERO; N];
        for (row, sum) in few.chunks_exact(features).zip(few_sums.chunks_exact_mut(outputs)) {
            pair(&mut place, row);
            self.one_row(nodes, &Same(&place), sum);
        }
    }

    /// As many rows as walk at once, or a multiple. Apart, because the places take longer to clear than a row to walk.
    #[inline(never)]
    fn flights<L: Link, const N: usize, const FLIGHTS: usize>(
        &self,
        nodes: &[Node<T, L>],
        rows: &[T],
        sums: &mut [A],
    ) {
        let (features, outputs) = (self.features.max(1), self.base.len());
        let mut flights = [[[T::ZERO; N]; FLIGHT]; FLIGHTS];
        let at_once = FLIGHT * FLIGHTS;
        let sums = sums.chunks_mut(outputs * at_once);
        for (rows, sums) in rows.chunks(features * at_once).zip(sums) {
            for (place, row) in flights
                .as_flattened_mut()
                .iter_mut()
                .zip(rows.chunks_exact(features))
            {
                pair(place, row);
            }
            for tree in &self.trees {
                for (flight, sums) in flights.iter().zip(sums.chunks_exact_mut(outputs * FLIGHT)) {
                    let reached = walk(nodes, [tree.node; FLIGHT], tree.depth, &Each(flight));
                    self.add_flight(tree, reached, sums);
                }
            }
        }
    }

    /// Like [`Forest::padded`] for rows of any length.
    fn long<L: Link>(&self, nodes: &[Node<T, L>], rows: &[T], sums: &mut [A]) {
        let (features, outputs) = (self.features, self.base.len());
        let stride = 2 * features;
        let mut paired = vec![T::ZERO; stride * (rows.len() / features).min(FLIGHT)];
        for (rows, sums) in rows
            .chunks(features * FLIGHT)
            .zip(sums.chunks_mut(outputs * FLIGHT))
        {
            pair(&mut paired, rows);
            if sums.len() == outputs * FLIGHT {
                let pairs = LongEach {
                    rows: &paired,
                    stride,
                };
                for tree in &self.trees {
                    let reached = walk(nodes, [tree.node; FLIGHT], tree.depth, &pairs);
                    self.add_flight(tree, reached, sums);
                }
            } else {
                for (row, sum) in paired.chunks_exact(stride).zip(sums.chunks_exact_mut(outputs)) {
                    self.one_row(nodes, &LongSame(row), sum);
                }
            }
        }
    }

    /// Adds every tree to the sums of one row.
    fn one_row<L: Link>(&self, nodes: &[Node<T, L>], row: &impl Pairs<T>, sums: &mut [A]) {
        for trees in self.trees.chunks(FLIGHT) {
            let mut starts = [0; FLIGHT];
            let mut depth = 0;
            for (start, tree) in starts.iter_mut().zip(trees) {
                *start = tree.node;
                depth = depth.max(tree.depth);
            }
            let reached = walk(nodes, starts, depth, row);
            if let (Some(values), [sum]) = (&self.values, &mut *sums) {
                // In a register: through memory each addition would wait for the store of the one before.
                let mut total = *sum;
                for leaf in reached.iter().take(trees.len()) {
                    total += values.get(*leaf as usize).copied().unwrap_or_default();
                }
                *sum = total;
            } else {
                for (tree, leaf) in trees.iter().zip(reached) {
                    self.add(tree, leaf, sums);
                }
            }
        }
    }

    /// Adds the leaves that as many rows reached in one tree.
    #[inline(always)]
    fn add_flight(&self, tree: &Root, reached: [u32; FLIGHT], sums: &mut [A]) {
        for (leaf, sum) in reached.into_iter().zip(sums.chunks_exact_mut(self.base.len())) {
            self.add(tree, leaf, sum);
        }
    }

    /// Adds the values of a leaf, which is given as a node.
    #[inline(always)]
    fn add(&self, tree: &Root, leaf: u32, sums: &mut [A]) {
        let (leaf, group) = (leaf as usize, tree.group as usize);
        if let Some(values) = &self.values {
            if let (Some(value), Some(sum)) = (values.get(leaf), sums.get_mut(group)) {
                *sum += *value;
            }
            return;
        }
        let first = self.payload.get(leaf).copied().unwrap_or_default() as usize;
        let values = self.leaves.get(first..).unwrap_or_default();
        let sums = sums.get_mut(group..).unwrap_or_default();
        for (sum, value) in sums.iter_mut().zip(values).take(self.leaf_width) {
            *sum += *value;
        }
    }

    /// The leaf that a row reaches where tests may be special.
    fn special_leaf(&self, nodes: &[Node<T, Wide>], tree: &Root, row: &[T]) -> u32 {
        let mut at = tree.node;
        for _ in 0..tree.depth {
            let Some(node) = nodes.get(at as usize) else {
                return at;
            };
            let left = self.goes_left(node, at, row.get(node.link.feature()).copied().unwrap_or(T::ZERO));
            at = tree.node + node.link.left() + u32::from(!left);
        }
        at
    }

    fn goes_left(&self, node: &Node<T, Wide>, at: u32, value: T) -> bool {
        let missing_left = node.link.missing_left();
        if value.missing() {
            return missing_left;
        }
        if !node.link.special() {
            let threshold = node.threshold;
            return value <= threshold;
        }
        let payload = self.payload.get(at as usize).copied().unwrap_or_default();
        match self.specials.get(payload as usize) {
            Some(Special::Never) => false,
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

/// Writes the pairs of a row to the front of `paired`.
fn pair<T: Number>(paired: &mut [T], row: &[T]) {
    for (pair, value) in paired.chunks_exact_mut(2).zip(row) {
        let left = if value.missing() { T::BELOW } else { *value };
        pair.copy_from_slice(&[*value, left]);
    }
}

/// The leaves that `K` walks reach, each from its own root, in `depth` steps.
#[inline(always)]
fn walk<T: Number, L: Link, const K: usize>(
    nodes: &[Node<T, L>],
    roots: [u32; K],
    depth: u32,
    rows: &impl Pairs<T>,
) -> [u32; K] {
    let mut reached = roots;
    let mut remaining = depth as usize;
    while remaining > 2 * STRIDE {
        for _ in 0..STRIDE {
            step(nodes, &roots, &mut reached, rows);
        }
        remaining -= STRIDE;
        let before = reached;
        step(nodes, &roots, &mut reached, rows);
        remaining -= 1;
        if before == reached {
            return reached;
        }
    }
    for _ in 0..remaining {
        step(nodes, &roots, &mut reached, rows);
    }
    reached
}

/// Takes every walk one level down.
#[inline(always)]
fn step<T: Number, L: Link, const K: usize>(
    nodes: &[Node<T, L>],
    roots: &[u32; K],
    reached: &mut [u32; K],
    rows: &impl Pairs<T>,
) {
    for (walk, (at, root)) in reached.iter_mut().zip(roots).enumerate() {
        // Every child and column that a node names was checked when the forest was compiled.
        let Node { threshold, link } = nodes[*at as usize];
        let left = rows.value(walk, link.place()) <= threshold;
        *at = root + link.left() + u32::from(!left);
    }
}
