//! `TransformedTargetRegressor`: a regressor whose answers are transformed back.

use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::refusal::Refusal;

use super::elementwise::together;
use super::estimator::{self, Ask, Context, no_method};
use super::function;
use super::numbers;
use super::rows::{self, Finite};
use super::scale::{ByColumn, inverse};

pub(super) const CLASSES: &[&str] = &["TransformedTargetRegressor"];

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    if ask != Ask::Predict {
        return no_method(ask, object);
    }
    let predicted = estimator::lower(Ask::Predict, object.attribute("regressor_")?, context, x)?;
    let predicted = *together(context, &[predicted])?.first().unwrap_or(&predicted);
    let width = context.plan.form(predicted).width;
    let transformer = object.attribute("transformer_")?;
    let answer = back(transformer, context, predicted, width)
        .map_err(|refusal| refusal.within(format!("`{}`", transformer.kind())))?;
    if width == 1 && numbers::count(object, "_training_dim")? != 1 {
        context.mark_matrix(answer);
    }
    Ok(answer)
}

/// `inverse_transform` of a transformer.
fn back(
    transformer: View<'_>,
    context: &mut Context<'_>,
    x: Register,
    width: usize,
) -> Result<Register, Refusal> {
    if transformer.class() == Some("FunctionTransformer") {
        let x = match numbers::switch(transformer, "validate", false)? {
            true => rows::doubles(context, transformer, x, Finite::All)?,
            false => x,
        };
        function::no_arguments(transformer, "inv_kw_args")?;
        return match function::function(transformer, "inverse_func")? {
            Some(function) => context.plan.push(function, &[x]),
            None => Ok(x),
        };
    }
    let operations = inverse(transformer, width)?;
    let x = rows::doubles(context, transformer, x, Finite::NanAllowed)?;
    context.plan.push(ByColumn(operations), &[x])
}
