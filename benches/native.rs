//! Native artifacts: one call of a model, and loading one; ONNX Runtime on the same models converted.
//!
//! `scripts/bench_native.py` makes the models, runs this, and sets the figures beside those of the Python libraries.
//! By hand: `MODELSD_BENCH_MODELS=DIR cargo bench --bench native`, DIR being what that script made with `--keep`.

#![allow(clippy::disallowed_methods)] // why: where models and the library are comes from the environment

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use modelsd::flavor::{Config, EngineChoice, Loaded, Source, load, loaders};
use modelsd::model::batch::Batch;
use modelsd::model::mlmodel::MlModel;
use modelsd::protocol::{Codecs, Limits, Media};

fn open(dir: &Path, config: &Config) -> (Loaded, MlModel) {
    let text = std::fs::read_to_string(dir.join("MLmodel")).expect("MLmodel");
    let mlmodel = MlModel::parse(&text).expect("MLmodel");
    let source = Source {
        dir,
        mlmodel: &mlmodel,
    };
    let loaded = load(&loaders(config), source, NonZeroUsize::MIN).expect("a model");
    (loaded, mlmodel)
}

/// What the server would hand to the model for a recorded request.
fn batch(file: &Path, mlmodel: &MlModel) -> Batch {
    let body = std::fs::read(file).expect("a request");
    let codec = Codecs::new(false);
    let decoded = codec
        .of(Media::Json)
        .decode(&body, &mlmodel.signature, Limits::default());
    decoded.expect("a good request").batch
}

fn native(criterion: &mut Criterion) {
    let Some(models) = std::env::var_os("MODELSD_BENCH_MODELS").map(PathBuf::from) else {
        println!("no models: run scripts/bench_native.py");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let config = Config {
        engine: EngineChoice::Ort,
        onnxruntime: vec![library.unwrap_or_else(|| root.join(".onnxruntime/libonnxruntime.so"))],
        ..Default::default()
    };
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&models)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    for case in cases {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        for engine in ["native", "ort"] {
            let dir = case.join(engine);
            if !dir.is_dir() {
                continue;
            }
            let mut group = criterion.benchmark_group(format!("{name}/{engine}"));
            let (mut loaded, mlmodel) = open(&dir, &config);
            for rows in [1, 64, 1000] {
                let file = case.join(format!("{rows}.json"));
                if !file.is_file() {
                    continue;
                }
                let batch = batch(&file, &mlmodel);
                group.throughput(Throughput::Elements(rows));
                group.bench_function(rows.to_string(), |bencher| {
                    bencher.iter(|| {
                        loaded.predictors[0]
                            .predict(black_box(&batch))
                            .expect("an answer")
                    });
                });
            }
            if case.join("load").is_file() {
                group.bench_function("load", |bencher| bencher.iter(|| open(&dir, &config)));
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = native
}
criterion_main!(benches);
