//! From the request to the matrix an estimator computes on, after scikit-learn's own checks.
//!
//! Every estimator validates what it is given: names and number of its features, that they are numbers, that they are
//! finite. Here that becomes one step that reads the request, or a check of what another step has computed.

use std::marker::PhantomData;

use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::plan::value::Kind;
use crate::flavor::refusal::{Refusal, refuse};
use crate::model::tensor::DType;

use super::estimator::Context;
use super::reading::{Cast, Cells, Checked, Counted, Read};
use super::request::Reader;

/// Which values are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finite {
    /// Finite ones.
    All,
    /// Finite ones and NaN.
    NanAllowed,
    /// Every one.
    Any,
}

/// The rows in `x` as `float64`, after the estimator's own checks.
///
/// # Errors
/// When `x` cannot be what the estimator was fitted on.
pub(super) fn doubles(
    context: &mut Context<'_>,
    object: View<'_>,
    x: Register,
    finite: Finite,
) -> Result<Register, Refusal> {
    matrix(context, object, x, finite, Kind::F64)
}

/// The rows in `x` as `float32`, after the estimator's own checks, made after the cast.
///
/// # Errors
/// When `x` cannot be what the estimator was fitted on.
pub(super) fn singles(
    context: &mut Context<'_>,
    object: View<'_>,
    x: Register,
    finite: Finite,
) -> Result<Register, Refusal> {
    matrix(context, object, x, finite, Kind::F32)
}

/// The rows in `x` as floats of their own width: `float32` if all of them are, else `float64`.
///
/// # Errors
/// When `x` cannot be what the estimator was fitted on.
pub(super) fn floats(
    context: &mut Context<'_>,
    object: View<'_>,
    x: Register,
    finite: Finite,
) -> Result<Register, Refusal> {
    let kind = if is_single(context, x) {
        Kind::F32
    } else {
        Kind::F64
    };
    matrix(context, object, x, finite, kind)
}

/// Whether everything in `x` is `float32`.
pub(super) fn is_single(context: &Context<'_>, x: Register) -> bool {
    let types = &context.declared.types;
    let single = |index: usize| types.get(index).copied().flatten() == Some(DType::F32);
    match context.plan.form(x).kind {
        Kind::F32 => true,
        Kind::Input => match context.picked.get(&x) {
            None => !types.is_empty() && (0..types.len()).all(single),
            Some(picked) => {
                !picked.0.is_empty() && picked.0.iter().all(|place| place.position().is_some_and(single))
            }
        },
        _ => false,
    }
}

/// A matrix of numbers as `float64`.
///
/// # Errors
/// For the request itself.
pub(super) fn widened(context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    match context.plan.form(x).kind {
        Kind::F64 => Ok(x),
        _ => context.plan.push(Cast(Kind::F64), &[x]),
    }
}

fn matrix(
    context: &mut Context<'_>,
    object: View<'_>,
    x: Register,
    finite: Finite,
    kind: Kind,
) -> Result<Register, Refusal> {
    let form = context.plan.form(x);
    if form.kind == Kind::Input {
        let reader = Reader::new(context, object, x)?;
        let element = PhantomData;
        return match kind {
            Kind::F32 => {
                let element = PhantomData::<f32>;
                context.plan.push(
                    Read {
                        reader,
                        finite,
                        element,
                    },
                    &[x],
                )
            }
            _ => context.plan.push(
                Read::<f64> {
                    reader,
                    finite,
                    element,
                },
                &[x],
            ),
        };
    }
    check_width(object, form.width)?;
    let cast = if form.kind == kind {
        x
    } else {
        context.plan.push(Cast(kind), &[x])?
    };
    if finite == Finite::Any {
        return Ok(cast);
    }
    let class = object.kind().into();
    context.plan.push(Checked { class, finite }, &[cast])
}

/// Checks that an estimator was fitted on `width` columns.
pub(super) fn check_width(object: View<'_>, width: usize) -> Result<(), Refusal> {
    match object.get("n_features_in_").and_then(View::whole) {
        Some(fitted) if usize::try_from(fitted).ok() != Some(width) => {
            refuse!(
                "`{}` was fitted on {fitted} columns and is given {width}",
                object.kind()
            )
        }
        _ => Ok(()),
    }
}

/// The rows in `x` without any check: itself, or the request as `float64` where every column is declared to be a
/// number, else as cells.
///
/// # Errors
/// When nothing says how many columns there are.
pub(super) fn plain(context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    if context.plan.form(x).kind != Kind::Input {
        return Ok(x);
    }
    let (reader, finite) = (Reader::bare(context, x)?, Finite::Any);
    let types = &context.declared.types;
    let number = |index: usize| {
        types
            .get(index)
            .copied()
            .flatten()
            .is_some_and(|dtype| dtype.is_float() || dtype.is_integer() || dtype == DType::Bool)
    };
    let numbers = match &reader.picked {
        None => !types.is_empty() && (0..types.len()).all(number),
        Some(picked) => picked.0.iter().all(|place| place.position().is_some_and(number)),
    };
    if is_single(context, x) {
        let element = PhantomData::<f32>;
        return context.plan.push(
            Read {
                reader,
                finite,
                element,
            },
            &[x],
        );
    }
    if numbers {
        let element = PhantomData::<f64>;
        return context.plan.push(
            Read {
                reader,
                finite,
                element,
            },
            &[x],
        );
    }
    context.plan.push(Cells(reader), &[x])
}

/// The request, checked for its number of columns if it is not a table read by the names it was `named` with.
///
/// # Errors
/// Never, for a register that holds the request.
pub(super) fn counted(
    context: &mut Context<'_>,
    x: Register,
    width: usize,
    named: bool,
) -> Result<Register, Refusal> {
    let named_table = named && context.declared.names.is_some();
    match named_table {
        // The signature makes a table of every request.
        true => Ok(x),
        false => context.plan.push(Counted { width, named }, &[x]),
    }
}
