//! The composition root: the only place that knows every module, and decides nothing itself.

mod ask;
mod bench;
mod compare;
mod deploy;
mod health;
mod pin;
mod predict;
mod promote;
mod records;
mod route;
mod serve;
mod text;
mod token;
mod verify;

pub mod inspect;
pub mod registry;

use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;

use crate::batching;
use crate::config::{
    AdminConfig, Args, BenchConfig, Command, CompareConfig, Env, HealthConfig, InspectArgs, LogConfig,
    NewToken, OfflineConfig, Problems, RecordsConfig, RegistryCommand, ServeConfig,
};
use crate::deploy::parity::{self, Answer, Wire};
use crate::deploy::prove::tune;
use crate::deploy::sample::{ReadBody, Samples};
use crate::protocol::{Codecs, Limits, Media};
use crate::serve::error::Error;
use crate::telemetry::log;

/// Does what the command line says.
///
/// # Errors
/// [`Problems`] for a bad configuration, before anything was started; else the failure with its causes.
pub fn run(args: Args, env: &dyn Env) -> anyhow::Result<()> {
    match args.command {
        Command::Serve(args) => {
            let config = ServeConfig::new(&args, env)?;
            install_log(&config.log)?;
            serve::run(&config)
        }
        Command::Predict(args) => {
            let model = args.model_uri.as_deref();
            let config = OfflineConfig::new(model, args.registry.as_deref(), &args.engine, &args.log, env)?;
            let media = match args.content_type.as_str() {
                "json" => Media::Json,
                "csv" => Media::Csv,
                "parquet" => Media::Parquet,
                other => {
                    return Err(Problems(vec![format!(
                        "--content-type is `{other}`: use json, csv or parquet"
                    )])
                    .into());
                }
            };
            install_log(&config.log)?;
            predict::run(
                &config,
                media,
                args.input_path.as_deref(),
                args.output_path.as_deref(),
            )
        }
        Command::Inspect(args) => {
            let uri = Some(args.model_uri.as_str());
            let config = OfflineConfig::new(uri, args.registry.as_deref(), &args.engine, &args.log, env)?;
            install_log(&config.log)?;
            print_inspection(&config, &args)
        }
        Command::Verify(args) => {
            let uri = Some(args.model_uri.as_str());
            let config = OfflineConfig::new(uri, args.registry.as_deref(), &args.engine, &args.log, env)?;
            install_log(&config.log)?;
            verify::run(&config, args.cases.as_deref(), args.tolerance)
        }
        Command::Bench(args) => {
            let config = BenchConfig::new(&args, env)?;
            install_log(&config.log)?;
            bench::run(&config)
        }
        Command::Health(args) => health::run(&HealthConfig::new(&args, env)?),
        Command::Pin { slot, version, admin } => {
            pin::run(&AdminConfig::new(&admin, env)?, &slot, Some(version))
        }
        Command::Unpin { slot, admin } => pin::run(&AdminConfig::new(&admin, env)?, &slot, None),
        Command::Promote(args) => promote::run(&AdminConfig::new(&args.admin, env)?, &args),
        Command::Records { command } => read_records(&RecordsConfig::new(&command, SystemTime::now(), env)?),
        Command::Route { admin, command } => route::run(&AdminConfig::new(&admin, env)?, &command),
        Command::Compare(args) => compare::run(&CompareConfig::new(&args, env)?, &args),
        Command::Token { command } => token::run(&NewToken::new(&command)?),
        Command::Config { command } => route::config(&command),
        Command::Registry { registry, command } => change_registry(command, &registry),
    }
}

/// Reads input examples, and answers recorded cases, as the server does requests.
fn wire(disable_schema_details: bool, limits: Limits) -> Wire {
    let codecs = Codecs::new(disable_schema_details);
    let words = |error: Error| error.message().to_owned();
    let read: ReadBody = Arc::new(move |body, signature| {
        let decoded = codecs.of(Media::Json).decode(body, signature, limits);
        decoded.map(|decoded| decoded.batch).map_err(words)
    });
    let answer: Answer = Arc::new(move |predictor, body, signature| {
        let codec = codecs.of(Media::Json);
        let decoded = codec.decode(body, signature, limits).map_err(words)?;
        let output = predictor
            .predict(&decoded.batch)
            .map_err(|error| error.to_string())?;
        let mut text = Vec::new();
        codec.encode(&output, decoded.reply, &mut text).map_err(words)?;
        Ok(text)
    });
    Wire { read, answer }
}

fn install_log(config: &LogConfig) -> anyhow::Result<()> {
    log::install(config.format, &config.filter)
        .map_err(anyhow::Error::msg)
        .context("cannot start the log")
}

fn read_records(config: &RecordsConfig) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let done = records::run(config, &mut out).and_then(|()| Ok(out.flush()?));
    match done {
        // Whoever reads has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        done => done,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of_io = |cause: &(dyn std::error::Error + 'static)| {
        let error = cause.downcast_ref::<std::io::Error>();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    };
    error.chain().any(of_io)
}

fn change_registry(command: RegistryCommand, folder: &Path) -> anyhow::Result<()> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock stands before 1970")?;
    let mut out = std::io::stdout().lock();
    registry::run(command, folder, now.as_millis() as i64, &mut out)?;
    Ok(())
}

fn print_inspection(config: &OfflineConfig, args: &InspectArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (resolved, artifact) = runtime.block_on(deploy::resolve(config))?;
    let dir = &artifact.dir;
    let loaders = crate::flavor::loaders(&config.flavor);
    let source = crate::flavor::Source {
        dir: dir.path(),
        mlmodel: dir.mlmodel(),
    };
    // A model that cannot be loaded is the one that people look at most closely.
    let inspection = match crate::flavor::load(&loaders, source, NonZeroUsize::MIN) {
        Ok(mut loaded) => {
            let wire = wire(false, Limits::default());
            let trials = if args.tune {
                let samples = Samples::gather(dir, Vec::new(), &wire.read).map_err(anyhow::Error::msg)?;
                tune(&mut loaded, &samples, batching::Config::default().max_rows, true)
            } else {
                Vec::new()
            };
            let parity = match (parity::recorded(dir), loaded.predictors.first_mut()) {
                (Ok(Some(cases)), Some(predictor)) => {
                    let signature = &dir.mlmodel().signature;
                    Some(Ok(parity::check(
                        predictor.as_mut(),
                        signature,
                        &cases,
                        &wire.answer,
                    )))
                }
                (Err(problem), _) => Some(Err(problem)),
                _ => None,
            };
            inspect::Inspection {
                trials,
                parity,
                ..inspect::Inspection::new(&config.model, &resolved, dir, &loaded.report)?
            }
        }
        Err(error) => {
            let problem = format!("{:#}", anyhow::Error::new(error));
            inspect::Inspection::not_loaded(&config.model, &resolved, dir, &problem)?
        }
    };
    let text = if args.json {
        inspection.render_json()
    } else {
        inspection.render_text()
    };
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .context("cannot write the answer")
}
