//! The `onnx` flavor: ONNX graphs in ONNX Runtime or tract.

use std::num::NonZeroUsize;

use super::{Config, LoadError, Loaded, Loader, Source};

/// Loads ONNX graphs.
pub struct OnnxLoader;

impl OnnxLoader {
    /// A loader that finds its engine as `config` says.
    pub fn new(_config: &Config) -> OnnxLoader {
        OnnxLoader
    }
}

impl Loader for OnnxLoader {
    fn flavor(&self) -> &'static str {
        "onnx"
    }

    fn load(&self, _source: Source<'_>, _predictors: NonZeroUsize) -> Result<Loaded, LoadError> {
        Err(LoadError::NoEngine("not yet".into()))
    }
}
