//! The `onnx` flavor: ONNX graphs in ONNX Runtime, in tract, or lowered to plans.
//!
//! All engines share how a batch is fed (`feed`) and how outputs are shaped (`shape_output`), so that the choice
//! of engine changes speed and the operators at hand, nothing else.

#![cfg_attr(not(all(feature = "ort", feature = "tract")), allow(dead_code))] // why: what engines share, without one

mod convert;
mod element;
mod feed;
mod files;
mod native;
mod options;
#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "ort")]
mod runtime;
mod shape_output;
#[cfg(feature = "tract")]
mod tract;
pub mod walk;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::refusal::Refusal;
use super::{Config, EngineChoice, LoadError, Loaded, Loader, Rival, Source};

use self::files::ModelFile;
use self::options::{Options, SessionOptions};

/// Loads ONNX graphs.
pub struct OnnxLoader {
    engine: EngineChoice,
    candidates: Vec<PathBuf>,
}

impl OnnxLoader {
    /// A loader that finds its engine as `config` says.
    pub fn new(config: &Config) -> OnnxLoader {
        OnnxLoader {
            engine: config.engine,
            candidates: config.onnxruntime.clone(),
        }
    }

    fn load_with(
        &self,
        file: &Arc<ModelFile>,
        session: &SessionOptions,
        predictors: NonZeroUsize,
    ) -> Result<Loaded, LoadError> {
        match self.engine {
            EngineChoice::Ort => self
                .with_ort(file, session, predictors)?
                .map_err(LoadError::NoEngine),
            EngineChoice::Tract => with_tract(file, session, predictors),
            EngineChoice::Native => with_native(file, session, predictors)
                .map_err(|refusal| LoadError::Refused(refusal.within(file.name()).to_string())),
            EngineChoice::Auto => match self.with_ort(file, session, predictors)? {
                Ok(loaded) => Ok(Loaded {
                    rival: rival(file, session),
                    ..loaded
                }),
                Err(why) => {
                    warn_once(&why);
                    without_ort(file, session, predictors)
                }
            },
        }
    }

    /// Loads with ONNX Runtime; the inner error says why there is none.
    #[cfg(feature = "ort")]
    fn with_ort(
        &self,
        file: &ModelFile,
        session: &SessionOptions,
        predictors: NonZeroUsize,
    ) -> Result<Result<Loaded, String>, LoadError> {
        match runtime::runtime(&self.candidates) {
            Ok(runtime) => ort::load(runtime, file, session, predictors).map(Ok),
            Err(absent @ runtime::Absent::NotFound(_)) => Ok(Err(format!("{absent}; {WAY_OUT}"))),
            // What is there and does not work is a mistake to report, not a reason to take another engine.
            Err(broken @ runtime::Absent::Broken { .. }) => Err(LoadError::NoEngine(broken.to_string())),
        }
    }

    #[cfg(not(feature = "ort"))]
    fn with_ort(
        &self,
        _file: &ModelFile,
        _session: &SessionOptions,
        _predictors: NonZeroUsize,
    ) -> Result<Result<Loaded, String>, LoadError> {
        debug_assert!(self.candidates.iter().all(|path| !path.as_os_str().is_empty()));
        Ok(Err(
            "this build has no ONNX Runtime: it was compiled without the feature `ort`".into(),
        ))
    }
}

/// How to get ONNX Runtime, for every message that misses it.
const WAY_OUT: &str =
    "run scripts/fetch-onnxruntime.sh, or set ORT_DYLIB_PATH to a libonnxruntime.so of version 1.31";

/// Lowers the graph to a plan, or says why it cannot be.
fn with_native(
    file: &ModelFile,
    session: &SessionOptions,
    predictors: NonZeroUsize,
) -> Result<Loaded, Refusal> {
    let mut loaded = native::loaded(&native::open(&file.bytes)?, predictors);
    if *session != SessionOptions::default() {
        loaded
            .report
            .notes
            .push("session options are for ONNX Runtime; plans have none of them".into());
    }
    Ok(loaded)
}

/// Graphs of classical models are lowered; others, or those that cannot be, are for tract.
fn without_ort(
    file: &ModelFile,
    session: &SessionOptions,
    predictors: NonZeroUsize,
) -> Result<Loaded, LoadError> {
    let refusal = match with_native(file, session, predictors) {
        Ok(loaded) => return Ok(loaded),
        Err(refusal) => refusal,
    };
    let natively = format!("not computed natively: {refusal}");
    match with_tract(file, session, predictors) {
        Ok(mut loaded) => {
            loaded.report.notes.push(natively);
            Ok(loaded)
        }
        Err(LoadError::Refused(why)) => Err(LoadError::Refused(format!("{why} ({natively})"))),
        Err(LoadError::NoEngine(why)) => Err(LoadError::NoEngine(format!("{why} ({natively})"))),
        Err(other) => Err(other),
    }
}

#[cfg(feature = "tract")]
fn with_tract(
    file: &ModelFile,
    session: &SessionOptions,
    predictors: NonZeroUsize,
) -> Result<Loaded, LoadError> {
    let mut loaded = tract::load(file, predictors)?;
    if *session != SessionOptions::default() {
        loaded
            .report
            .notes
            .push("session options are for ONNX Runtime; tract has none of them".into());
    }
    Ok(loaded)
}

#[cfg(not(feature = "tract"))]
fn with_tract(_file: &ModelFile, _session: &SessionOptions, _n: NonZeroUsize) -> Result<Loaded, LoadError> {
    let message = "this build has no tract: it was compiled without the feature `tract`";
    Err(LoadError::NoEngine(format!("{message}; {WAY_OUT}")))
}

/// A request costs more than this by itself, and loading a model twice costs the requests that go on meanwhile.
const WORTH: Duration = Duration::from_micros(20);

/// Models beyond this are not loaded twice to compare engines.
const MAX_RIVAL_BYTES: usize = 16 << 20;

/// What may run a graph beside ONNX Runtime: a plan if it can be lowered, else tract.
fn rival(file: &Arc<ModelFile>, session: &SessionOptions) -> Option<Rival> {
    let small = file.bytes.len() <= MAX_RIVAL_BYTES && *session == SessionOptions::default();
    if !small {
        return None;
    }
    if let Ok(graph) = native::open(&file.bytes) {
        return Some(Rival {
            engine: "native",
            worth: Duration::ZERO,
            load: Box::new(move |predictors| Ok(native::loaded(&graph, predictors))),
        });
    }
    let (file, session) = (Arc::clone(file), session.clone());
    cfg!(feature = "tract").then(|| Rival {
        engine: "tract",
        worth: WORTH,
        load: Box::new(move |predictors| with_tract(&file, &session, predictors)),
    })
}

/// Says once a process that others serve instead.
fn warn_once(why: &str) {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            why,
            "ONNX Runtime is not at hand, what can be served without it is"
        )
    });
}

impl Loader for OnnxLoader {
    fn flavor(&self) -> &'static str {
        "onnx"
    }

    fn load(&self, source: Source<'_>, predictors: NonZeroUsize) -> Result<Loaded, LoadError> {
        let config = source.mlmodel.flavor(self.flavor()).cloned().unwrap_or_default();
        let options = Options::read(&config)?;
        let file = Arc::new(files::open(source.dir, &options.file)?);
        let mut loaded = self.load_with(&file, &options.session, predictors)?;
        loaded.report.notes.splice(0..0, options.notes);
        Ok(loaded)
    }
}
