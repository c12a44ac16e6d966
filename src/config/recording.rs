//! Which predictions are recorded, where, and what the record does not show.

use std::path::PathBuf;

use clap::Args;

use super::{Check, units};
use crate::predlog::{self, Privacy, Salt, SinkSpec};
use crate::registry::Spec;

/// Texts are cut to at least so many bytes.
const MIN_TRUNCATE: usize = 1;

/// Flags of the record.
#[derive(Debug, Clone, Args)]
pub struct RecordingArgs {
    /// Record predictions there: jsonl:DIR or parquet:DIR, with options as in
    /// jsonl:DIR?max_file_bytes=64MiB&max_file_age=1h&keep_bytes=10GiB&keep_age=30d; or mlflow:EXPERIMENT of the MLflow
    /// server that keeps runs, as in mlflow:EXPERIMENT?mode=traces&sample=0.01, or mode=runs. Repeat it for several
    #[arg(long, env = "MODELSD_RECORD", value_name = "SINK")]
    pub record: Vec<String>,
    /// Share of the requests that is recorded, from 0 to 1 [default: 1]
    #[arg(long, env = "MODELSD_RECORD_SHARE", value_name = "SHARE")]
    pub record_share: Option<String>,
    /// Column that the record leaves out; repeat it for several
    #[arg(
        long,
        env = "MODELSD_RECORD_DROP",
        value_name = "COLUMN",
        value_delimiter = ','
    )]
    pub record_drop: Vec<String>,
    /// Column of which the record has a salted hash instead of the value; repeat it for several
    #[arg(
        long,
        env = "MODELSD_RECORD_HASH",
        value_name = "COLUMN",
        value_delimiter = ','
    )]
    pub record_hash: Vec<String>,
    /// File with the salt of these hashes, which nobody else should know [also MODELSD_RECORD_SALT with the salt itself]
    #[arg(long, env = "MODELSD_RECORD_SALT_FILE", value_name = "FILE")]
    pub record_salt_file: Option<PathBuf>,
    /// Predictions that may wait to be recorded; further ones are dropped and counted [default: 65536]
    #[arg(long, env = "MODELSD_RECORD_QUEUE", value_name = "N")]
    pub record_queue: Option<String>,
    /// About how much memory they may take, such as 64MiB [default: 256MiB]
    #[arg(long, env = "MODELSD_RECORD_QUEUE_BYTES", value_name = "BYTES")]
    pub record_queue_bytes: Option<String>,
    /// Bytes of a text that the record keeps [default: all]
    #[arg(long, env = "MODELSD_RECORD_TRUNCATE", value_name = "BYTES")]
    pub record_truncate: Option<String>,
}

/// Which predictions are recorded.
#[derive(Debug, Clone)]
pub struct RecordingConfig {
    /// Where to; nothing is recorded without.
    pub sinks: Vec<SinkSpec>,
    /// Share of the requests, from 0 to 1.
    pub share: f64,
    /// How much may wait, and what the record does not show.
    pub recorder: predlog::Config,
}

impl Check<'_> {
    /// Checks what is recorded.
    pub(super) fn recording(&mut self, args: &RecordingArgs, registry: &Spec) -> RecordingConfig {
        let mut sinks: Vec<SinkSpec> = Vec::new();
        for text in &args.record {
            match text.parse() {
                Ok(sink) => sinks.push(sink),
                Err(problem) => self.problems.push(format!("--record is `{text}`: {problem}")),
            }
        }
        if sinks.iter().any(SinkSpec::wants_server) {
            match self.tracking(registry) {
                Some(server) => sinks = sinks.into_iter().map(|sink| sink.at(&server)).collect(),
                None => self.problems.push(
                    "--record wants an MLflow server: name its address, http(s)://HOST:PORT, in MLFLOW_TRACKING_URI".into(),
                ),
            }
        }
        let salt = self.secret(
            "--record-salt-file",
            args.record_salt_file.as_ref(),
            "MODELSD_RECORD_SALT",
        );
        if !args.record_hash.is_empty() && salt.is_none() {
            self.problems.push(
                "--record-hash without a salt hides nothing from who can guess values: give --record-salt-file or \
                 MODELSD_RECORD_SALT"
                    .into(),
            );
        }
        let columns = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        RecordingConfig {
            sinks,
            share: self.parsed("--record-share", &args.record_share, &[], "1", units::part),
            recorder: predlog::Config {
                capacity: self
                    .parsed("--record-queue", &args.record_queue, &[], "65536", units::queue)
                    .get(),
                max_bytes: self.parsed(
                    "--record-queue-bytes",
                    &args.record_queue_bytes,
                    &[],
                    "256MiB",
                    units::bytes,
                ),
                privacy: Privacy {
                    drop: columns(&args.record_drop),
                    hash: columns(&args.record_hash),
                    salt: Salt(salt.unwrap_or_default().into_bytes()),
                    truncate: args.record_truncate.is_some().then(|| {
                        self.parsed("--record-truncate", &args.record_truncate, &[], "", units::bytes)
                            .max(MIN_TRUNCATE)
                    }),
                },
            },
        }
    }
}
