//! LightGBM: Boosters as text, estimators in pickles and skops files.
//!
//! `text` cuts the text, `trees` and `linear` make forests of it, `lower` the steps of `Booster.predict`:
//! columns as doubles (`rows`, `categories`), raw scores, the objective's link (`objective`). `pickled` adds what
//! the scikit-learn classes do. Scores are added in double in the order of the trees, so that the bits are the library's.

mod categories;
mod linear;
mod lower;
mod objective;
mod pickled;
mod rows;
mod text;
mod trees;

use std::num::NonZeroUsize;

use serde_json::Value as Json;

use crate::flavor::estimator::Method;
use crate::flavor::plan::builder::Builder;
use crate::flavor::plan::{Axes, Empty, Plan, Register, native};
use crate::flavor::refusal::{Refusal, refuse};
use crate::flavor::{LoadError, Loaded, Loader, Source, file, formats};

use self::lower::Options;

pub use self::pickled::lower_estimator;

/// Loads models that `mlflow.lightgbm` saved.
#[derive(Debug, Clone, Copy, Default)]
pub struct LightgbmLoader {
    /// Whether values of columns that were pandas categories are looked up. MLflow's own server, which knows no
    /// categories, refuses every table for such a model.
    pub pandas_categories: bool,
}

impl Loader for LightgbmLoader {
    fn flavor(&self) -> &'static str {
        "lightgbm"
    }

    fn load(&self, source: Source<'_>, predictors: NonZeroUsize) -> Result<Loaded, LoadError> {
        let config = source.mlmodel.flavor(self.flavor()).cloned().unwrap_or_default();
        if config.get("code").is_some_and(|code| !code.is_null()) {
            return Err(LoadError::Refused(
                "the model brings Python code of its own (`code`), which modelsd never runs; export it to ONNX".into(),
            ));
        }
        // Before MLflow 1.23 there was no class, and every model a Booster.
        let class = config
            .get("model_class")
            .and_then(Json::as_str)
            .unwrap_or("lightgbm.basic.Booster");
        let name = config.get("data").and_then(Json::as_str).unwrap_or("model.lgb");
        let bytes = file::read(source.dir, name)?;
        let plan = if class == "lightgbm.basic.Booster" {
            self.booster(&bytes)
        } else {
            self.estimator(&bytes, class)
        };
        let plan = plan.map_err(|refusal| refusal.within(format_args!("`{name}`")))?;
        Ok(native::loaded(self.flavor(), plan, predictors, Vec::new()))
    }
}

impl LightgbmLoader {
    fn booster(&self, bytes: &[u8]) -> Result<Plan, Refusal> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            refuse!("it is no text, as a LightGBM model is");
        };
        let mut builder = Builder::default();
        let options = Options {
            coded: self.pandas_categories,
            ..Options::default()
        };
        let answer = lower::booster(text, options, &mut builder, Register::INPUT)?;
        let axes = if builder.form(answer).width == 1 {
            Axes::Vector
        } else {
            Axes::Matrix
        };
        builder.finish(answer, axes, Empty::Refused)
    }

    fn estimator(&self, bytes: &[u8], class: &str) -> Result<Plan, Refusal> {
        let objects = formats::load(bytes)?;
        let root = objects.root();
        let said = class.rsplit('.').next();
        if root.class() != said {
            refuse!(
                "it holds a {}, `MLmodel` says {}",
                root.kind(),
                text::short(class)
            );
        }
        let mut builder = Builder::default();
        let coded = self.pandas_categories;
        let (answer, axes) = lower_estimator(root, Method::Predict, coded, &mut builder, Register::INPUT)?;
        builder.finish(answer, axes, Empty::Refused)
    }
}

#[cfg(test)]
mod tests;
