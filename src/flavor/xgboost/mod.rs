//! XGBoost: models of every version since 0.90, in UBJSON, JSON and the old binary format.
//!
//! `document` makes a validated model of a file, `lower` a plan of a model, in the steps of XGBoost's Python package:
//! columns (`columns`), margins by trees (`trees`) or weights (`linear`), the objective's values (`objective`),
//! and for classifiers the class. Everything is computed in single, in the order of the library, so that the bits are
//! its own.

mod columns;
mod document;
mod legacy;
mod linear;
mod lower;
mod objective;
mod pickled;
mod trees;

use std::num::NonZeroUsize;

use serde_json::Value as Json;

use crate::flavor::estimator::Method;
use crate::flavor::plan::builder::Builder;
use crate::flavor::plan::{Empty, Plan, Register, native};
use crate::flavor::refusal::{Refusal, refuse};
use crate::flavor::{LoadError, Loaded, Loader, Source, file};
use crate::model::signature::Signature;

use self::lower::{Estimator, Lowering};

pub use self::pickled::{Rows, lower_pickled};

/// Loads models that `mlflow.xgboost` saved.
pub struct XgboostLoader;

impl Loader for XgboostLoader {
    fn flavor(&self) -> &'static str {
        "xgboost"
    }

    fn load(&self, source: Source<'_>, predictors: NonZeroUsize) -> Result<Loaded, LoadError> {
        let config = source.mlmodel.flavor(self.flavor()).cloned().unwrap_or_default();
        if config.get("code").is_some_and(|code| !code.is_null()) {
            return Err(LoadError::Refused(
                "the model brings Python code of its own (`code`), which modelsd never runs; export it to ONNX".into(),
            ));
        }
        let name = config.get("data").and_then(Json::as_str).unwrap_or("model.xgb");
        // Before MLflow 1.22 there was no class, and every model a Booster.
        let class = config
            .get("model_class")
            .and_then(Json::as_str)
            .unwrap_or("xgboost.core.Booster");
        let estimator = Estimator::named(class)?;
        check_parameters(&source.mlmodel.signature, estimator)?;
        let bytes = file::read(source.dir, name)?;
        let plan = plan(bytes, estimator).map_err(|refusal| refusal.within(format_args!("`{name}`")))?;
        Ok(native::loaded(self.flavor(), plan, predictors, Vec::new()))
    }
}

/// Parameters of `predict` that would change the answer, were they in the signature: MLflow passes those on.
const PARAMETERS: &[&str] = &[
    "approx_contribs",
    "base_margin",
    "iteration_range",
    "output_margin",
    "pred_contribs",
    "pred_interactions",
    "pred_leaf",
    "strict_shape",
    "training",
    "validate_features",
];

fn check_parameters(signature: &Signature, estimator: Estimator) -> Result<(), Refusal> {
    let class_parameters = [
        "base_margin",
        "iteration_range",
        "output_margin",
        "validate_features",
    ];
    for parameter in signature.params.iter().flatten() {
        let name = &*parameter.name;
        let passed = match estimator {
            Estimator::Booster => PARAMETERS.contains(&name) && name != "base_margin",
            _ => class_parameters.contains(&name),
        };
        if passed {
            refuse!("the signature has the parameter `{name}` of XGBoost's `predict`, which is not served");
        }
    }
    Ok(())
}

fn plan(bytes: Vec<u8>, estimator: Estimator) -> Result<Plan, Refusal> {
    let model = document::read(&bytes)?;
    // What is lowered has no use for the file, which may be as large.
    drop(bytes);
    if let Some(said) = &model.estimator_type
        && let Some(wanted) = estimator.scikit_learn_type()
        && **said != *wanted
    {
        refuse!("it is the model of a {said}, `MLmodel` says that of a {wanted}");
    }
    let mut builder = Builder::default();
    let (answer, axes) = Lowering {
        builder: &mut builder,
        input: Register::INPUT,
        estimator,
        method: Method::Predict,
        sparse: false,
        missing: None,
        labels: None,
        classes: None,
    }
    .lower(model)?;
    builder.finish(answer, axes, Empty::Answered)
}

#[cfg(test)]
mod tests;
