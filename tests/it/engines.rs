//! ONNX graphs in every engine, against what onnxruntime answers in Python.
//!
//! Answers and small graphs are in `tests/golden/engines`, made by `scripts/make_engine_answers.py`.

#![allow(clippy::disallowed_methods)] // why: where the library is comes from the environment, as for the server

mod golden;
mod mixed;
mod one_row;
mod refusals;
mod sessions;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use modelsd::flavor::{Config, EngineChoice, LoadError, Loaded, Source, load, loaders};
use modelsd::model::mlmodel::MlModel;
use serde_json::{Value as Json, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where tests find ONNX Runtime; `scripts/test.sh` puts it there.
fn onnxruntime() -> PathBuf {
    let path = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let path = path.unwrap_or_else(|| root().join(".onnxruntime/libonnxruntime.so"));
    assert!(
        path.try_exists().unwrap_or(false),
        "no ONNX Runtime at {}: run scripts/fetch-onnxruntime.sh first",
        path.display()
    );
    path
}

fn config(engine: EngineChoice) -> Config {
    Config {
        engine,
        onnxruntime: vec![onnxruntime()],
        ..Default::default()
    }
}

/// Loads a model directory, or an `.onnx` file with an empty entry in `MLmodel`.
fn load_path(path: &Path, engine: EngineChoice, predictors: usize) -> Result<Loaded, LoadError> {
    if path.extension().is_some_and(|extension| extension == "onnx")
        && !path.with_file_name("MLmodel").is_file()
    {
        let name = path.file_name().unwrap().to_str().unwrap();
        return load_entry(
            path.parent().unwrap(),
            json!({ "data": name }),
            engine,
            predictors,
        );
    }
    let dir = path.parent().unwrap();
    let mlmodel = MlModel::parse(&std::fs::read_to_string(dir.join("MLmodel")).unwrap()).unwrap();
    load_with(dir, &mlmodel, engine, predictors)
}

/// Loads a directory as if `MLmodel` had this `onnx` entry.
fn load_entry(dir: &Path, entry: Json, engine: EngineChoice, predictors: usize) -> Result<Loaded, LoadError> {
    let mlmodel = MlModel {
        flavors: vec![("onnx".into(), entry)],
        ..MlModel::default()
    };
    load_with(dir, &mlmodel, engine, predictors)
}

fn load_with(
    dir: &Path,
    mlmodel: &MlModel,
    engine: EngineChoice,
    predictors: usize,
) -> Result<Loaded, LoadError> {
    let predictors = NonZeroUsize::new(predictors).unwrap();
    load(&loaders(&config(engine)), Source { dir, mlmodel }, predictors)
}

/// An error and its causes, as the command line prints them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The message of a load that must fail.
fn refusal(result: Result<Loaded, LoadError>) -> String {
    match result {
        Ok(loaded) => panic!("loaded: {:?}", loaded.report),
        Err(error) => chain(&error),
    }
}
