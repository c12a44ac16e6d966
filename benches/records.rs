//! What the writer's thread spends on a record, for predictions like those of `iris`: four floats in; a label and three
//! doubles out. Nanoseconds of its processor time, by sink; `records N` takes N records instead of a million.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use modelsd::model::batch::{Batch, Body, Columns, Frame, Name, Names};
use modelsd::model::origin::Origin;
use modelsd::model::tensor::{Elements, Tensor};
use modelsd::predlog::{Assignment, Entry, Record, SinkSpec, Timing};
use uuid::Uuid;

/// A reproducible number with as many digits as measurements have.
fn number(seed: u64) -> f64 {
    (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / 1e4
}

/// What the records of one version share.
struct Shared {
    origin: Arc<Origin>,
    inputs: Names,
    outputs: Names,
}

fn entry(seed: u64, shared: &Shared) -> Entry {
    let value = |offset: u64| number(seed * 16 + offset);
    let inputs: Vec<f32> = (0..4).map(|column| value(column) as f32).collect();
    let inputs = Tensor::new([1, 4].as_slice(), Elements::F32(inputs)).unwrap();
    let inputs = Frame::new(1, shared.inputs.clone(), Columns::Matrix(inputs)).unwrap();
    let label = Tensor::vector(Elements::I64(vec![(seed % 3) as i64]));
    let share = |offset| Tensor::vector(Elements::F64(vec![1.0 / (1.0 + value(offset))]));
    let outputs = vec![label, share(4), share(5), share(6)];
    let outputs = Frame::new(1, shared.outputs.clone(), Columns::Separate(outputs)).unwrap();
    let micros = |offset| Duration::from_nanos((value(offset) * 10.0) as u64);
    Entry::Prediction(Box::new(Record {
        id: Uuid::from_u64_pair(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), !seed),
        time: SystemTime::now(),
        origin: Arc::clone(&shared.origin),
        rows: 1,
        inputs: Some(Batch::new(Body::Frame(inputs))),
        outputs: Some(Batch::new(Body::Frame(outputs))),
        error: None,
        timing: Timing {
            decode: micros(7),
            queue: Duration::ZERO,
            predict: micros(8),
            encode: micros(9),
            total: micros(10),
        },
        request_id: Some(Uuid::from_u128(u128::from(seed)).to_string().into_bytes().into()),
        assignment: Assignment::Weight,
        routing_key: None,
        sampled: true,
        trace: None,
        traced: None,
    }))
}

/// Processor time of this thread: others share the machine.
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn main() {
    const BULK: u64 = 1024;
    let count: u64 = std::env::args()
        .find_map(|word| word.parse().ok())
        .unwrap_or(1_000_000);
    let names = |names: &[&str]| names.iter().map(|name| Name::from(*name)).collect::<Names>();
    let shared = Shared {
        origin: Arc::new(Origin {
            route: "iris".into(),
            variant: "champion".into(),
            model: "iris".into(),
            version: "3".into(),
            digest: "5d41402abc4b2a76b9719d911017c592".into(),
            ..Origin::default()
        }),
        inputs: names(&["sepal_length", "sepal_width", "petal_length", "petal_width"]),
        outputs: names(&["label", "setosa", "versicolor", "virginica"]),
    };
    let kinds: &[&str] = if cfg!(feature = "parquet") {
        &["jsonl", "parquet"]
    } else {
        &["jsonl"]
    };
    for kind in kinds {
        let dir = tempfile::tempdir().unwrap();
        let spec: SinkSpec = format!("{kind}:{}?max_file_age=1h", dir.path().display())
            .parse()
            .unwrap();
        let mut sink = spec.open().unwrap();
        let began = Instant::now();
        let mut taken = Duration::ZERO;
        for bulk in 0..count / BULK {
            let entries: Vec<Entry> = (0..BULK)
                .map(|position| entry(bulk * BULK + position, &shared))
                .collect();
            let before = spent();
            sink.write(&entries).unwrap();
            // What the record holds is freed by the writer too.
            drop(entries);
            taken += spent() - before;
        }
        let before = spent();
        sink.close().unwrap();
        taken += spent() - before;
        let written: u64 = sizes(dir.path());
        let each = count / BULK * BULK;
        println!(
            "{kind:8} {:6.0} ns a record, {:5.1} bytes; all in {:.1} s",
            taken.as_nanos() as f64 / each as f64,
            written as f64 / each as f64,
            began.elapsed().as_secs_f64()
        );
    }
}

/// Bytes of all files in a folder.
fn sizes(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                sizes(&path)
            } else {
                path.metadata().unwrap().len()
            }
        })
        .sum()
}
