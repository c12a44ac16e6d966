//! What is recorded as Parquet, read by pyarrow and pandas.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use modelsd::model::batch::{Batch, Body, Columns, Frame, Name, Names};
use modelsd::model::origin::Origin;
use modelsd::model::tensor::{Elements, Tensor};
use modelsd::model::value::Value;
use modelsd::predlog::{Assignment, Entry, Feedback, Record, SinkSpec, Timing};
use uuid::Uuid;

use super::server::{clean, python};
use crate::support::repository;

const ROWS: u64 = 100_000;
/// Rows of one prediction.
const BATCH: u64 = 10;

/// The table of some rows; tests/live/records.py makes the same.
fn inputs(rows: std::ops::Range<u64>) -> Batch {
    macro_rules! column {
        ($kind:ident, |$row:ident| $value:expr) => {
            Tensor::vector(Elements::$kind(rows.clone().map(|$row| $value).collect()))
        };
    }
    let moment = |row: u64| match row % 5 {
        0 => i64::MIN,
        _ => 1_700_000_000_123_456_789 + row as i64,
    };
    let object = |row: u64| match row % 3 {
        0 => Value::Null,
        1 => Value::Str(format!("t{row}").into()),
        _ => Value::List(vec![Value::Int(row as i64), Value::Null]),
    };
    let lists = rows
        .clone()
        .flat_map(|row| [row as f32 / 4.0, -(row as f32), f32::NAN]);
    let lists = Tensor::new(
        [rows.clone().count(), 3].as_slice(),
        Elements::F32(lists.collect()),
    )
    .unwrap();
    let columns = vec![
        ("bool", column!(Bool, |row| row % 3 == 0)),
        ("i8", column!(I8, |row| (row % 256) as u8 as i8)),
        ("u8", column!(U8, |row| (row % 256) as u8)),
        ("i16", column!(I16, |row| (row % 65_536) as u16 as i16)),
        ("u16", column!(U16, |row| (row % 65_536) as u16)),
        ("i32", column!(I32, |row| row as i32 - 50_000)),
        ("u32", column!(U32, |row| u32::MAX - row as u32)),
        ("i64", column!(I64, |row| i64::MIN + row as i64)),
        ("u64", column!(U64, |row| u64::MAX - row)),
        ("f32", column!(F32, |row| row as f32 / 3.0)),
        (
            "f64",
            column!(F64, |row| if row % 7 == 0 { f64::NAN } else { row as f64 / 3.0 }),
        ),
        ("text é", column!(Str, |row| format!("käse {row}"))),
        ("moment", column!(Datetime, |row| moment(row))),
        ("object", column!(Object, |row| object(row))),
        ("list", lists),
    ];
    let (names, columns): (Vec<&str>, Vec<Tensor>) = columns.into_iter().unzip();
    let names: Names = names.into_iter().map(Name::from).collect();
    let rows = rows.count();
    Batch::new(Body::Frame(
        Frame::new(rows, names, Columns::Separate(columns)).unwrap(),
    ))
}

fn record(number: u64) -> Record {
    let rows = number * BATCH..(number + 1) * BATCH;
    let outputs = rows.clone().map(|row| row as f64 * 0.1).collect();
    Record {
        id: Uuid::from_u128(u128::from(number) << 64 | 7),
        time: (UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_000 + number * 1_001)).into(),
        origin: Arc::new(Origin {
            route: "shop".into(),
            variant: if number.is_multiple_of(2) { "a" } else { "b" }.into(),
            shadow: number.is_multiple_of(10),
            model: "my model".into(),
            version: "12".into(),
            digest: "abc".into(),
            ..Origin::default()
        }),
        rows: BATCH as usize,
        inputs: Some(inputs(rows)),
        outputs: Some(Batch::new(Body::Array(Tensor::vector(Elements::F64(outputs))))),
        error: None,
        timing: Timing {
            total: Duration::from_nanos(number),
            ..Timing::default()
        },
        request_id: None,
        assignment: Assignment::Weight,
        routing_key: number.is_multiple_of(4).then(|| format!("user {number}").into()),
        sampled: true,
        trace: None,
        traced: None,
    }
}

#[test]
fn pandas_reads_what_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let spec: SinkSpec = format!("parquet:{}", dir.path().display()).parse().unwrap();
    let mut sink = spec.open().unwrap();
    for first in (0..ROWS / BATCH).step_by(100) {
        let entries: Vec<Entry> = (first..first + 100)
            .map(|number| Entry::Prediction(Box::new(record(number))))
            .collect();
        sink.write(&entries).unwrap();
    }
    let feedback = Feedback {
        prediction_id: Uuid::from_u128(7),
        time: UNIX_EPOCH.into(),
        kind: "reward".into(),
        value: Value::Float(0.5),
        route: "shop".into(),
        variant: "a".into(),
        model: Arc::from("my model"),
        version: Arc::from("12"),
    };
    sink.write(&[Entry::Feedback(Box::new(feedback))]).unwrap();
    sink.close().unwrap();
    let read = clean(&python())
        .arg(repository("tests/live/records.py"))
        .arg(dir.path())
        .arg(ROWS.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), "same");
}
