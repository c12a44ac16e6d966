//! Flavors: how a model directory becomes something that predicts.
//!
//! A [`Loader`] turns a directory into [`Predictor`]s. Each kind of artifact is one folder here; nobody outside names
//! one: [`loaders`] builds them all and [`load`] picks the one that accepts the model.

pub mod catboost;
pub mod estimator;
mod file;
pub mod forest;
pub mod formats;
pub mod lightgbm;
pub mod onnx;
pub mod plan;
pub mod refusal;
pub mod sklearn;
pub mod xgboost;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::model::batch::Batch;
use crate::model::mlmodel::MlModel;

/// What the loaders need to know of the process.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Which ONNX engine to use.
    pub engine: EngineChoice,
    /// Where `libonnxruntime` may be, best first.
    pub onnxruntime: Vec<PathBuf>,
    /// Whether values of columns that were pandas categories are looked up, which MLflow's own server does not.
    pub pandas_categories: bool,
}

/// `--engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineChoice {
    /// ONNX Runtime where it is at hand, else native where it can, else tract.
    #[default]
    Auto,
    /// ONNX Runtime or nothing.
    Ort,
    /// tract or nothing.
    Tract,
    /// Operators lowered to plans, or nothing.
    Native,
}

/// A model on disk: its directory and what its `MLmodel` says.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The model directory.
    pub dir: &'a Path,
    /// Its `MLmodel`; made up for a bare `.onnx` file.
    pub mlmodel: &'a MlModel,
}

/// A loaded model.
pub struct Loaded {
    /// As many as asked for; each serves one call at a time.
    pub predictors: Vec<Box<dyn Predictor>>,
    /// What was loaded, for people.
    pub report: Report,
    /// Another engine that may run the model, and run it faster.
    pub rival: Option<Rival>,
}

/// Another engine for a model that is loaded.
pub struct Rival {
    /// Its name.
    pub engine: &'static str,
    /// It is not tried on a model whose row takes the first engine less: it could not save enough.
    pub worth: std::time::Duration,
    /// Loads the same model into it, with as many predictors as asked for.
    pub load: LoadRival,
}

/// Loads a model into another engine.
pub type LoadRival = Box<dyn Fn(NonZeroUsize) -> Result<Loaded, LoadError> + Send>;

/// What was loaded, for `inspect`, the log and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The flavor, as `MLmodel` names it.
    pub flavor: String,
    /// Engine and version: `onnxruntime 1.31.1`.
    pub engine: String,
    /// What the graph takes.
    pub inputs: Vec<Port>,
    /// What the graph gives.
    pub outputs: Vec<Port>,
    /// What is computed, step by step, where modelsd knows.
    pub steps: Vec<String>,
    /// Things the operator should know: providers dropped, operators replaced.
    pub notes: Vec<String>,
}

/// One input or output of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name in the graph.
    pub name: String,
    /// Element type and shape: `float32[-1, 4]`.
    pub kind: String,
}

/// Loads one flavor.
pub trait Loader: Send + Sync {
    /// The flavor's name in `MLmodel`.
    fn flavor(&self) -> &'static str;

    /// Loads a model that has this flavor. Blocking, may take seconds; never called on a request's thread.
    ///
    /// # Errors
    /// When the files are missing, hostile, or need what is not at hand; the message names it and the way out.
    fn load(&self, source: Source<'_>, predictors: NonZeroUsize) -> Result<Loaded, LoadError>;
}

/// Answers one call at a time. Keeps no state between calls, so that a call that failed or panicked harms no other.
pub trait Predictor: Send {
    /// Computes the outputs of these rows, in their order.
    ///
    /// # Errors
    /// When the input does not fit the model, or the model fails.
    fn predict(&mut self, input: &Batch) -> Result<Batch, PredictError>;
}

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// `MLmodel` names no flavor that is read here.
    #[error("no flavor of this model can be served: it has {found}; modelsd reads {known}{hint}")]
    NoFlavor {
        /// Flavors of the model, joined.
        found: String,
        /// Flavors modelsd reads, joined.
        known: String,
        /// What to do, or nothing.
        hint: String,
    },
    /// A file is missing or cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's complaint.
        #[source]
        source: std::io::Error,
    },
    /// `MLmodel` says something that cannot be done.
    #[error("{0}")]
    Refused(String),
    /// The engine that is asked for is not at hand.
    #[error("{0}")]
    NoEngine(String),
    /// The engine rejected the model.
    #[error("{engine} cannot load `{file}`")]
    Engine {
        /// Engine and version.
        engine: String,
        /// The model file.
        file: String,
        /// Its complaint.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The input does not fit the model, whatever its values.
    #[error("{0}")]
    Input(String),
    /// The engine failed on these values.
    #[error("{0}")]
    Engine(String),
}

/// How far answers of this flavor may differ from the original library's, relative to the larger of 1 and the original:
/// libraries that compute in single round differently with each width of their vectors, those in double with each order of
/// a sum.
pub fn tolerance(flavor: &str) -> f64 {
    match flavor {
        "onnx" | "xgboost" => 1e-6,
        _ => 1e-12,
    }
}

/// The loaders of every flavor compiled in.
pub fn loaders(config: &Config) -> Vec<Box<dyn Loader>> {
    vec![
        Box::new(catboost::CatboostLoader),
        Box::new(onnx::OnnxLoader::new(config)),
        Box::new(sklearn::SklearnLoader),
        Box::new(xgboost::XgboostLoader),
        Box::new(lightgbm::LightgbmLoader {
            pandas_categories: config.pandas_categories,
        }),
    ]
}

/// Loads a model with the first loader whose flavor its `MLmodel` has.
///
/// # Errors
/// See [`LoadError`].
pub fn load(
    loaders: &[Box<dyn Loader>],
    source: Source<'_>,
    predictors: NonZeroUsize,
) -> Result<Loaded, LoadError> {
    let accepting = loaders
        .iter()
        .find(|loader| source.mlmodel.flavor(loader.flavor()).is_some());
    match accepting {
        Some(loader) => loader.load(source, predictors),
        None => Err(LoadError::NoFlavor {
            found: source.mlmodel.flavor_names().join(", "),
            known: loaders
                .iter()
                .map(|loader| loader.flavor())
                .collect::<Vec<_>>()
                .join(", "),
            hint: "; convert the model to ONNX and log it with mlflow.onnx.log_model".into(),
        }),
    }
}
