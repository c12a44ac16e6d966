//! Projections: `PCA` and its like, `TruncatedSVD`, `FastICA`.

use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::refusal::{Refusal, refuse};

use super::dense::{Dense, dot};
use super::estimator::{Ask, Context, no_method, version};
use super::numbers::{expect, switch, table, vector};
use super::rows::{Finite, doubles};
use super::scale::{ByColumn, Operation};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["PCA", "IncrementalPCA", "TruncatedSVD", "FastICA"];

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    if ask != Ask::Transform {
        return no_method(ask, object);
    }
    let class = object.class().unwrap_or_default();
    let x = doubles(context, object, x, Finite::All)?;
    let width = context.plan.form(x).width;
    let components = table(object, "components_")?;
    expect(&components, "components_", components.rows, width)?;
    let mean = match object.get("mean_").filter(|mean| !mean.is_none()) {
        Some(_) if class != "TruncatedSVD" => Some(vector(object, "mean_", width)?),
        _ => None,
    };
    let whiten = match class {
        "PCA" | "IncrementalPCA" if switch(object, "whiten", false)? => {
            Some(vector(object, "explained_variance_", components.rows)?)
        }
        _ => None,
    };
    let mut offsets = vec![0.0; components.rows];
    let mut x = x;
    match mean {
        // Since 1.5 the projected mean is subtracted from the projected rows.
        Some(mean) if class != "FastICA" && version(object) >= (1, 5) => {
            offsets = components.each_row().map(|row| -dot(&mean, row)).collect();
        }
        Some(mean) => {
            x = context
                .plan
                .push(ByColumn(vec![Operation::Subtract(mean)]), &[x])?
        }
        None if class == "PCA" => refuse!("`mean_` is missing"),
        None => {}
    }
    let projected = context.plan.push(Dense::new(components, offsets)?, &[x])?;
    let Some(variance) = whiten else {
        return Ok(projected);
    };
    // Since 1.4 a variance of nearly nothing does not blow up what it divides.
    let least = if version(object) >= (1, 4) {
        f64::EPSILON
    } else {
        0.0
    };
    let scale = variance
        .iter()
        .map(|variance| variance.sqrt().max(least))
        .collect();
    context
        .plan
        .push(ByColumn(vec![Operation::Divide(scale)]), &[projected])
}
