//! `HistGradientBoosting*`: trees over `float64` rows with categories and missing values.

use std::sync::Arc;

use crate::flavor::forest::step::Trees;
use crate::flavor::forest::{
    CategoryRule, CategorySet, Forest, ForestSpec, Test, Tree, TreeNode, index as checked_index,
};
use crate::flavor::formats::object::{Array, ArrayElements, Object, Records, View};
use crate::flavor::plan::Register;
use crate::flavor::plan::steps::labels::{Above, ArgMax};
use crate::flavor::plan::steps::link::Link;
use crate::flavor::refusal::{Refusal, refuse};

use super::column_transformer;
use super::elementwise::Each;
use super::estimator::{self, Ask, Context, no_method, version};
use super::labels;
use super::numbers;
use super::rows::{self, Finite};

pub(super) const CLASSES: &[&str] = &["HistGradientBoostingClassifier", "HistGradientBoostingRegressor"];

/// Words of 32 bits of a set of categories.
const WORDS: usize = 8;

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let scores = raw(object, context, x)?;
    if object.kind().ends_with("Regressor") {
        if ask != Ask::Predict || context.plan.form(scores).width != 1 {
            return no_method(ask, object);
        }
        return match numbers::word(object, "loss", "squared_error")? {
            "poisson" | "gamma" => context.plan.push(Link::Exp, &[scores]),
            "squared_error"
            | "absolute_error"
            | "quantile"
            | "least_squares"
            | "least_absolute_deviation" => Ok(scores),
            other => refuse!("`loss` `{other}` is not covered; export the model to ONNX"),
        };
    }
    let labels = labels::classes(object, "classes_")?;
    let outputs = context.plan.form(scores).width;
    let expected = if labels.len() == 2 { 1 } else { labels.len() };
    if outputs != expected {
        refuse!("{outputs} trees an iteration for {} classes", labels.len());
    }
    // Until 1.4 the label was that of the largest probability.
    let old = version(object) < (1, 5);
    let index = match ask {
        Ask::Decision => return Ok(scores),
        Ask::Proba => return probabilities(context, scores),
        Ask::LogProba => {
            let probabilities = probabilities(context, scores)?;
            return context.plan.push(Each::Log, &[probabilities]);
        }
        Ask::Predict if old => {
            let probabilities = probabilities(context, scores)?;
            context.plan.push(ArgMax, &[probabilities])?
        }
        Ask::Predict if outputs == 1 => context.plan.push(
            Above {
                bound: 0.0,
                inclusive: false,
            },
            &[scores],
        )?,
        Ask::Predict => context.plan.push(ArgMax, &[scores])?,
        _ => return no_method(ask, object),
    };
    labels::label(context, labels, index)
}

fn probabilities(context: &mut Context<'_>, scores: Register) -> Result<Register, Refusal> {
    if context.plan.form(scores).width > 1 {
        return context.plan.push(Link::Softmax, &[scores]);
    }
    let positive = context.plan.push(Link::Sigmoid { scale: 1.0 }, &[scores])?;
    context.plan.push(Link::Complement, &[positive])
}

/// The sums of the trees.
fn raw(object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let x = match object
        .get("_preprocessor")
        .filter(|preprocessor| !preprocessor.is_none())
    {
        None => rows::doubles(context, object, x, Finite::Any)?,
        Some(preprocessor) => preprocessed(preprocessor, context, x)?,
    };
    let features = context.plan.form(x).width;
    let (_, base) = numbers::numbers(object, "_baseline_prediction")?;
    let outputs = numbers::count(object, "n_trees_per_iteration_")?;
    let base = match *base {
        [one] if outputs > 0 && outputs < 1 << 16 => vec![one; outputs],
        _ => base,
    };
    if base.len() != outputs {
        refuse!("{} constants for {outputs} outputs", base.len());
    }
    let known = known_categories(object.attribute("_bin_mapper")?, features)?;
    let mut trees = Vec::new();
    let mut leaves = Vec::new();
    for iteration in object.attribute("_predictors")?.members().unwrap_or_default() {
        let predictors = iteration.members().unwrap_or_default();
        if predictors.len() != outputs {
            refuse!("an iteration of {} trees for {outputs} outputs", predictors.len());
        }
        for (group, predictor) in predictors.into_iter().enumerate() {
            let number = trees.len();
            let tree = tree(predictor, group, &known, &mut leaves);
            trees.push(tree.map_err(|refusal| refusal.within(format_args!("tree {number}")))?);
        }
    }
    let forest = Forest::<f64, f64>::new(ForestSpec {
        features,
        base,
        trees,
        leaves,
        leaf_width: 1,
        categories: if version(object) < (1, 2) {
            CategoryRule::HistSigned
        } else {
            CategoryRule::Hist
        },
    })?;
    context.plan.push(Trees(Arc::new(forest)), &[x])
}

/// Categories as numbers first, then the other columns, as the trees know them since 1.4.
fn preprocessed(preprocessor: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    if preprocessor.class() != Some("ColumnTransformer") {
        refuse!("`_preprocessor` is a `{}`", preprocessor.kind());
    }
    column_transformer::lower_with(preprocessor, context, x, |estimator, context, chosen| {
        match estimator.class() {
            // It only checks that it is given numbers.
            Some("FunctionTransformer") => rows::doubles(context, estimator, chosen, Finite::Any),
            _ => estimator::lower(Ask::Transform, estimator, context, chosen),
        }
    })
}

/// By feature, the categories that were seen in training as a set; empty for numbers.
fn known_categories(mapper: View<'_>, features: usize) -> Result<Vec<Vec<u32>>, Refusal> {
    let (_, categorical) = numbers::numbers(mapper, "is_categorical_")?;
    let thresholds = mapper.attribute("bin_thresholds_")?.members().unwrap_or_default();
    if categorical.len() != features || thresholds.len() != features {
        refuse!("bins of {} features, there are {features}", thresholds.len());
    }
    let mut known = Vec::with_capacity(features);
    for (categorical, categories) in categorical.iter().zip(thresholds) {
        if *categorical == 0.0 {
            known.push(Vec::new());
            continue;
        }
        let mut words = vec![0u32; WORDS];
        for category in categories
            .numbers()
            .map(|(_, categories)| categories)
            .unwrap_or_default()
        {
            if !(0.0..256.0).contains(&category) {
                refuse!("a category {category}, 0 to 255 are allowed");
            }
            if let Some(word) = words.get_mut(category as usize / 32) {
                *word |= 1 << (category as u32 % 32);
            }
        }
        known.push(words);
    }
    Ok(known)
}

/// The columns of a predictor's records of nodes.
struct Nodes<'a> {
    value: &'a [f64],
    feature: &'a [i64],
    threshold: &'a [f64],
    missing_left: &'a [i64],
    left: &'a [i64],
    right: &'a [i64],
    leaf: &'a [i64],
    categorical: &'a [i64],
    set: &'a [i64],
}

impl<'a> Nodes<'a> {
    fn of(records: &'a Records) -> Result<Nodes<'a>, Refusal> {
        let whole = |name: &str| match field(records, name) {
            Some(ArrayElements::Int(numbers)) => Ok(numbers.as_slice()),
            _ => refuse!("the nodes have no `{name}`"),
        };
        let floats = |name: &str| match field(records, name) {
            Some(ArrayElements::Float(numbers)) => Ok(numbers.as_slice()),
            _ => refuse!("the nodes have no `{name}`"),
        };
        Ok(Nodes {
            value: floats("value")?,
            feature: whole("feature_idx")?,
            threshold: floats("num_threshold")?,
            missing_left: whole("missing_go_to_left")?,
            left: whole("left")?,
            right: whole("right")?,
            leaf: whole("is_leaf")?,
            categorical: whole("is_categorical")?,
            set: whole("bitset_idx")?,
        })
    }
}

fn field<'a>(records: &'a Records, name: &str) -> Option<&'a ArrayElements> {
    let found = records.fields.iter().find(|(field, _)| &**field == name);
    found.map(|(_, elements)| elements)
}

fn tree(
    predictor: View<'_>,
    group: usize,
    known: &[Vec<u32>],
    leaves: &mut Vec<f64>,
) -> Result<Tree<f64>, Refusal> {
    let nodes = predictor.attribute("nodes")?;
    let Object::Array(Array {
        elements: ArrayElements::Records(records),
        ..
    }) = nodes.object()
    else {
        refuse!("the nodes are no records but a `{}`", nodes.kind());
    };
    let sets = sets(predictor)?;
    let columns = Nodes::of(records)?;
    let mut nodes = Vec::with_capacity(records.count);
    for node in 0..records.count {
        let whole = |column: &[i64]| column.get(node).copied().unwrap_or_default();
        let float = |column: &[f64]| column.get(node).copied().unwrap_or_default();
        if whole(columns.leaf) != 0 {
            nodes.push(TreeNode::Leaf(leaves.len()));
            leaves.push(float(columns.value));
            continue;
        }
        let feature = checked_index(whole(columns.feature), known.len(), "feature")?;
        let test = if whole(columns.categorical) != 0 {
            let set = checked_index(whole(columns.set), sets.len(), "set of categories")?;
            Test::Category(CategorySet {
                members: sets.get(set).cloned().unwrap_or_default(),
                known: known.get(feature).cloned().unwrap_or_default(),
            })
        } else {
            Test::AtMost(float(columns.threshold))
        };
        nodes.push(TreeNode::Split {
            feature,
            test,
            missing_left: whole(columns.missing_left) != 0,
            left: checked_index(whole(columns.left), records.count, "node")?,
            right: checked_index(whole(columns.right), records.count, "node")?,
        });
    }
    Ok(Tree { nodes, group })
}

/// The sets of categories that go left, by number.
fn sets(predictor: View<'_>) -> Result<Vec<Vec<u32>>, Refusal> {
    let sets = predictor.attribute("raw_left_cat_bitsets")?;
    let words = match sets.array() {
        Some(Array {
            shape,
            elements: ArrayElements::Int(words),
        }) if matches!(**shape, [_, WORDS]) => words,
        Some(Array { shape, .. }) if shape.first() == Some(&0) => return Ok(Vec::new()),
        _ => refuse!("sets of categories cannot be read"),
    };
    let set = |words: &[i64]| {
        words
            .iter()
            .map(|word| u32::try_from(*word).ok())
            .collect::<Option<Vec<u32>>>()
    };
    match words.chunks_exact(WORDS).map(set).collect() {
        Some(sets) => Ok(sets),
        None => refuse!("sets of categories are no words of 32 bits"),
    }
}
