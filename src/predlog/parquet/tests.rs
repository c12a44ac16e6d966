//! What is written reads back; files are whole whatever happens.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::super::bundle::tests::{any_elements, any_records, laid};
use super::super::read::{Filter, Reader, Row};
use super::super::record::{Assignment, Failure, Feedback, Record, Timing};
use super::super::{files, json};
use super::*;
use crate::model::batch::{Batch, Body, Columns, Frame, Name};
use crate::model::origin::Origin;
use crate::model::signature::{ColumnSchema, ColumnSpec, ColumnType, DataType, Schema, Signature};
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

fn config(dir: &Path) -> Config {
    Config {
        dir: dir.to_owned(),
        max_file_bytes: 1 << 30,
        max_file_age: Duration::from_secs(60),
        keep_bytes: None,
        keep_age: None,
    }
}

fn record(number: u128, inputs: Option<Body>, outputs: Option<Body>) -> Record {
    Record {
        id: uuid::Uuid::from_u128(number),
        time: (UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456 + number as u64)).into(),
        origin: Arc::new(Origin {
            route: "r".into(),
            shadow: number % 2 == 1,
            model: "my model/1".into(),
            version: "3".into(),
            digest: "ab".into(),
            ..Origin::default()
        }),
        rows: 1,
        inputs: inputs.map(Batch::new),
        outputs: outputs.map(Batch::new),
        error: None,
        timing: Timing {
            total: Duration::from_nanos(12_345),
            ..Timing::default()
        },
        request_id: None,
        assignment: Assignment::Weight,
        routing_key: Some(format!("k{number}").into()),
        sampled: true,
        trace: None,
        traced: None,
    }
}

fn prediction(record: Record) -> Entry {
    Entry::Prediction(Box::new(record))
}

fn array(elements: Elements, shape: &[usize]) -> Body {
    Body::Array(Tensor::new(shape, elements).unwrap())
}

fn sink(dir: &Path) -> Parquet {
    Parquet::open(config(dir), SystemTime::now()).unwrap()
}

fn rows(dir: &Path) -> Vec<Row> {
    let mut found = Vec::new();
    Reader::new(dir)
        .each(&Filter::default(), |row| {
            found.push(row);
            true
        })
        .unwrap();
    found.sort_by_key(|row| {
        (
            row.get("prediction_id").map(str::to_owned),
            row.get("row").map(str::len),
        )
    });
    found
}

fn paths(dir: &Path) -> Vec<String> {
    let folders = files::folders(dir, true).unwrap();
    let files = files::closed(&folders, KIND).unwrap();
    let path = |file: files::Closed| {
        let folder = file.path.parent().unwrap().strip_prefix(dir).unwrap().to_owned();
        folder.to_str().unwrap().to_owned()
    };
    files.into_iter().map(path).collect()
}

#[test]
fn a_prediction_is_a_row_in_the_folder_of_its_version_and_day() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(dir.path());
    let mut failed = record(2, None, None);
    failed.error = Some(Failure {
        kind: "overloaded",
        message: "too much".into(),
    });
    let inputs = Some(array(Elements::F32(vec![0.5, 1.5]), &[1, 2]));
    let outputs = Some(array(Elements::I64(vec![7]), &[1]));
    sink.write(&[prediction(record(1, inputs, outputs)), prediction(failed)])
        .unwrap();
    sink.close().unwrap();
    assert_eq!(
        paths(dir.path()),
        ["model=my model%2F1/version=3/date=2023-11-14"]
    );
    let rows = rows(dir.path());
    assert_eq!(rows.len(), 2);
    let field = |row: usize, name: &str| rows[row].get(name).map(str::to_owned);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        field(0, "prediction_id"),
        some("\"00000000-0000-0000-0000-000000000001\"")
    );
    assert_eq!(field(0, "time"), some("\"2023-11-14T22:13:20.123457Z\""));
    assert_eq!(field(0, "model"), some("\"my model/1\""));
    assert_eq!(field(0, "shadow"), some("true"));
    assert_eq!(field(0, "in"), some("[0.5, 1.5]"));
    assert_eq!(field(0, "out"), some("7"));
    assert_eq!(field(0, "total_us"), some("12.345"));
    assert_eq!(field(0, "routing_key"), some("\"k1\""));
    assert_eq!(field(1, "error_kind"), some("\"overloaded\""));
    assert_eq!(field(1, "in"), None);
}

#[test]
fn tables_that_leave_columns_out_share_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(dir.path());
    let spec = |name: &str, kind, required| ColumnSpec {
        name: Some(name.into()),
        kind: ColumnType::Scalar(kind),
        required,
    };
    let columns = vec![
        spec("a", DataType::Double, true),
        spec("b", DataType::String, false),
        spec("c", DataType::Long, false),
    ];
    let signature = Signature {
        inputs: Some(Schema::Columns(ColumnSchema::new(columns))),
        ..Signature::default()
    };
    let signature = Arc::new(signature);
    let table = |names: &[&str], columns: Vec<Elements>| {
        let names: Vec<Name> = names.iter().map(|name| Name::from(*name)).collect();
        let columns = columns.into_iter().map(Tensor::vector).collect();
        Some(Body::Frame(
            Frame::new(2, names.into(), Columns::Separate(columns)).unwrap(),
        ))
    };
    let texts = Elements::Object(vec![Value::Null, Value::Str("x".into())]);
    let bodies = [
        table(&["a"], vec![Elements::F64(vec![1.0, f64::NAN])]),
        table(&["a", "b"], vec![Elements::F64(vec![2.0, 3.0]), texts]),
        table(
            &["c", "a"],
            vec![Elements::I64(vec![1, 2]), Elements::F64(vec![4.0, 5.0])],
        ),
    ];
    for (number, body) in bodies.into_iter().enumerate() {
        let mut record = record(number as u128, body, None);
        Arc::make_mut(&mut record.origin).signature = Some(Arc::clone(&signature));
        sink.write(&[prediction(record)]).unwrap();
    }
    sink.close().unwrap();
    assert_eq!(paths(dir.path()).len(), 1);
    let rows = rows(dir.path());
    let cells: Vec<_> = rows
        .iter()
        .map(|row| [row.get("in.a"), row.get("in.b"), row.get("in.c")])
        .collect();
    let expected = [
        [Some("1.0"), None, None],
        [Some("NaN"), None, None],
        [Some("2.0"), None, None],
        [Some("3.0"), Some("\"x\""), None],
        [Some("4.0"), None, Some("1")],
        [Some("5.0"), None, Some("2")],
    ];
    assert_eq!(cells, expected);
}

/// A record for each number: of two variants, tables and arrays, some without an answer.
fn mixed(number: u128, origins: &[Arc<Origin>; 2]) -> Record {
    let float = number as f64;
    let inputs = match number % 3 {
        0 => array(Elements::F64(vec![float, float + 0.5]), &[1, 2]),
        1 => array(Elements::F64(vec![float, float + 0.5, float - 0.5, 0.0]), &[2, 2]),
        _ => Body::Named(vec![(
            "a".into(),
            Tensor::vector(Elements::Str(vec![number.to_string()])),
        )]),
    };
    let outputs = (!number.is_multiple_of(5)).then(|| array(Elements::I64(vec![number as i64]), &[1]));
    Record {
        origin: Arc::clone(&origins[usize::from(number % 4 == 3)]),
        request_id: number
            .is_multiple_of(2)
            .then(|| number.to_string().into_bytes().into()),
        ..record(number, Some(inputs), outputs)
    }
}

#[test]
fn what_is_written_at_once_is_as_what_is_written_one_by_one() {
    let origins = ["a", "b"].map(|variant| {
        let mut origin = record(0, None, None).origin;
        Arc::make_mut(&mut origin).variant = variant.into();
        origin
    });
    let entries: Vec<Entry> = (0..200)
        .map(|number| prediction(mixed(number, &origins)))
        .collect();
    let read = |bulk: usize| {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = sink(dir.path());
        for entries in entries.chunks(bulk) {
            sink.write(entries).unwrap();
        }
        sink.close().unwrap();
        let names = [
            "prediction_id",
            "row",
            "variant",
            "request_id",
            "in",
            "in.a",
            "out",
        ];
        let line = |row: &Row| names.map(|name| row.get(name).map(str::to_owned));
        let mut lines: Vec<_> = rows(dir.path()).iter().map(line).collect();
        lines.sort();
        lines
    };
    let singly = read(1);
    assert_eq!(singly.len(), 267, "a third has two rows");
    assert_eq!(singly, read(200));
    assert_eq!(singly, read(7));
}

#[test]
fn a_client_cannot_make_a_file_of_each_request() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(dir.path());
    for number in 0..40 {
        let name: Arc<str> = format!("x{}", number % 20).into();
        let tensor = Tensor::vector(Elements::F64(vec![f64::from(number)]));
        let body = Body::Named(vec![(name, tensor)]);
        sink.write(&[prediction(record(number as u128, Some(body), None))])
            .unwrap();
    }
    sink.close().unwrap();
    assert_eq!(paths(dir.path()).len(), MAX_SHAPES + 1);
    let rows = rows(dir.path());
    assert_eq!(rows.len(), 40);
    assert_eq!(rows[5].get("in"), Some("{\"x5\": 5.0}"));
    assert_eq!(rows[0].get("in.x0"), Some("0.0"));
}

#[test]
fn parts_are_closed_by_age_and_when_too_many_are_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(dir.path());
    for number in 0..MAX_OPEN as u128 + 3 {
        let mut record = record(number, None, None);
        Arc::make_mut(&mut record.origin).version = format!("{number}").into();
        sink.write(&[prediction(record)]).unwrap();
    }
    assert_eq!(paths(dir.path()).len(), 3);
    sink.tick(SystemTime::now() + Duration::from_secs(59)).unwrap();
    assert_eq!(paths(dir.path()).len(), 3);
    sink.tick(SystemTime::now() + Duration::from_secs(61)).unwrap();
    assert_eq!(paths(dir.path()).len(), MAX_OPEN + 3);
}

#[test]
fn what_a_dead_process_wrote_is_finished_without_its_open_rows() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = sink(dir.path());
    for number in 0..3 {
        let inputs = Some(array(Elements::F64(vec![0.5; 4]), &[1, 4]));
        first.write(&[prediction(record(number, inputs, None))]).unwrap();
        // Six seconds on: a row group each time.
        first.tick(SystemTime::now() + Duration::from_secs(6)).unwrap();
    }
    first.write(&[prediction(record(9, None, None))]).unwrap();
    assert!(paths(dir.path()).is_empty());
    drop(first);
    let folder = files::folders(dir.path(), true).unwrap().remove(0);
    let (_, path) = files::entries(&folder).unwrap().remove(0);
    let whole = fs::read(&path).unwrap();
    // As it is, with half a row group after it, and cut within the last footer.
    for (bytes, groups) in [
        (whole.clone(), 3),
        ([whole.as_slice(), b"PAR1xx\0\0\0\0PAR1yy".as_slice()].concat(), 3),
        (whole[..whole.len() - 9].to_vec(), 2),
        (whole[..40].to_vec(), 0),
    ] {
        fs::write(&path, bytes).unwrap();
        drop(sink(dir.path()));
        let closed = paths(dir.path()).len();
        assert_eq!(closed, usize::from(groups > 0));
        if groups > 0 {
            assert_eq!(rows(dir.path()).len(), groups);
            for (_, path) in files::entries(&folder).unwrap() {
                fs::remove_file(path).unwrap();
            }
        }
        assert!(files::entries(&folder).unwrap().is_empty());
    }
}

#[test]
fn a_folder_that_goes_is_told_with_what_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(dir.path());
    sink.write(&[prediction(record(1, None, None))]).unwrap();
    sink.tick(SystemTime::now() + Duration::from_secs(6)).unwrap();
    sink.write(&[prediction(record(2, None, None))]).unwrap();
    fs::remove_dir_all(dir.path()).unwrap();
    let error = sink.tick(SystemTime::now() + Duration::from_secs(8)).unwrap_err();
    assert_eq!(error.lost, 2);
    sink.write(&[prediction(record(3, None, None))]).unwrap();
    sink.close().unwrap();
    assert_eq!(rows(dir.path()).len(), 1);
}

#[test]
fn a_row_group_that_cannot_be_written_is_lost_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(dir.path());
    let later = || SystemTime::now() + Duration::from_secs(6);
    fs::write(dir.path().join("model=my model%2F1"), "a file").unwrap();
    sink.write(&[
        prediction(record(1, None, None)),
        prediction(record(2, None, None)),
    ])
    .unwrap();
    assert_eq!(sink.tick(later()).unwrap_err().lost, 2);
    sink.tick(later()).unwrap();
    fs::remove_file(dir.path().join("model=my model%2F1")).unwrap();
    sink.write(&[prediction(record(3, None, None))]).unwrap();
    sink.close().unwrap();
    assert_eq!(rows(dir.path()).len(), 1);
}

#[test]
fn old_files_go_and_what_is_only_counted_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let short = Config {
        keep_age: Some(Duration::from_secs(100)),
        ..config(dir.path())
    };
    let now = SystemTime::now();
    let mut sink = Parquet::open(short, now).unwrap();
    let mut counted = record(1, None, None);
    counted.sampled = false;
    sink.write(&[prediction(counted), prediction(record(2, None, None))])
        .unwrap();
    sink.tick(now + Duration::from_secs(70)).unwrap();
    assert_eq!(rows(dir.path()).len(), 1);
    sink.tick(now + Duration::from_secs(140)).unwrap();
    assert_eq!(paths(dir.path()).len(), 1);
    sink.tick(now + Duration::from_secs(240)).unwrap();
    assert!(paths(dir.path()).is_empty());
}

#[test]
fn feedback_has_its_own_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(dir.path());
    let feedback = Feedback {
        prediction_id: uuid::Uuid::from_u128(1),
        time: UNIX_EPOCH.into(),
        kind: "reward".into(),
        value: Value::List(vec![Value::Float(0.5), Value::Null]),
        route: "r".into(),
        variant: "b".into(),
        model: "iris".into(),
        version: "3".into(),
    };
    sink.write(&[Entry::Feedback(Box::new(feedback))]).unwrap();
    sink.close().unwrap();
    assert_eq!(paths(dir.path()), ["_feedback/date=1970-01-01"]);
    let row = rows(dir.path()).remove(0);
    let got = ["type", "value", "model", "variant"].map(|name| row.get(name).unwrap().to_owned());
    assert_eq!(got, ["\"feedback\"", "[0.5, null]", "\"iris\"", "\"b\""]);
}

#[test]
fn long_and_odd_names_make_folders() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(dir.path());
    for (number, model) in ["", "a/../b", "x\n", &"y".repeat(300), &"y".repeat(301)]
        .into_iter()
        .enumerate()
    {
        let mut record = record(number as u128, None, None);
        Arc::make_mut(&mut record.origin).model = model.into();
        sink.write(&[prediction(record)]).unwrap();
    }
    sink.close().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5);
    let models: Vec<String> = rows(dir.path())
        .iter()
        .map(|row| row.text("model").unwrap())
        .collect();
    assert_eq!(models[1], "a/../b");
    assert_eq!(models[4].len(), 301);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The JSON text of a row as it was written to a Parquet file is that of the tensor's row.
    #[test]
    fn every_type_reads_back(
        (count, width, elements) in (0usize..5, prop_oneof![Just(1usize), Just(0), 2usize..4])
            .prop_flat_map(|(count, width)| (Just(count), Just(width), any_elements(count * width))),
        named in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = sink(dir.path());
        let tensor = Tensor::new([count, width].as_slice(), elements).unwrap();
        let (body, name) = if named {
            (Body::Named(vec![("x.y".into(), tensor.clone())]), "out.x.y")
        } else {
            (Body::Array(tensor.clone()), "out")
        };
        sink.write(&[prediction(record(1, None, Some(body)))]).unwrap();
        sink.close().unwrap();
        let rows = rows(dir.path());
        prop_assert_eq!(rows.len(), count.max(1));
        for at in 0..count {
            let row = rows.iter().find(|row| row.get("row") == Some(&at.to_string())).unwrap();
            let mut expected = Vec::new();
            if width == 1 {
                json::write_element(&mut expected, tensor.elements(), at);
            } else {
                json::write_row(&mut expected, &tensor, at);
            }
            let expected = String::from_utf8(expected).unwrap();
            prop_assert_eq!(row.get(name).unwrap_or("null"), expected);
        }
    }
    /// Bundles are written as the entries that were laid down are.
    #[test]
    fn bundles_read_back_as_entries(records in any_records()) {
        prop_assume!(records.iter().any(|record| record.sampled));
        let written = |write: &dyn Fn(&mut Parquet)| {
            let dir = tempfile::tempdir().unwrap();
            let mut sink = sink(dir.path());
            write(&mut sink);
            sink.close().unwrap();
            rows(dir.path())
        };
        let (taken, rest) = laid(&records);
        let expected = written(&|sink| {
            taken.bundles().for_each(|bundle| sink.write(&bundle.unpack()).unwrap());
            sink.write(&rest).unwrap();
        });
        let found = written(&|sink| {
            sink.write_bundles(&taken.bundles().collect::<Vec<_>>()).unwrap();
            sink.write(&rest).unwrap();
        });
        prop_assert_eq!(found, expected);
    }
}
