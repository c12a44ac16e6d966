//! Graphs beside ONNX Runtime 1.31: operators with random attributes, and pipelines of scikit-learn as skl2onnx exports
//! them, each with four rows and the engine's answers.

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::model::batch::Body;

const CASES: &str = include_str!("../../../../tests/golden/native/onnx.jsonl");

struct Case {
    name: String,
    model: Vec<u8>,
    rows: Vec<Vec<f32>>,
    outputs: serde_json::Map<String, Json>,
    /// To the last bit.
    exact: bool,
}

fn cases() -> Vec<Case> {
    let case = |line: &str| {
        let case: Json = serde_json::from_str(line).unwrap();
        let number = |x: &Json| x.as_f64().map_or(f32::NAN, |x| x as f32);
        let row = |row: &Json| row.as_array().unwrap().iter().map(number).collect();
        Case {
            name: case["name"].as_str().unwrap().to_owned(),
            model: base64::prelude::BASE64_STANDARD
                .decode(case["model"].as_str().unwrap())
                .unwrap(),
            rows: case["x"].as_array().unwrap().iter().map(row).collect(),
            outputs: case["outputs"].as_object().unwrap().clone(),
            exact: case["exact"].as_bool().unwrap(),
        }
    };
    CASES.lines().map(case).collect()
}

fn predictor(bytes: &[u8]) -> Result<NativePredictor, Refusal> {
    let graph = Arc::new(lower(&proto::decode(bytes)?)?);
    let scratch = Scratch::new(&graph.inputs);
    Ok(NativePredictor { graph, scratch })
}

fn batch(rows: &[Vec<f32>]) -> Batch {
    let shape = Shape::from_slice(&[rows.len(), rows.first().map_or(0, Vec::len)]);
    Batch::new(Body::Array(
        Tensor::new(shape, Elements::F32(rows.concat())).unwrap(),
    ))
}

/// Whether an element of an output is what ONNX Runtime gives.
fn same(got: &Elements, at: usize, wanted: &Json, exact: bool) -> bool {
    let close = |got: f64, wanted: &Json| match wanted.as_f64() {
        None => got.is_nan(),
        Some(wanted) => got == wanted || (!exact && (got - wanted).abs() <= 1e-5 * wanted.abs().max(1.0)),
    };
    match got {
        Elements::F32(got) => close(f64::from(got[at]), wanted),
        Elements::F64(got) => close(got[at], wanted),
        Elements::I64(got) => Some(got[at]) == wanted.as_i64(),
        Elements::I32(got) => Some(i64::from(got[at])) == wanted.as_i64(),
        Elements::Bool(got) => Some(got[at]) == wanted.as_bool(),
        Elements::Str(got) => Some(got[at].as_str()) == wanted.as_str(),
        Elements::Object(got) => match (&got[at], wanted.as_array()) {
            (Object::Map(entries), Some(wanted)) => entries
                .iter()
                .zip(wanted)
                .all(|((_, got), wanted)| matches!(got, Object::Float(got) if close(*got, wanted))),
            _ => false,
        },
        _ => false,
    }
}

fn flat<'j>(wanted: &'j Json, depth: usize, into: &mut Vec<&'j Json>) {
    match wanted.as_array().filter(|_| depth > 0) {
        Some(items) => items.iter().for_each(|item| flat(item, depth - 1, into)),
        None => into.push(wanted),
    }
}

#[test]
fn graphs_answer_like_onnx_runtime() {
    for Case {
        name,
        model,
        rows,
        outputs,
        exact,
    } in cases()
    {
        let mut predictor = predictor(&model).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let Body::Named(members) = predictor.predict(&batch(&rows)).unwrap().body else {
            panic!("{name}");
        };
        assert_eq!(members.len(), outputs.len(), "{name}");
        for (output, tensor) in members {
            let mut wanted = Vec::new();
            flat(&outputs[&*output], tensor.shape().len(), &mut wanted);
            assert_eq!(wanted.len(), tensor.elements().len(), "{name} {output}");
            for (at, wanted) in wanted.into_iter().enumerate() {
                assert!(
                    same(tensor.elements(), at, wanted, exact),
                    "{name} {output} {at}: {tensor:?}, not {wanted}"
                );
            }
        }
    }
}

#[test]
fn no_rows_are_answered_with_none() {
    for Case {
        name, model, rows, ..
    } in cases()
    {
        let width = rows[0].len();
        let empty = Tensor::new(Shape::from_slice(&[0, width]), Elements::F32(vec![])).unwrap();
        let answer = predictor(&model)
            .unwrap()
            .predict(&Batch::new(Body::Array(empty)));
        let Ok(Body::Named(members)) = answer.map(|batch| batch.body) else {
            panic!("{name}");
        };
        assert!(members.iter().all(|(_, tensor)| tensor.rows() == 0), "{name}");
    }
}

#[test]
fn what_is_not_covered_is_refused_by_name() {
    let digits = include_bytes!("../../../../models/digits/1/model.onnx");
    let refusal = predictor(digits).err().map(|refusal| refusal.to_string());
    assert!(refusal.is_some_and(|refusal| refusal.contains("the operator is not computed natively")));
    assert!(predictor(b"").is_err() && predictor(b"\x3a\x05").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_change_of_bytes_panics(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let cases = cases();
        let case = &cases[which.index(cases.len())];
        let mut bytes = case.model.clone();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(mut predictor) = predictor(&bytes) {
            let _ = predictor.predict(&batch(&case.rows));
        }
    }
}
