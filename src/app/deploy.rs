//! From a model URI to its files and to a deployment: the path that every command takes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::artifact::{Artifact, Artifacts, Progress};
use crate::config::OfflineConfig;
use crate::deploy::deployment::Deployment;
use crate::deploy::install::{self, Installer};
use crate::deploy::place::Place;
use crate::registry::{self, Resolved, Wanted};

/// Nobody else waits for an offline command.
const LOAD_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

fn installer(config: &OfflineConfig) -> anyhow::Result<Arc<Installer>> {
    let registry = registry::open(&config.registry)?;
    let artifacts = Artifacts::new(config.artifacts.clone());
    let install = install::Config {
        flavor: config.flavor.clone(),
        predictors: NonZeroUsize::MIN,
        batching: Default::default(),
        load_timeout: LOAD_TIMEOUT,
        parity_tolerance: None,
    };
    Ok(Arc::new(Installer::new(
        registry.into(),
        artifacts,
        install,
        None,
    )))
}

/// Which version the URI means now, and its files.
async fn fetch(config: &OfflineConfig, installer: &Installer) -> anyhow::Result<(Wanted, Artifact)> {
    let wanted = registry::wanted(installer.registry().as_ref(), &config.model)
        .await
        .with_context(|| format!("cannot resolve `{}`", config.model))?;
    let progress = Progress::on_terminal(&wanted.id.to_string());
    let artifact = installer.fetch(&config.model, &wanted, &progress, |_| {}).await?;
    Ok((wanted, artifact))
}

/// Asks the registry which version the URI means, and gets its files.
///
/// # Errors
/// When the registry, the version or its files are missing or bad.
pub(super) async fn resolve(config: &OfflineConfig) -> anyhow::Result<(Resolved, Artifact)> {
    let installer = installer(config)?;
    let (wanted, artifact) = fetch(config, &installer).await?;
    let resolved = installer.registry().locate(&config.model, &wanted).await;
    Ok((
        resolved.with_context(|| format!("cannot resolve `{}`", config.model))?,
        artifact,
    ))
}

/// Resolves, fetches and loads, without proving: who asks for one prediction sees for himself.
///
/// # Errors
/// As [`resolve`], and when the model cannot be loaded.
pub(super) async fn deploy(config: &OfflineConfig) -> anyhow::Result<Deployment> {
    let installer = installer(config)?;
    let (wanted, artifact) = fetch(config, &installer).await?;
    Ok(installer
        .load(&wanted, artifact, Place::default(), |_| {})
        .await?)
}
