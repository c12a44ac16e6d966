//! Trees as LightGBM writes them, as trees of a forest.

use crate::flavor::forest::{CategoryRule, CategorySet, Forest, ForestSpec, Test, Tree, TreeNode, index};
use crate::flavor::refusal::{Refusal, refuse};

use super::linear::{LeafModel, LinearForest};
use super::text::Block;

/// Trees of LightGBM, compiled.
#[derive(Debug)]
pub(super) enum Trees {
    /// A leaf is a number.
    Constant(Forest<f64, f64>),
    /// A leaf may be a linear model.
    Linear(LinearForest),
}

/// Compiles trees over `features` columns that add to `outputs` scores in turn.
///
/// # Errors
/// When a tree is none, or needs what is not covered.
pub(super) fn compile(blocks: &[Block<'_>], features: usize, outputs: usize) -> Result<Trees, Refusal> {
    let mut grower = Grower {
        features,
        leaves: Vec::new(),
        models: Vec::new(),
        linear: false,
    };
    let mut trees = Vec::with_capacity(blocks.len());
    for (number, block) in blocks.iter().enumerate() {
        let nodes = grower
            .grow(block)
            .map_err(|refusal| refusal.within(format_args!("tree {number}")))?;
        trees.push(Tree {
            nodes,
            group: number % outputs.max(1),
        });
    }
    let values = if grower.linear {
        grower.leaves.clone()
    } else {
        Vec::new()
    };
    let forest = Forest::new(ForestSpec {
        features,
        base: vec![0.0; outputs],
        trees,
        leaves: grower.leaves,
        leaf_width: 1,
        categories: CategoryRule::Lightgbm,
    })?;
    Ok(if grower.linear {
        Trees::Linear(LinearForest {
            forest,
            values,
            models: grower.models,
        })
    } else {
        Trees::Constant(forest)
    })
}

struct Grower {
    features: usize,
    /// The values of all leaves so far.
    leaves: Vec<f64>,
    /// The linear models of the same leaves.
    models: Vec<Option<LeafModel>>,
    /// Whether any leaf has one.
    linear: bool,
}

impl Grower {
    fn grow(&mut self, block: &Block<'_>) -> Result<Vec<TreeNode<f64>>, Refusal> {
        let values = block.all_numbers::<f64>("leaf_value")?;
        let count = block.count("num_leaves")?;
        if values.len() != count || count == 0 {
            refuse!("{} values of {count} leaves", values.len());
        }
        let splits = count - 1;
        let mut nodes = if splits == 0 {
            Vec::new()
        } else {
            self.splits(block, splits)?
        };
        let first = self.leaves.len();
        nodes.extend((first..first + count).map(TreeNode::Leaf));
        self.leaves.extend(values);
        match block.get("is_linear").map(str::trim) {
            None | Some("0") => self.models.extend((0..count).map(|_| None)),
            Some("1") => {
                self.linear = true;
                let models = self.leaf_models(block, count)?;
                self.models.extend(models.into_iter().map(Some));
            }
            Some(_) => refuse!("`is_linear` is neither 0 nor 1"),
        }
        Ok(nodes)
    }

    fn splits(&self, block: &Block<'_>, splits: usize) -> Result<Vec<TreeNode<f64>>, Refusal> {
        let features = block.numbers::<i64>("split_feature", splits)?;
        let thresholds = block.numbers::<f64>("threshold", splits)?;
        let left = block.numbers::<i64>("left_child", splits)?;
        let right = block.numbers::<i64>("right_child", splits)?;
        let decisions = match block.get("decision_type") {
            None => vec![0; splits],
            Some(_) => block.numbers::<i8>("decision_type", splits)?,
        };
        let categories = Categories::read(block)?;
        // A child below zero is a leaf: -1 is leaf 0, and leaves come after all splits.
        let child = |child: i64| {
            let node = if child < 0 {
                i64::try_from(splits).ok()?.checked_add(!child)?
            } else {
                child
            };
            usize::try_from(node).ok()
        };
        let mut nodes = Vec::with_capacity(splits);
        for (number, &feature) in features.iter().enumerate() {
            let threshold = thresholds.get(number).copied().unwrap_or_default();
            let decision = decisions.get(number).copied().unwrap_or_default();
            let (test, missing_left) = test(decision, threshold, &categories)
                .map_err(|refusal| refusal.within(format_args!("node {number}")))?;
            let children = left
                .get(number)
                .and_then(|&left| child(left))
                .zip(right.get(number).and_then(|&right| child(right)));
            let Some((left, right)) = children else {
                refuse!("node {number} has children that cannot be");
            };
            nodes.push(TreeNode::Split {
                feature: index(feature, self.features, "feature")?,
                test,
                missing_left,
                left,
                right,
            });
        }
        Ok(nodes)
    }

    /// The linear models of a tree's leaves.
    fn leaf_models(&self, block: &Block<'_>, leaves: usize) -> Result<Vec<LeafModel>, Refusal> {
        let constants = block.numbers::<f64>("leaf_const", leaves)?;
        let counts = block.numbers::<usize>("num_features", leaves)?;
        let features = block.all_numbers::<i64>("leaf_features")?;
        let coefficients = block.all_numbers::<f64>("leaf_coeff")?;
        let mut terms = features.iter().zip(&coefficients);
        let mut models = Vec::with_capacity(leaves);
        for (constant, count) in constants.into_iter().zip(counts) {
            let mut model = LeafModel {
                constant,
                terms: Vec::new(),
            };
            for (&feature, &coefficient) in terms.by_ref().take(count) {
                let feature = index(feature, self.features, "feature of a leaf")?;
                model.terms.push((feature, coefficient));
            }
            if model.terms.len() != count {
                refuse!("a leaf has {count} features, {} are there", model.terms.len());
            }
            models.push(model);
        }
        if terms.next().is_some() || features.len() != coefficients.len() {
            refuse!(
                "{} features and {} coefficients of leaves",
                features.len(),
                coefficients.len()
            );
        }
        Ok(models)
    }
}

/// The test of a node by its `decision_type`: bit 0 categorical, bit 1 missing values left, bits 2 and 3 which values
/// are missing; and whether NaN goes left.
fn test(decision: i8, threshold: f64, categories: &Categories) -> Result<(Test<f64>, bool), Refusal> {
    if decision & 1 != 0 {
        return Ok((Test::Category(categories.set(threshold)?), false));
    }
    let default_left = decision & 2 != 0;
    Ok(match (decision >> 2) & 3 {
        // NaN is compared as zero.
        0 => (Test::AtMost(threshold), 0.0 <= threshold),
        // NaN is zero, and zero is missing.
        1 => (Test::AtMostZeroMissing(threshold), default_left),
        2 => (Test::AtMost(threshold), default_left),
        other => refuse!("missing values of kind {other} are not known"),
    })
}

/// The sets of categories of a tree, as words of 32 bits.
struct Categories {
    boundaries: Vec<usize>,
    words: Vec<u32>,
}

impl Categories {
    fn read(block: &Block<'_>) -> Result<Categories, Refusal> {
        let sets = match block.get("num_cat") {
            None => 0,
            Some(_) => block.count("num_cat")?,
        };
        if sets == 0 {
            return Ok(Categories {
                boundaries: Vec::new(),
                words: Vec::new(),
            });
        }
        let boundaries = block.all_numbers::<usize>("cat_boundaries")?;
        let words = block.all_numbers::<u32>("cat_threshold")?;
        if sets.checked_add(1) != Some(boundaries.len())
            || !boundaries.is_sorted()
            || boundaries.last().is_some_and(|&last| last > words.len())
        {
            refuse!(
                "`cat_boundaries` does not cut {} words into {sets} sets",
                words.len()
            );
        }
        Ok(Categories { boundaries, words })
    }

    /// The set that the threshold of a categorical node is the number of.
    fn set(&self, threshold: f64) -> Result<CategorySet, Refusal> {
        let sets = self.boundaries.len().saturating_sub(1);
        let number = index(threshold as i64, sets, "set of categories")?;
        let words = match self.boundaries.get(number..number + 2) {
            Some(&[from, to]) => self.words.get(from..to),
            _ => None,
        };
        match words {
            Some(words) => Ok(CategorySet {
                members: words.to_vec(),
                known: Vec::new(),
            }),
            None => refuse!("set of categories {number} is not there"),
        }
    }
}
