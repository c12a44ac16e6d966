//! The record of predictions: what `modelsd serve` writes, and what `modelsd records` reads.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use super::{Check, Env, Problems, units};
use crate::predlog::{self, Filter, Privacy, Salt, SinkSpec};

/// Flags of the record of predictions.
#[derive(Debug, Clone, Default, Args)]
pub struct RecordArgs {
    /// Record every prediction: `jsonl:DIR` or `parquet:DIR`, with `?max_file_bytes=64MiB&max_file_age=1h` (when files are
    /// closed) and `&keep_bytes=10GiB&keep_age=30d` (when they are removed). Repeat it for several
    #[arg(long, env = "MODELSD_RECORD", value_delimiter = ',', value_name = "SINK")]
    pub record: Vec<String>,
    /// Columns that are not recorded: of tables, named arrays, keys of objects, parameters, or `routing_key`
    #[arg(
        long,
        env = "MODELSD_RECORD_DROP",
        value_delimiter = ',',
        value_name = "COLUMNS"
    )]
    pub record_drop: Vec<String>,
    /// Columns of which a hash is recorded: the first 16 bytes, in hex, of the SHA-256 of the salt and the value's text
    #[arg(
        long,
        env = "MODELSD_RECORD_HASH",
        value_delimiter = ',',
        value_name = "COLUMNS"
    )]
    pub record_hash: Vec<String>,
    /// File with the salt of the hashes; the line break at its end does not count
    #[arg(long, env = "MODELSD_RECORD_SALT_FILE", value_name = "FILE")]
    pub record_salt_file: Option<PathBuf>,
    /// Bytes of a text that are recorded [default: all]
    #[arg(long, env = "MODELSD_RECORD_TRUNCATE", value_name = "BYTES")]
    pub record_truncate: Option<String>,
    /// Predictions that may wait to be recorded; more are dropped and counted [default: 65536]
    #[arg(long, env = "MODELSD_RECORD_QUEUE", value_name = "N")]
    pub record_queue: Option<String>,
    /// Memory that they may take [default: 256MiB]
    #[arg(long, env = "MODELSD_RECORD_QUEUE_BYTES", value_name = "BYTES")]
    pub record_queue_bytes: Option<String>,
}

/// How predictions are recorded.
#[derive(Debug, Clone)]
pub struct RecordConfig {
    /// Where they are written; nowhere when there is none.
    pub sinks: Vec<SinkSpec>,
    /// The queue before, and what is hidden.
    pub recorder: predlog::Config,
}

impl RecordConfig {
    /// Checks what was typed.
    ///
    /// # Errors
    /// With every problem at once.
    pub fn new(args: &RecordArgs, env: &dyn Env) -> Result<RecordConfig, Problems> {
        let problems = Vec::new();
        let mut check = Check { env, problems };
        let config = check.recording(args);
        check.done(config)
    }
}

impl Check<'_> {
    /// How predictions are recorded.
    pub(super) fn recording(&mut self, args: &RecordArgs) -> RecordConfig {
        let mut sinks = Vec::new();
        for text in &args.record {
            match SinkSpec::from_str(text) {
                Ok(spec) => sinks.push(spec),
                Err(error) => self.problems.push(format!("--record is `{text}`: {error}")),
            }
        }
        let boxed = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        let mut salt = Vec::new();
        if let Some(file) = &args.record_salt_file {
            match std::fs::read(file) {
                Ok(bytes) => salt = bytes,
                Err(error) => self
                    .problems
                    .push(format!("--record-salt-file is `{}`: {error}", file.display())),
            }
            while let [rest @ .., b'\n' | b'\r'] = salt.as_slice() {
                salt.truncate(rest.len());
            }
            if args.record_hash.is_empty() {
                self.problems
                    .push("--record-salt-file is for --record-hash, which is missing".into());
            } else if salt.is_empty() {
                self.problems.push("--record-salt-file is empty".into());
            }
        } else if !args.record_hash.is_empty() {
            self.problems.push(
                "--record-hash needs --record-salt-file: without a salt, hashes are undone by trying values"
                    .into(),
            );
        }
        if args.record.is_empty() {
            let alone = [
                ("--record-drop", !args.record_drop.is_empty()),
                ("--record-hash", !args.record_hash.is_empty()),
                ("--record-truncate", args.record_truncate.is_some()),
                ("--record-queue", args.record_queue.is_some()),
                ("--record-queue-bytes", args.record_queue_bytes.is_some()),
            ];
            for (flag, _) in alone.iter().filter(|(_, given)| *given) {
                self.problems
                    .push(format!("{flag} is for --record, which is missing"));
            }
        }
        let truncate = args.record_truncate.is_some();
        let truncate =
            truncate.then(|| self.parsed("--record-truncate", &args.record_truncate, &[], "1", units::bytes));
        RecordConfig {
            sinks,
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
                    drop: boxed(&args.record_drop),
                    hash: boxed(&args.record_hash),
                    salt: Salt(salt),
                    truncate,
                },
            },
        }
    }
}

/// Reads the record of predictions that `modelsd serve --record` wrote, lines of JSON and Parquet alike.
#[derive(Debug, Clone, Subcommand)]
pub enum RecordsCommand {
    /// Writes entries to one file
    Export {
        /// Folder of the record.
        dir: PathBuf,
        /// File that ends with .jsonl or .csv, or - for lines of JSON on standard output
        #[arg(long, value_name = "FILE")]
        to: String,
        /// Which entries.
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Shows the last entries, as lines of JSON
    Tail {
        /// Folder of the record.
        dir: PathBuf,
        /// Go on with what comes; of Parquet, when a file is closed
        #[arg(short, long)]
        follow: bool,
        /// Number of entries
        #[arg(short = 'n', long, default_value = "10", value_name = "N")]
        lines: String,
        /// Which entries.
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Counts predictions, rows, errors and feedback of each version, and how long answers took
    Stats {
        /// Folder of the record.
        dir: PathBuf,
        /// Which entries.
        #[command(flatten)]
        filter: FilterArgs,
    },
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default, Args)]
pub struct FilterArgs {
    /// Not before: 2026-01-31, 2026-01-31T12:00:00Z, or 90s, 10m, 2h, 7d ago
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Of this route
    #[arg(long)]
    pub route: Option<String>,
    /// Of this variant
    #[arg(long)]
    pub variant: Option<String>,
    /// Of this model
    #[arg(long)]
    pub model: Option<String>,
    /// Of this version
    // Not called `version`, which is a flag of every command.
    #[arg(id = "number", long = "model-version", value_name = "VERSION")]
    pub number: Option<String>,
}

/// What `modelsd records` does.
#[derive(Debug, Clone)]
pub struct RecordsConfig {
    /// Folder of the record.
    pub dir: PathBuf,
    /// Which entries.
    pub filter: Filter,
    /// What becomes of them.
    pub action: RecordsAction,
}

/// What becomes of the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordsAction {
    /// They are written to a file, or to standard output.
    Export {
        /// The file.
        to: Option<PathBuf>,
        /// Whether it is CSV.
        csv: bool,
    },
    /// The last are shown.
    Tail {
        /// How many.
        lines: usize,
        /// Whether it goes on.
        follow: bool,
    },
    /// They are counted.
    Stats,
}

impl RecordsConfig {
    /// Checks what was typed.
    ///
    /// # Errors
    /// With every problem at once.
    pub fn new(command: &RecordsCommand, now: SystemTime, env: &dyn Env) -> Result<RecordsConfig, Problems> {
        let problems = Vec::new();
        let mut check = Check { env, problems };
        let (dir, filter, action) = match command {
            RecordsCommand::Export { dir, to, filter } => {
                let csv = to.ends_with(".csv");
                if !(csv || to.ends_with(".jsonl") || to == "-") {
                    check.problems.push(format!(
                        "--to is `{to}`: use a name that ends with .jsonl or .csv, or - for standard output"
                    ));
                }
                let to = (to != "-").then(|| PathBuf::from(to));
                (dir, filter, RecordsAction::Export { to, csv })
            }
            RecordsCommand::Tail {
                dir,
                follow,
                lines,
                filter,
            } => {
                let lines = check
                    .parsed("--lines", &Some(lines.clone()), &[], "", units::queue)
                    .get();
                let follow = *follow;
                (dir, filter, RecordsAction::Tail { lines, follow })
            }
            RecordsCommand::Stats { dir, filter } => (dir, filter, RecordsAction::Stats),
        };
        let config = RecordsConfig {
            dir: dir.clone(),
            filter: Filter {
                since: check.moment("--since", filter.since.as_deref(), now),
                until: check.moment("--until", filter.until.as_deref(), now),
                route: filter.route.clone(),
                variant: filter.variant.clone(),
                model: filter.model.clone(),
                version: filter.number.clone(),
            },
            action,
        };
        check.done(config)
    }
}

impl Check<'_> {
    fn moment(&mut self, flag: &str, text: Option<&str>, now: SystemTime) -> Option<SystemTime> {
        let text = text?;
        let found = moment(text, now);
        if found.is_none() {
            self.problems.push(format!(
                "{flag} is `{text}`: use a moment such as 2026-01-31 or 2026-01-31T12:00:00Z, or a time ago such as 2h"
            ));
        }
        found
    }
}

/// A day, a moment, or a time before now.
fn moment(text: &str, now: SystemTime) -> Option<SystemTime> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(moment.into());
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
    {
        let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        return Some(midnight.timestamp().into());
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let ago = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    now.checked_sub(Duration::from_secs(ago))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    struct Nothing;

    impl Env for Nothing {
        fn get(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn nothing_is_recorded_unless_it_is_asked_for() {
        let config = RecordConfig::new(&RecordArgs::default(), &Nothing).unwrap();
        assert!(config.sinks.is_empty());
        assert_eq!(config.recorder.capacity, 65_536);
        assert_eq!(config.recorder.max_bytes, 256 << 20);
        assert_eq!(config.recorder.privacy, Privacy::default());
    }

    #[test]
    fn the_flags_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let salt = dir.path().join("salt");
        std::fs::write(&salt, "pepper\r\n").unwrap();
        let args = RecordArgs {
            record: vec!["jsonl:a?keep_age=1d".into(), "jsonl:b".into()],
            record_drop: vec!["name".into()],
            record_hash: vec!["user".into()],
            record_salt_file: Some(salt),
            record_truncate: Some("1KiB".into()),
            record_queue: Some("10".into()),
            record_queue_bytes: Some("1MiB".into()),
        };
        let config = RecordConfig::new(&args, &Nothing).unwrap();
        assert_eq!(config.sinks.len(), 2);
        let privacy = &config.recorder.privacy;
        assert_eq!(privacy.salt, Salt(b"pepper".to_vec()));
        assert_eq!(privacy.truncate, Some(1024));
        assert!(!format!("{config:?}").contains("pepper"));
        assert!(!format!("{config:?}").contains("112, 101"));
    }

    #[test]
    fn every_mistake_is_told() {
        let args = RecordArgs {
            record: vec!["xml:a".into(), "jsonl:".into()],
            record_hash: vec!["user".into()],
            record_truncate: Some("0".into()),
            record_queue: Some("0".into()),
            ..RecordArgs::default()
        };
        let Problems(problems) = RecordConfig::new(&args, &Nothing).err().unwrap();
        assert_eq!(problems.len(), 5, "{problems:#?}");
        let alone = RecordArgs {
            record_drop: vec!["x".into()],
            record_queue: Some("5".into()),
            ..RecordArgs::default()
        };
        let Problems(problems) = RecordConfig::new(&alone, &Nothing).err().unwrap();
        assert_eq!(problems.len(), 2, "{problems:#?}");
    }

    #[test]
    fn moments_are_days_moments_and_times_ago() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let at = |text: &str| {
            let since = moment(text, now)?.duration_since(UNIX_EPOCH).ok()?;
            Some(since.as_secs())
        };
        assert_eq!(at("2026-01-31"), Some(1_769_817_600));
        assert_eq!(at("2026-01-31T00:00:01Z"), Some(1_769_817_601));
        assert_eq!(at("2h"), Some(1_800_000_000 - 7_200));
        for bad in ["", "h", "2", "2w", "-1h", "yesterday", "2026-02-30", "é"] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    #[test]
    fn commands_are_checked() {
        let filter = FilterArgs {
            since: Some("never".into()),
            ..FilterArgs::default()
        };
        let export = RecordsCommand::Export {
            dir: "x".into(),
            to: "x.xml".into(),
            filter,
        };
        let Problems(problems) = RecordsConfig::new(&export, UNIX_EPOCH, &Nothing).err().unwrap();
        assert_eq!(problems.len(), 2, "{problems:#?}");
        let tail = RecordsCommand::Tail {
            dir: "x".into(),
            follow: true,
            lines: "3".into(),
            filter: FilterArgs::default(),
        };
        let config = RecordsConfig::new(&tail, UNIX_EPOCH, &Nothing).unwrap();
        assert_eq!(
            config.action,
            RecordsAction::Tail {
                lines: 3,
                follow: true
            }
        );
    }
}
