//! From a resolved version to a deployment: open the directory, load it with its flavor, wrap it in a pool.

use std::num::NonZeroUsize;

use super::deployment::Deployment;
use crate::artifact::{ArtifactDir, ArtifactError};
use crate::batching::pool::Pool;
use crate::flavor::{self, LoadError, Loader, Source};
use crate::model::version::VersionId;

/// Why a version could not be deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// Its files are not a model directory.
    #[error("cannot open the files of `{id}`")]
    Artifact {
        /// The version.
        id: VersionId,
        /// Why.
        #[source]
        source: ArtifactError,
    },
    /// It could not be loaded.
    #[error("cannot load `{id}`")]
    Load {
        /// The version.
        id: VersionId,
        /// Why.
        #[source]
        source: LoadError,
    },
}

/// Loads a version. Blocking, may take seconds: never on a request's thread.
///
/// # Errors
/// See [`DeployError`]; nothing is left behind.
pub fn load(
    id: VersionId,
    dir: &ArtifactDir,
    loaders: &[Box<dyn Loader>],
    predictors: NonZeroUsize,
) -> Result<Deployment, DeployError> {
    let mlmodel = dir.mlmodel();
    let loaded = flavor::load(
        loaders,
        Source {
            dir: dir.path(),
            mlmodel,
        },
        predictors,
    )
    .map_err(|source| DeployError::Load {
        id: id.clone(),
        source,
    })?;
    let pool = Pool::new(loaded.predictors, &id.name);
    Ok(Deployment::new(
        id,
        mlmodel.signature.clone(),
        pool,
        loaded.report,
    ))
}
