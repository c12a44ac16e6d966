//! What is typed: flags, their variables and their help.
//!
//! Values that may be wrong are text here, so that [`super::ServeConfig`] can report every mistake at once.

use std::path::PathBuf;

use clap::Args;

use super::access::{AccessArgs, TlsArgs};
use super::batching::BatchingArgs;
use super::follow::FollowArgs;
use super::recording::RecordingArgs;
use super::routes::RouteArgs;
use super::traces::TracesArgs;

/// Flags of `modelsd serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Model to serve: models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME@ALIAS,
    /// models:/NAME/latest, models:/m-ID, runs:/RUN_ID/PATH, a model directory, or an .onnx file. Repeat it for several:
    /// the first is also served at /invocations, each at /models/NAME/invocations; NAME=URI gives another name
    #[arg(short, long, env = "MODELSD_MODEL_URI", value_name = "[NAME=]URI")]
    pub model_uri: Vec<String>,
    /// Registry that knows the model: the address of an MLflow server (http://HOST:5000), or the folder of an embedded
    /// registry [default: ./models; also MLFLOW_REGISTRY_URI, MLFLOW_TRACKING_URI]
    #[arg(
        long,
        env = "MODELSD_REGISTRY",
        hide_env_values = true,
        value_name = "URL|DIR"
    )]
    pub registry: Option<String>,
    /// How the registry is followed.
    #[command(flatten)]
    pub follow: FollowArgs,
    /// Several variants behind one name.
    #[command(flatten)]
    pub routes: RouteArgs,
    /// Record of predictions.
    #[command(flatten)]
    pub recording: RecordingArgs,
    /// Traces.
    #[command(flatten)]
    pub traces: TracesArgs,
    /// Who may do what.
    #[command(flatten)]
    pub access: AccessArgs,
    /// TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Address to listen on [default: 127.0.0.1; also MLFLOW_HOST]
    #[arg(long, env = "MODELSD_HOST", value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Port to listen on, 0 for a free one [default: 5001; also MLFLOW_PORT]
    #[arg(short, long, env = "MODELSD_PORT")]
    pub port: Option<String>,
    /// Unix domain socket to listen on besides the port. The file of a server that has died is replaced; the umask says
    /// who may connect, and who may, may also pin and reload without a token where none is set
    #[arg(long, env = "MODELSD_UDS", value_name = "PATH")]
    pub uds: Option<PathBuf>,
    /// Predictors: calls of the model that may run at once [default: number of cores]
    #[arg(long, env = "MODELSD_PREDICTORS", value_name = "N")]
    pub predictors: Option<String>,
    /// Batching.
    #[command(flatten)]
    pub batching: BatchingArgs,
    /// Threads that read requests and write answers [default: number of cores]
    #[arg(long, env = "MODELSD_THREADS", value_name = "N")]
    pub threads: Option<String>,
    /// Seconds a request may take before it is answered 504 [default: 60; also
    /// MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT]
    #[arg(short, long, env = "MODELSD_TIMEOUT", value_name = "SECONDS")]
    pub timeout: Option<String>,
    /// Requests worked on at once; further ones are answered 503 with Retry-After [default: 1024]
    #[arg(long, env = "MODELSD_MAX_IN_FLIGHT", value_name = "N")]
    pub max_in_flight: Option<String>,
    /// Longest request body, such as 512KiB or 64MiB; longer ones are answered 413 [default: 64MiB]
    #[arg(long, env = "MODELSD_MAX_BODY_BYTES", value_name = "BYTES")]
    pub max_body_bytes: Option<String>,
    /// Longest head of a request; longer ones are answered 431 [default: 64KiB]
    #[arg(long, env = "MODELSD_MAX_HEADER_BYTES", value_name = "BYTES")]
    pub max_header_bytes: Option<String>,
    /// Levels that JSON may nest; deeper bodies are answered 400 [default: 64]
    #[arg(long, env = "MODELSD_MAX_JSON_DEPTH", value_name = "N")]
    pub max_json_depth: Option<String>,
    /// Connections open at once; further ones wait to be accepted [default: 10000]
    #[arg(long, env = "MODELSD_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<String>,
    /// Seconds a client has to send a request's head, its body, and to take each piece of an answer [default: 30]
    #[arg(long, env = "MODELSD_CLIENT_TIMEOUT", value_name = "SECONDS")]
    pub client_timeout: Option<String>,
    /// Seconds that requests in flight have to end after SIGTERM or Ctrl-C [default: 30]
    #[arg(long, env = "MODELSD_SHUTDOWN_GRACE", value_name = "SECONDS")]
    pub shutdown_grace: Option<String>,
    /// Engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags that choose an engine.
#[derive(Debug, Clone, Args)]
pub struct EngineArgs {
    /// Engine of ONNX models: ort (ONNX Runtime), native (modelsd's own, for graphs of classical models), tract, or auto
    /// (the fastest of those that give the same answers)
    #[arg(long, env = "MODELSD_ENGINE", default_value = "auto", value_name = "ENGINE")]
    pub engine: String,
    /// The ONNX Runtime library; unset, it is looked for beside the program, in ./.onnxruntime, then in the system
    #[arg(long, env = "ORT_DYLIB_PATH", value_name = "FILE")]
    pub onnxruntime: Option<PathBuf>,
    /// Serve LightGBM models that were trained on pandas categories, looking values up; without, their requests are
    /// refused as MLflow's own server refuses them
    #[arg(long, env = "MODELSD_PANDAS_CATEGORIES")]
    pub pandas_categories: bool,
}

/// Flags of the log.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Form of a log line: text or json
    #[arg(long, env = "MODELSD_LOG_FORMAT", default_value = "text", value_name = "FORM")]
    pub log_format: String,
    /// What is logged: error, warn, info, debug, trace, or directives such as modelsd=debug [default: info when
    /// serving, else warn; also RUST_LOG]
    #[arg(long, env = "MODELSD_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// Flags of `modelsd predict`.
#[derive(Debug, Clone, Args)]
pub struct PredictArgs {
    /// Model to predict with, as for `modelsd serve`
    #[arg(short, long, env = "MODELSD_MODEL_URI", value_name = "URI")]
    pub model_uri: Option<String>,
    /// File with a request body; `-` or unset: standard input
    #[arg(short, long, value_name = "FILE")]
    pub input_path: Option<PathBuf>,
    /// Media type of the body: json, csv or parquet
    #[arg(short = 't', long, default_value = "json", value_name = "TYPE")]
    pub content_type: String,
    /// File for the answer; `-` or unset: standard output
    #[arg(short, long, value_name = "FILE")]
    pub output_path: Option<PathBuf>,
    /// Registry that knows the model: the address of an MLflow server (http://HOST:5000), or the folder of an embedded
    /// registry [default: ./models; also MLFLOW_REGISTRY_URI, MLFLOW_TRACKING_URI]
    #[arg(
        long,
        env = "MODELSD_REGISTRY",
        hide_env_values = true,
        value_name = "URL|DIR"
    )]
    pub registry: Option<String>,
    /// Engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `modelsd verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Model to verify, as for `modelsd serve`
    #[arg(value_name = "URI")]
    pub model_uri: String,
    /// File with recorded requests and answers, one JSON object a line, as scripts/capture_cases.py writes it [default:
    /// cases.jsonl in the model's directory]
    #[arg(long, value_name = "FILE")]
    pub cases: Option<PathBuf>,
    /// How far a number may differ, relative to the larger of 1 and the recorded one [default: 1e-6 for onnx and xgboost,
    /// which compute in single, else 1e-12]
    #[arg(long, value_name = "SHARE")]
    pub tolerance: Option<f64>,
    /// Registry that knows the model: the address of an MLflow server (http://HOST:5000), or the folder of an embedded
    /// registry [default: ./models; also MLFLOW_REGISTRY_URI, MLFLOW_TRACKING_URI]
    #[arg(
        long,
        env = "MODELSD_REGISTRY",
        hide_env_values = true,
        value_name = "URL|DIR"
    )]
    pub registry: Option<String>,
    /// Engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `modelsd inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// Model to look at, as for `modelsd serve`
    #[arg(value_name = "URI")]
    pub model_uri: String,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Run the model on every engine that can, on one row and on a full batch, and show which would serve it, and why
    #[arg(long)]
    pub tune: bool,
    /// Registry that knows the model: the address of an MLflow server (http://HOST:5000), or the folder of an embedded
    /// registry [default: ./models; also MLFLOW_REGISTRY_URI, MLFLOW_TRACKING_URI]
    #[arg(
        long,
        env = "MODELSD_REGISTRY",
        hide_env_values = true,
        value_name = "URL|DIR"
    )]
    pub registry: Option<String>,
    /// Engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Log.
    #[command(flatten)]
    pub log: LogArgs,
}
