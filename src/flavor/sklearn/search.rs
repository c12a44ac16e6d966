//! Estimators that stand for another one: searches, frozen ones, `SelfTrainingClassifier`.

use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::refusal::Refusal;

use super::estimator::{self, Ask, Context};

pub(super) const CLASSES: &[&str] = &[
    "GridSearchCV",
    "RandomizedSearchCV",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "FrozenEstimator",
    "SelfTrainingClassifier",
];

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    estimator::lower(ask, inner(object)?, context, x)
}

/// The estimator that answers.
pub(super) fn inner(object: View<'_>) -> Result<View<'_>, Refusal> {
    match object.class() {
        Some("FrozenEstimator") => object.attribute("estimator"),
        Some("SelfTrainingClassifier") => match object.get("estimator_") {
            Some(estimator) => Ok(estimator),
            None => object.attribute("base_estimator_"),
        },
        _ => object.attribute("best_estimator_"),
    }
}
