//! What a run has of a prediction.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::model::batch::{Batch, Body, Columns, Frame, Name};
use crate::model::origin::Origin;
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;
use crate::predlog::{Assignment, Failure, Timing};

fn record(inputs: Body, outputs: Body) -> Record {
    Record {
        id: uuid::Uuid::from_u128(7),
        time: (UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)).into(),
        origin: std::sync::Arc::new(Origin {
            route: "shop".into(),
            variant: "b".into(),
            shadow: false,
            model: "m".into(),
            version: "3".into(),
            digest: "".into(),
            ..Origin::default()
        }),
        rows: 1,
        inputs: Some(Batch::new(inputs)),
        outputs: Some(Batch::new(outputs)),
        error: None,
        timing: Timing {
            total: Duration::from_micros(1_500),
            predict: Duration::from_micros(250),
            ..Timing::default()
        },
        request_id: Some(b"r"[..].into()),
        assignment: Assignment::Weight,
        routing_key: None,
        sampled: true,
        trace: None,
        traced: None,
    }
}

fn frame(rows: usize, columns: Vec<(&str, Elements)>) -> Body {
    let (names, columns): (Vec<Name>, Vec<Tensor>) = columns
        .into_iter()
        .map(|(name, elements)| (Name::from(name), Tensor::vector(elements)))
        .unzip();
    Body::Frame(Frame::new(rows, names.into(), Columns::Separate(columns)).unwrap())
}

fn params(logged: &Logged) -> Vec<(&str, &str)> {
    let params = logged.params.iter();
    params.map(|param| (&*param.key, &*param.value)).collect()
}

fn metrics(logged: &Logged) -> Vec<(&str, i64, f64)> {
    let metrics = logged.metrics.iter();
    metrics
        .map(|metric| (&*metric.key, metric.step, metric.value))
        .collect()
}

#[test]
fn columns_are_parameters_and_outputs_metrics() {
    let inputs = frame(
        1,
        vec![
            ("sepal length (cm)", Elements::F64(vec![5.1])),
            ("colour", Elements::Str(vec!["red".into()])),
        ],
    );
    let outputs = Body::Named(vec![
        ("label".into(), Tensor::vector(Elements::I64(vec![2]))),
        (
            "shares".into(),
            Tensor::new([1, 2].as_slice(), Elements::F32(vec![0.25, 0.75])).unwrap(),
        ),
    ]);
    let mut record = record(inputs, outputs);
    let batch = record.inputs.as_mut().unwrap();
    batch.params.push(("top k".into(), Value::Int(3)));
    let logged = logged(&record);
    assert_eq!(
        params(&logged),
        [
            ("sepal length _cm_", "5.1"),
            ("colour", "red"),
            ("params.top k", "3")
        ]
    );
    assert_eq!(
        metrics(&logged),
        [
            ("latency_ms", 0, 1.5),
            ("queue_ms", 0, 0.0),
            ("predict_ms", 0, 0.25),
            ("rows", 0, 1.0),
            ("prediction.label", 0, 2.0),
            ("prediction.shares.0", 0, 0.25),
            ("prediction.shares.1", 0, 0.75),
        ]
    );
    assert!(logged.tags.is_empty());
}

#[test]
fn rows_are_lists_and_steps() {
    let inputs = frame(2, vec![("a", Elements::I64(vec![1, 2]))]);
    let logged = logged(&record(
        inputs,
        Body::Array(Tensor::vector(Elements::F64(vec![0.5, f64::NAN]))),
    ));
    assert_eq!(params(&logged), [("a", "[1, 2]")]);
    let predictions = &metrics(&logged)[4..];
    assert_eq!(predictions[0], ("prediction", 0, 0.5));
    assert_eq!(predictions[1].1, 1);
    assert!(predictions[1].2.is_nan());
}

#[test]
fn what_is_no_number_is_a_tag() {
    let texts = Tensor::vector(Elements::Str(vec!["yes".into()]));
    let logged = logged(&record(Body::Value(Value::Str("ask".into())), Body::Array(texts)));
    assert_eq!(params(&logged), [("inputs", "\"ask\"")]);
    assert_eq!(logged.tags, [Text::tag("prediction", "[\"yes\"]")]);
    assert_eq!(logged.metrics.len(), 4);
}

#[test]
fn no_request_is_beyond_the_limits() {
    let wide = |width: usize| {
        let names: Vec<Name> = (0..width).map(|column| Name::Index(column as i64)).collect();
        let matrix = Tensor::new([2, width].as_slice(), Elements::F64(vec![0.5; 2 * width])).unwrap();
        Body::Frame(Frame::new(2, names.into(), Columns::Matrix(matrix)).unwrap())
    };
    for width in [1, 89, 90, 91, 2_000] {
        let mut record = record(wide(width), wide(width));
        let batch = record.inputs.as_mut().unwrap();
        for number in 0..30 {
            batch.params.push((format!("p{number}").into(), Value::Null));
        }
        let logged = logged(&record);
        assert!(logged.params.len() <= MAX_PARAMS, "{width}");
        let entities = logged.metrics.len() + logged.params.len() + logged.tags.len();
        assert!(entities <= MAX_ENTITIES, "{width}");
        assert_eq!(logged.metrics.len(), 4 + (2 * width).min(895), "{width}");
    }
}

#[test]
fn tags_say_what_answered() {
    let mut record = record(Body::Value(Value::Null), Body::Value(Value::Float(0.5)));
    record.error = Some(Failure {
        kind: "deadline",
        message: "too late".into(),
    });
    let begun = begun("1", &record);
    assert_eq!(
        (begun.start_time, begun.experiment_id.as_str()),
        (1_700_000_000_123, "1")
    );
    let tags: Vec<(&str, &str)> = begun
        .tags
        .iter()
        .map(|tag| (tag.key.as_str(), tag.value.as_str()))
        .collect();
    for tag in [
        ("model", "m"),
        ("version", "3"),
        ("route", "shop"),
        ("variant", "b"),
        ("assignment", "weight"),
        ("request_id", "r"),
        ("error", "deadline"),
        ("error_message", "too late"),
    ] {
        assert!(tags.contains(&tag), "{tag:?}: {tags:?}");
    }
}
