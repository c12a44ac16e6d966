//! Exports, tails and counts of what the sinks wrote.

use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::*;
use crate::model::batch::{Batch, Body};
use crate::model::origin::Origin;
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;
use crate::predlog::{Assignment, Entry, Failure, Feedback, Record, SinkSpec, Timing};

fn record(number: u64, rows: usize) -> Entry {
    let values = |start: f64| (0..rows).map(|row| start + row as f64).collect();
    let tensor = |start| Batch::new(Body::Array(Tensor::vector(Elements::F64(values(start)))));
    Entry::Prediction(Box::new(Record {
        id: uuid::Uuid::from_u128(u128::from(number)),
        time: (UNIX_EPOCH + Duration::from_secs(1_700_000_000 + number)).into(),
        origin: Arc::new(Origin {
            route: "shop".into(),
            variant: if number.is_multiple_of(2) { "a" } else { "b" }.into(),
            shadow: false,
            model: "iris".into(),
            version: "3".into(),
            digest: "d".into(),
            ..Origin::default()
        }),
        rows,
        inputs: Some(tensor(0.5)),
        outputs: Some(tensor(1.5)),
        error: (number == 3).then(|| Failure {
            kind: "overloaded",
            message: "too much, \"now\"".into(),
        }),
        timing: Timing {
            total: Duration::from_millis(number),
            ..Timing::default()
        },
        request_id: None,
        assignment: Assignment::Weight,
        routing_key: None,
        sampled: true,
        trace: None,
        traced: None,
    }))
}

fn feedback() -> Entry {
    Entry::Feedback(Box::new(Feedback {
        prediction_id: uuid::Uuid::from_u128(2),
        time: (UNIX_EPOCH + Duration::from_secs(1_700_000_009)).into(),
        kind: "label".into(),
        value: Value::Int(1),
        route: "shop".into(),
        variant: "a".into(),
        model: "iris".into(),
        version: "3".into(),
    }))
}

fn write(kind: &str, dir: &Path) {
    let spec: SinkSpec = format!("{kind}:{}", dir.display()).parse().unwrap();
    let mut sink = spec.open().unwrap();
    let entries: Vec<Entry> = (1..=4)
        .map(|number| record(number, 2))
        .chain([feedback()])
        .collect();
    sink.write(&entries).unwrap();
    sink.close().unwrap();
}

fn answer(dir: &Path, action: RecordsAction, filter: Filter) -> String {
    let config = RecordsConfig {
        dir: dir.to_owned(),
        filter,
        action,
    };
    let mut out = Vec::new();
    run(&config, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn kinds() -> Vec<&'static str> {
    if cfg!(feature = "parquet") {
        vec!["jsonl", "parquet"]
    } else {
        vec!["jsonl"]
    }
}

#[test]
fn counts_are_those_of_predictions_in_every_form() {
    for kind in kinds() {
        let dir = tempfile::tempdir().unwrap();
        write(kind, dir.path());
        let text = answer(dir.path(), RecordsAction::Stats, Filter::default());
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines.len(), 3, "{kind}:\n{text}");
        assert_eq!(
            lines[1][..8],
            ["shop", "a", "iris", "3", "2", "4", "0", "1"],
            "{kind}"
        );
        assert_eq!(
            lines[2][..8],
            ["shop", "b", "iris", "3", "2", "4", "1", "0"],
            "{kind}"
        );
        assert_eq!(lines[2][10..], ["2023-11-14T22:13:21Z", "2023-11-14T22:13:23Z"]);
        let longest: f64 = lines[1][9].parse().unwrap();
        assert!((3.9..4.1).contains(&longest), "{longest}");
    }
}

#[test]
fn entries_are_filtered_and_exported() {
    for kind in kinds() {
        let dir = tempfile::tempdir().unwrap();
        write(kind, dir.path());
        let rows = if kind == "jsonl" { 1 } else { 2 };
        let lines = |filter| {
            let action = RecordsAction::Export { to: None, csv: false };
            answer(dir.path(), action, filter).lines().count()
        };
        assert_eq!(lines(Filter::default()), 4 * rows + 1);
        let of_b = Filter {
            variant: Some("b".into()),
            ..Filter::default()
        };
        assert_eq!(lines(of_b), 2 * rows);
        let middle = Filter {
            since: Some(UNIX_EPOCH + Duration::from_secs(1_700_000_002)),
            until: Some(UNIX_EPOCH + Duration::from_secs(1_700_000_004)),
            ..Filter::default()
        };
        assert_eq!(lines(middle), 2 * rows);
        let other = Filter {
            model: Some("other".into()),
            ..Filter::default()
        };
        assert_eq!(lines(other), 0);
    }
}

#[test]
fn csv_has_the_columns_of_all_entries() {
    for kind in kinds() {
        let dir = tempfile::tempdir().unwrap();
        write(kind, dir.path());
        let to = dir.path().join("all.csv");
        let action = RecordsAction::Export {
            to: Some(to.clone()),
            csv: true,
        };
        answer(dir.path(), action, Filter::default());
        let text = std::fs::read_to_string(&to).unwrap();
        let heading: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        for name in ["prediction_id", "model", "kind", "value"] {
            assert!(heading.contains(&name), "{kind}: {heading:?}");
        }
        assert!(text.contains("too much, "), "{text}");
        if kind == "parquet" {
            assert!(heading.contains(&"in") && heading.contains(&"out"));
            assert!(text.contains(r#","too much, ""now""","#), "{text}");
        }
    }
}

#[test]
fn the_last_come_last_and_more_follow() {
    for kind in kinds() {
        let dir = tempfile::tempdir().unwrap();
        write(kind, dir.path());
        let tail = RecordsAction::Tail {
            lines: 2,
            follow: false,
        };
        let text = answer(dir.path(), tail, Filter::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].contains("\"label\""), "{text}");
        let mut follow = Reader::new(dir.path()).follow().unwrap();
        let mut come = 0;
        follow.next(&Filter::default(), |_| come += 1).unwrap();
        assert_eq!(come, 0);
        write(kind, dir.path());
        follow.next(&Filter::default(), |_| come += 1).unwrap();
        assert_eq!(come, if kind == "jsonl" { 5 } else { 9 });
        follow.next(&Filter::default(), |_| come += 100).unwrap();
        assert!(come < 100);
    }
}

#[test]
fn a_folder_without_records_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let config = |dir: &Path| RecordsConfig {
        dir: dir.to_owned(),
        filter: Filter::default(),
        action: RecordsAction::Stats,
    };
    let told = run(&config(dir.path()), &mut Vec::new()).unwrap_err().to_string();
    assert!(told.contains("there are no records"), "{told}");
    let missing = dir.path().join("missing");
    let told = run(&config(&missing), &mut Vec::new()).unwrap_err().to_string();
    assert!(told.contains("cannot read"), "{told}");
}
