//! Lines are whole, whatever happens to the file.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::super::record::{Feedback, Record, Timing};
use super::*;
use crate::model::batch::{Batch, Body};
use crate::model::origin::Origin;
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

fn config(dir: &Path) -> Config {
    Config {
        dir: dir.to_owned(),
        max_file_bytes: 1 << 20,
        max_file_age: Duration::from_secs(60),
        keep_bytes: None,
        keep_age: None,
    }
}

fn entry(number: u128) -> Entry {
    let tensor = |values: Vec<f64>| {
        let values = Tensor::new([1, values.len()].as_slice(), Elements::F64(values)).unwrap();
        Some(Batch::new(Body::Array(values)))
    };
    Entry::Prediction(Box::new(Record {
        id: uuid::Uuid::from_u128(number),
        time: (UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456)).into(),
        origin: Arc::new(Origin {
            route: "r".into(),
            variant: "".into(),
            shadow: false,
            model: "iris".into(),
            version: "3".into(),
            digest: "ab".into(),
            ..Origin::default()
        }),
        rows: 1,
        inputs: tensor(vec![5.1, 1e-5]),
        outputs: tensor(vec![0.25]),
        error: None,
        timing: Timing {
            total: Duration::from_nanos(12_345),
            ..Timing::default()
        },
        request_id: Some(b"q-1"[..].into()),
        assignment: crate::predlog::Assignment::None,
        routing_key: None,
        sampled: true,
        trace: None,
        traced: None,
    }))
}

fn feedback() -> Entry {
    Entry::Feedback(Box::new(Feedback {
        prediction_id: uuid::Uuid::from_u128(1),
        time: UNIX_EPOCH.into(),
        kind: "reward".into(),
        value: Value::Float(0.5),
        route: "r".into(),
        variant: "b".into(),
        model: "iris".into(),
        version: "3".into(),
    }))
}

/// The text of all files with this ending, in order of their names.
fn text(dir: &Path, ending: &str) -> String {
    let files = files::entries(dir).unwrap().into_iter();
    let files = files.filter(|(name, _)| name.ends_with(ending));
    files.map(|(_, path)| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn an_entry_is_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = Jsonl::open(config(dir.path()), SystemTime::now()).unwrap();
    sink.write(&[entry(7), feedback()]).unwrap();
    let written = text(dir.path(), ".jsonl.partial");
    sink.close().unwrap();
    assert_eq!(text(dir.path(), ".jsonl"), written);
    let expected = [
        r#"{"type": "prediction", "prediction_id": "00000000-0000-0000-0000-000000000007", "time": "2023-11-14T22:13:20.123456Z", "#,
        r#""route": "r", "variant": "", "model": "iris", "version": "3", "digest": "ab", "shadow": false, "rows": 1, "#,
        r#""request_id": "q-1", "assignment": null, "routing_key": null, "inputs": {"inputs": [[5.1, 1e-05]]}, "outputs": [[0.25]], "error": null, "#,
        r#""decode_us": 0.0, "queue_us": 0.0, "predict_us": 0.0, "encode_us": 0.0, "total_us": 12.345}"#,
        "\n",
        r#"{"type": "feedback", "prediction_id": "00000000-0000-0000-0000-000000000001", "time": "1970-01-01T00:00:00Z", "#,
        r#""route": "r", "variant": "b", "model": "iris", "version": "3", "kind": "reward", "value": 0.5}"#,
        "\n",
    ];
    assert_eq!(written, expected.concat());
}

#[test]
fn files_are_closed_by_size_and_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let small = Config {
        max_file_bytes: 600,
        ..config(dir.path())
    };
    let now = SystemTime::now();
    let mut sink = Jsonl::open(small, now).unwrap();
    for number in 0..5 {
        sink.write(&[entry(number)]).unwrap();
    }
    assert_eq!(text(dir.path(), ".jsonl").lines().count(), 4);
    assert_eq!(text(dir.path(), ".partial").lines().count(), 1);
    sink.tick(now + Duration::from_secs(30)).unwrap();
    assert_eq!(text(dir.path(), ".partial").lines().count(), 1);
    sink.tick(SystemTime::now() + Duration::from_secs(61)).unwrap();
    assert_eq!(text(dir.path(), ".jsonl").lines().count(), 5);
}

#[test]
fn what_a_dead_process_left_is_finished_without_its_cut_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = Jsonl::open(config(dir.path()), SystemTime::now()).unwrap();
    sink.write(&[entry(1), entry(2)]).unwrap();
    let mut open = sink.open.take().unwrap();
    open.partial.file.write_all(b"{\"type\": \"predi").unwrap();
    drop(open);
    drop(sink);
    let _next = Jsonl::open(config(dir.path()), SystemTime::now()).unwrap();
    let lines = text(dir.path(), ".jsonl");
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.ends_with("}\n"), "{lines}");
}

#[test]
fn a_folder_that_goes_is_told_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("records");
    let now = SystemTime::now();
    let mut sink = Jsonl::open(config(&folder), now).unwrap();
    sink.write(&[entry(1), entry(2)]).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let error = sink.tick(now + Duration::from_secs(5)).unwrap_err();
    assert_eq!(error.lost, 2);
    sink.write(&[entry(3)]).unwrap();
    sink.close().unwrap();
    assert_eq!(text(&folder, ".jsonl").lines().count(), 1);
}

#[test]
fn a_folder_that_cannot_be_made_is_told_with_what_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("records");
    let mut sink = Jsonl::open(config(&folder), SystemTime::now()).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "a file").unwrap();
    for _ in 0..2 {
        let error = sink.write(&[entry(1), entry(2)]).unwrap_err();
        assert_eq!(error.lost, 2);
    }
    fs::remove_file(&folder).unwrap();
    sink.write(&[entry(3)]).unwrap();
    assert_eq!(text(&folder, ".partial").lines().count(), 1);
}

#[test]
fn what_is_only_counted_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = Jsonl::open(config(dir.path()), SystemTime::now()).unwrap();
    let mut counted = entry(1);
    if let Entry::Prediction(record) = &mut counted {
        record.sampled = false;
    }
    sink.write(&[counted.clone(), entry(2), counted]).unwrap();
    sink.close().unwrap();
    assert_eq!(text(dir.path(), ".jsonl").lines().count(), 1);
}

#[test]
fn lines_of_a_file_that_has_gone_are_lost_with_the_write_that_fails() {
    let broken = |folder_goes: bool| {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("records");
        let mut sink = Jsonl::open(config(&folder), SystemTime::now()).unwrap();
        sink.write(&[entry(1), entry(2)]).unwrap();
        let open = sink.open.as_mut().unwrap();
        if folder_goes {
            fs::remove_dir_all(&folder).unwrap();
        }
        // A disk that is full.
        open.partial.file = match folder_goes {
            true => fs::OpenOptions::new().write(true).open("/dev/full").unwrap(),
            false => File::open(open.partial.path()).unwrap(),
        };
        sink.write(&[entry(3)]).unwrap_err().lost
    };
    assert_eq!(broken(true), 3);
    // What was written before is in a file that the next start finishes.
    assert_eq!(broken(false), 1);
}
