//! The `catboost` flavor: CatBoost's own binary files and its JSON export, computed natively.
//!
//! `cbm` and `json` read a `model::Model`, `lower` makes a plan of it: `columns` takes the features out of a request,
//! `counters` makes numbers of categories, symmetric trees run in `flavor::forest::oblivious`, others in
//! `flavor::forest`.

mod cbm;
mod city;
mod columns;
mod counters;
mod json;
mod lower;
mod model;
mod output;

use std::num::NonZeroUsize;

use serde_json::Value as Json;

use super::plan::native;
use super::refusal::{Refusal, refuse};
use super::{LoadError, Loaded, Loader, Source, file};

use self::lower::Wrapper;

/// Loads CatBoost models.
pub struct CatboostLoader;

impl Loader for CatboostLoader {
    fn flavor(&self) -> &'static str {
        "catboost"
    }

    fn load(&self, source: Source<'_>, predictors: NonZeroUsize) -> Result<Loaded, LoadError> {
        let config = source.mlmodel.flavor(self.flavor()).unwrap_or(&Json::Null);
        let text = |key: &str| config.get(key).and_then(Json::as_str);
        let name = text("data").unwrap_or("model.cb");
        let wrapper = wrapper(text("model_type"))?;
        let bytes = file::read(source.dir, name)?;
        let model = read(&bytes).map_err(|refusal| refusal.within(name))?;
        let plan = lower::plan(model, wrapper).map_err(|refusal| refusal.within(name))?;
        Ok(native::loaded(self.flavor(), plan, predictors, Vec::new()))
    }
}

fn wrapper(model_type: Option<&str>) -> Result<Wrapper, Refusal> {
    Ok(match model_type {
        Some("CatBoostClassifier") => Wrapper::Classifier,
        Some("CatBoostRegressor") => Wrapper::Regressor,
        Some("CatBoost" | "CatBoostRanker") | None => Wrapper::Plain,
        Some(other) => refuse!("`model_type` of flavor catboost is `{other}`, which is not known"),
    })
}

/// Reads a file by what it begins with; what it is called does not matter.
fn read(bytes: &[u8]) -> Result<model::Model, Refusal> {
    if bytes.starts_with(cbm::MAGIC) {
        return cbm::read(bytes);
    }
    if bytes.trim_ascii_start().starts_with(b"{") {
        return json::read(bytes);
    }
    refuse!(
        "the file is neither in CatBoost's binary format nor in its JSON; save the model with format `cbm`"
    );
}

#[cfg(test)]
mod tests;
