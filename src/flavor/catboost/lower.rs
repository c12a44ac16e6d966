//! From a CatBoost model to a plan.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::flavor::forest::oblivious::{Oblivious, ObliviousSpec};
use crate::flavor::forest::step::Trees as TreesStep;
use crate::flavor::forest::{CategoryRule, Forest, ForestSpec, Test, Tree, TreeNode};
use crate::flavor::plan::builder::Builder;
use crate::flavor::plan::steps::labels::{Above, ArgMax, Label, Labels};
use crate::flavor::plan::{Axes, Empty, Plan, Register};
use crate::flavor::refusal::{Refusal, refuse};

use super::columns::{Categories, Layout, Numbers};
use super::counters::Counters;
use super::model::{Model, Node, Place, Trees};
use super::output::{Exponential, Raised, ScaleBias};

/// The class of the Python library whose `predict` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapper {
    /// `CatBoostClassifier`: labels.
    Classifier,
    /// `CatBoostRegressor`: what the loss function predicts.
    Regressor,
    /// `CatBoost`, `CatBoostRanker`: raw sums.
    Plain,
}

/// Where each split of the file's list is: a column and a border.
struct Splits {
    questions: Vec<(usize, f32)>,
    columns: usize,
}

/// Makes a plan of a model.
///
/// # Errors
/// When parts do not fit, or an answer is asked for that is not computed here.
pub(super) fn plan(mut model: Model, wrapper: Wrapper) -> Result<Plan, Refusal> {
    if model.outputs == 0 || model.outputs > 1 << 16 {
        refuse!("the model has {} outputs", model.outputs);
    }
    if model.bias.len() != model.outputs {
        refuse!("{} biases for {} outputs", model.bias.len(), model.outputs);
    }
    let mut builder = Builder::default();
    let (features, splits) = features(&mut builder, &mut model)?;
    let outputs = model.outputs;
    let leaves = std::mem::take(&mut model.leaves);
    let sums = match std::mem::replace(&mut model.trees, Trees::Oblivious(Vec::new())) {
        Trees::Oblivious(trees) => {
            let forest = Oblivious::new(ObliviousSpec {
                features: splits.columns,
                questions: splits.questions,
                trees,
                outputs,
                leaves,
            })?;
            builder.push(forest, &[features])?
        }
        Trees::Free(trees) => {
            let trees = trees.into_iter().map(|tree| free_tree(tree, &splits.questions));
            let forest = Forest::<f32, f64>::new(ForestSpec {
                features: splits.columns,
                base: vec![0.0; outputs],
                trees: trees.collect::<Result<_, _>>()?,
                leaves,
                leaf_width: outputs,
                categories: CategoryRule::Xgboost,
            })?;
            builder.push(TreesStep(Arc::new(forest)), &[features])?
        }
    };
    let bias = std::mem::take(&mut model.bias);
    let sums = match model.scale == 1.0 && bias.iter().all(|&bias| bias == 0.0) {
        true => sums,
        false => builder.push(
            ScaleBias {
                scale: model.scale,
                bias,
            },
            &[sums],
        )?,
    };
    let (answer, axes) = answer(&mut builder, &model, wrapper, sums)?;
    builder.finish(answer, axes, Empty::Answered)
}

/// Pushes the steps that make the columns that splits look at.
fn features(builder: &mut Builder, model: &mut Model) -> Result<(Register, Splits), Refusal> {
    // What no split looks at need not be in a request; conditions of counters look, too.
    let mut places: Vec<Option<usize>> = Vec::new();
    let mut kept = Vec::new();
    for (index, feature) in model.floats.iter().enumerate() {
        let in_table = model
            .tables
            .iter()
            .any(|table| table.projection.floats.iter().any(|(float, _)| *float == index));
        let used = in_table || !feature.borders.is_empty();
        places.push(used.then_some(kept.len()));
        if used {
            kept.push((feature.place.clone(), feature.missing));
        }
    }
    let mut category_places: Vec<Option<usize>> = Vec::new();
    let mut categories = Vec::new();
    for (index, feature) in model.categories.iter().enumerate() {
        let in_table = model.tables.iter().any(|table| {
            let projection = &table.projection;
            projection.categories.contains(&index) || projection.one_hots.iter().any(|(one, _)| *one == index)
        });
        let used =
            feature.used && (in_table || model.one_hots.iter().any(|one_hot| one_hot.category == index));
        category_places.push(used.then_some(categories.len()));
        if used {
            categories.push(feature.place.clone());
        }
    }
    let place = |places: &[Option<usize>], index: usize| match places.get(index).copied().flatten() {
        Some(place) => Ok(place),
        None => refuse!("feature {index} is used and not described"),
    };
    for table in &mut model.tables {
        let projection = &mut table.projection;
        for (float, _) in &mut projection.floats {
            *float = place(&places, *float)?;
        }
        for category in &mut projection.categories {
            *category = place(&category_places, *category)?;
        }
        for (category, _) in &mut projection.one_hots {
            *category = place(&category_places, *category)?;
        }
    }
    let mut questions = Vec::new();
    for (index, feature) in model.floats.iter().enumerate() {
        for &border in &feature.borders {
            questions.push((place(&places, index)?, border));
        }
    }
    let mut one_hots = Vec::new();
    for one_hot in &model.one_hots {
        let category = place(&category_places, one_hot.category)?;
        for &value in &one_hot.values {
            questions.push((kept.len() + one_hots.len(), 0.5));
            one_hots.push((category, value));
        }
    }
    for (number, counter) in model.counters.iter().enumerate() {
        let column = kept.len() + one_hots.len() + number;
        questions.extend(counter.borders.iter().map(|&border| (column, border)));
    }
    let columns = kept.len() + one_hots.len() + model.counters.len();
    let mut positions: Vec<usize> = model
        .categories
        .iter()
        .map(|feature| feature.place.position)
        .collect();
    positions.sort_unstable();
    let mut known: Vec<Place> = kept.iter().map(|(place, _)| place.clone()).collect();
    known.extend(categories.iter().cloned());
    known.sort_unstable_by_key(|place| place.position);
    let layout = Arc::new(Layout {
        categories: positions,
    });
    let sizes = (kept.len(), categories.len());
    let numbers = Numbers {
        layout: Arc::clone(&layout),
        features: kept,
        known,
    };
    let mut register = builder.push(numbers, &[Register::INPUT])?;
    if !categories.is_empty() {
        let hashes = builder.push(
            Categories {
                layout,
                features: categories,
            },
            &[Register::INPUT],
        )?;
        let (tables, counters) = (
            std::mem::take(&mut model.tables),
            std::mem::take(&mut model.counters),
        );
        let counters = Counters::new(sizes, one_hots, tables, counters)?;
        register = builder.push(counters, &[register, hashes])?;
    } else if columns != sizes.0 {
        refuse!("the model counts categories that it does not have");
    }
    Ok((register, Splits { questions, columns }))
}

/// A value above the border goes right; a missing one is above none.
fn free_tree(nodes: Vec<Node>, questions: &[(usize, f32)]) -> Result<Tree<f32>, Refusal> {
    let node = |node| match node {
        Node::Leaf(first) => Ok(TreeNode::Leaf(first)),
        Node::Split { split, no, yes } => match questions.get(split) {
            Some(&(feature, border)) => Ok(TreeNode::Split {
                feature,
                test: Test::AtMost(border),
                missing_left: true,
                left: no,
                right: yes,
            }),
            None => refuse!("split {split} of {}", questions.len()),
        },
    };
    Ok(Tree {
        nodes: nodes.into_iter().map(node).collect::<Result<_, _>>()?,
        group: 0,
    })
}

fn answer(
    builder: &mut Builder,
    model: &Model,
    wrapper: Wrapper,
    sums: Register,
) -> Result<(Register, Axes), Refusal> {
    let params = &model.about.params;
    let axes = if model.outputs == 1 {
        Axes::Vector
    } else {
        Axes::Matrix
    };
    let loss = params
        .pointer("/flat_params/loss_function")
        .or_else(|| params.pointer("/loss_function/type"))
        .and_then(Json::as_str)
        .unwrap_or("");
    match wrapper {
        Wrapper::Plain => Ok((sums, axes)),
        Wrapper::Regressor if loss.starts_with("Poisson") || loss.starts_with("Tweedie") => {
            Ok((builder.push(Exponential::new(Raised::All), &[sums])?, axes))
        }
        Wrapper::Regressor if loss == "RMSEWithUncertainty" => {
            Ok((builder.push(Exponential::new(Raised::Variance), &[sums])?, axes))
        }
        Wrapper::Regressor => Ok((sums, axes)),
        Wrapper::Classifier => {
            let above = Above {
                bound: bound(model.about.threshold.as_deref())?,
                inclusive: false,
            };
            // Of several labels at once, each is there or not.
            if loss.starts_with("MultiLogloss") || loss.starts_with("MultiCrossEntropy") {
                return Ok((builder.push(above, &[sums])?, axes));
            }
            let labels = labels(&model.about.classes)?;
            if labels.len() != model.outputs.max(2) {
                refuse!(
                    "the model has {} classes for {} outputs",
                    labels.len(),
                    model.outputs
                );
            }
            let classes = match model.outputs {
                1 => builder.push(above, &[sums])?,
                _ => builder.push(ArgMax, &[sums])?,
            };
            Ok((builder.push(Label(labels), &[classes])?, axes))
        }
    }
}

/// The sum from which on the second class is chosen: the logit of the probability that the file gives, or zero.
fn bound(threshold: Option<&str>) -> Result<f64, Refusal> {
    let Some(text) = threshold else {
        return Ok(0.0);
    };
    match text.trim_matches('"').parse::<f64>() {
        Ok(probability) if probability > 0.0 && probability < 1.0 => Ok(-(1.0 / probability - 1.0).ln()),
        _ => refuse!("`{text}` is no probability to tell the classes apart"),
    }
}

/// The labels of the classes, of the type that they had in training.
fn labels(classes: &Json) -> Result<Labels, Refusal> {
    let list = |key: &str| {
        classes
            .get(key)
            .and_then(Json::as_array)
            .filter(|list| !list.is_empty())
    };
    // Without names, classes are the numbers that stood for them.
    let Some(names) = list("class_names").or_else(|| list("class_to_label")) else {
        refuse!("the model does not say what its classes are called; save it with a newer CatBoost");
    };
    fn all<'j, T>(names: &'j [Json], pick: impl Fn(&'j Json) -> Option<T>) -> Option<Vec<T>> {
        names.iter().map(pick).collect()
    }
    let whole = |name: &Json| {
        name.as_i64().or_else(|| {
            name.as_f64()
                .filter(|float| float.fract() == 0.0 && float.abs() < 9e15)
                .map(|float| float as i64)
        })
    };
    let labels = match classes.get("class_label_type").and_then(Json::as_str) {
        Some("Integer") => all(names, whole).map(Labels::Int),
        Some("Float") => all(names, Json::as_f64).map(Labels::Float),
        Some("Boolean") => all(names, Json::as_bool).map(Labels::Bool),
        Some("String") => {
            all(names, Json::as_str).map(|names| Labels::Text(names.into_iter().map(Into::into).collect()))
        }
        _ => refuse!("the labels of the classes have no known type"),
    };
    match labels {
        Some(labels) => Ok(labels),
        None => refuse!("the labels of the classes are not of their type"),
    }
}
