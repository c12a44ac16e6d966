//! `modelsd verify`: recorded requests, and how the answers differ from those of the original library.

use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::Context;

use super::deploy;
use crate::config::OfflineConfig;
use crate::deploy::parity::{self, Case};
use crate::flavor;
use crate::protocol::Limits;

/// Asks every case of `file`, or of the model's own directory, and writes what came of it.
///
/// # Errors
/// When the model cannot be loaded, there are no cases, or an answer differs by more than `tolerance`.
pub(super) fn run(config: &OfflineConfig, file: Option<&Path>, tolerance: Option<f64>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (_, artifact) = runtime.block_on(deploy::resolve(config))?;
    let dir = &artifact.dir;
    let cases = match file {
        Some(file) => read(file)?,
        None => parity::recorded(dir)
            .map_err(anyhow::Error::msg)?
            .with_context(|| format!("no `{}` beside the model: give --cases FILE", parity::FILE))?,
    };
    let source = flavor::Source {
        dir: dir.path(),
        mlmodel: dir.mlmodel(),
    };
    let mut loaded = flavor::load(&flavor::loaders(&config.flavor), source, NonZeroUsize::MIN)?;
    let predictor = loaded
        .predictors
        .first_mut()
        .context("the model has no predictor")?;
    let wire = super::wire(config.disable_schema_details, Limits::default());
    let parity = parity::check(predictor.as_mut(), &dir.mlmodel().signature, &cases, &wire.answer);
    let tolerance = tolerance.unwrap_or_else(|| flavor::tolerance(&loaded.report.flavor));
    writeln!(io::stdout().lock(), "{}: {parity}", config.model).context("cannot write the answer")?;
    anyhow::ensure!(
        parity.largest_difference <= tolerance,
        "the largest difference is more than {tolerance:e}"
    );
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Vec<Case>> {
    let mut text = String::new();
    let opened = File::open(file).with_context(|| format!("cannot open `{}`", file.display()))?;
    opened
        .take(parity::MAX_BYTES + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read `{}`", file.display()))?;
    anyhow::ensure!(
        text.len() as u64 <= parity::MAX_BYTES,
        "`{}` is longer than {} bytes",
        file.display(),
        parity::MAX_BYTES
    );
    parity::read(&text)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("`{}` is no file of cases", file.display()))
}
