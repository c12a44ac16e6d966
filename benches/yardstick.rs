//! What modelsd is measured against by `scripts/bench.sh`: how fast an answer could be if there were no model, how fast
//! the model could be if there were no server, and how fast a server is that does nothing but what it must.
//!
//! usage: yardstick fixed-reply ADDRESS FILE            answers every `POST /invocations` with the file's bytes
//!        yardstick naive ADDRESS MODEL.onnx            answers `{"inputs": …}` by ONNX Runtime and serde_json
//!        yardstick in-process MODEL_DIR BODY SECONDS   runs the model on a JSON body in a loop, in ONNX Runtime;
//!                                                      prints JSON
//!
//! Anything else, such as what `cargo bench` passes, does nothing.

#![allow(clippy::disallowed_methods)] // why: where the library is comes from the environment, as for the server

#[cfg(feature = "ort")]
#[path = "yardstick/naive.rs"]
mod naive;
#[allow(dead_code)] // why: only the handler with the fixed reply is of use here
mod support;

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use modelsd::flavor::{Config, EngineChoice, Source, load, loaders};
use modelsd::model::mlmodel::MlModel;
use modelsd::protocol::{Codecs, Limits, Media};

/// Like the server, so that the two differ in what they do and not in how memory is had.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fixed-reply", address, file] => fixed_reply(address, file),
        #[cfg(feature = "ort")]
        ["naive", address, graph] => serve_naive(address, graph),
        ["in-process", dir, body, seconds] => in_process(Path::new(dir), body, seconds),
        _ => eprintln!("yardstick: nothing to do; scripts/bench.sh runs it"),
    }
}

fn fixed_reply(address: &str, file: &str) {
    let reply = std::fs::read_to_string(file).expect("the file of the reply");
    serve(address, |listener| support::serve_fixed(listener, reply));
}

#[cfg(feature = "ort")]
fn serve_naive(address: &str, graph: &str) {
    let library = onnxruntime();
    serve(address, |listener| {
        naive::serve(listener, &library, Path::new(graph))
    });
}

fn serve<F: Future<Output = ()>>(address: &str, serve: impl FnOnce(tokio::net::TcpListener) -> F) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.expect("the address");
        serve(listener).await;
    });
}

fn onnxruntime() -> PathBuf {
    let library = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    library.unwrap_or_else(|| root.join(".onnxruntime/libonnxruntime.so"))
}

fn in_process(dir: &Path, body: &str, seconds: &str) {
    let config = Config {
        engine: EngineChoice::Ort,
        onnxruntime: vec![onnxruntime()],
        ..Default::default()
    };
    let text = std::fs::read_to_string(dir.join("MLmodel")).expect("MLmodel");
    let mlmodel = MlModel::parse(&text).expect("MLmodel");
    let source = Source {
        dir,
        mlmodel: &mlmodel,
    };
    let mut loaded = load(&loaders(&config), source, NonZeroUsize::MIN).expect("the model");
    let body = std::fs::read(body).expect("the body");
    let codecs = Codecs::new(false);
    let json = codecs.of(Media::Json);
    let batch = json
        .decode(&body, &mlmodel.signature, Limits::default())
        .expect("a request")
        .batch;
    let length = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let mut run = |length: Duration| {
        let mut latency = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).expect("a histogram");
        let start = Instant::now();
        while start.elapsed() < length {
            let before = Instant::now();
            let answer = loaded.predictors[0]
                .predict(black_box(&batch))
                .expect("an answer");
            black_box(answer);
            latency.saturating_record(before.elapsed().as_nanos() as u64);
        }
        (latency, start.elapsed())
    };
    run(length / 5);
    let (latency, took) = run(length);
    let microseconds = |part| latency.value_at_quantile(part) as f64 / 1000.0;
    let page = serde_json::json!({
        "engine": loaded.report.engine,
        "requests": latency.len(),
        "requests_per_second": latency.len() as f64 / took.as_secs_f64(),
        "latency_us": { "p50": microseconds(0.5), "p99": microseconds(0.99) },
    });
    println!("{page}");
}
