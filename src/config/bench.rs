//! How `modelsd bench` is asked to measure.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::args::{EngineArgs, LogArgs};
use super::{Check, ClientTls, ClientTlsArgs, Env, LogConfig, OfflineConfig, Problems, units};
use crate::bench::address::{Address, Header};
use crate::bench::rows::Format;
use crate::bench::tls::Tls;

/// Flags of `modelsd bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Server to measure, by http, https, or unix:/SOCKET:/PATH for a Unix domain socket; NAME= gives it a name in the
    /// report, and an address without a path means /invocations
    #[arg(
        env = "MODELSD_BENCH_URL",
        default_value = "http://127.0.0.1:5001/invocations",
        value_name = "[NAME=]URL"
    )]
    pub target: String,
    /// Another server, measured in turns of about a second with the first, so that both meet the same noise of the
    /// machine; the report has its figures divided by the first's. Repeat it for several
    #[arg(long, env = "MODELSD_BENCH_COMPARE", value_name = "[NAME=]URL")]
    pub compare: Vec<String>,
    /// Model whose rows are sent, as for `modelsd predict`: its input example, else rows made from its signature
    #[arg(short, long, env = "MODELSD_BENCH_MODEL_URI", value_name = "URI")]
    pub model_uri: Option<String>,
    /// Registry that knows the model: the address of an MLflow server (http://HOST:5000), or the folder of an embedded
    /// registry [default: ./models; also MLFLOW_REGISTRY_URI, MLFLOW_TRACKING_URI]
    #[arg(
        long,
        env = "MODELSD_REGISTRY",
        hide_env_values = true,
        value_name = "URL|DIR"
    )]
    pub registry: Option<String>,
    /// Rows in each request, the example's over and over; with --body, the rows that the file has [default: 1 for a
    /// model]
    #[arg(long, env = "MODELSD_BENCH_ROWS", value_name = "N")]
    pub rows: Option<String>,
    /// Form of the rows: inputs, instances, dataframe_split or dataframe_records [default: as the example]
    #[arg(long, env = "MODELSD_BENCH_FORMAT", value_name = "FORM")]
    pub format: Option<String>,
    /// File whose bytes are sent as they are, instead of a model's rows; `-` is standard input
    #[arg(short, long, env = "MODELSD_BENCH_BODY", value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// Media type of the body
    #[arg(
        short = 't',
        long,
        env = "MODELSD_BENCH_CONTENT_TYPE",
        default_value = "application/json",
        value_name = "TYPE"
    )]
    pub content_type: String,
    /// Header of each request, such as `authorization: Bearer …`. Repeat it for several
    #[arg(
        short = 'H',
        long,
        env = "MODELSD_BENCH_HEADER",
        hide_env_values = true,
        value_name = "NAME: VALUE"
    )]
    pub header: Vec<String>,
    /// Connections; each number is a step of its own
    #[arg(
        short,
        long,
        env = "MODELSD_BENCH_CONCURRENCY",
        default_value = "1,8,64",
        value_name = "N,…"
    )]
    pub concurrency: String,
    /// How long each step measures each server, such as 10s, 500ms or 2m
    #[arg(
        short,
        long,
        env = "MODELSD_BENCH_DURATION",
        default_value = "10s",
        value_name = "TIME"
    )]
    pub duration: String,
    /// How long each step sends to each server before it measures
    #[arg(
        short,
        long,
        env = "MODELSD_BENCH_WARM_UP",
        default_value = "2s",
        value_name = "TIME"
    )]
    pub warm_up: String,
    /// Requests a second, sent when they are due whatever the server does (open loop); latencies count from then, so that
    /// a stall is seen by all the requests it holds up. Unset, each connection sends as soon as it has its answer
    /// (closed loop), which finds the highest rate
    #[arg(short, long, env = "MODELSD_BENCH_RATE", value_name = "N")]
    pub rate: Option<String>,
    /// Threads that send [default: half the cores, at least 1]
    #[arg(long, env = "MODELSD_BENCH_THREADS", value_name = "N")]
    pub threads: Option<String>,
    /// Keep the threads that send awake. Else a server pays for waking them whenever they wait for its answer, which takes
    /// long in virtual machines. Give it other cores than them
    #[arg(long, env = "MODELSD_BENCH_SPIN")]
    pub spin: bool,
    /// How long an answer may take; it counts as an error then
    #[arg(
        long,
        env = "MODELSD_BENCH_TIMEOUT",
        default_value = "60s",
        value_name = "TIME"
    )]
    pub timeout: String,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// How an https address is asked.
    #[command(flatten)]
    pub tls: ClientTlsArgs,
    /// Log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What `modelsd bench` runs with.
#[derive(Clone)]
pub struct BenchConfig {
    /// The servers, the first of them first.
    pub targets: Vec<Address>,
    /// How TLS is spoken, where a server is one of https.
    pub tls: Option<Tls>,
    /// Where the body comes from.
    pub body: BodySource,
    /// Rows in a request, where they were told.
    pub rows: Option<NonZeroUsize>,
    /// Media type of the body.
    pub content_type: String,
    /// Further headers.
    pub headers: Vec<Header>,
    /// Connections of each step.
    pub concurrency: Vec<usize>,
    /// Measurement of each server in each step.
    pub duration: Duration,
    /// Load before it.
    pub warm_up: Duration,
    /// Requests a second of the open loop.
    pub rate: Option<f64>,
    /// Threads that send.
    pub threads: NonZeroUsize,
    /// Whether they stay awake.
    pub spin: bool,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Whether the report is JSON.
    pub json: bool,
    /// The log.
    pub log: LogConfig,
}

/// Where a request's body comes from.
#[derive(Debug, Clone)]
pub enum BodySource {
    /// A file; `-` is standard input.
    File(PathBuf),
    /// A model's rows, in this form or in that of its example.
    Model(Box<OfflineConfig>, Option<Format>),
}

impl BenchConfig {
    /// Checks what was typed and what the environment says.
    ///
    /// # Errors
    /// With every problem at once.
    pub fn new(args: &BenchArgs, env: &dyn Env) -> Result<BenchConfig, Problems> {
        let mut check = Check {
            env,
            problems: Vec::new(),
        };
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let half = NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN);
        let some = |text: &str| Some(text.to_owned());
        let mut targets = check.each("URL", std::slice::from_ref(&args.target), Address::from_str);
        targets.extend(check.each("--compare", &args.compare, Address::from_str));
        let tls = check.load_tls(&args.tls, &targets);
        let rows = args
            .rows
            .as_ref()
            .map(|rows| check.parsed("--rows", &some(rows), &[], "", units::rows));
        let rate = args
            .rate
            .as_ref()
            .map(|rate| check.parsed("--rate", &some(rate), &[], "", units::rate));
        let body = check.body(args, env);
        let config = BenchConfig {
            targets,
            tls,
            rows,
            content_type: args.content_type.clone(),
            headers: check.headers(&args.header),
            concurrency: check.parsed(
                "--concurrency",
                &some(&args.concurrency),
                &[],
                "",
                units::concurrency,
            ),
            duration: check.parsed("--duration", &some(&args.duration), &[], "", units::span),
            warm_up: check.parsed("--warm-up", &some(&args.warm_up), &[], "", units::span_or_none),
            rate,
            threads: check.count("--threads", &args.threads, half),
            spin: args.spin,
            timeout: check.parsed("--timeout", &some(&args.timeout), &[], "", units::span),
            json: args.json,
            log: check.log(&args.log, "warn"),
            body: body.unwrap_or(BodySource::File(PathBuf::new())),
        };
        if config.content_type.chars().any(char::is_control) || config.content_type.is_empty() {
            check
                .problems
                .push("--content-type is no media type: use one such as text/csv".into());
        }
        check.done(config)
    }
}

impl Check<'_> {
    /// Each text that can be read; the others are problems.
    fn each<T, E: std::fmt::Display>(
        &mut self,
        flag: &str,
        texts: &[String],
        read: fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        for text in texts {
            match read(text) {
                Ok(one) => found.push(one),
                // The text is left out: an address may have a password.
                Err(error) => self.problems.push(format!("{flag} cannot be used: {error}")),
            }
        }
        found
    }

    /// How TLS is spoken, where any target wants it.
    fn load_tls(&mut self, args: &ClientTlsArgs, targets: &[Address]) -> Option<Tls> {
        let ClientTls {
            authorities,
            identity,
        } = self.client_tls(args);
        if !targets.iter().any(Address::is_encrypted) {
            return None;
        }
        let tls = Tls::new(authorities.as_deref(), identity.as_deref());
        tls.map_err(|error| {
            self.problems
                .push(format!("TLS: {:#}", anyhow::Error::new(error)))
        })
        .ok()
    }

    /// A header may be a credential, so that no problem shows one.
    fn headers(&mut self, typed: &[String]) -> Vec<Header> {
        self.each("--header", typed, Header::from_str)
    }

    /// Where the body comes from; `None` after a problem.
    fn body(&mut self, args: &BenchArgs, env: &dyn Env) -> Option<BodySource> {
        let format = args.format.as_deref().and_then(|name| {
            let found = Format::ALL.into_iter().find(|format| format.name() == name);
            if found.is_none() {
                self.problems.push(format!(
                    "--format is `{name}`: use inputs, instances, dataframe_split or dataframe_records"
                ));
            }
            found
        });
        match (&args.body, &args.model_uri) {
            (Some(file), None) => {
                if format.is_some() {
                    self.problems.push(
                        "--format is for a model's rows; the bytes of --body are sent as they are".into(),
                    );
                }
                Some(BodySource::File(file.clone()))
            }
            (None, Some(model)) => {
                if args.content_type != "application/json" {
                    self.problems.push(
                        "--content-type is for --body; a model's rows are sent as application/json".into(),
                    );
                }
                // The model's files are read, and no engine.
                let engine = EngineArgs {
                    engine: "auto".into(),
                    onnxruntime: None,
                    pandas_categories: false,
                };
                let offline =
                    OfflineConfig::new(Some(model), args.registry.as_deref(), &engine, &args.log, env);
                match offline {
                    Ok(config) => Some(BodySource::Model(Box::new(config), format)),
                    Err(Problems(problems)) => {
                        self.problems.extend(problems);
                        None
                    }
                }
            }
            (Some(_), Some(_)) => {
                self.problems
                    .push("--body and --model-uri are two requests: give one of them".into());
                None
            }
            (None, None) => {
                self.problems.push(
                    "nothing to send: give --model-uri, such as models:/iris/1, or --body with a file".into(),
                );
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Args, Command};
    use super::*;

    struct Nothing;

    impl Env for Nothing {
        fn get(&self, _: &str) -> Option<String> {
            None
        }
    }

    fn bench(words: &[&str]) -> Result<BenchConfig, Problems> {
        let words = ["modelsd", "bench"].iter().chain(words);
        let Command::Bench(args) = Args::try_parse_from(words).unwrap().command else {
            panic!("bench expected")
        };
        BenchConfig::new(&args, &Nothing)
    }

    #[test]
    fn a_body_is_all_that_must_be_said() {
        let config = bench(&["--body", "-"]).unwrap();
        assert_eq!(config.targets[0].url(), "http://127.0.0.1:5001/invocations");
        assert_eq!(config.concurrency, [1, 8, 64]);
        assert_eq!(
            (config.duration, config.warm_up, config.rate, config.rows),
            (Duration::from_secs(10), Duration::from_secs(2), None, None)
        );
        let config = bench(&[
            "-m",
            "models:/iris/1",
            "--format",
            "dataframe_split",
            "--rows",
            "7",
        ])
        .unwrap();
        assert!(matches!(config.body, BodySource::Model(_, Some(Format::Split))));
        assert_eq!(config.rows.unwrap().get(), 7);
    }

    #[test]
    fn every_mistake_is_told_and_no_secret() {
        let words = [
            "https://me:hidden@host/",
            "--compare",
            "ftp://a",
            "--rows",
            "0",
            "--rate",
            "0",
            "--concurrency",
            "1,none",
            "--duration",
            "0",
            "--warm-up",
            "soon",
            "--timeout",
            "0ms",
            "--threads",
            "0",
            "--format",
            "xml",
            "-H",
            "hidden",
        ];
        let Problems(problems) = bench(&words).err().unwrap();
        assert_eq!(problems.len(), 12, "{problems:#?}");
        assert!(!problems.join("\n").contains("hidden"), "{problems:#?}");
    }

    #[test]
    fn options_that_would_do_nothing_are_refused() {
        for words in [
            &["--body", "x", "--format", "inputs"][..],
            &["--body", "x", "-m", "models:/iris/1"],
            &["-m", "models:/iris/1", "--content-type", "text/csv"],
        ] {
            assert_eq!(bench(words).err().unwrap().0.len(), 1, "{words:?}");
        }
    }
}
