//! What `modelsd records` reads, and what becomes of it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use super::{Check, Env, Problems, units};
use crate::predlog::Filter;

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
