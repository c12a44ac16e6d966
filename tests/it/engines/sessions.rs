//! What `MLmodel` asks of a session, and sessions side by side.

use modelsd::flavor::EngineChoice;
use modelsd::model::batch::{Batch, Body};
use modelsd::model::tensor::{Elements, Shape, Tensor};
use serde_json::json;

use super::{load_entry, load_path, refusal, root};

fn rows(count: usize) -> Batch {
    let elements = Elements::F32((0..count * 64).map(|at| (at % 17) as f32).collect());
    Batch::new(Body::Array(
        Tensor::new(Shape::from_slice(&[count, 8, 8]), elements).unwrap(),
    ))
}

#[test]
fn session_options_are_honoured_or_refused_by_name() {
    let dir = root().join("tests/golden/models/onnx_cols");
    let options = |options| json!({ "data": "model.onnx", "onnx_session_options": options });
    let honoured = options(json!({
        "intra_op_num_threads": 2, "inter_op_num_threads": 2, "execution_mode": "Parallel",
        "graph_optimization_level": 1, "extra_session_config": {"session.disable_prepacking": "1"},
    }));
    load_entry(&dir, honoured, EngineChoice::Ort, 1).unwrap();
    let message = refusal(load_entry(
        &dir,
        options(json!({"log_level": 1})),
        EngineChoice::Ort,
        1,
    ));
    assert!(message.contains("`log_level`"), "{message}");
}

#[test]
fn providers_are_dropped_with_a_note() {
    let dir = root().join("tests/golden/models/onnx_cols");
    let entry =
        json!({ "data": "model.onnx", "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"] });
    let loaded = load_entry(&dir, entry, EngineChoice::Ort, 1).unwrap();
    assert!(
        loaded.report.notes[0].contains("CUDAExecutionProvider"),
        "{:?}",
        loaded.report.notes
    );
}

#[test]
fn ports_are_described() {
    for (engine, graph, input, output) in [
        (EngineChoice::Ort, "half_sum", "float16[-1, 3]", "float16[-1, 3]"),
        (
            EngineChoice::Tract,
            "half_sum",
            "float16[-1, 3]",
            "float16[-1, 3]",
        ),
        (EngineChoice::Ort, "identity_string", "str[-1]", "str[-1]"),
        (
            EngineChoice::Ort,
            "text_maps",
            "float32[-1, 3]",
            "list of map(str to float32)",
        ),
        (
            EngineChoice::Ort,
            "list_of_tensors",
            "float32[-1, 2]",
            "list of float32[]",
        ),
    ] {
        let path = root().join(format!("tests/golden/engines/{graph}.onnx"));
        let report = load_path(&path, engine, 1).unwrap().report;
        assert_eq!(
            (report.inputs[0].kind.as_str(), report.outputs[0].kind.as_str()),
            (input, output),
            "{graph}"
        );
    }
}

#[test]
fn predictors_run_side_by_side() {
    let path = root().join("models/digits/1/model.onnx");
    for engine in [EngineChoice::Ort, EngineChoice::Tract] {
        let loaded = load_path(&path, engine, 4).unwrap();
        assert_eq!(loaded.predictors.len(), 4);
        let answers: Vec<Vec<Batch>> = std::thread::scope(|scope| {
            let running: Vec<_> = loaded
                .predictors
                .into_iter()
                .map(|mut predictor| {
                    scope.spawn(move || {
                        (0..40)
                            .map(|at| predictor.predict(&rows(1 + at % 5)).unwrap())
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{engine:?}");
    }
}
