//! `modelsd bench`: makes a request, sends it as often as it was asked to, and says what came of it.

mod page;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::Context;
use serde_json::{Value as Json, json};
use tokio::sync::{oneshot, watch};

use super::deploy;
use super::serve::stop_signal;
use crate::bench::address::Request;
use crate::bench::report::Report;
use crate::bench::rows::Example;
use crate::bench::run::{self, Plan};
use crate::config::{BenchConfig, BodySource, OfflineConfig};
use crate::deploy::sample;
use crate::protocol::{Codecs, Media, Reply};

/// Longest body sent.
const MAX_BODY_BYTES: u64 = 1 << 30;

/// Measures, and prints the report; Ctrl-C ends the measurement early.
///
/// # Errors
/// When there is no request to send, or a server never answered with success.
pub(super) fn run(config: &BenchConfig) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (body, rows) = match &config.body {
        BodySource::File(file) => (read(file)?, config.rows.map(|rows| rows.get() as u64)),
        BodySource::Model(model, format) => {
            let rows = config.rows.map_or(1, std::num::NonZeroUsize::get);
            let example = runtime.block_on(example(model))?;
            (example.body(rows, *format)?, Some(rows as u64))
        }
    };
    let plan = Plan {
        targets: config.targets.clone(),
        tls: config.tls.clone(),
        request: Request {
            content_type: config.content_type.clone(),
            body,
            rows,
            headers: config.headers.clone(),
        },
        concurrency: config.concurrency.clone(),
        warm_up: config.warm_up,
        duration: config.duration,
        rate: config.rate,
        threads: config.threads.get(),
        spin: config.spin,
        timeout: config.timeout,
    };
    runtime.block_on(run::greet(&plan))?;
    let report = runtime.block_on(measure(&plan))?;
    let text = if config.json {
        page::json(&plan, &report)
    } else {
        page::text(&plan, &report)
    };
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.context("cannot write the report")?;
    for (number, target) in plan.targets.iter().enumerate() {
        let of_target = report.steps.iter().filter_map(|step| step.measured.get(number));
        anyhow::ensure!(
            of_target.clone().any(|measured| measured.tally.answered > 0),
            "no request to {} succeeded{}",
            target.url(),
            page::troubles(of_target.map(|measured| &measured.tally))
                .map(|troubles| format!(": {troubles}"))
                .unwrap_or_default()
        );
    }
    Ok(())
}

/// Runs the plan on threads of its own, until it is over or a signal ends it.
async fn measure(plan: &Plan) -> anyhow::Result<Report> {
    let stopped = stop_signal().context("cannot catch signals")?;
    let (stop, told) = watch::channel(false);
    let (sender, mut receiver) = oneshot::channel();
    let plan = plan.clone();
    let work = move || {
        let mut tell = |connections: usize| {
            let many = if connections == 1 {
                "connection"
            } else {
                "connections"
            };
            eprintln!("measuring with {connections} {many} ...");
        };
        // The receiver waits for as long as this thread lives.
        let _ = sender.send(run::run(&plan, &told, &mut tell));
    };
    let thread = std::thread::Builder::new()
        .name("modelsd-bench".into())
        .spawn(work)?;
    let report = tokio::select! {
        report = &mut receiver => report,
        () = stopped => {
            let _ = stop.send(true);
            receiver.await
        }
    };
    let report = report.context("the load has ended without a report")?;
    thread.join().map_err(|_| anyhow::anyhow!("the load panicked"))?;
    report.context("cannot start the load")
}

/// A model's input example, or a row made from its signature.
async fn example(config: &OfflineConfig) -> anyhow::Result<Example> {
    let (_, artifact) = deploy::resolve(config).await?;
    let body: Json = match sample::example_body(&artifact.dir, sample::MAX_EXAMPLE_BYTES) {
        Some((file, body)) => {
            serde_json::from_slice(&body).with_context(|| format!("`{file}` of the model is no JSON"))?
        }
        None => {
            let signature = &artifact.dir.mlmodel().signature;
            let made = sample::made(signature).into_iter().next().context(
                "the model has neither an input example nor a signature that rows can be made from; give the body with \
                 --body",
            )?;
            let codecs = Codecs::new(config.disable_schema_details);
            let mut text = Vec::new();
            codecs.of(Media::Json).encode(&made, Reply::Bare, &mut text)?;
            json!({ "inputs": serde_json::from_slice::<Json>(&text)? })
        }
    };
    Ok(Example::read(&body)?)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(MAX_BODY_BYTES + 1).read_to_end(&mut body)
    } else {
        let opened = File::open(file).with_context(|| format!("cannot open `{}`", file.display()))?;
        opened.take(MAX_BODY_BYTES + 1).read_to_end(&mut body)
    };
    read.with_context(|| format!("cannot read `{}`", file.display()))?;
    anyhow::ensure!(
        body.len() as u64 <= MAX_BODY_BYTES,
        "`{}` is longer than {MAX_BODY_BYTES} bytes",
        file.display()
    );
    Ok(body)
}
