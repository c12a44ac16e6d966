//! Feature selectors: some of the columns.

use crate::flavor::formats::object::{ArrayElements, View};
use crate::flavor::plan::Register;
use crate::flavor::plan::steps::join::Select;
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::{Ask, Context, lower as lower_estimator, no_method, version};
use super::numbers::{number, numbers, vector};
use super::rows::{Finite, floats};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &[
    "RFE",
    "RFECV",
    "SelectFpr",
    "SelectFwe",
    "SelectKBest",
    "SelectPercentile",
    "SequentialFeatureSelector",
    "VarianceThreshold",
];

/// The scores of a selector, NaN as the lowest of all.
fn scores(object: View<'_>, width: usize) -> Result<Vec<f64>, Refusal> {
    let mut scores = vector(object, "scores_", width)?;
    for score in scores.iter_mut().filter(|score| score.is_nan()) {
        *score = f64::MIN;
    }
    Ok(scores)
}

/// The `k` columns with the highest scores; of equal ones the later.
fn best(scores: &[f64], k: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&x, &y| {
        let (x, y) = (scores.get(x), scores.get(y));
        x.partial_cmp(&y).unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut mask = vec![false; scores.len()];
    for &index in order.iter().rev().take(k) {
        if let Some(kept) = mask.get_mut(index) {
            *kept = true;
        }
    }
    mask
}

/// The columns above the percentile, and the first of those that are on it.
fn above_percentile(scores: &[f64], percentile: f64) -> Vec<bool> {
    if percentile >= 100.0 {
        return vec![true; scores.len()];
    }
    if percentile <= 0.0 || scores.is_empty() {
        return vec![false; scores.len()];
    }
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    // NumPy's linear interpolation, from the nearer end.
    let place = (100.0 - percentile) / 100.0 * (sorted.len() - 1) as f64;
    let share = place.fract();
    let at = |index: usize| {
        sorted
            .get(index.min(sorted.len() - 1))
            .copied()
            .unwrap_or(f64::MIN)
    };
    let (low, high) = (at(place as usize), at(place as usize + 1));
    let bound = match share >= 0.5 {
        true => high - (high - low) * (1.0 - share),
        false => low + (high - low) * share,
    };
    let mut mask: Vec<bool> = scores.iter().map(|&score| score > bound).collect();
    let most = (scores.len() as f64 * percentile / 100.0) as usize;
    let mut left = most.saturating_sub(mask.iter().filter(|kept| **kept).count());
    for (kept, &score) in mask.iter_mut().zip(scores) {
        if score == bound && left > 0 {
            *kept = true;
            left -= 1;
        }
    }
    mask
}

/// Which columns are kept.
fn mask(object: View<'_>, width: usize) -> Result<Vec<bool>, Refusal> {
    let below = |bound: f64| -> Result<Vec<bool>, Refusal> {
        let values = vector(object, "pvalues_", width)?;
        Ok(values.iter().map(|&value| value < bound).collect())
    };
    Ok(match object.class().unwrap_or_default() {
        "SelectKBest" => {
            let k = object.attribute("k")?;
            match (k.text(), k.whole().and_then(|k| usize::try_from(k).ok())) {
                (Some("all"), _) => vec![true; width],
                (None, Some(k)) => best(&scores(object, width)?, k),
                _ => refuse!("`k` is a `{}`", k.kind()),
            }
        }
        "SelectPercentile" => above_percentile(&scores(object, width)?, number(object, "percentile")?),
        "SelectFpr" => below(number(object, "alpha")?)?,
        "SelectFwe" => below(number(object, "alpha")? / width as f64)?,
        "VarianceThreshold" => {
            let bound = number(object, "threshold")?;
            let variances = vector(object, "variances_", width)?;
            variances.iter().map(|&variance| variance > bound).collect()
        }
        "RFE" | "RFECV" | "SequentialFeatureSelector" => {
            let support = object.attribute("support_")?;
            match support.array().map(|array| &array.elements) {
                Some(ArrayElements::Bool(mask)) => mask.clone(),
                _ => numbers(object, "support_")?
                    .1
                    .iter()
                    .map(|&kept| kept != 0.0)
                    .collect(),
            }
        }
        other => refuse!("`{other}` is not covered; export the model to ONNX"),
    })
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let class = object.class().unwrap_or_default();
    let eliminates = matches!(class, "RFE" | "RFECV");
    if ask != Ask::Transform && !eliminates {
        return no_method(ask, object);
    }
    let finite = match class {
        "VarianceThreshold" => Finite::Any,
        "RFE" | "RFECV" | "SequentialFeatureSelector" => as_estimator(object),
        _ => Finite::All,
    };
    let x = floats(context, object, x, finite)?;
    let mask = mask(object, context.plan.form(x).width)?;
    let selected = keep(context, &mask, x)?;
    match ask {
        Ask::Transform => Ok(selected),
        _ => lower_estimator(ask, object.attribute("estimator_")?, context, selected),
    }
}

/// The columns of `x` that a mask keeps.
pub(super) fn keep(context: &mut Context<'_>, mask: &[bool], x: Register) -> Result<Register, Refusal> {
    let width = context.plan.form(x).width;
    if mask.len() != width {
        refuse!("{} choices for {width} columns", mask.len());
    }
    let kept = |(index, kept): (usize, &bool)| kept.then_some(index);
    let columns = mask.iter().enumerate().filter_map(kept).collect();
    context.plan.push(Select(columns), &[x])
}

/// What the estimator lets through by which features were selected.
pub(super) fn as_estimator(object: View<'_>) -> Finite {
    let class = object.get("estimator").and_then(View::class).unwrap_or_default();
    let takes_nan = class.starts_with("HistGradientBoosting")
        || class.starts_with("XGB")
        || class.starts_with("LGBM")
        || (version(object) >= (1, 3) && class.starts_with("DecisionTree"))
        || (version(object) >= (1, 4) && class.starts_with("RandomForest"))
        || (version(object) >= (1, 6) && class.starts_with("Extra"));
    if takes_nan { Finite::Any } else { Finite::All }
}
