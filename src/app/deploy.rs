//! From a model URI to a deployment: the one path that every command takes.

use std::num::NonZeroUsize;

use anyhow::Context;

use crate::artifact::ArtifactDir;
use crate::deploy::deployment::Deployment;
use crate::deploy::load;
use crate::flavor;
use crate::model::uri::ModelUri;
use crate::registry::{self, Resolved};

/// What to deploy, and with what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// The model.
    pub(super) uri: &'a ModelUri,
    /// The registry that knows it.
    pub(super) registry: &'a registry::Spec,
    /// Engines.
    pub(super) flavor: &'a flavor::Config,
    /// Predictors of the deployment.
    pub(super) predictors: NonZeroUsize,
}

/// Asks the registry which version the URI means, and opens its files.
///
/// # Errors
/// When the registry, the version or its files are missing or bad.
pub(super) async fn resolve(
    uri: &ModelUri,
    registry: &registry::Spec,
) -> anyhow::Result<(Resolved, ArtifactDir)> {
    let registry = registry::open(registry)?;
    let resolved = registry::resolve(registry.as_ref(), uri)
        .await
        .with_context(|| format!("cannot resolve `{uri}`"))?;
    let path = resolved.location.local_path().with_context(|| {
        format!(
            "the files of `{}` are at `{}`, not on this machine",
            resolved.id, resolved.location
        )
    })?;
    let dir = tokio::task::spawn_blocking(move || ArtifactDir::open(&path))
        .await
        .context("reading the model directory was interrupted")?
        .with_context(|| format!("cannot open the files of `{}`", resolved.id))?;
    Ok((resolved, dir))
}

/// Resolves, opens and loads.
///
/// # Errors
/// As [`resolve`], and when the model cannot be loaded.
pub(super) async fn deploy(target: Target<'_>) -> anyhow::Result<Deployment> {
    let (resolved, dir) = resolve(target.uri, target.registry).await?;
    let flavor = target.flavor.clone();
    let predictors = target.predictors;
    let loaded = tokio::task::spawn_blocking(move || {
        let loaders = flavor::loaders(&flavor);
        load::load(resolved.id, &dir, &loaders, predictors)
    });
    Ok(loaded.await.context("loading the model was interrupted")??)
}
