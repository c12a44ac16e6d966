//! What a record takes of the processor, for predictions like those of `iris`: four floats in; a label and three doubles
//! out. Nanoseconds that a request's thread takes to offer it (the median of many times), and of the writer's processor time,
//! by sink; `records N` takes N records instead of a million.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use modelsd::model::batch::{Batch, Body, Columns, Frame, Name, Names};
use modelsd::model::origin::Origin;
use modelsd::model::tensor::{Elements, Tensor};
use modelsd::predlog::{Assignment, Config, Entry, Record, Recorder, SinkSpec, Timing};
use uuid::Uuid;

/// That of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    let id = Uuid::from_u64_pair(
        seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        !seed.wrapping_mul(0xD1B5_4A32_D192_ED03),
    );
    Entry::Prediction(Box::new(Record {
        id,
        time: SystemTime::now().into(),
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
        request_id: Some(id.to_string().into_bytes().into()),
        assignment: Assignment::None,
        routing_key: None,
        sampled: true,
        trace: None,
        traced: None,
    }))
}

/// Processor time of this thread, and of all: others share the machine. Read from files, since valgrind knows no clock of a
/// thread.
fn spent() -> (Duration, Duration) {
    let of = |path: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
        Duration::from_nanos(nanos.unwrap_or(0))
    };
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let threads = threads.map(|thread| thread.unwrap().path().join("schedstat"));
    let all = threads.map(|path| of(&path.to_string_lossy())).sum();
    (of("/proc/thread-self/schedstat"), all)
}

fn main() {
    const BULK: u64 = 256;
    let count: u64 = std::env::args()
        .find_map(|word| word.parse().ok())
        .unwrap_or(1_000_000);
    let names = |names: &[&str]| names.iter().map(|name| Name::from(*name)).collect::<Names>();
    let shared = Shared {
        origin: Arc::new(Origin {
            route: "iris".into(),
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
        let sink = spec.open().unwrap();
        let began = Instant::now();
        let (own, all) = spent();
        let before = all.saturating_sub(own);
        let recorder = Recorder::start(vec![sink], Config::default()).unwrap();
        let mut offered = Vec::new();
        for bulk in 0..count / BULK {
            let entries: Vec<Entry> = (0..BULK)
                .map(|position| entry(bulk * BULK + position, &shared))
                .collect();
            let before = Instant::now();
            for entry in entries {
                recorder.offer(entry);
            }
            offered.push(before.elapsed());
            // As often as a full core would offer so many, so that the writer keeps up.
            std::thread::sleep(Duration::from_millis(2));
        }
        // So that all is taken; what is left are the last rows, which are written by the close.
        std::thread::sleep(Duration::from_millis(100));
        let (own, all) = spent();
        let written = all.saturating_sub(own).saturating_sub(before);
        let ending = recorder.close(Duration::from_secs(10));
        let each = (count / BULK * BULK) as f64;
        // Others share the machine, and take it in the middle of some.
        offered.sort();
        println!(
            "{kind:8} {:6.0} ns to offer, {:6.0} ns to write, {:5.1} bytes, {} lost; all in {:.1} s",
            offered[offered.len() / 2].as_nanos() as f64 / BULK as f64,
            written.as_nanos() as f64 / each,
            sizes(dir.path()) as f64 / each,
            ending.dropped,
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
