//! Trees as XGBoost saves them, as trees of a forest.

use crate::flavor::forest::{
    CategoryRule, CategorySet, Forest, ForestSpec, MAX_CATEGORY, Test, Tree, TreeNode,
};
use crate::flavor::formats::document::Document;
use crate::flavor::refusal::{Refusal, refuse};

use super::document::{Model, Trees};

/// Words of 32 bits that the category sets of a model may have: a quarter of a gigabyte.
const MAX_CATEGORY_WORDS: usize = 64 << 20;

/// What a tree adds, apart from its own values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropout {
    /// The weight of the tree.
    weight: f32,
    /// Predictions in place add a tree to the base margin and subtract that again, which is not the same.
    in_place: Option<f32>,
}

impl Dropout {
    fn of(self, leaf: f32) -> f32 {
        match self.in_place {
            Some(base) => ((base + leaf) - base) * self.weight,
            None => leaf * self.weight,
        }
    }
}

/// The forest of a model: the first `rounds`, or all. `in_place` is how `inplace_predict` adds trees of DART.
///
/// # Errors
/// When a tree is none, or needs what is not covered.
pub(super) fn forest(
    model: &Model,
    trees: Trees,
    rounds: Option<usize>,
    in_place: bool,
) -> Result<Forest<f32, f32>, Refusal> {
    let last = rounds.unwrap_or_else(|| trees.rounds.len().saturating_sub(1));
    let Some(&end) = trees.rounds.get(last) else {
        refuse!(
            "the best of {} rounds is said to be number {last}",
            trees.rounds.len().saturating_sub(1)
        );
    };
    let mut grower = Grower {
        leaves: Vec::new(),
        leaf_width: None,
        outputs: model.outputs,
        category_words: 0,
    };
    let mut grown = Vec::with_capacity(end);
    for (number, (document, &group)) in trees.trees.into_iter().zip(&trees.groups).take(end).enumerate() {
        let dropout = trees.weights.as_ref().map(|weights| Dropout {
            weight: weights.get(number).copied().unwrap_or(1.0),
            in_place: model.margins.get(group).copied().filter(|_| in_place),
        });
        let nodes = grower
            .grow(&document, dropout)
            .map_err(|refusal| refusal.within(format_args!("tree {number}")))?;
        grown.push(Tree { nodes, group });
    }
    Forest::new(ForestSpec {
        features: model.features,
        base: model.margins.clone(),
        trees: grown,
        leaves: grower.leaves,
        leaf_width: grower.leaf_width.unwrap_or(1),
        categories: CategoryRule::Xgboost,
    })
}

struct Grower {
    /// The values of all leaves so far.
    leaves: Vec<f32>,
    /// Values of a leaf, once a tree has said it.
    leaf_width: Option<usize>,
    outputs: usize,
    category_words: usize,
}

impl Grower {
    fn grow(&mut self, tree: &Document, dropout: Option<Dropout>) -> Result<Vec<TreeNode<f32>>, Refusal> {
        let left = tree.integers("left_children")?;
        let count = left.len();
        let right = as_many(tree.integers("right_children")?, count, "right_children")?;
        let features = as_many(tree.integers("split_indices")?, count, "split_indices")?;
        let conditions = as_many(tree.singles("split_conditions")?, count, "split_conditions")?;
        let default_left = as_many(tree.integers("default_left")?, count, "default_left")?;
        let announced = announced(tree, "num_nodes")?;
        if announced.is_some_and(|announced| announced != count) {
            refuse!("`left_children` has {count} nodes, `num_nodes` says otherwise");
        }
        let vectors = self.vectors(tree, count, dropout.is_some())?;
        let mut categories = self.categories(tree, count)?;
        let mut nodes = Vec::with_capacity(count);
        for (number, &left) in left.iter().enumerate() {
            let at = |numbers: &[i64]| numbers.get(number).copied().unwrap_or(-1);
            let condition = conditions.get(number).copied().unwrap_or_default();
            if left == -1 {
                let first = match &vectors {
                    Some(vectors) => vectors.first(number, at(&right))?,
                    None => {
                        self.leaves
                            .push(dropout.map_or(condition, |dropout| dropout.of(condition)));
                        self.leaves.len() - 1
                    }
                };
                nodes.push(TreeNode::Leaf(first));
                continue;
            }
            // Nodes that were pruned remain, and nothing of them need be right: what a row can reach is checked by the
            // forest, for which a negative index is one that is too large.
            let index = |index: i64| usize::try_from(index).unwrap_or(usize::MAX);
            let test = match categories.binary_search_by_key(&number, |(node, _)| *node) {
                Ok(at) => Test::Category(
                    categories
                        .get_mut(at)
                        .map(|(_, set)| std::mem::take(set))
                        .unwrap_or_default(),
                ),
                Err(_) => below(condition),
            };
            nodes.push(TreeNode::Split {
                feature: index(at(&features)),
                test,
                missing_left: at(&default_left) != 0,
                left: index(left),
                right: index(at(&right)),
            });
        }
        Ok(nodes)
    }

    /// The vectors of the leaves, where the tree has them.
    fn vectors(&mut self, tree: &Document, count: usize, dart: bool) -> Result<Option<Vectors>, Refusal> {
        let width = announced(tree, "size_leaf_vector")?.unwrap_or(1).max(1);
        let before = *self.leaf_width.get_or_insert(width);
        if before != width {
            refuse!("a leaf has {width} values, one of another tree {before}");
        }
        if width == 1 {
            return Ok(None);
        }
        if width != self.outputs || dart {
            refuse!(
                "a leaf of {width} values, the model has {} outputs{}",
                self.outputs,
                if dart { " and DART" } else { "" }
            );
        }
        let first = self.leaves.len();
        let values = match tree.get("leaf_weights") {
            Some(Document::Numbers(weights)) if !weights.is_empty() => weights.singles(),
            _ => Vec::new(),
        };
        let by_leaf = !values.is_empty();
        // Before 3.1 every node had a vector, a leaf that of its number.
        let values = if by_leaf {
            values
        } else {
            tree.singles("base_weights")?
        };
        let rows = values.len() / width;
        if rows * width != values.len() || (!by_leaf && rows != count) {
            refuse!("{} values of leaves, {width} each", values.len());
        }
        self.leaves.extend(values);
        Ok(Some(Vectors {
            first,
            rows,
            width,
            by_leaf,
        }))
    }

    /// The category sets, by node, in order of the nodes.
    fn categories(&mut self, tree: &Document, count: usize) -> Result<Vec<(usize, CategorySet)>, Refusal> {
        let kinds = match tree.get("split_type") {
            Some(_) => as_many(tree.integers("split_type")?, count, "split_type")?,
            None => Vec::new(),
        };
        if !kinds.contains(&1) {
            return Ok(Vec::new());
        }
        let nodes = tree.integers("categories_nodes")?;
        let starts = as_many(
            tree.integers("categories_segments")?,
            nodes.len(),
            "categories_segments",
        )?;
        let sizes = as_many(
            tree.integers("categories_sizes")?,
            nodes.len(),
            "categories_sizes",
        )?;
        let categories = tree.integers("categories")?;
        let mut sets = Vec::with_capacity(nodes.len());
        for (node, (start, size)) in nodes.iter().zip(starts.iter().zip(&sizes)) {
            let range = usize::try_from(*start)
                .ok()
                .zip(usize::try_from(*size).ok())
                .and_then(|(start, size)| categories.get(start..start.checked_add(size)?));
            let (Ok(node), Some(range)) = (usize::try_from(*node), range) else {
                refuse!("node {node}: {size} categories from {start} on");
            };
            if kinds.get(node) != Some(&1) {
                refuse!("node {node} has categories and is no categorical split");
            }
            let members: Option<Vec<u32>> = range
                .iter()
                .map(|&category| u32::try_from(category).ok().filter(|&x| x < MAX_CATEGORY))
                .collect();
            let set = members.and_then(|members| {
                self.category_words += members
                    .iter()
                    .max()
                    .map_or(0, |&largest| largest as usize / 32 + 1);
                (self.category_words <= MAX_CATEGORY_WORDS).then(|| CategorySet::of(members))?
            });
            match set {
                Some(set) => sets.push((node, set)),
                None => refuse!("node {node}: a category below 0 or too many in all"),
            }
        }
        sets.sort_by_key(|(node, _)| *node);
        if sets.windows(2).any(|pair| pair[0].0 == pair[1].0)
            || sets.len() != kinds.iter().filter(|&&kind| kind == 1).count()
        {
            refuse!("categorical splits and their categories do not go together");
        }
        Ok(sets)
    }
}

/// The test of `value < condition`. Nothing is below negative infinity, which has no neighbour below.
fn below(condition: f32) -> Test<f32> {
    if condition == f32::NEG_INFINITY {
        Test::AtMost(f32::NAN)
    } else {
        Test::AtMost(condition.next_down())
    }
}

/// Where the vectors of a tree's leaves are.
struct Vectors {
    first: usize,
    rows: usize,
    width: usize,
    /// Whether the right child of a leaf is the number of its vector.
    by_leaf: bool,
}

impl Vectors {
    fn first(&self, node: usize, right: i64) -> Result<usize, Refusal> {
        let row = if self.by_leaf {
            usize::try_from(right).ok()
        } else {
            Some(node)
        };
        match row.filter(|&row| row < self.rows) {
            Some(row) => Ok(self.first + row * self.width),
            None => refuse!("node {node}: leaf vector {right} of {}", self.rows),
        }
    }
}

/// A count among the parameters of a tree, where it is there.
fn announced(tree: &Document, key: &str) -> Result<Option<usize>, Refusal> {
    let Some(value) = tree.get("tree_param").and_then(|parameters| parameters.get(key)) else {
        return Ok(None);
    };
    match value.text().and_then(|text| text.parse().ok()) {
        Some(count) => Ok(Some(count)),
        None => refuse!("`{key}` is no count"),
    }
}

fn as_many<T>(numbers: Vec<T>, count: usize, key: &str) -> Result<Vec<T>, Refusal> {
    if numbers.len() != count {
        refuse!("`{key}` has {} entries instead of {count}", numbers.len());
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_left(value: f32, condition: f32) -> bool {
        let forest = Forest::new(ForestSpec {
            features: 1,
            base: vec![0.0],
            trees: vec![Tree {
                nodes: vec![
                    TreeNode::Split {
                        feature: 0,
                        test: below(condition),
                        missing_left: false,
                        left: 1,
                        right: 2,
                    },
                    TreeNode::Leaf(0),
                    TreeNode::Leaf(1),
                ],
                group: 0,
            }],
            leaves: vec![1.0, 2.0],
            leaf_width: 1,
            categories: CategoryRule::Xgboost,
        });
        let mut sum = [0.0];
        forest.unwrap().run(&[value], &mut sum);
        sum == [1.0]
    }

    #[test]
    fn left_is_what_is_below_the_condition() {
        let odd = [
            f32::NEG_INFINITY,
            f32::MIN,
            -1.0,
            -f32::MIN_POSITIVE,
            -1e-45,
            -0.0,
            0.0,
            1e-45,
            1.0,
            1.0f32.next_up(),
            f32::MAX,
            f32::INFINITY,
            f32::NAN,
        ];
        for condition in odd {
            for value in odd {
                assert_eq!(
                    goes_left(value, condition),
                    value < condition,
                    "{value} < {condition}"
                );
            }
        }
    }
}
