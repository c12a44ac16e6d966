//! Configuration: what was typed ([`Args`]) and what we run with ([`ServeConfig`] and its parts).
//!
//! The only file that reads the environment. Values are checked all together, so that one run shows every mistake.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::artifact;
use crate::batching as batch;
use crate::flavor::{self, EngineChoice};
use crate::http;
use crate::model::uri::ModelUri;
use crate::registry;
use crate::serve::endpoint;
use crate::telemetry::log;

mod access;
mod admin;
mod args;
mod batching;
mod bench;
mod compare;
mod edge;
mod follow;
mod gate;
mod health;
mod mlflow;
mod recording;
mod records;
mod registry_command;
mod routes;
mod stores;
mod traces;
mod units;

pub use access::{AccessArgs, NewToken, TlsArgs, TokenCommand};
pub use admin::{AdminArgs, AdminConfig, ClientTls, ClientTlsArgs};
pub use args::{EngineArgs, InspectArgs, LogArgs, PredictArgs, ServeArgs, VerifyArgs};
pub use bench::{BenchArgs, BenchConfig, BodySource};
pub use compare::{CompareArgs, CompareConfig};
pub use follow::{FollowArgs, FollowConfig, SlotConfig};
pub use gate::{GateArgs, PromoteArgs};
pub use health::{HealthArgs, HealthConfig};
pub use recording::{RecordingArgs, RecordingConfig};
pub use records::{FilterArgs, RecordsAction, RecordsCommand, RecordsConfig};
pub use registry_command::RegistryCommand;
pub use routes::{ConfigCommand, RouteArgs, RouteCommand, RoutesConfig, read as read_config};
pub use traces::{TracesArgs, TracesConfig};

/// Serves the models of an MLflow registry: answers `POST /invocations` as `mlflow models serve` does, without Python.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    max_term_width = 110,
    propagate_version = true
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a model over HTTP
    Serve(Box<ServeArgs>),
    /// Predict from a file, offline, through the same codec and engine as the server
    Predict(Box<PredictArgs>),
    /// Show what a model is: signature, flavors, engine, inputs and outputs, size, digest
    Inspect(Box<InspectArgs>),
    /// Ask a model recorded requests, and show how its answers differ from the original library's
    Verify(Box<VerifyArgs>),
    /// Measure a server: how many requests a second it answers, and how long each takes
    Bench(Box<BenchArgs>),
    /// Ask a running server whether it is ready: exit status 0 or 1, for health checks
    Health(HealthArgs),
    /// Pin a model of a running server to a version, whatever its URI comes to mean
    Pin {
        /// Name under which the server serves the model
        slot: String,
        /// Number of the version
        #[arg(id = "number", value_name = "VERSION")]
        version: u64,
        /// The server.
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Let a pinned model follow its URI again
    Unpin {
        /// Name under which the server serves the model
        slot: String,
        /// The server.
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Serve the version that waits at the gate of a route of a running server
    Promote(PromoteArgs),
    /// Read the record of predictions that a server wrote
    Records {
        /// What to do with it.
        #[command(subcommand)]
        command: RecordsCommand,
    },
    /// Look at the routes of a running server, and change their weights
    Route {
        /// The server.
        #[command(flatten)]
        admin: AdminArgs,
        /// What to do.
        #[command(subcommand)]
        command: RouteCommand,
    },
    /// Show what the variants of a route of a running server have come to, and which is better
    Compare(CompareArgs),
    /// Make tokens for the users of a server
    Token {
        /// What to do.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Check a configuration file
    Config {
        /// What to do.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Look at and change the embedded registry
    Registry {
        /// Folder of the embedded registry.
        #[arg(
            long,
            env = "MODELSD_REGISTRY",
            hide_env_values = true,
            default_value = "./models",
            global = true,
            value_name = "DIR"
        )]
        registry: PathBuf,
        /// What to do with it.
        #[command(subcommand)]
        command: RegistryCommand,
    },
}

/// Where configuration that was not typed comes from. A trait, so that tests pass a map.
pub trait Env {
    /// The value of a variable, if it is set and not empty.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    #[allow(clippy::disallowed_methods)] // why: the one place that reads the environment
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}

/// What the server runs with.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// What is served, and how the registry is followed.
    pub follow: FollowConfig,
    /// Names under which several variants answer.
    pub routes: RoutesConfig,
    /// Which predictions are recorded.
    pub recording: RecordingConfig,
    /// Which are traced, if any.
    pub traces: Option<TracesConfig>,
    /// The registry that knows the models.
    pub registry: registry::Spec,
    /// Where their files come from, and where they are kept.
    pub artifacts: artifact::Config,
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Unix domain socket to listen on as well.
    pub uds: Option<PathBuf>,
    /// Predictors of the deployment.
    pub predictors: NonZeroUsize,
    /// Threads that run requests.
    pub threads: NonZeroUsize,
    /// How requests share calls of a model.
    pub batching: batch::Config,
    /// Engines.
    pub flavor: flavor::Config,
    /// Admission and deadlines.
    pub endpoint: endpoint::Config,
    /// The HTTP edge.
    pub http: http::Config,
    /// Who may do what.
    pub access: http::access::Config,
    /// The TLS of the port, where it speaks it.
    pub tls: Option<http::tls::Config>,
    /// Whether schema errors leave out the schema (`MLFLOW_DISABLE_SCHEMA_DETAILS`).
    pub disable_schema_details: bool,
    /// The log.
    pub log: LogConfig,
}

/// What an offline command runs with.
#[derive(Debug, Clone)]
pub struct OfflineConfig {
    /// The model.
    pub model: ModelUri,
    /// The registry that knows it.
    pub registry: registry::Spec,
    /// Where their files come from, and where they are kept.
    pub artifacts: artifact::Config,
    /// Engines.
    pub flavor: flavor::Config,
    /// Whether schema errors leave out the schema.
    pub disable_schema_details: bool,
    /// The log.
    pub log: LogConfig,
}

/// How the log is written.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Form of a line.
    pub format: log::Format,
    /// `tracing` directives: `info`, `modelsd=debug`.
    pub filter: String,
}

/// Every mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad configuration:\n{}", .0.iter().map(|problem| format!("  - {problem}")).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<String>);

impl ServeConfig {
    /// Checks what was typed and what the environment says.
    ///
    /// # Errors
    /// With every problem at once.
    pub fn new(args: &ServeArgs, env: &dyn Env) -> Result<ServeConfig, Problems> {
        let mut check = Check {
            env,
            problems: Vec::new(),
        };
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let timeout = check.parsed(
            "--timeout",
            &args.timeout,
            &["MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"],
            "60",
            units::seconds,
        );
        let registry = check.registry(args.registry.as_deref());
        let routed = !args.routes.route.is_empty() || args.routes.config.is_some();
        let follow = check.follow(&args.model_uri, routed, &args.follow);
        let slots: Vec<_> = follow.slots.iter().map(|slot| Arc::clone(&slot.name)).collect();
        let config = ServeConfig {
            routes: check.routes(&args.routes, &slots),
            recording: check.recording(&args.recording, &registry),
            traces: check.traces(&args.traces),
            follow,
            artifacts: artifact::Config {
                max_cache_bytes: check.parsed(
                    "--max-cache-bytes",
                    &args.follow.max_cache_bytes,
                    &[],
                    "20GiB",
                    units::bytes,
                ) as u64,
                ..check.artifacts(&registry, args.follow.cache_dir.clone())
            },
            registry,
            host: check.text(&args.host, &["MLFLOW_HOST"], "127.0.0.1"),
            port: check.parsed("--port", &args.port, &["MLFLOW_PORT"], "5001", units::port),
            uds: args.uds.clone(),
            predictors: check.count("--predictors", &args.predictors, cores),
            threads: check.count("--threads", &args.threads, cores),
            batching: check.batching(&args.batching),
            flavor: check.flavor(&args.engine),
            endpoint: endpoint::Config {
                max_in_flight: check
                    .parsed("--max-in-flight", &args.max_in_flight, &[], "1024", units::count)
                    .get(),
                timeout,
            },
            http: check.edge(args),
            access: check.access(&args.access),
            tls: check.tls(&args.tls),
            disable_schema_details: check.boolean("MLFLOW_DISABLE_SCHEMA_DETAILS"),
            log: check.log(&args.log, "info"),
        };
        check.done(config)
    }
}

impl OfflineConfig {
    /// Checks what was typed and what the environment says.
    ///
    /// # Errors
    /// With every problem at once.
    pub fn new(
        model_uri: Option<&str>,
        registry: Option<&str>,
        engine: &EngineArgs,
        log: &LogArgs,
        env: &dyn Env,
    ) -> Result<OfflineConfig, Problems> {
        let mut check = Check {
            env,
            problems: Vec::new(),
        };
        let registry = check.registry(registry);
        let cache_dir = env.get("MODELSD_CACHE_DIR").map(PathBuf::from);
        let config = OfflineConfig {
            model: check.model(model_uri),
            artifacts: artifact::Config {
                // Whoever asks for one prediction throws nothing out that a server wants to keep.
                max_cache_bytes: u64::MAX,
                ..check.artifacts(&registry, cache_dir)
            },
            registry,
            flavor: check.flavor(engine),
            disable_schema_details: check.boolean("MLFLOW_DISABLE_SCHEMA_DETAILS"),
            log: check.log(log, "warn"),
        };
        check.done(config)
    }
}

/// Collects problems while values are read.
struct Check<'a> {
    env: &'a dyn Env,
    problems: Vec<String>,
}

impl Check<'_> {
    fn done<T>(self, config: T) -> Result<T, Problems> {
        if self.problems.is_empty() {
            Ok(config)
        } else {
            Err(Problems(self.problems))
        }
    }

    /// The typed value, else the first of these variables that is set, else the default, with where it came from.
    fn text(&self, typed: &Option<String>, variables: &[&str], default: &str) -> String {
        let set = || variables.iter().find_map(|name| self.env.get(name));
        typed.clone().or_else(set).unwrap_or_else(|| default.to_string())
    }

    /// A value read by `read`, which knows a valid stand-in for going on after a problem.
    fn parsed<T>(
        &mut self,
        flag: &str,
        typed: &Option<String>,
        variables: &[&str],
        default: &str,
        read: fn(&str) -> Result<T, (T, String)>,
    ) -> T {
        let text = self.text(typed, variables, default);
        read(&text).unwrap_or_else(|(stand_in, problem)| {
            let from = match (typed, variables) {
                (None, [variable, ..]) => format!("{flag} (from {variable})"),
                _ => flag.to_string(),
            };
            self.problems.push(format!("{from} is `{text}`: {problem}"));
            stand_in
        })
    }

    fn count(&mut self, flag: &str, typed: &Option<String>, default: NonZeroUsize) -> NonZeroUsize {
        self.parsed(flag, typed, &[], &default.to_string(), units::threads)
    }

    fn model(&mut self, uri: Option<&str>) -> ModelUri {
        let stand_in = ModelUri::Latest { name: "none".into() };
        let Some(uri) = uri else {
            self.problems
                .push("no model: give --model-uri, such as models:/iris/Production".into());
            return stand_in;
        };
        ModelUri::from_str(uri).unwrap_or_else(|error| {
            self.problems.push(format!("--model-uri is `{uri}`: {error}"));
            stand_in
        })
    }

    fn flavor(&mut self, args: &EngineArgs) -> flavor::Config {
        let engine = match args.engine.as_str() {
            "auto" => EngineChoice::Auto,
            "ort" => EngineChoice::Ort,
            "tract" => EngineChoice::Tract,
            "native" => EngineChoice::Native,
            other => {
                self.problems
                    .push(format!("--engine is `{other}`: use auto, ort, tract or native"));
                EngineChoice::Auto
            }
        };
        if let Some(given) = args.onnxruntime.as_deref().filter(|given| !given.is_file()) {
            self.problems.push(format!(
                "--onnxruntime (or ORT_DYLIB_PATH) is `{}`: there is no such file; unset it, or run \
                 scripts/fetch-onnxruntime.sh",
                given.display()
            ));
        }
        flavor::Config {
            engine,
            onnxruntime: onnxruntime_places(args.onnxruntime.clone()),
            pandas_categories: args.pandas_categories,
        }
    }

    /// MLflow reads its booleans as `true`/`1` and `false`/`0`, in any case.
    fn boolean(&mut self, name: &str) -> bool {
        match self.env.get(name).map(|value| value.to_lowercase()).as_deref() {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => {
                self.problems
                    .push(format!("{name} is `{other}`: use true or false"));
                false
            }
        }
    }

    fn log(&mut self, args: &LogArgs, default: &str) -> LogConfig {
        let format = match args.log_format.as_str() {
            "text" => log::Format::Text,
            "json" => log::Format::Json,
            other => {
                self.problems
                    .push(format!("--log-format is `{other}`: use text or json"));
                log::Format::Text
            }
        };
        let filter = self.text(&args.log_level, &["RUST_LOG"], default);
        if let Err(problem) = log::check(&filter) {
            self.problems
                .push(format!("--log-level is `{filter}`: {problem}"));
        }
        LogConfig { format, filter }
    }
}

/// Where `libonnxruntime` is looked for: the place given, beside the program, where `scripts/fetch-onnxruntime.sh`
/// puts it (seen from the working folder and from `target/<profile>/`), then the system's folders.
fn onnxruntime_places(given: Option<PathBuf>) -> Vec<PathBuf> {
    const NAME: &str = if cfg!(target_os = "macos") {
        "libonnxruntime.dylib"
    } else {
        "libonnxruntime.so"
    };
    if let Some(given) = given {
        return vec![given];
    }
    let program = std::env::current_exe()
        .ok()
        .and_then(|program| program.parent().map(PathBuf::from));
    let mut places = Vec::new();
    if let Some(folder) = &program {
        places.push(folder.join(NAME));
    }
    places.push(PathBuf::from(".onnxruntime").join(NAME));
    if let Some(root) = program.as_deref().and_then(|folder| folder.parent()?.parent()) {
        places.push(root.join(".onnxruntime").join(NAME));
    }
    // Without a folder: the system's own search path.
    places.push(PathBuf::from(NAME));
    places
}

#[cfg(test)]
mod tests;
