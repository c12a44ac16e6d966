//! `MLmodel` files: those that MLflow 3.18 and 2.21 wrote, the forms of 1.x, 2.0 and 2.9, and hostile ones.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use modelsd::model::mlmodel::MlModel;
use modelsd::model::signature::{ColumnType, DataType, Schema};
use modelsd::model::tensor::DType;
use modelsd::model::value::Value;
use proptest::prelude::*;

use crate::support::repository;

fn files() -> Vec<PathBuf> {
    let entries = |folder: &str| {
        let folder = fs::read_dir(repository(folder)).unwrap();
        folder.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let mut files: Vec<PathBuf> = entries("tests/golden/models")
        .iter()
        .map(|dir| dir.join("MLmodel"))
        .collect();
    files.extend(entries("tests/golden/mlmodel-2.21.3"));
    files.sort();
    files
}

fn read(path: &str) -> MlModel {
    MlModel::parse(&fs::read_to_string(repository(path)).unwrap()).unwrap()
}

#[test]
fn every_file_that_mlflow_wrote_is_read() {
    let files = files();
    assert!(files.len() > 75, "{}", files.len());
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let model = MlModel::parse(&text).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        let version = if path.ends_with("MLmodel") {
            "3.18.0"
        } else {
            "2.21.3"
        };
        assert_eq!(
            model.mlflow_version.as_deref(),
            Some(version),
            "{}",
            path.display()
        );
        assert!(model.flavor("python_function").is_some(), "{}", path.display());
        assert!(
            model.model_uuid.is_some() && model.utc_time_created.is_some(),
            "{}",
            path.display()
        );
        let signature = &model.signature;
        let declared = [
            signature.inputs.is_some(),
            signature.outputs.is_some(),
            signature.params.is_some(),
        ];
        for (declared, key) in declared.into_iter().zip(["inputs", "outputs", "params"]) {
            assert_eq!(
                declared,
                text.contains(&format!("  {key}: '")),
                "{key} of {}",
                path.display()
            );
        }
    }
}

#[test]
fn both_versions_say_the_same_of_the_same_model() {
    for path in files().iter().filter(|path| !path.ends_with("MLmodel")) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let old = read(&format!("tests/golden/mlmodel-2.21.3/{name}.yaml"));
        let new = read(&format!("tests/golden/models/{name}/MLmodel"));
        assert_eq!(old.signature.inputs, new.signature.inputs, "{name}");
        assert_eq!(old.signature.params, new.signature.params, "{name}");
    }
}

#[test]
fn nested_types_and_parameters_are_read() {
    let Some(Schema::Columns(columns)) = read("tests/golden/models/py_echo_nested/MLmodel")
        .signature
        .inputs
    else {
        panic!("columns expected")
    };
    let kinds: Vec<String> = columns
        .columns()
        .iter()
        .map(|column| column.kind.to_string())
        .collect();
    let wanted = "Array(double)|Array(Array(long))|{k: string (required), v: long (optional)}|Map(str -> \
                  DataType.double)|Any";
    assert_eq!(kinds.join("|"), wanted);

    let with_params = files()
        .into_iter()
        .map(|path| MlModel::parse(&fs::read_to_string(path).unwrap()).unwrap());
    let params = with_params
        .filter_map(|model| model.signature.params)
        .next()
        .unwrap();
    let shown: Vec<String> = params.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "'scale': double",
            "'n': long",
            "'tags': string (shape: (-1,))",
            "'flag': boolean"
        ]
    );
    assert_eq!(params[2].default, Value::List(vec![Value::Str("a".into())]));
}

#[test]
fn files_of_older_versions_are_read() {
    // 1.x: no uuid before 1.24, the environment a text, no required or optional.
    let one = "artifact_path: model\nflavors:\n  onnx:\n    data: model.onnx\n    onnx_version: 1.8.0\n  python_function:\n    \
               data: model.onnx\n    env: conda.yaml\n    loader_module: mlflow.onnx\n    python_version: 3.7.9\n\
               run_id: 0123456789abcdef0123456789abcdef\nsignature:\n  inputs: '[{\"name\": \"age\", \"type\": \"long\"}]'\n  \
               outputs: '[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"float32\", \"shape\": [-1]}}]'\n\
               utc_time_created: '2021-03-01 10:00:00.123456'\n";
    let model = MlModel::parse(one).unwrap();
    assert_eq!((&model.mlflow_version, &model.model_uuid), (&None, &None));
    assert_eq!(model.flavor("python_function").unwrap()["env"], "conda.yaml");
    let Some(Schema::Columns(columns)) = &model.signature.inputs else {
        panic!("columns expected")
    };
    assert_eq!(columns.columns()[0].kind, ColumnType::Scalar(DataType::Long));
    assert!(columns.columns()[0].required && columns.named());

    // 2.0: the environment a mapping, the signature two texts, a saved example without a ready request.
    let two = "flavors: {sklearn: {code: null}, python_function: {env: {conda: conda.yaml, virtualenv: python_env.yaml}}}\n\
               mlflow_version: 2.0.1\nmodel_uuid: aa\nsaved_input_example_info: {artifact_path: input_example.json, \
               pandas_orient: split, type: dataframe}\nsignature:\n  inputs: '[{\"type\": \"tensor\", \"tensor-spec\": \
               {\"dtype\": \"uint8\", \"shape\": [-1, 28, 28]}}]'\n  outputs: null\n";
    let model = MlModel::parse(two).unwrap();
    assert_eq!(model.input_example.as_deref(), Some("input_example.json"));
    assert_eq!((&model.serving_input, &model.signature.params), (&None, &None));
    let Some(Schema::Tensors(tensors)) = &model.signature.inputs else {
        panic!("tensors expected")
    };
    assert_eq!(
        (tensors[0].dtype, tensors[0].shape.as_slice()),
        (DType::U8, &[-1, 28, 28][..])
    );

    // 2.9: `optional: true`, written only when it holds; `dtype` of parameters beside `type`.
    let nine = "flavors: {onnx: {data: model.onnx}}\nmlflow_version: 2.9.2\nsignature:\n  inputs: '[{\"type\": \"double\", \
                \"name\": \"a\"}, {\"type\": \"double\", \"name\": \"b\", \"optional\": true}]'\n  outputs: null\n  params: \
                '[{\"name\": \"t\", \"dtype\": \"float\", \"default\": 0.5, \"shape\": null}]'\n";
    let model = MlModel::parse(nine).unwrap();
    let Some(Schema::Columns(columns)) = &model.signature.inputs else {
        panic!("columns expected")
    };
    assert_eq!(
        columns
            .columns()
            .iter()
            .map(|column| column.required)
            .collect::<Vec<_>>(),
        [true, false]
    );
    let params = model.signature.params.unwrap();
    assert_eq!(
        (&params[0].kind, &params[0].default),
        (&ColumnType::Scalar(DataType::Float), &Value::Float(0.5))
    );
}

#[test]
fn empty_and_null_signatures_declare_nothing() {
    for signature in [
        "",
        "signature: null",
        "signature: {inputs: null, outputs: 'null'}",
        "signature: {}",
    ] {
        let model = MlModel::parse(&format!("flavors: {{onnx: {{}}}}\n{signature}\n")).unwrap();
        assert_eq!(model.signature, Default::default(), "{signature}");
    }
}

#[test]
fn hostile_files_are_errors_and_quick_ones() {
    let mut laughs = "flavors:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs.push_str(&format!("  a{level}: &a{level} [{aliases}]\n"));
    }
    let signature = |inputs: &str| format!("flavors: {{}}\nsignature: {{inputs: '{inputs}'}}\n");
    for (text, wanted) in [
        ("x".repeat(10 << 20), "at most 4194304 are read"),
        (laughs, "cannot be read"),
        (format!("flavors: {}", "[".repeat(1 << 20)), "cannot be read"),
        (format!("flavors: {}", "{a: ".repeat(1 << 19)), "cannot be read"),
        (format!("ignored: {}", "[".repeat(1 << 20)), "cannot be read"),
        ("flavors: {}\n".repeat(200_000), "cannot be read"),
        (
            format!("flavors: {{}}\nignored: [{}]", "a,".repeat(1 << 20)),
            "cannot be read",
        ),
        (
            "!!python/object/apply:os.system ['id']".to_owned(),
            "cannot be read",
        ),
        (signature(&"[".repeat(1 << 20)), "bad signature"),
        (
            signature(&format!("[{}]", vec!["{}"; 100_001].join(","))),
            "bad signature",
        ),
        (
            signature("[{\"type\": \"object\", \"properties\": []}]"),
            "bad signature",
        ),
    ] {
        let start = Instant::now();
        let message = MlModel::parse(&text).unwrap_err().to_string();
        let shown: String = text.chars().take(60).collect();
        assert!(
            message.contains(wanted) && message.len() < 500,
            "{shown}…: {message}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{shown}…: {:?}",
            start.elapsed()
        );
    }
}

proptest! {
    /// Files with a few bytes replaced, cut off or doubled are read or refused, never more.
    #[test]
    fn spoiled_files_never_panic(
        which in any::<prop::sample::Index>(),
        places in prop::collection::vec((any::<prop::sample::Index>(), "[\\x00-\\x7fé&*!|>'\"{}\\[\\],:-]{0,3}"), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut text = fs::read_to_string(which.get(&files())).unwrap();
        for (place, with) in places {
            let at = place.index(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                text.replace_range(at..at + 1, &with);
            }
            if text.is_empty() {
                return Ok(());
            }
        }
        let _ = MlModel::parse(&text);
        let end = end.index(text.len());
        if text.is_char_boundary(end) {
            let _ = MlModel::parse(&text[..end]);
        }
    }
}
