//! LightGBM's estimators in pickles and skops files, alone or as a step of a scikit-learn pipeline.

use serde_json::Value as Json;

use crate::flavor::estimator::{self, Method};
use crate::flavor::formats::object::{Object, View};
use crate::flavor::plan::builder::Builder;
use crate::flavor::plan::steps::labels::{ArgMax, Label};
use crate::flavor::plan::steps::link::Link;
use crate::flavor::plan::{Axes, Register};
use crate::flavor::refusal::{Refusal, refuse};

use super::lower::{self, Options};

/// Pushes the steps of an `LGBM…` estimator over `input`, which is the request or a matrix of numbers; gives the answer
/// and its axes. `coded` is whether values of pandas categories are looked up.
///
/// # Errors
/// When it is none, not fitted, or needs what is not covered.
pub fn lower_estimator(
    estimator: View<'_>,
    method: Method,
    coded: bool,
    builder: &mut Builder,
    input: Register,
) -> Result<(Register, Axes), Refusal> {
    lower(estimator, method, coded, builder, input).map_err(|refusal| refusal.within(estimator.kind()))
}

fn lower(
    estimator: View<'_>,
    method: Method,
    coded: bool,
    builder: &mut Builder,
    input: Register,
) -> Result<(Register, Axes), Refusal> {
    let classifier = match estimator.class() {
        Some("LGBMClassifier") => true,
        Some("LGBMRegressor" | "LGBMRanker") => false,
        _ => refuse!("it is none of LGBMClassifier, LGBMRegressor and LGBMRanker"),
    };
    if method != Method::Predict && !classifier {
        refuse!("a regressor or ranker has no `predict_proba`");
    }
    check_parameters(estimator)?;
    let booster = estimator.attribute("_Booster")?;
    let Some(text) = booster
        .get("_handle")
        .or_else(|| booster.get("handle"))
        .and_then(View::text)
    else {
        refuse!("its Booster holds no text of a model");
    };
    let categories = match booster.get("pandas_categorical") {
        Some(lists) => json(lists, 0)?.to_string(),
        None => "null".to_owned(),
    };
    let best = booster.get("best_iteration").and_then(View::whole);
    let options = Options {
        iterations: best
            .filter(|&best| best > 0)
            .and_then(|best| usize::try_from(best).ok()),
        pandas_categorical: Some(&categories),
        coded,
    };
    let scores = lower::booster(text, options, builder, input)?;
    let width = builder.form(scores).width;
    let axes = if width == 1 { Axes::Vector } else { Axes::Matrix };
    // With an objective that is a function the scores are the answer, whatever is asked for.
    let named = estimator.attribute("_objective")?.text().is_some();
    if !classifier || !named {
        return Ok((scores, axes));
    }
    let shares = if width == 1 {
        builder.push(Link::Complement, &[scores])?
    } else {
        scores
    };
    if method == Method::PredictProba {
        return Ok((shares, Axes::Matrix));
    }
    let labels = estimator::labels(estimator.attribute("_le")?.attribute("classes_")?)?;
    let class = builder.push(ArgMax, &[shares])?;
    Ok((builder.push(Label(labels), &[class])?, Axes::Vector))
}

/// Refuses parameters of the estimator that change what `predict` computes.
fn check_parameters(estimator: View<'_>) -> Result<(), Refusal> {
    let others = estimator.get("_other_params");
    for name in ["pred_early_stop", "predict_disable_shape_check"] {
        let set = [estimator.get(name), others.and_then(|others| others.entry(name))];
        for value in set.into_iter().flatten() {
            if value.truth() != Some(false) && !value.is_none() {
                refuse!("parameter `{name}` is not served");
            }
        }
    }
    Ok(())
}

/// Lists of plain values as JSON, as the text of a model has them.
fn json(value: View<'_>, depth: usize) -> Result<Json, Refusal> {
    if let Some(members) = value.members()
        && depth < 2
    {
        let members: Result<Vec<Json>, Refusal> = members
            .into_iter()
            .map(|member| json(member, depth + 1))
            .collect();
        return members.map(Json::Array);
    }
    Ok(match value.object() {
        Object::None => Json::Null,
        Object::Bool(truth) => Json::Bool(*truth),
        Object::Int(whole) => Json::from(*whole),
        Object::Float(float) => Json::from(*float),
        Object::Text(text) => Json::from(&**text),
        _ => refuse!("`pandas_categorical` holds {}", value.kind()),
    })
}
