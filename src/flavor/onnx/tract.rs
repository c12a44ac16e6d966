//! stub
use super::files::ModelFile;
use crate::flavor::{LoadError, Loaded};
use std::num::NonZeroUsize;
pub(super) fn load(_file: &ModelFile, _predictors: NonZeroUsize) -> Result<Loaded, LoadError> {
    Err(LoadError::NoEngine("not yet".into()))
}
