//! `Pipeline` and `FeatureUnion`: one estimator after the other, and side by side.

use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::plan::steps::join::Join;
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::{Ask, Context, lower as lower_estimator, no_method};
use super::rows;
use super::scale::scale_all;

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["Pipeline", "FeatureUnion"];

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    match object.class() {
        Some("FeatureUnion") => union(ask, object, context, x),
        _ => pipeline(ask, object, context, x),
    }
}

/// The `(name, estimator)` pairs of an attribute.
fn named<'a>(object: View<'a>, name: &str) -> Result<Vec<(&'a str, View<'a>)>, Refusal> {
    let members = object.attribute(name)?.members().unwrap_or_default();
    let pair = |member: &View<'a>| match member.members()?.as_slice() {
        [name, estimator] => Some((name.text()?, *estimator)),
        _ => None,
    };
    match members.iter().map(pair).collect::<Option<Vec<_>>>() {
        Some(pairs) if !pairs.is_empty() => Ok(pairs),
        _ => refuse!("`{name}` is no list of named estimators"),
    }
}

/// Whether a step does nothing.
pub(super) fn passes(estimator: View<'_>) -> bool {
    estimator.is_none() || estimator.text() == Some("passthrough")
}

fn pipeline(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    mut x: Register,
) -> Result<Register, Refusal> {
    let steps = named(object, "steps")?;
    for (index, (name, estimator)) in steps.iter().enumerate() {
        let asked = if index + 1 == steps.len() {
            ask
        } else {
            Ask::Transform
        };
        if passes(*estimator) {
            if asked != Ask::Transform {
                return no_method(ask, object);
            }
            continue;
        }
        x = lower_estimator(asked, *estimator, context, x)
            .map_err(|refusal| refusal.within(format!("step `{name}`")))?;
    }
    Ok(x)
}

fn union(ask: Ask, object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    if ask != Ask::Transform {
        return no_method(ask, object);
    }
    let weights = object
        .get("transformer_weights")
        .filter(|weights| !weights.is_none());
    let mut parts = Vec::new();
    let mut sparse = false;
    for (name, estimator) in named(object, "transformer_list")? {
        if estimator.text() == Some("drop") {
            continue;
        }
        let part = if passes(estimator) {
            Ok(x)
        } else {
            lower_estimator(Ask::Transform, estimator, context, x)
        };
        let part = part.and_then(|part| rows::plain(context, part));
        let part = part.map_err(|refusal| refusal.within(format!("`{name}`")))?;
        sparse |= context.is_sparse(part);
        parts.push(weighted(
            context,
            part,
            weights.and_then(|weights| weights.entry(name)),
        )?);
    }
    if parts.is_empty() {
        refuse!("every transformer is dropped");
    }
    let joined = match *parts {
        [only] => only,
        _ => context.plan.push(Join, &parts)?,
    };
    if sparse {
        context.mark_sparse(joined);
    }
    Ok(joined)
}

/// A part times its weight in `transformer_weights`, if it has one.
pub(super) fn weighted(
    context: &mut Context<'_>,
    part: Register,
    weight: Option<View<'_>>,
) -> Result<Register, Refusal> {
    let Some(weight) = weight.filter(|weight| !weight.is_none()) else {
        return Ok(part);
    };
    let Some(weight) = weight.number() else {
        refuse!("a weight is no number");
    };
    scale_all(context, part, weight)
}
