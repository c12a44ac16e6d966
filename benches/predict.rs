//! One prediction: engines × bundled models × rows.
//!
//! `cargo bench --bench predict`; ONNX Runtime is taken from `.onnxruntime` or ORT_DYLIB_PATH.

#![allow(clippy::disallowed_methods)] // why: where the library is comes from the environment, as for the server

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use modelsd::flavor::{Config, EngineChoice, Source, load, loaders};
use modelsd::model::batch::{Batch, Body, Columns, Frame, Name};
use modelsd::model::mlmodel::MlModel;
use modelsd::model::tensor::{Elements, Shape, Tensor};

/// Models and the extents of a row.
const MODELS: [(&str, &[usize]); 6] = [
    ("iris/1", &[4]),
    ("iris/2", &[4]),
    ("wine/1", &[13]),
    ("breast_cancer/1", &[30]),
    ("diabetes/1", &[10]),
    ("digits/1", &[8, 8]),
];

/// A frame where the model takes rows of numbers, as a column signature gives it; else an array.
fn batch(rows: usize, extents: &[usize], double: bool) -> Batch {
    let width: usize = extents.iter().product();
    let values = (0..rows * width).map(|at| (at % 23) as f64 / 4.0);
    let elements = match double {
        true => Elements::F64(values.collect()),
        false => Elements::F32(values.map(|value| value as f32).collect()),
    };
    let shape: Shape = std::iter::once(rows).chain(extents.iter().copied()).collect();
    let tensor = Tensor::new(shape, elements).expect("shape fits");
    if !double {
        return Batch::new(Body::Array(tensor));
    }
    let names: Arc<[Name]> = (0..width as i64).map(Name::Index).collect();
    Batch::new(Body::Frame(
        Frame::new(rows, names, Columns::Matrix(tensor)).expect("a frame"),
    ))
}

fn predict(criterion: &mut Criterion) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let library = library.unwrap_or_else(|| root.join(".onnxruntime/libonnxruntime.so"));
    for (engine, choice) in [("ort", EngineChoice::Ort), ("tract", EngineChoice::Tract)] {
        let config = Config {
            engine: choice,
            onnxruntime: vec![library.clone()],
            ..Default::default()
        };
        for (model, extents) in MODELS {
            let dir = root.join("models").join(model);
            let text = std::fs::read_to_string(dir.join("MLmodel")).expect("MLmodel");
            let mlmodel = MlModel::parse(&text).expect("MLmodel");
            let source = Source {
                dir: &dir,
                mlmodel: &mlmodel,
            };
            // Models that tract refuses are left out.
            let Ok(mut loaded) = load(&loaders(&config), source, NonZeroUsize::MIN) else {
                continue;
            };
            let mut group = criterion.benchmark_group(format!("predict/{engine}/{model}"));
            for rows in [1, 32, 1000] {
                for double in [false, true] {
                    if double && extents.len() > 1 {
                        continue;
                    }
                    let batch = batch(rows, extents, double);
                    group.throughput(Throughput::Elements(rows as u64));
                    let kind = if double { "float64 frame" } else { "float32 array" };
                    group.bench_function(format!("{kind}/{rows}"), |bencher| {
                        bencher.iter(|| {
                            loaded.predictors[0]
                                .predict(black_box(&batch))
                                .expect("an answer")
                        });
                    });
                }
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    targets = predict
}
criterion_main!(benches);
