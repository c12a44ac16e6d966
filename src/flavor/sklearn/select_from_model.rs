//! `SelectFromModel`: the columns that matter to a fitted estimator, by its coefficients or the splits of its trees.

use crate::flavor::formats::object::{ArrayElements, Records, View};
use crate::flavor::plan::Register;
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::{Ask, Context, no_method};
use super::numbers::{count, number, numbers, table, word};
use super::rows::floats;
use super::select::{as_estimator, keep};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["SelectFromModel"];

/// A field of records as doubles.
fn field(records: &Records, name: &str) -> Result<Vec<f64>, Refusal> {
    let found = records.fields.iter().find(|(field, _)| &**field == name);
    match found.map(|(_, elements)| elements) {
        Some(ArrayElements::Float(floats)) => Ok(floats.clone()),
        Some(ArrayElements::Int(whole)) => Ok(whole.iter().map(|&x| x as f64).collect()),
        _ => refuse!("the nodes of a tree have no `{name}`"),
    }
}

/// How much the splits of a tree on each column lower its impurity; `None` for a tree of one node.
///
/// `Tree.compute_feature_importances`, before it divides by the sum.
fn of_tree(tree: View<'_>, width: usize) -> Result<Option<Vec<f64>>, Refusal> {
    let nodes = tree.attribute("tree_")?.attribute("nodes")?;
    let Some(ArrayElements::Records(records)) = nodes.array().map(|array| &array.elements) else {
        refuse!("`nodes` is a `{}`", nodes.kind());
    };
    let (left, right) = (field(records, "left_child")?, field(records, "right_child")?);
    let (features, impurity) = (field(records, "feature")?, field(records, "impurity")?);
    let weight = field(records, "weighted_n_node_samples")?;
    if left.len() <= 1 {
        return Ok(None);
    }
    let of = |values: &[f64], index: f64| match index >= 0.0 {
        true => values.get(index as usize).copied(),
        false => None,
    };
    let mut importances = vec![0.0; width];
    for (index, (&left, &right)) in left.iter().zip(&right).enumerate() {
        if left == -1.0 {
            continue;
        }
        let mass = |index: f64| Some(of(&weight, index)? * of(&impurity, index)?);
        let lowered = (|| Some(mass(index as f64)? - mass(left)? - mass(right)?))();
        let place = features
            .get(index)
            .filter(|feature| **feature >= 0.0)
            .and_then(|feature| importances.get_mut(*feature as usize));
        match (lowered, place) {
            (Some(lowered), Some(place)) => *place += lowered,
            _ => refuse!("a node refers to what is not there"),
        }
    }
    let root = weight.first().copied().unwrap_or(1.0);
    if root > 0.0 {
        importances.iter_mut().for_each(|importance| *importance /= root);
    }
    Ok(Some(importances))
}

/// Shares of their sum, if it is positive.
fn shares(mut importances: Vec<f64>) -> Vec<f64> {
    let sum: f64 = importances.iter().sum();
    if sum > 0.0 {
        importances.iter_mut().for_each(|importance| *importance /= sum);
    }
    importances
}

/// `feature_importances_` of a tree or of an ensemble of trees.
fn of_trees(estimator: View<'_>, width: usize) -> Result<Vec<f64>, Refusal> {
    let class = estimator.class().unwrap_or_default();
    let boosted = class.starts_with("GradientBoosting");
    if class.starts_with("DecisionTree") || class == "ExtraTreeClassifier" || class == "ExtraTreeRegressor" {
        return Ok(of_tree(estimator, width)?.map_or_else(|| vec![0.0; width], shares));
    }
    if !boosted && !class.starts_with("RandomForest") && !class.starts_with("ExtraTrees") {
        refuse!("what matters to `{class}` is not covered; export the model to ONNX");
    }
    let mut sums = vec![0.0; width];
    for tree in estimator.attribute("estimators_")?.members().unwrap_or_default() {
        if let Some(importances) = of_tree(tree, width)? {
            // Forests compare trees by shares, boosting by the impurity itself.
            let importances = if boosted { importances } else { shares(importances) };
            for (sum, importance) in sums.iter_mut().zip(importances) {
                *sum += importance;
            }
        }
    }
    Ok(shares(sums))
}

/// How much each column matters.
fn importances(object: View<'_>, estimator: View<'_>, width: usize) -> Result<Vec<f64>, Refusal> {
    if word(object, "importance_getter", "auto")? != "auto" {
        refuse!("`importance_getter` is not covered");
    }
    if estimator.get("coef_").is_none() {
        return of_trees(estimator, width);
    }
    let (shape, _) = numbers(estimator, "coef_")?;
    let coef = table(estimator, "coef_")?;
    if coef.width != width {
        refuse!("coefficients of {} columns for {width}", coef.width);
    }
    let order = number(object, "norm_order")?;
    let columns = coef.transposed();
    let norm = |column: &[f64]| match (shape.len(), order) {
        (1, _) | (_, 1.0) => Some(column.iter().map(|x| x.abs()).sum()),
        (_, 2.0) => Some(column.iter().map(|x| x * x).sum::<f64>().sqrt()),
        (_, f64::INFINITY) => Some(column.iter().fold(0.0, |most: f64, x| most.max(x.abs()))),
        _ => None,
    };
    match columns.each_row().map(norm).collect() {
        Some(norms) => Ok(norms),
        None => refuse!("`norm_order={order}` is not covered"),
    }
}

/// NumPy's `isclose` to 1, of an attribute that may be there.
fn is_one(estimator: View<'_>, name: &str) -> bool {
    let numbers = estimator.get(name).and_then(View::numbers);
    numbers.is_some_and(|(_, numbers)| {
        !numbers.is_empty() && numbers.iter().all(|number| (number - 1.0).abs() <= 1e-8 + 1e-5)
    })
}

/// The bound that `threshold` stands for.
fn threshold(object: View<'_>, estimator: View<'_>, importances: &[f64]) -> Result<f64, Refusal> {
    let class = estimator.class().unwrap_or_default();
    let sparse = estimator.get("penalty").and_then(View::text) == Some("l1")
        || class.contains("Lasso")
        || (matches!(class, "ElasticNet" | "LogisticRegression") && is_one(estimator, "l1_ratio"))
        || (matches!(class, "ElasticNetCV" | "LogisticRegressionCV") && is_one(estimator, "l1_ratio_"));
    let given = object.attribute("threshold")?;
    if let Some(bound) = given.number() {
        return Ok(bound);
    }
    let text = match given.text() {
        Some(text) => text,
        None if given.is_none() && sparse => return Ok(1e-5),
        None if given.is_none() => "mean",
        None => refuse!("`threshold` is a `{}`", given.kind()),
    };
    let (scale, reference) = match text.split_once('*') {
        Some((scale, reference)) => (scale.trim().parse::<f64>().ok(), reference.trim()),
        None => (Some(1.0), text),
    };
    let count = importances.len().max(1);
    let reference = match reference {
        "mean" => importances.iter().sum::<f64>() / count as f64,
        "median" => {
            let mut sorted = importances.to_vec();
            sorted.sort_by(f64::total_cmp);
            let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
            match count % 2 {
                1 => at(count / 2),
                _ => (at(count / 2 - 1) + at(count / 2)) / 2.0,
            }
        }
        other => refuse!("`threshold={other}` is not covered"),
    };
    match scale {
        Some(scale) => Ok(scale * reference),
        None => refuse!("`threshold={text}` is not covered"),
    }
}

/// Lowers it.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    if ask != Ask::Transform {
        return no_method(ask, object);
    }
    let estimator = match object.get("estimator_") {
        Some(estimator) => estimator,
        None => object.attribute("estimator")?,
    };
    let x = floats(context, object, x, as_estimator(object))?;
    let width = context.plan.form(x).width;
    let importances = importances(object, estimator, width)?;
    let bound = threshold(object, estimator, &importances)?;
    let most = match object.attribute("max_features")? {
        none if none.is_none() => width,
        _ => count(object, "max_features_").or_else(|_| count(object, "max_features"))?,
    };
    let mut order: Vec<usize> = (0..width).collect();
    let importance = |index: usize| importances.get(index).copied().unwrap_or(0.0);
    // Stable: of equal ones the first.
    order.sort_by(|&x, &y| importance(y).total_cmp(&importance(x)));
    order.truncate(most);
    let mask: Vec<bool> = (0..width)
        .map(|index| importance(index) >= bound && (most >= width || order.contains(&index)))
        .collect();
    keep(context, &mask, x)
}
