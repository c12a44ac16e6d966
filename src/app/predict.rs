//! `modelsd predict`: one request from a file, through the codec and engine of the server.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::deploy;
use crate::config::OfflineConfig;
use crate::protocol::Limits;
use crate::protocol::{Codecs, Media};

/// Longest input read; a file that is longer is not one request.
const MAX_INPUT_BYTES: u64 = 4 << 30;
/// Nobody waits at the other end of a socket.
const TIME_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Predicts from `input` and writes the answer to `output`; `-` and `None` are the standard streams.
///
/// # Errors
/// When the model cannot be loaded, the input read or understood, or the model fails.
pub(super) fn run(
    config: &OfflineConfig,
    media: Media,
    input: Option<&Path>,
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let deployment = runtime.block_on(deploy::deploy(config))?;
    let body = read(named(input))?;
    let codecs = Codecs::new(config.disable_schema_details);
    let codec = codecs.of(media);
    let decoded = codec.decode(&body, deployment.signature(), Limits::default())?;
    let run = runtime.block_on(deployment.pool().run(decoded.batch, Instant::now() + TIME_LIMIT));
    let run = run.context("the model failed")?;
    let mut answer = Vec::new();
    codec.encode(&run.output, decoded.reply, &mut answer)?;
    write(named(output), &answer)
}

fn named(path: Option<&Path>) -> Option<PathBuf> {
    path.filter(|path| *path != Path::new("-")).map(Path::to_path_buf)
}

fn read(input: Option<PathBuf>) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    match input {
        Some(path) => {
            let file = File::open(&path).with_context(|| format!("cannot open `{}`", path.display()))?;
            file.take(MAX_INPUT_BYTES).read_to_end(&mut body)
        }
        None => io::stdin().lock().take(MAX_INPUT_BYTES).read_to_end(&mut body),
    }
    .context("cannot read the input")?;
    anyhow::ensure!(
        (body.len() as u64) < MAX_INPUT_BYTES,
        "the input is longer than {MAX_INPUT_BYTES} bytes"
    );
    Ok(body)
}

fn write(output: Option<PathBuf>, answer: &[u8]) -> anyhow::Result<()> {
    match output {
        Some(path) => {
            std::fs::write(&path, answer).with_context(|| format!("cannot write `{}`", path.display()))
        }
        None => {
            let mut out = io::stdout().lock();
            out.write_all(answer)
                .and_then(|()| out.write_all(b"\n"))
                .context("cannot write the answer")
        }
    }
}
