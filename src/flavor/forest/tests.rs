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
