//! What a sink is called where it is configured: `jsonl:DIR`, `parquet:DIR` or `mlflow:EXPERIMENT`, with options as a query.

pub(super) mod mlflow;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::files::Config;
use crate::client;
use mlflow::MlflowSpec;

/// Largest size and longest time that an option can say.
const MAX_DAYS: u64 = 36_500;

/// A sink that can be opened: `jsonl:/var/log/predictions?max_file_age=10m&keep_bytes=10GiB`.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkSpec(pub(super) SinkKind);

/// The kinds of sinks.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SinkKind {
    Jsonl(Config),
    #[cfg(feature = "parquet")]
    Parquet(Config),
    Mlflow(Box<MlflowSpec>),
}

/// Why a text names no sink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// There is no `KIND:` before the folder.
    #[error("use KIND:DIR, such as jsonl:predictions or parquet:predictions, or mlflow:EXPERIMENT")]
    NoKind,
    /// There is no such kind.
    #[error("there is no sink `{0}`: use jsonl, parquet or mlflow")]
    Kind(String),
    /// The kind was left out when modelsd was built.
    #[error("this modelsd was built without Parquet (feature `parquet`)")]
    NoParquet,
    /// There is no folder after the kind.
    #[error("the folder is missing: use KIND:DIR")]
    NoFolder,
    /// There is no experiment after `mlflow:`.
    #[error("the experiment is missing: use mlflow:EXPERIMENT")]
    NoExperiment,
    /// There is no such option.
    #[error("there is no option `{option}`: use {known}")]
    Option {
        /// What was given.
        option: String,
        /// What there is.
        known: &'static str,
    },
    /// An option is given twice.
    #[error("the option `{0}` is given twice")]
    Twice(String),
    /// An option cannot have this value.
    #[error("the option `{option}` is `{value}`: use {form}")]
    Value {
        /// The option.
        option: String,
        /// What was given.
        value: String,
        /// What could be.
        form: &'static str,
    },
}

impl SinkSpec {
    /// Whether the sink is an MLflow server, which has to be named by [`SinkSpec::at`].
    pub fn wants_server(&self) -> bool {
        matches!(&self.0, SinkKind::Mlflow(spec) if spec.server.is_none())
    }

    /// The same at this MLflow server, if it is a sink of one.
    pub fn at(mut self, server: &client::Config) -> SinkSpec {
        if let SinkKind::Mlflow(spec) = &mut self.0 {
            spec.server = Some(server.clone());
        }
        self
    }
}

impl fmt::Display for SinkSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SinkKind::Jsonl(files) => write!(out, "jsonl:{}", files.dir.display()),
            #[cfg(feature = "parquet")]
            SinkKind::Parquet(files) => write!(out, "parquet:{}", files.dir.display()),
            SinkKind::Mlflow(spec) => write!(out, "mlflow:{}", spec.experiment),
        }
    }
}

impl FromStr for SinkSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<SinkSpec, SpecError> {
        let (kind, rest) = text.split_once(':').ok_or(SpecError::NoKind)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let options = options(query)?;
        let kind = match kind {
            "jsonl" => SinkKind::Jsonl(files(place, &options, 64 << 20, Duration::from_secs(3_600))?),
            // Nobody reads a file before it is closed.
            #[cfg(feature = "parquet")]
            "parquet" => SinkKind::Parquet(files(place, &options, 128 << 20, Duration::from_secs(60))?),
            #[cfg(not(feature = "parquet"))]
            "parquet" => return Err(SpecError::NoParquet),
            "mlflow" => SinkKind::Mlflow(Box::new(MlflowSpec::read(place, &options)?)),
            other => return Err(SpecError::Kind(other.to_owned())),
        };
        Ok(SinkSpec(kind))
    }
}

/// The options of a query, each once.
fn options(query: &str) -> Result<Vec<(&str, &str)>, SpecError> {
    let mut options: Vec<(&str, &str)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (option, value) = pair.split_once('=').unwrap_or((pair, ""));
        if options.iter().any(|(seen, _)| *seen == option) {
            return Err(SpecError::Twice(option.to_owned()));
        }
        options.push((option, value));
    }
    Ok(options)
}

/// A sink that writes files.
fn files(
    dir: &str,
    options: &[(&str, &str)],
    max_file_bytes: u64,
    max_file_age: Duration,
) -> Result<Config, SpecError> {
    if dir.is_empty() {
        return Err(SpecError::NoFolder);
    }
    let mut files = Config {
        dir: PathBuf::from(dir),
        max_file_bytes,
        max_file_age,
        keep_bytes: None,
        keep_age: None,
    };
    for (option, value) in options {
        match *option {
            "max_file_bytes" => files.max_file_bytes = size(option, value)?,
            "max_file_age" => files.max_file_age = time(option, value)?,
            "keep_bytes" => files.keep_bytes = Some(size(option, value)?),
            "keep_age" => files.keep_age = Some(time(option, value)?),
            other => {
                return Err(SpecError::Option {
                    option: other.to_owned(),
                    known: "max_file_bytes, max_file_age, keep_bytes or keep_age",
                });
            }
        }
    }
    Ok(files)
}

/// A number and its unit.
fn number<'a>(value: &'a str, units: &[(&str, u64)]) -> Option<u64> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (digits, unit): (&'a str, &'a str) = value.split_at_checked(end)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let number = digits.parse::<u64>().ok()?.checked_mul(*factor)?;
    (number > 0).then_some(number)
}

fn size(option: &str, value: &str) -> Result<u64, SpecError> {
    let units = [
        ("", 1),
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("KB", 1_000),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    number(value, &units).ok_or_else(|| SpecError::Value {
        option: option.to_owned(),
        value: value.to_owned(),
        form: "a positive number of bytes, such as 64MiB",
    })
}

fn time(option: &str, value: &str) -> Result<Duration, SpecError> {
    let units = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    match number(value, &units) {
        Some(millis) if millis <= MAX_DAYS * 86_400_000 => Ok(Duration::from_millis(millis)),
        _ => Err(SpecError::Value {
            option: option.to_owned(),
            value: value.to_owned(),
            form: "a time with its unit, such as 30s, 10m, 1h or 30d",
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn options_are_read() {
        let text = "jsonl:a b/c:d?max_file_bytes=2KiB&max_file_age=90s&keep_bytes=10GB&keep_age=30d";
        let spec: SinkSpec = text.parse().unwrap();
        let expected = Config {
            dir: "a b/c:d".into(),
            max_file_bytes: 2048,
            max_file_age: Duration::from_secs(90),
            keep_bytes: Some(10_000_000_000),
            keep_age: Some(Duration::from_secs(30 * 86_400)),
        };
        assert_eq!(spec.0, SinkKind::Jsonl(expected));
        assert_eq!(spec.to_string(), "jsonl:a b/c:d");
    }

    #[test]
    fn what_is_unknown_is_refused_by_name() {
        for (text, expected) in [
            ("predictions", "use KIND:DIR"),
            ("csv:x", "no sink `csv`"),
            ("jsonl:", "folder is missing"),
            ("jsonl:?keep_age=1d", "folder is missing"),
            ("jsonl:x?keep=1", "no option `keep`"),
            ("jsonl:x?keep_age", "the option `keep_age` is ``"),
            ("jsonl:x?keep_age=1", "the option `keep_age` is `1`"),
            ("jsonl:x?keep_age=0s", "the option `keep_age` is `0s`"),
            ("jsonl:x?keep_age=99999d", "the option `keep_age` is `99999d`"),
            ("jsonl:x?keep_bytes=1EiB", "the option `keep_bytes` is `1EiB`"),
            (
                "jsonl:x?keep_bytes=99999999999TiB",
                "the option `keep_bytes` is `99999999999TiB`",
            ),
            ("jsonl:x?keep_age=1d&keep_age=2d", "given twice"),
            ("jsonl:x?mode=runs", "no option `mode`: use max_file_bytes"),
            ("mlflow:", "the experiment is missing"),
            ("mlflow:?mode=runs", "the experiment is missing"),
            ("mlflow:x?mode=run", "the option `mode` is `run`"),
            ("mlflow:x?sample=0", "the option `sample` is `0`"),
            ("mlflow:x?sample=1.1", "the option `sample` is `1.1`"),
            ("mlflow:x?sample=NaN", "the option `sample` is `NaN`"),
            ("mlflow:x?keep_age=1d", "no option `keep_age`: use mode or sample"),
        ] {
            let error = text.parse::<SinkSpec>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(jsonl|parquet|mlflow|x)?:?[a-z=&?0-9_.é]{0,40}") {
            if let Ok(spec) = text.parse::<SinkSpec>() {
                prop_assert!(spec.to_string().len() > spec.to_string().find(':').unwrap() + 1);
            }
        }
    }
}
