//! The labels of classifiers.

use std::sync::Arc;

use crate::flavor::formats::object::{Array, ArrayElements, Object, View};
use crate::flavor::plan::Register;
use crate::flavor::plan::steps::labels::{Label, Labels};
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::Context;

/// The labels in an attribute such as `classes_`.
pub(super) fn classes(object: View<'_>, name: &str) -> Result<Labels, Refusal> {
    let value = object.attribute(name)?;
    labels(value).map_err(|refusal| refusal.within(format!("`{name}`")))
}

/// The labels in an array or a list.
pub(super) fn labels(value: View<'_>) -> Result<Labels, Refusal> {
    let labels = match value.object() {
        Object::Array(Array { shape, elements }) if shape.len() <= 1 => match elements {
            ArrayElements::Int(labels) => Labels::Int(labels.clone()),
            ArrayElements::Float(labels) => Labels::Float(labels.clone()),
            ArrayElements::Bool(labels) => Labels::Bool(labels.clone()),
            ArrayElements::Text(labels) => Labels::Text(labels.clone()),
            ArrayElements::Object(_) => of_objects(value)?,
            ArrayElements::Records(_) => refuse!("records are no labels"),
        },
        Object::List(_) => of_objects(value)?,
        _ => refuse!("labels expected, got a `{}`", value.kind()),
    };
    if labels.is_empty() {
        refuse!("there are no labels");
    }
    Ok(labels)
}

/// Objects of one type as labels.
fn of_objects(value: View<'_>) -> Result<Labels, Refusal> {
    let members = value.members().unwrap_or_default();
    let objects = || members.iter().map(|member| member.object());
    let texts: Option<Vec<Arc<str>>> = objects()
        .map(|object| match object {
            Object::Text(text) => Some(Arc::clone(text)),
            _ => None,
        })
        .collect();
    let whole: Option<Vec<i64>> = objects()
        .map(|object| match object {
            Object::Int(whole) => Some(*whole),
            _ => None,
        })
        .collect();
    let truths: Option<Vec<bool>> = objects()
        .map(|object| match object {
            Object::Bool(truth) => Some(*truth),
            _ => None,
        })
        .collect();
    match (texts, whole, truths) {
        (Some(texts), _, _) => Ok(Labels::Text(texts)),
        (_, Some(whole), _) => Ok(Labels::Int(whole)),
        (_, _, Some(truths)) => Ok(Labels::Bool(truths)),
        _ => refuse!("labels of several types, or none"),
    }
}

/// Pushes the labels of the class indices in `indices`.
pub(super) fn label(
    context: &mut Context<'_>,
    labels: Labels,
    indices: Register,
) -> Result<Register, Refusal> {
    context.plan.push(Label(labels), &[indices])
}
