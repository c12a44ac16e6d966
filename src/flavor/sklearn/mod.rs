//! scikit-learn: estimators out of pickles and skops files as plans, without Python.
//!
//! The file is read as data (`flavor::formats`); `estimator` finds for every object in it the family that knows its
//! class, and the family pushes the steps that compute what the estimator's method computes. Formulas follow
//! scikit-learn 1.0 to 1.9; where versions differ, the state's own `_sklearn_version` decides.

mod ada_boost;
mod bagging;
mod boosters;
mod calibrated;
mod categories;
mod cluster;
mod column_transformer;
mod decomposition;
mod dense;
mod discriminant;
mod distribution;
mod dummy;
mod elementwise;
mod encoders;
mod estimator;
mod expansion;
mod function;
mod gradient_boosting;
mod grown;
mod hist_gradient_boosting;
mod impute;
mod indices;
mod isolation_forest;
mod kernel;
mod labels;
mod linear;
mod methods;
mod multi;
mod naive_bayes;
mod neighbors;
mod neural;
mod normal;
mod numbers;
mod pipeline;
mod polynomial;
mod probability;
mod reading;
mod request;
mod rows;
mod scale;
mod search;
mod select;
mod select_from_model;
mod stacking;
mod svm;
mod target;
mod target_encoder;
mod trees;
mod voting;

#[cfg(test)]
mod ensemble_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::path::{Component, Path};

use serde_json::Value as Json;

use crate::flavor::formats;
use crate::flavor::formats::object::Objects;
use crate::flavor::plan::builder::Builder;
use crate::flavor::plan::{Axes, Empty, Register, native};
use crate::flavor::refusal::{Refusal, refuse};
use crate::flavor::{LoadError, Loaded, Loader, Source};
use crate::model::mlmodel::MlModel;

use self::estimator::{Ask, Context};
use self::request::Declared;

/// Files beyond this are not read.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Loads models that `mlflow.sklearn` saved.
pub struct SklearnLoader;

impl Loader for SklearnLoader {
    fn flavor(&self) -> &'static str {
        "sklearn"
    }

    fn load(&self, source: Source<'_>, predictors: NonZeroUsize) -> Result<Loaded, LoadError> {
        let config = source.mlmodel.flavor(self.flavor()).cloned().unwrap_or_default();
        if config.get("code").is_some_and(|code| !code.is_null()) {
            return Err(Refusal::new(
                "the model brings Python code of its own (`code`), which modelsd never runs; export it to ONNX",
            )
            .into());
        }
        let name = config
            .get("pickled_model")
            .and_then(Json::as_str)
            .unwrap_or("model.pkl");
        let bytes = read(source.dir, name)?;
        let ask = ask(source.mlmodel)?;
        let objects = formats::load(&bytes).map_err(|refusal| refusal.within(format!("`{name}`")))?;
        drop(bytes);
        let declared = Declared::of(&source.mlmodel.signature);
        let (plan, notes) = plan(ask, &objects, declared)?;
        Ok(native::loaded(self.flavor(), plan, predictors, notes))
    }
}

/// The plan of the method `ask` of the estimator that was dumped, and what the operator should know.
fn plan(
    ask: Ask,
    objects: &Objects,
    declared: Declared,
) -> Result<(crate::flavor::plan::Plan, Vec<String>), Refusal> {
    let root = objects.root();
    expansion::check(objects)?;
    let notes = estimator::check_version(root)?;
    let mut builder = Builder::default();
    let mut context = Context::new(&mut builder, declared);
    let answer = estimator::lower(ask, root, &mut context, Register::INPUT)?;
    let axes = match ask {
        Ask::Predict if context.plan.form(answer).width == 1 && !context.is_matrix(answer) => Axes::Vector,
        _ => Axes::Matrix,
    };
    Ok((builder.finish(answer, axes, Empty::Refused)?, notes))
}

/// The method that MLflow calls: `predict_fn` of the Python function, `predict` where none is named.
fn ask(mlmodel: &MlModel) -> Result<Ask, Refusal> {
    let named = mlmodel
        .flavor("python_function")
        .and_then(|config| config.get("predict_fn")?.as_str());
    Ok(match named.unwrap_or("predict") {
        "predict" => Ask::Predict,
        "predict_proba" => Ask::Proba,
        "predict_log_proba" => Ask::LogProba,
        "predict_joint_log_proba" => Ask::JointLogProba,
        other => refuse!(
            "`predict_fn: {other}` is not served; save the model with `pyfunc_predict_fn=\"predict\"`"
        ),
    })
}

/// The bytes of a file within the model directory.
fn read(dir: &Path, name: &str) -> Result<Vec<u8>, LoadError> {
    let plain = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain || name.is_empty() {
        return Err(LoadError::Refused(format!(
            "`pickled_model: {name}` does not name a file within the model directory"
        )));
    }
    let path = dir.join(name);
    let failed = |source| LoadError::Read {
        path: path.clone(),
        source,
    };
    let root = dir.canonicalize().map_err(failed)?;
    let real = path.canonicalize().map_err(failed)?;
    if !real.starts_with(&root) {
        return Err(LoadError::Refused(format!(
            "`{name}` leads out of the model directory"
        )));
    }
    let length = std::fs::metadata(&real).map_err(failed)?.len();
    if length > MAX_FILE_BYTES {
        return Err(LoadError::Refused(format!(
            "`{name}` has {length} bytes, at most {MAX_FILE_BYTES} are read"
        )));
    }
    std::fs::read(&real).map_err(failed)
}
