//! Graphs that mix operators of `ai.onnx.ml` with others: too much for plans, and for tract without them.

use modelsd::flavor::EngineChoice;
use modelsd::model::batch::{Batch, Body};
use modelsd::model::tensor::{Elements, Tensor};
use serde_json::{Value as Json, json};

use super::{load_entry, root};

#[test]
fn mixed_graphs_run_in_tract_as_in_onnx_runtime() {
    let folder = root().join("tests/golden/mixed");
    let mut seen = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        seen += 1;
        let name = file.file_stem().unwrap().to_str().unwrap();
        let golden: Json = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let entry = json!({ "data": format!("{name}.onnx") });
        let refused = load_entry(&folder, entry.clone(), EngineChoice::Native, 1);
        assert!(
            refused.is_err(),
            "{name} is lowered as a whole and proves nothing here"
        );

        let mut loaded = load_entry(&folder, entry, EngineChoice::Tract, 1).unwrap();
        let rows: Vec<f32> = numbers(&golden["rows"]).iter().map(|&x| x as f32).collect();
        let tensor = Tensor::new([rows.len() / 4, 4].as_slice(), Elements::F32(rows)).unwrap();
        let answer = loaded.predictors[0]
            .predict(&Batch::new(Body::Array(tensor)))
            .unwrap();
        let Body::Named(outputs) = answer.body else {
            panic!("{name}: {:?}", answer.body);
        };
        for (output, tensor) in outputs {
            let wanted = numbers(&golden["outputs"][&*output]);
            let got: Vec<f64> = match tensor.elements() {
                Elements::F32(numbers) => numbers.iter().map(|&x| x.into()).collect(),
                Elements::I64(numbers) => numbers.iter().map(|&x| x as f64).collect(),
                other => panic!("{name} {output}: {}", other.dtype()),
            };
            assert_eq!(got.len(), wanted.len(), "{name} {output}");
            for (got, wanted) in got.iter().zip(&wanted) {
                assert!(
                    (got - wanted).abs() <= 1e-6 * wanted.abs().max(1.0),
                    "{name} {output}: {got} for {wanted}"
                );
            }
        }
    }
    assert_eq!(seen, 7);
}

/// Every number within a value, in order.
fn numbers(value: &Json) -> Vec<f64> {
    match value {
        Json::Array(items) => items.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}
