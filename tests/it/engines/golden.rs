//! Every model and every small graph: the same answers as in Python.

use std::collections::BTreeMap;
use std::sync::Arc;

use half::f16;
use modelsd::flavor::{EngineChoice, Predictor};
use modelsd::model::batch::{Batch, Body, Columns, Frame, Name};
use modelsd::model::tensor::{Elements, Shape, Tensor};
use modelsd::model::value::Value;
use serde_json::Value as Json;

use super::{load_path, refusal, root};

/// Models that tract does not take, and what it says is missing.
const NOT_IN_TRACT: &[(&str, &str)] = &[
    ("contrib", "com.microsoft.Gelu"),
    ("identity_bfloat16", "Bfloat16"),
    ("list_of_tensors", "SplitToSequence"),
    ("onnx_clf_zipmap", "ai.onnx.ml.ZipMap"),
    ("text_maps", "ai.onnx.ml.ZipMap"),
    ("wine_1", "ai.onnx.ml.ZipMap"),
];

fn answers() -> BTreeMap<String, Json> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("tests/golden/engines")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            found.insert(
                name,
                serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap(),
            );
        }
    }
    assert!(found.len() > 40, "{} files", found.len());
    found
}

#[test]
fn onnxruntime_answers_as_in_python() {
    for (name, file) in answers() {
        let path = root().join(file["model"].as_str().unwrap());
        let loaded = load_path(&path, EngineChoice::Ort, 1).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(loaded.report.engine, "onnxruntime 1.31.1");
        check(&name, &file, loaded.predictors, 0.0);
    }
}

#[test]
fn tract_answers_as_onnxruntime_or_says_what_it_lacks() {
    for (name, file) in answers() {
        let path = root().join(file["model"].as_str().unwrap());
        let loaded = load_path(&path, EngineChoice::Tract, 1);
        match NOT_IN_TRACT.iter().find(|(model, _)| *model == name) {
            Some((_, missing)) => {
                let message = refusal(loaded);
                assert!(message.contains(missing), "{name}: {message}");
            }
            None => {
                let loaded = loaded.unwrap_or_else(|error| panic!("{name}: {}", super::chain(&error)));
                check(&name, &file, loaded.predictors, 1e-5);
            }
        }
    }
}

fn check(name: &str, file: &Json, mut predictors: Vec<Box<dyn Predictor>>, tolerance: f64) {
    for case in file["cases"].as_array().unwrap() {
        let what = format!("{name}, {}", case["case"]);
        let batch = Batch::new(body(&case["feed"]));
        // Twice, since what a call leaves behind must not matter to the next.
        for _ in 0..2 {
            let answer = predictors[0]
                .predict(&batch)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            same(&what, answer, &case["answer"], tolerance);
        }
    }
}

fn body(feed: &Json) -> Body {
    let members = |list: &Json| -> Vec<(Arc<str>, Tensor)> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|pair| (pair[0].as_str().unwrap().into(), tensor(&pair[1])))
            .collect()
    };
    if let Some(array) = feed.get("array") {
        return Body::Array(tensor(array));
    }
    if let Some(named) = feed.get("named") {
        return Body::Named(members(named));
    }
    let names: Arc<[Name]> = feed["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| Name::from(name.as_str().unwrap()))
        .collect();
    let columns = match feed.get("matrix") {
        Some(matrix) => Columns::Matrix(tensor(matrix)),
        None => Columns::Separate(feed["columns"].as_array().unwrap().iter().map(tensor).collect()),
    };
    let rows = match &columns {
        Columns::Matrix(matrix) => matrix.rows(),
        Columns::Separate(columns) => columns[0].rows(),
    };
    Body::Frame(Frame::new(rows, names, columns).unwrap())
}

fn tensor(json: &Json) -> Tensor {
    let shape: Shape = json["shape"]
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_u64().unwrap() as usize)
        .collect();
    let data = json["data"].as_array().unwrap().as_slice();
    let float = |x: &Json| x.as_f64().unwrap_or_else(|| x.as_str().unwrap().parse().unwrap());
    let int = |x: &Json| x.as_i64().unwrap();
    let uint = |x: &Json| x.as_u64().unwrap();
    fn all<T>(data: &[Json], read: impl Fn(&Json) -> T) -> Vec<T> {
        data.iter().map(read).collect()
    }
    let elements = match json["dtype"].as_str().unwrap() {
        "bool" => Elements::Bool(all(data, |x| x.as_bool().unwrap())),
        "int8" => Elements::I8(all(data, |x| int(x) as i8)),
        "int16" => Elements::I16(all(data, |x| int(x) as i16)),
        "int32" => Elements::I32(all(data, |x| int(x) as i32)),
        "int64" => Elements::I64(all(data, int)),
        "uint8" => Elements::U8(all(data, |x| uint(x) as u8)),
        "uint16" => Elements::U16(all(data, |x| uint(x) as u16)),
        "uint32" => Elements::U32(all(data, |x| uint(x) as u32)),
        "uint64" => Elements::U64(all(data, uint)),
        "float16" => Elements::F16(all(data, |x| f16::from_f64(float(x)))),
        "float32" => Elements::F32(all(data, |x| float(x) as f32)),
        "float64" => Elements::F64(all(data, float)),
        "str" => Elements::Str(all(data, |x| x.as_str().unwrap().to_owned())),
        "object" => Elements::Object(all(data, object)),
        other => panic!("{other}"),
    };
    Tensor::new(shape, elements).unwrap()
}

fn object(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number
            .as_i64()
            .map_or_else(|| Value::Float(number.as_f64().unwrap()), Value::Int),
        Json::String(text) if text == "nan" => Value::Float(f64::NAN),
        Json::String(text) => Value::Str(text.as_str().into()),
        Json::Object(map) if map.contains_key("dtype") => Value::Tensor(Box::new(tensor(json))),
        Json::Object(map) => Value::Map(
            map.iter()
                .map(|(key, value)| (key.as_str().into(), object(value)))
                .collect(),
        ),
        Json::Array(items) => Value::List(items.iter().map(object).collect()),
    }
}

fn same(what: &str, answer: Batch, wanted: &Json, tolerance: f64) {
    let (kind, wanted) = wanted.as_object().unwrap().iter().next().unwrap();
    let members: Vec<(String, Tensor)> = match answer.body {
        Body::Named(members) => {
            assert_eq!(kind, "named", "{what}");
            members
                .into_iter()
                .map(|(name, tensor)| (name.to_string(), tensor))
                .collect()
        }
        Body::Frame(frame) => {
            assert_eq!(kind, "frame", "{what}");
            let (_, names, columns) = frame.into_parts();
            let Columns::Separate(columns) = columns else {
                panic!("{what}: a matrix")
            };
            names.iter().map(ToString::to_string).zip(columns).collect()
        }
        other => panic!("{what}: {other:?}"),
    };
    let wanted = wanted.as_array().unwrap();
    assert_eq!(members.len(), wanted.len(), "{what}");
    for ((name, got), wanted) in members.iter().zip(wanted) {
        assert_eq!(name, wanted[0].as_str().unwrap(), "{what}");
        let wanted = tensor(&wanted[1]);
        assert_eq!(got.shape(), wanted.shape(), "{what}: {name}");
        assert_eq!(got.dtype(), wanted.dtype(), "{what}: {name}");
        let close = close(got.elements(), wanted.elements(), tolerance);
        assert!(close, "{what}: {name}\n got {got:?}\n want {wanted:?}");
    }
}

fn close(got: &Elements, wanted: &Elements, tolerance: f64) -> bool {
    let float = |a: f64, b: f64| {
        a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * b.abs().max(1e-3)
    };
    match (got, wanted) {
        (Elements::F16(a), Elements::F16(b)) => a.iter().zip(b).all(|(a, b)| float(a.to_f64(), b.to_f64())),
        (Elements::F32(a), Elements::F32(b)) => a.iter().zip(b).all(|(a, b)| float((*a).into(), (*b).into())),
        (Elements::F64(a), Elements::F64(b)) => a.iter().zip(b).all(|(a, b)| float(*a, *b)),
        (Elements::Object(a), Elements::Object(b)) => {
            a.iter().zip(b).all(|(a, b)| close_value(a, b, tolerance))
        }
        (got, wanted) => got == wanted,
    }
}

fn close_value(got: &Value, wanted: &Value, tolerance: f64) -> bool {
    match (got, wanted) {
        (Value::Float(a), Value::Float(b)) => (a - b).abs() <= tolerance * b.abs().max(1e-3),
        (Value::Float(a), Value::Int(b)) => *a == *b as f64,
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((ka, a), (kb, b))| ka == kb && close_value(a, b, tolerance))
        }
        (Value::Tensor(a), Value::Tensor(b)) => {
            a.shape() == b.shape() && close(a.elements(), b.elements(), tolerance)
        }
        (got, wanted) => got == wanted,
    }
}
