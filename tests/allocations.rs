//! Allocations of a one-row request on its way through the data plane: begin, decode, predict, encode, record.
//!
//! The count is that of Rust's allocator on the thread that answers; what ONNX Runtime asks of the C library is its own.
//! A program of its own, because the counting allocator replaces that of the whole process.

#![allow(clippy::disallowed_methods)] // why: where the library is comes from the environment, as for the server

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use modelsd::artifact::{self, Artifacts};
use modelsd::deploy::deployment::RequestStage;
use modelsd::deploy::fleet::Fleet;
use modelsd::deploy::install::{self, Installer};
use modelsd::deploy::journal::Journal;
use modelsd::deploy::reconcile::{self, Reconciler};
use modelsd::deploy::slot::Slot;
use modelsd::flavor;
use modelsd::protocol::{Codecs, Limits, Media};
use modelsd::registry::{self, Registry};
use modelsd::serve::endpoint::{self, Endpoint};
use modelsd::telemetry::recorder;

/// Bundled models, each with a request of one row and what it may allocate.
const CASES: [(&str, &str, u64); 4] = [
    ("iris/1", r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#, LIMIT),
    ("iris/2", r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#, LIMIT),
    (
        "diabetes/1",
        r#"{"dataframe_split": {"columns": ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"], "data": [[0.04, 0.05, 0.06, 0.02, -0.04, -0.03, -0.04, -0.01, 0.02, -0.02]]}}"#,
        LIMIT,
    ),
    // A map a row, which the binding of ONNX Runtime takes apart by many small allocations.
    (
        "wine/1",
        r#"{"inputs": {"features": [[14.23, 1.71, 2.43, 15.6, 127.0, 2.8, 3.06, 0.28, 2.29, 5.64, 1.04, 3.92, 1065.0]]}}"#,
        30,
    ),
];

/// What one request to a model of numbers may allocate.
const LIMIT: u64 = 8;

/// Requests that are counted together, so that what is allocated now and then, as a block of samples of the metrics is,
/// weighs what it costs a request.
const REQUESTS: u64 = 256;

fn path(within: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(within)
}

/// An endpoint whose default slot serves that version of the bundled registry.
async fn endpoint(model: &str) -> Endpoint {
    let registry: Arc<dyn Registry> = registry::open(&registry::Spec::Folder(path("models")))
        .unwrap()
        .into();
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("allocations");
    let journal = Journal::new(scratch.join("state"), registry.name());
    let library = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let install = install::Config {
        flavor: flavor::Config {
            engine: flavor::EngineChoice::Ort,
            onnxruntime: vec![library.unwrap_or_else(|| path(".onnxruntime/libonnxruntime.so"))],
            ..Default::default()
        },
        predictors: NonZeroUsize::MIN,
        batching: Default::default(),
        load_timeout: Duration::from_secs(60),
        parity_tolerance: None,
    };
    let read: modelsd::deploy::sample::ReadBody = Arc::new(|body, signature| {
        let decoded = Codecs::new(false)
            .of(Media::Json)
            .decode(body, signature, Limits::default());
        decoded
            .map(|decoded| decoded.batch)
            .map_err(|error| error.message().to_owned())
    });
    let answer: modelsd::deploy::parity::Answer = Arc::new(|_, _, _| Err("there are no cases".into()));
    let wire = modelsd::deploy::parity::Wire { read, answer };
    let artifacts = Artifacts::new(artifact::Config::new(scratch.join("cache")));
    let installer = Arc::new(Installer::new(registry, artifacts, install, Some(wire)));
    let slot = Slot::new("model", format!("models:/{model}").parse().unwrap());
    let fleet = Arc::new(Fleet::new([Arc::new(slot)], Some("model".into())));
    let config = reconcile::Config {
        poll_interval: Duration::from_secs(3600),
        memory_budget: None,
        all_models: None,
        gate: None,
    };
    let (reconciler, control, first_pass) =
        Reconciler::new(installer, Arc::clone(&fleet), journal, config).unwrap();
    tokio::spawn(async move {
        let _control = control;
        reconciler.run().await
    });
    let pass = first_pass.await.unwrap();
    assert_eq!(pass.failed, [], "{model}");
    let config = endpoint::Config {
        max_in_flight: 1,
        timeout: Duration::from_secs(60),
    };
    Endpoint::new(fleet, Default::default(), None, None, &config)
}

/// One request, as `http::invocations` makes it; the answer.
async fn request(endpoint: &Endpoint, codecs: Codecs, body: &[u8]) -> Vec<u8> {
    let head = endpoint::Head {
        name: None,
        now: Instant::now(),
        patience: None,
        headers: &HeaderMap::new(),
        asks_for_variant: false,
        trace: None,
        path: "/invocations",
    };
    let mut call = endpoint.begin(head).unwrap();
    let codec = codecs.of(Media::Json);
    let decoded = call.stage(RequestStage::Decode, |deployment| {
        codec.decode(body, deployment.signature(), Limits::default())
    });
    let decoded = decoded.unwrap();
    let output = call.predict(decoded.batch).await.unwrap();
    let encoded = call.stage(RequestStage::Encode, |_| {
        let mut out = Vec::new();
        codec.encode(&output, decoded.reply, &mut out).map(|()| out)
    });
    call.finish();
    encoded.unwrap()
}

/// Mean allocations of a request, rounded up.
fn mean(runtime: &tokio::runtime::Runtime, endpoint: &Endpoint, body: &[u8]) -> u64 {
    let codecs = Codecs::new(false);
    // Warm: buffers have their size, and the pool knows that the model is cheap.
    runtime.block_on(async {
        for _ in 0..REQUESTS {
            request(endpoint, codecs, body).await;
        }
    });
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..REQUESTS {
                request(endpoint, codecs, body).await;
            }
        });
    });
    counted.count_total.div_ceil(REQUESTS)
}

#[test]
fn a_warm_one_row_request_allocates_little() {
    let _metrics = recorder::install().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut over = Vec::new();
    for (model, body, limit) in CASES {
        let endpoint = runtime.block_on(endpoint(model));
        let mean = mean(&runtime, &endpoint, body.as_bytes());
        println!("{model}: {mean} allocations a request, at most {limit}");
        if mean > limit {
            over.push(format!("{model}: {mean}, more than {limit}"));
        }
    }
    assert!(over.is_empty(), "{}", over.join("; "));
}

#[test]
fn the_counter_sees_what_a_request_allocates() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![1u8; 100])));
    assert_eq!(counted.count_total, 1);
}
