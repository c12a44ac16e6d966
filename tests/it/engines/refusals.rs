//! Inputs that do not fit, and files that must not be opened.

use std::sync::Arc;

use modelsd::flavor::{Config, EngineChoice, PredictError, Source, load, loaders};
use modelsd::model::batch::{Batch, Body, Columns, Frame, Name};
use modelsd::model::mlmodel::MlModel;
use modelsd::model::tensor::{Elements, Shape, Tensor};
use modelsd::model::value::Value;
use serde_json::json;
use tempfile::TempDir;

use super::{load_entry, load_path, refusal, root};

const ENGINES: [EngineChoice; 2] = [EngineChoice::Ort, EngineChoice::Tract];

/// What `one_input` (float `[N, 3]`) or another small graph says to a batch.
fn complaint(graph: &str, engine: EngineChoice, body: Body) -> String {
    let path = root().join(format!("tests/golden/engines/{graph}.onnx"));
    let mut loaded = load_path(&path, engine, 1).unwrap();
    let error = loaded.predictors[0].predict(&Batch::new(body)).unwrap_err();
    assert!(matches!(error, PredictError::Input(_)), "{error:?}");
    // The predictor is as good as before.
    let good = Tensor::new(Shape::from_slice(&[1, 3]), Elements::F32(vec![1.0; 3])).unwrap();
    if graph == "one_input" {
        loaded.predictors[0]
            .predict(&Batch::new(Body::Array(good)))
            .unwrap();
    }
    error.to_string()
}

fn floats(shape: &[usize]) -> Tensor {
    Tensor::new(
        Shape::from_slice(shape),
        Elements::F32(vec![0.5; shape.iter().product()]),
    )
    .unwrap()
}

#[test]
fn a_batch_that_does_not_fit_is_refused_in_the_words_of_onnxruntime() {
    for engine in ENGINES {
        let message = complaint("one_input", engine, Body::Array(floats(&[3])));
        assert!(
            message.starts_with("Invalid rank for input: x Got: 1 Expected: 2"),
            "{message}"
        );
        let message = complaint("one_input", engine, Body::Array(floats(&[2, 4])));
        assert!(message.contains("index: 1 Got: 4 Expected: 3"), "{message}");
        let texts = Tensor::new(Shape::from_slice(&[1, 3]), Elements::Str(vec![String::new(); 3])).unwrap();
        let message = complaint("one_input", engine, Body::Array(texts));
        let wanted = "Unexpected input data type. Actual: (tensor(string)) , expected: (tensor(float))";
        assert_eq!(message, wanted);
        let message = complaint(
            "one_input",
            engine,
            Body::Named(vec![("z".into(), floats(&[1, 3]))]),
        );
        assert_eq!(
            message,
            "Required inputs (['x']) are missing from input feed (['z'])."
        );
        let both = vec![("x".into(), floats(&[1, 3])), ("z".into(), floats(&[1]))];
        assert_eq!(
            complaint("one_input", engine, Body::Named(both)),
            "Invalid input name: z"
        );
        let message = complaint("one_input", engine, Body::Value(Value::List(vec![])));
        assert!(message.ends_with("got '<class 'list'>'"), "{message}");
        let message = complaint("columns", engine, Body::Array(floats(&[1, 3])));
        assert!(message.contains("This model requires 3 inputs"), "{message}");
        let frame = Frame::new(
            1,
            Arc::from([Name::from("a")]),
            Columns::Separate(vec![floats(&[1])]),
        )
        .unwrap();
        let message = complaint("columns", engine, Body::Frame(frame));
        assert_eq!(message, "input `b`: no column of that name; there are a");
        let wide = Tensor::vector(Elements::I64(vec![300]));
        let message = complaint("identity_int8", engine, Body::Array(wide));
        assert_eq!(message, "input `x`: `300` is no value of tensor(int8)");
        let missing = Tensor::vector(Elements::Object(vec![Value::Bool(true), Value::Null]));
        let message = complaint("identity_bool", engine, Body::Array(missing));
        assert!(message.starts_with("Unexpected input data type."), "{message}");
    }
}

#[test]
fn text_with_a_zero_byte_is_refused() {
    let text = Tensor::vector(Elements::Str(vec!["a\0b".into()]));
    let message = complaint("identity_string", EngineChoice::Ort, Body::Array(text));
    assert!(message.contains("zero byte"), "{message}");
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

#[test]
fn a_model_file_must_be_in_the_directory_and_whole() {
    let good = std::fs::read(root().join("tests/golden/engines/one_input.onnx")).unwrap();
    let dir = folder(&[
        ("good.onnx", &good),
        ("cut.onnx", &good[..good.len() / 2]),
        ("text.onnx", b"hello, world"),
    ]);
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    std::fs::write(dir.path().join("folder/model.onnx"), &good).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join("link.onnx")).unwrap();
    for engine in ENGINES {
        for name in ["good.onnx", "folder", "./good.onnx"] {
            load_entry(dir.path(), json!({ "data": name }), engine, 1).unwrap();
        }
        for (name, wanted) in [
            ("absent.onnx", "cannot read"),
            ("cut.onnx", "cut off"),
            ("text.onnx", "not an ONNX model"),
            ("../good.onnx", "not a path within the model directory"),
            ("/etc/hostname", "not a path within the model directory"),
            ("link.onnx", "not a path within the model directory"),
        ] {
            let message = refusal(load_entry(dir.path(), json!({ "data": name }), engine, 1));
            assert!(message.contains(wanted), "{name}: {message}");
        }
        let message = refusal(load_entry(dir.path(), json!({}), engine, 1));
        assert!(message.contains("model.onnx"), "{message}");
    }
}

/// `onnx_external` with the path of its data replaced by one as long.
fn external_at(path: &str) -> TempDir {
    let source = root().join("tests/golden/models/onnx_external");
    let data = "00000000-0000-1000-8000-000000000001.data";
    let mut model = std::fs::read(source.join("model.onnx")).unwrap();
    let at = model
        .windows(data.len())
        .position(|window| window == data.as_bytes())
        .unwrap();
    assert_eq!(path.len(), data.len());
    model[at..at + data.len()].copy_from_slice(path.as_bytes());
    folder(&[
        ("model.onnx", &model),
        (data, &std::fs::read(source.join(data)).unwrap()),
    ])
}

#[test]
fn external_data_must_be_in_the_directory() {
    let paths = [
        format!("../{}", "x".repeat(38)),
        format!("/tmp/{}", "x".repeat(36)),
        format!("a/../../{}", "x".repeat(33)),
        format!("*/_ORT_MEM_ADDR_/*{}", "x".repeat(23)),
    ];
    for engine in ENGINES {
        for path in &paths {
            let dir = external_at(path);
            let message = refusal(load_entry(dir.path(), json!({}), engine, 1));
            assert!(
                message.contains("not a path within the model directory"),
                "{path}: {message}"
            );
        }
        let link = "l".repeat(41);
        let dir = external_at(&link);
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join(&link)).unwrap();
        let message = refusal(load_entry(dir.path(), json!({}), engine, 1));
        assert!(message.contains("not a path within"), "{message}");
        // A link that stays within is how some stores lay out a model.
        let dir = external_at(&link);
        let data = "00000000-0000-1000-8000-000000000001.data";
        std::os::unix::fs::symlink(data, dir.path().join(&link)).unwrap();
        load_entry(dir.path(), json!({}), EngineChoice::Tract, 1).unwrap();
    }
}

#[test]
fn a_graph_that_is_damaged_is_refused_without_a_panic() {
    let good = std::fs::read(root().join("tests/golden/engines/columns.onnx")).unwrap();
    for engine in ENGINES {
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 0x15;
            let dir = folder(&[("model.onnx", &bad)]);
            // Loads or not; what matters is that it comes back.
            let _ = load_entry(dir.path(), json!({}), engine, 1);
        }
    }
}

#[test]
fn a_runtime_that_is_missing_or_broken_is_no_panic() {
    let dir = folder(&[("libonnxruntime.so", b"no library")]);
    let source = root().join("tests/golden/models/onnx_cols");
    let mlmodel = MlModel::parse(&std::fs::read_to_string(source.join("MLmodel")).unwrap()).unwrap();
    let try_with = |engine, candidates: Vec<std::path::PathBuf>| {
        let loaders = loaders(&Config {
            engine,
            onnxruntime: candidates,
            ..Config::default()
        });
        load(
            &loaders,
            Source {
                dir: &source,
                mlmodel: &mlmodel,
            },
            std::num::NonZeroUsize::MIN,
        )
    };
    let absent = dir.path().join("absent.so");
    let message = refusal(try_with(EngineChoice::Ort, vec![absent.clone()]));
    assert!(
        message.contains("absent.so") && message.contains("fetch-onnxruntime.sh"),
        "{message}"
    );
    // Plans take over where they can.
    let loaded = try_with(EngineChoice::Auto, vec![absent]).unwrap();
    assert!(
        loaded.report.engine.starts_with("native"),
        "{}",
        loaded.report.engine
    );
    let loaded = try_with(EngineChoice::Tract, vec![]).unwrap();
    assert!(
        loaded.report.engine.starts_with("tract"),
        "{}",
        loaded.report.engine
    );
}
