//! Forests against the plainest walk there is.

use super::*;

fn split(feature: usize, test: Test<f32>, missing_left: bool, left: usize, right: usize) -> TreeNode<f32> {
    TreeNode::Split {
        feature,
        test,
        missing_left,
        left,
        right,
    }
}

fn spec(nodes: Vec<TreeNode<f32>>) -> ForestSpec<f32, f32> {
    ForestSpec {
        features: 2,
        base: vec![0.5],
        trees: vec![Tree { nodes, group: 0 }],
        leaves: vec![1.0, 2.0, 4.0],
        leaf_width: 1,
        categories: CategoryRule::Xgboost,
    }
}

fn answer(spec: ForestSpec<f32, f32>, row: [f32; 2]) -> f32 {
    let mut sums = [0.0];
    Forest::new(spec).unwrap().run(&row, &mut sums);
    sums[0]
}

#[test]
fn a_value_at_the_threshold_goes_left_and_a_missing_one_where_the_node_says() {
    for missing_left in [false, true] {
        let tree = || {
            spec(vec![
                split(1, Test::AtMost(3.0), missing_left, 2, 1),
                TreeNode::Leaf(0),
                TreeNode::Leaf(1),
            ])
        };
        assert_eq!(answer(tree(), [9.0, 3.0]), 2.5);
        assert_eq!(answer(tree(), [0.0, 3.0f32.next_up()]), 1.5);
        let missing = if missing_left { 2.5 } else { 1.5 };
        assert_eq!(answer(tree(), [0.0, f32::NAN]), missing);
    }
}

#[test]
fn trees_that_are_none_are_refused() {
    let refused = |nodes| Forest::new(spec(nodes)).unwrap_err().to_string();
    assert_eq!(
        refused(vec![split(0, Test::AtMost(0.0), true, 0, 1), TreeNode::Leaf(0)]),
        "tree 0: node 0 is reached twice"
    );
    assert_eq!(
        refused(vec![split(0, Test::AtMost(0.0), true, 1, 7), TreeNode::Leaf(0)]),
        "tree 0: node 7 of 2"
    );
    assert_eq!(
        refused(vec![split(2, Test::AtMost(0.0), true, 1, 1), TreeNode::Leaf(0)]),
        "tree 0: node 0: feature 2 of 2"
    );
    assert_eq!(
        refused(vec![TreeNode::Leaf(3)]),
        "tree 0: node 0: leaf value 3 of 3"
    );
    assert_eq!(refused(vec![]), "tree 0: node 0 of 0");
}

#[test]
fn a_double_threshold_means_the_same_in_single() {
    for threshold in [
        0.1,
        -0.1,
        1e-320,
        f64::from(f32::MAX) * 2.0,
        16_777_217.0,
        0.0,
        -0.0,
    ] {
        let single = round_down(threshold);
        for value in [single, single.next_up(), single.next_down(), 0.0, -0.0] {
            assert_eq!(
                f64::from(value) <= threshold,
                value <= single,
                "{value} {threshold}"
            );
        }
    }
}

/// Numbers that look random, the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// Few different values, so that thresholds are met exactly.
    fn value(&mut self) -> f32 {
        match self.below(14) {
            0 => 0.0,
            1 => -0.0,
            2 => f32::INFINITY,
            3 => f32::NEG_INFINITY,
            other => other as f32 - 6.0,
        }
    }
}

fn test(dice: &mut Dice, special: bool) -> Test<f32> {
    match dice.below(if special { 6 } else { 3 }) {
        3 if dice.below(4) == 0 => Test::AtMost(f32::NAN),
        3 => Test::Equal(dice.value()),
        4 => Test::AtMostZeroMissing(dice.value()),
        5 => Test::Category(CategorySet::of((0..dice.below(40)).map(|x| x as u32 * 3 % 41)).unwrap()),
        _ => Test::AtMost(dice.value()),
    }
}

/// A forest of trees whose leaves lie at all depths, their nodes in any order.
fn random(
    dice: &mut Dice,
    features: usize,
    outputs: usize,
    leaf_width: usize,
    special: bool,
) -> ForestSpec<f32, f32> {
    let leaves: Vec<f32> = (0..50 + leaf_width)
        .map(|_| dice.below(1000) as f32 * 0.37)
        .collect();
    let trees = (0..dice.below(40))
        .map(|_| {
            let mut nodes = vec![TreeNode::Leaf(0)];
            let mut open = vec![0];
            for _ in 0..dice.below(60) {
                let at = open.swap_remove(dice.below(open.len()));
                let (left, right) = (nodes.len(), nodes.len() + 1);
                nodes.extend([TreeNode::Leaf(dice.below(50)), TreeNode::Leaf(dice.below(50))]);
                open.extend([left, right]);
                let missing_left = dice.below(2) == 0;
                nodes[at] = split(
                    dice.below(features),
                    test(dice, special),
                    missing_left,
                    right,
                    left,
                );
            }
            Tree {
                nodes,
                group: dice.below(outputs - leaf_width + 1),
            }
        })
        .collect();
    ForestSpec {
        features,
        base: (0..outputs).map(|output| output as f32 * 0.1).collect(),
        trees,
        leaves,
        leaf_width,
        categories: CategoryRule::Xgboost,
    }
}

/// The plainest walk there is.
fn plain(spec: &ForestSpec<f32, f32>, row: &[f32]) -> Vec<f32> {
    let mut sums = spec.base.clone();
    for tree in &spec.trees {
        let mut at = 0;
        let first = loop {
            match &tree.nodes[at] {
                TreeNode::Leaf(first) => break *first,
                TreeNode::Split {
                    feature,
                    test,
                    missing_left,
                    left,
                    right,
                } => {
                    let value = row[*feature];
                    let goes_left = match test {
                        _ if value.is_nan() => *missing_left,
                        Test::AtMost(threshold) => value <= *threshold,
                        Test::Equal(wanted) => value == *wanted,
                        Test::AtMostZeroMissing(_) if value == 0.0 => *missing_left,
                        Test::AtMostZeroMissing(threshold) => value <= *threshold,
                        Test::Category(set) => spec.categories.left(set, value, *missing_left),
                    };
                    at = if goes_left { *left } else { *right };
                }
            }
        };
        for (sum, leaf) in sums[tree.group..]
            .iter_mut()
            .zip(&spec.leaves[first..])
            .take(spec.leaf_width)
        {
            *sum += leaf;
        }
    }
    sums
}

#[test]
fn every_layout_answers_as_the_plainest_walk_does() {
    let mut dice = Dice(7);
    for round in 0..400 {
        let features = [1, 5, 32, 33, 128, 129, 300, 3000][round % 8];
        let leaf_width = 1 + dice.below(3);
        let outputs = leaf_width + dice.below(3);
        let special = dice.below(3) == 0;
        let spec = random(&mut dice, features, outputs, leaf_width, special);
        let forest = Forest::new(spec.clone()).unwrap();
        let count = [0, 1, 2, 15, 16, 17, 64, 70, 150][dice.below(9)];
        let missing = dice.below(2) == 0;
        let rows: Vec<f32> = (0..count * features)
            .map(|_| {
                if missing && dice.below(5) == 0 {
                    f32::NAN
                } else {
                    dice.value()
                }
            })
            .collect();
        let mut sums = vec![f32::NAN; count * outputs];
        forest.run(&rows, &mut sums);
        for (row, sum) in rows.chunks(features).zip(sums.chunks(outputs)) {
            assert_eq!(sum, plain(&spec, row), "round {round}");
            let reached = forest.reached(row);
            assert_eq!(reached.len(), spec.trees.len());
        }
    }
}
