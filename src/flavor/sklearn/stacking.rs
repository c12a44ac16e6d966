//! `Stacking*`: an estimator on what other estimators say.

use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::plan::steps::join::{Join, Select};
use crate::flavor::plan::value::Kind;
use crate::flavor::refusal::{Refusal, refuse};

use super::elementwise::together;
use super::estimator::{self, Ask, Context};
use super::labels;
use super::numbers;
use super::rows::{self, Finite};

pub(super) const CLASSES: &[&str] = &["StackingClassifier", "StackingRegressor"];

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let classifier = object.class() == Some("StackingClassifier");
    let labels = if classifier {
        // `_le` before 1.2.
        let encoder = match object.get("_label_encoder") {
            Some(encoder) => encoder,
            None => object.attribute("_le")?,
        };
        Some(labels::classes(encoder, "classes_")?)
    } else {
        None
    };
    let two = labels.as_ref().is_some_and(|labels| labels.len() == 2);
    let said = said(object, context, x, two)?;
    if ask == Ask::Transform {
        return Ok(said);
    }
    let answer = estimator::lower(ask, object.attribute("final_estimator_")?, context, said)?;
    match (ask, labels) {
        // The last estimator was fitted on indices of classes.
        (Ask::Predict, Some(labels)) => labels::label(context, labels, answer),
        _ => Ok(answer),
    }
}

/// What the members say of each row, side by side.
fn said(object: View<'_>, context: &mut Context<'_>, x: Register, two: bool) -> Result<Register, Refusal> {
    let members = object.attribute("estimators_")?.members().unwrap_or_default();
    let methods = object.attribute("stack_method_")?.members().unwrap_or_default();
    if members.len() != methods.len() {
        refuse!("{} estimators with {} methods", members.len(), methods.len());
    }
    let Some(&first) = members.first() else {
        refuse!("there are no estimators");
    };
    let mut parts = Vec::with_capacity(members.len() + 1);
    for (member, method) in members.into_iter().zip(methods) {
        let ask = match method.text() {
            Some("predict") => Ask::Predict,
            Some("predict_proba") => Ask::Proba,
            Some("decision_function") => Ask::Decision,
            _ => refuse!("a `stack_method_` that is none"),
        };
        let part = estimator::lower(ask, member, context, x)?;
        parts.push(if ask == Ask::Proba && two {
            // The shares of two classes say the same thing twice.
            if context.plan.form(part).width < 2 {
                refuse!("probabilities of two classes expected");
            }
            let others = (1..context.plan.form(part).width).collect();
            context.plan.push(Select(others), &[part])?
        } else {
            part
        });
    }
    if numbers::switch(object, "passthrough", false)? {
        // It has the features of its first member, and keeps none of its own.
        let holder = if object.get("n_features_in_").is_some() {
            object
        } else {
            first
        };
        let rows = rows::doubles(context, holder, x, Finite::Any)?;
        parts.push(rows);
    }
    let parts = together(context, &parts)?;
    match *parts {
        [only] if context.plan.form(only).kind == Kind::F64 => Ok(only),
        _ => context.plan.push(Join, &parts),
    }
}
