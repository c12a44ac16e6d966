//! Answers against what MLflow's server wrote (the `py_outputs` pairs).

use std::sync::Arc;

use modelsd::model::batch::{Batch, Body, Columns, Frame, Name};
use modelsd::model::tensor::{Elements, Shape, Tensor};
use modelsd::model::value::Value;
use modelsd::protocol::Reply;
use modelsd::protocol::mlflow::encode::encode;
use modelsd::protocol::mlflow::error::answer;
use modelsd::protocol::mlflow::media::media;
use modelsd::serve::error::{Error, Kind};
use serde_json::Value as Json;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn pairs(text: &str) -> Vec<Json> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn array(elements: Elements) -> Body {
    Body::Array(Tensor::vector(elements))
}

fn scalar(elements: Elements) -> Value {
    Value::Tensor(Box::new(Tensor::new(Shape::new(), elements).unwrap()))
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(items.into_iter().collect())
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(
        entries
            .into_iter()
            .map(|(key, value)| (Box::from(key), value))
            .collect(),
    )
}

fn table(names: &[Name], columns: Vec<Elements>) -> Body {
    let rows = columns.first().map_or(0, Elements::len);
    let columns = columns.into_iter().map(Tensor::vector).collect();
    Body::Frame(Frame::new(rows, names.into(), Columns::Separate(columns)).unwrap())
}

/// What `params` of `py_outputs` returns: each parameter with its Python type.
fn params(flag: bool, n: i64, scale: Option<f64>, tags: &[&str]) -> Body {
    let pair = |value, kind| list([value, text(kind)]);
    let (scale, kind) = scale.map_or((Value::Null, "NoneType"), |scale| (Value::Float(scale), "float"));
    Body::Value(map([
        ("flag", pair(Value::Bool(flag), "bool")),
        ("n", pair(Value::Int(n), "int")),
        ("scale", pair(scale, kind)),
        ("tags", pair(list(tags.iter().map(|tag| text(tag))), "list")),
    ]))
}

/// The value that the Python model returned for a pair, in our types.
fn output(id: &str, kind: &str) -> Option<Body> {
    let body = match (id, kind) {
        ("params-all", _) => params(true, 5, Some(2.0), &["x", "y"]),
        ("params-partial", _) => params(false, 2, Some(0.5), &["a"]),
        ("params-null-value", _) => params(false, 2, None, &["a"]),
        ("llm-prompt-params", _) => params(false, 2, Some(3.0), &["a"]),
        (_, "params") => params(false, 2, Some(1.0), &["a"]),
        (_, "ndarray1d_f64") => array(Elements::F64(vec![1.0, 2.5, 0.1])),
        (_, "ndarray1d_f32") => array(Elements::F32(vec![1.0, 2.5, 0.1])),
        (_, "ndarray2d") => {
            Body::Array(Tensor::new([2, 2].as_slice(), Elements::F64(vec![1.0, 2.0, 3.0, 4.5])).unwrap())
        }
        (_, "ndarray_int") => array(Elements::I32(vec![1, 2, 3])),
        (_, "ndarray_bool") => array(Elements::Bool(vec![true, false])),
        (_, "ndarray_str") => array(Elements::Str(vec!["a".into(), "b\u{e9}".into()])),
        (_, "ndarray_bytes") => array(Elements::Object(vec![
            Value::Bytes(b"ab".to_vec()),
            Value::Bytes(b"c".to_vec()),
        ])),
        (_, "ndarray_obj") => array(Elements::Object(vec![
            Value::Int(1),
            text("a"),
            Value::Null,
            Value::Float(2.5),
        ])),
        (_, "ndarray_datetime") => array(Elements::Datetime(vec![1_704_164_645_000_000_000])),
        (_, "ndarray_nan") => array(Elements::F64(vec![NAN, INF, -INF, 1.0])),
        (_, "ndarray_0d") => Body::Array(Tensor::new(Shape::new(), Elements::F64(vec![3.5])).unwrap()),
        (_, "ndarray_big") => array(Elements::F64(vec![
            1e300,
            1e-300,
            1e16,
            123_456_789_012_345_678.0,
            1e22,
            5e-324,
        ])),
        (_, "ndarray_f32_vals") => array(Elements::F32(vec![0.1, 1.0 / 3.0, 16_777_216.0, 3.4e38, 1e-45])),
        (_, "dict_ndarray") => Body::Named(vec![
            (Arc::from("a"), Tensor::vector(Elements::F64(vec![1.0, 2.0]))),
            (
                Arc::from("b"),
                Tensor::new([1, 2].as_slice(), Elements::I64(vec![1, 2])).unwrap(),
            ),
        ]),
        (_, "dict_nan") => Body::Named(vec![(Arc::from("a"), Tensor::vector(Elements::F64(vec![NAN])))]),
        (_, "dict_scalar_np") => Body::Value(map([
            ("a", scalar(Elements::F32(vec![0.1]))),
            ("b", scalar(Elements::I64(vec![3]))),
            ("c", scalar(Elements::Bool(vec![true]))),
        ])),
        (_, "dataframe") => table(
            &["x".into(), "y".into(), "z".into()],
            vec![
                Elements::I64(vec![1, 2]),
                Elements::F64(vec![0.5, NAN]),
                // A missing text of pandas 3 is NaN.
                Elements::Object(vec![text("p"), Value::Float(NAN)]),
            ],
        ),
        (_, "dataframe_dates") => table(
            &["t".into()],
            vec![Elements::Datetime(vec![1_704_164_645_000_000_000, i64::MIN])],
        ),
        (_, "dataframe_intcols") => {
            let matrix =
                Columns::Matrix(Tensor::new([1, 2].as_slice(), Elements::F64(vec![1.0, 2.0])).unwrap());
            Body::Frame(Frame::new(1, [Name::Index(0), Name::Index(1)].as_slice().into(), matrix).unwrap())
        }
        (_, "series") => table(&["s".into()], vec![Elements::I64(vec![1, 2])]),
        (_, "series_unnamed") => table(&[Name::Index(0)], vec![Elements::F64(vec![1.5, 2.5])]),
        (_, "list_str") => Body::Value(list([text("a"), text("b")])),
        (_, "list_mixed") => Body::Value(list([
            Value::Int(1),
            text("a"),
            Value::Null,
            Value::Bool(true),
            Value::Float(2.5),
        ])),
        (_, "list_np") => Body::Value(list([
            scalar(Elements::F64(vec![1.5])),
            scalar(Elements::I32(vec![2])),
        ])),
        (_, "list_of_arrays") => Body::Value(list([
            Value::Tensor(Box::new(Tensor::vector(Elements::I64(vec![1, 2])))),
            Value::Tensor(Box::new(Tensor::vector(Elements::I64(vec![3])))),
        ])),
        (_, "list_nan") => Body::Value(list([Value::Float(NAN), Value::Float(INF)])),
        (_, "str") => Body::Value(text("hello \u{e9} \u{4e2d} \u{1f600} \"q\" \\ \n")),
        (_, "int") => Body::Value(Value::Int(7)),
        (_, "float") => Body::Value(Value::Float(1.0)),
        (_, "none") => Body::Value(Value::Null),
        (_, "bytes") => Body::Value(Value::Bytes(b"abc".to_vec())),
        (_, "tuple") => Body::Value(list([Value::Int(1), Value::Int(2)])),
        // Kinds that our values do not have: a date or a time of day alone, a set.
        (_, "datetime" | "date" | "set") => return None,
        _ => panic!("no value for pair `{id}`, kind `{kind}`"),
    };
    Some(body)
}

#[test]
fn answers_are_byte_identical() {
    let mut matched = 0;
    let mut without_a_value = Vec::new();
    for pair in pairs(include_str!("../golden/protocol/py_outputs.jsonl")) {
        let id = pair["id"].as_str().unwrap();
        let request: Json = serde_json::from_str(pair["request"]["body"].as_str().unwrap()).unwrap();
        let (kind, reply) = match request["kind"].as_str() {
            Some(kind) => (kind, Reply::Bare),
            None => (
                request["dataframe_split"]["data"][0][0].as_str().unwrap(),
                Reply::Wrapped,
            ),
        };
        if pair["check"]["kind"] == "error" {
            // The parameters' checks and the model's exceptions are before the encoder.
            continue;
        }
        let Some(body) = output(id, kind) else {
            without_a_value.push(id.to_owned());
            continue;
        };
        let mut out = Vec::new();
        encode(&Batch::new(body), reply, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            pair["response"]["body"].as_str().unwrap(),
            "{id}"
        );
        matched += 1;
    }
    assert_eq!(without_a_value, ["datetime", "date", "set"]);
    assert_eq!(matched, 42);
}

/// The errors of every pair, rebuilt from their parts, byte for byte.
#[test]
fn errors_are_byte_identical() {
    let mut matched = 0;
    for name in [
        "onnx_cols",
        "onnx_multi",
        "onnx_tensor",
        "onnx_nosig",
        "py_echo",
        "py_outputs",
        "py_echo_nosig",
    ] {
        let path = format!(
            "{}/tests/golden/protocol/{name}.jsonl",
            env!("CARGO_MANIFEST_DIR")
        );
        for pair in pairs(&std::fs::read_to_string(path).unwrap()) {
            if pair["check"]["kind"] != "error" {
                continue;
            }
            let body = pair["response"]["body"].as_str().unwrap();
            let parsed: Json = serde_json::from_str(body).unwrap();
            let message = parsed["message"].as_str().unwrap();
            let kind = match (
                parsed["error_code"].as_str().unwrap(),
                parsed["error_class"].as_str().unwrap(),
            ) {
                (_, "SCHEMA_ENFORCEMENT_FAILED") => Kind::SchemaViolation,
                ("INVALID_PARAMETER_VALUE", _) => Kind::InvalidParams,
                _ if message.starts_with("Encountered an unexpected error") => Kind::ModelFailed,
                _ => Kind::InvalidInput,
            };
            let mut error = Error::new(kind, message);
            if let Some(trace) = parsed["stack_trace"].as_str() {
                error = error.with_detail(trace);
            }
            let answer = answer(&error);
            assert_eq!(
                u64::from(answer.status),
                pair["response"]["status"].as_u64().unwrap()
            );
            assert_eq!(answer.content_type, pair["check"]["content_type"]);
            assert_eq!(
                String::from_utf8(answer.body).unwrap(),
                body,
                "{name} {}",
                pair["id"]
            );
            matched += 1;
        }
    }
    assert!(matched > 150, "{matched}");
}

#[test]
fn content_types_are_judged_as_mlflow_judges_them() {
    let mut matched = 0;
    for pair in pairs(include_str!("../golden/protocol/onnx_cols.jsonl")) {
        let id = pair["id"].as_str().unwrap();
        if !id.starts_with("ct-") {
            continue;
        }
        let verdict = media(
            pair["request"]["headers"]["Content-Type"]
                .as_str()
                .map(str::as_bytes),
        );
        if pair["response"]["status"] == 200 {
            assert!(verdict.is_ok(), "{id}");
        } else {
            let answer = answer(&verdict.unwrap_err());
            assert_eq!(
                u64::from(answer.status),
                pair["response"]["status"].as_u64().unwrap(),
                "{id}"
            );
            assert_eq!(answer.content_type, pair["check"]["content_type"], "{id}");
            assert_eq!(
                answer.body,
                pair["response"]["body"].as_str().unwrap().as_bytes(),
                "{id}"
            );
        }
        matched += 1;
    }
    assert_eq!(matched, 11);
}
