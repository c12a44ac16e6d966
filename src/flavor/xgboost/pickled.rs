//! XGBoost's estimators inside pickles, as steps of a scikit-learn pipeline have them.

use crate::flavor::estimator::{self, Method};
use crate::flavor::formats::object::{Object, View};
use crate::flavor::plan::builder::Builder;
use crate::flavor::plan::steps::labels::Labels;
use crate::flavor::plan::{Axes, Register};
use crate::flavor::refusal::{Refusal, refuse};

use super::document;
use super::lower::{Estimator, Lowering};

/// What an estimator is given.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// The request, or a matrix of numbers.
    pub register: Register,
    /// Whether the library has the matrix, which is dense here, as a sparse one: of that, XGBoost takes zeros for missing.
    pub sparse: bool,
}

/// Pushes the steps of an `XGB…` estimator over `input`; gives the answer and its axes.
///
/// # Errors
/// When it is none, not fitted, or needs what is not covered.
pub fn lower_pickled(
    estimator: View<'_>,
    method: Method,
    builder: &mut Builder,
    input: Rows,
) -> Result<(Register, Axes), Refusal> {
    let Some(instance) = estimator.instance() else {
        refuse!("{} where an estimator of XGBoost is expected", estimator.kind());
    };
    let class = format!("{}.{}", instance.class.module, instance.class.name);
    lower(estimator, &class, method, builder, input).map_err(|refusal| refusal.within(estimator.kind()))
}

fn lower(
    estimator: View<'_>,
    class: &str,
    method: Method,
    builder: &mut Builder,
    input: Rows,
) -> Result<(Register, Axes), Refusal> {
    let class = Estimator::named(class)?;
    if class == Estimator::Booster {
        refuse!("a Booster is no estimator");
    }
    let booster = estimator.attribute("_Booster")?;
    let handle = booster.attribute("handle")?;
    let Object::Bytes(bytes) = handle.object() else {
        refuse!("`handle` of the Booster is {}, expected bytes", handle.kind());
    };
    let model = document::read_handle(bytes).map_err(|refusal| refusal.within("Booster"))?;
    let lowering = Lowering {
        builder,
        input: input.register,
        sparse: input.sparse,
        estimator: class,
        method,
        missing: missing(estimator)?,
        labels: labels(estimator)?,
        classes: match estimator.get("n_classes_") {
            Some(classes) => classes.whole().and_then(|classes| usize::try_from(classes).ok()),
            None => None,
        },
    };
    lowering.lower(model)
}

/// The parameter `missing`, unless it is NaN, which is always missing.
fn missing(estimator: View<'_>) -> Result<Option<f32>, Refusal> {
    match estimator.get("missing") {
        None => Ok(None),
        Some(value) if value.is_none() => Ok(None),
        Some(value) => match value.number() {
            Some(number) => Ok(Some(number as f32).filter(|number| !number.is_nan())),
            None => refuse!("`missing` is {}, expected a number", value.kind()),
        },
    }
}

/// The labels of the encoder that versions before 1.6 applied; later ones answer the numbers of classes.
fn labels(model: View<'_>) -> Result<Option<Labels>, Refusal> {
    match model.get("_le").and_then(|encoder| encoder.get("classes_")) {
        Some(classes) => estimator::labels(classes).map(Some),
        None => Ok(None),
    }
}
