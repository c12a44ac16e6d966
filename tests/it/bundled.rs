//! Every engine on every bundled model, over a socket, against the answers of MLflow, onnxruntime and scikit-learn.

use serde_json::Value;

use crate::support::{Server, differ, golden_lines, repository, send};

/// What tract refuses, and the operator it names.
const BEYOND_TRACT: &[(&str, &str)] = &[("wine/1", "ZipMap")];

/// The bundled model that is no classical one.
const NETWORK: &str = "digits/1";

/// `name/version` of every bundled model.
fn models() -> Vec<String> {
    let mut models = Vec::new();
    for name in std::fs::read_dir(repository("models")).unwrap() {
        let name = name.unwrap();
        for version in std::fs::read_dir(name.path()).unwrap() {
            let version = version.unwrap();
            if version.path().is_dir() {
                let (name, version) = (name.file_name(), version.file_name());
                models.push(format!("{}/{}", name.display(), version.display()));
            }
        }
    }
    models.sort();
    models
}

fn check(engine: &str, tolerance: f64) {
    let mut problems = Vec::new();
    let mut judged = 0;
    for model in models() {
        let beyond = match engine {
            "tract" => BEYOND_TRACT.iter().any(|(beyond, _)| *beyond == model),
            "native" => model == NETWORK,
            _ => false,
        };
        if beyond {
            continue;
        }
        let server = Server::start(&format!("models:/{model}"), &["--engine", engine]);
        let file = format!("tests/golden/bundled/{}.jsonl", model.replace('/', "-"));
        for pair in golden_lines(&repository(&file)) {
            let answer = send(&server, &pair["request"]);
            let id = pair["id"].as_str().unwrap();
            if answer.status != 200 {
                problems.push(format!("{model} {id}: {} {}", answer.status, answer.text()));
            } else if let Some(problem) = differ(
                &answer.text(),
                pair["response"]["body"].as_str().unwrap(),
                tolerance,
            ) {
                problems.push(format!("{model} {id}: {problem}"));
            }
            judged += 1;
        }
    }
    assert!(judged >= 50, "only {judged} answers were judged");
    assert!(
        problems.is_empty(),
        "{} of {judged} differ:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

#[test]
fn onnx_runtime_answers_as_mlflow_does() {
    check("ort", 1e-6);
}

#[test]
fn tract_answers_as_mlflow_does_within_its_rounding() {
    check("tract", 1e-4);
}

#[test]
fn plans_answer_as_mlflow_does_within_its_rounding() {
    check("native", 1e-5);
}

#[test]
fn what_tract_cannot_run_is_refused_by_name_with_the_way_out() {
    for (model, operator) in BEYOND_TRACT {
        let output = crate::support::modelsd()
            .args([
                "serve",
                "-m",
                &format!("models:/{model}"),
                "--engine",
                "tract",
                "--port",
                "0",
            ])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{model}: {text}");
        for words in [*operator, "fetch-onnxruntime"] {
            assert!(text.contains(words), "{model}: no `{words}` in {text}");
        }
    }
}

#[test]
fn without_onnx_runtime_every_bundled_model_is_served_with_one_warning() {
    // A copy beside no library, in a folder without one: the places that are looked at before the system.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("modelsd");
    std::fs::copy(crate::support::modelsd().get_program(), &program).unwrap();
    for model in models() {
        let mut command = std::process::Command::new(&program);
        command.current_dir(folder.path()).env_remove("ORT_DYLIB_PATH");
        let output = command
            .args(["inspect", &format!("models:/{model}"), "--json", "--registry"])
            .arg(repository("models"))
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        let page: Value = serde_json::from_slice(&output.stdout).unwrap();
        let engine = page["engine"]
            .as_str()
            .unwrap_or_else(|| panic!("{model}: {page}"));
        let wanted = if model == NETWORK { "tract" } else { "native" };
        assert!(engine.starts_with(wanted), "{model}: {engine}");
        assert_eq!(
            page["steps"].as_array().unwrap().is_empty(),
            model == NETWORK,
            "{model}"
        );
        assert_eq!(log.matches("fetch-onnxruntime").count(), 1, "{log}");
    }
}

#[test]
fn predictions_agree_with_scikit_learn() {
    for line in golden_lines(&repository("tests/golden/bundled/scikit-learn.jsonl")) {
        let model = format!(
            "{}/{}",
            line["model"].as_str().unwrap(),
            line["version"].as_str().unwrap()
        );
        let server = Server::start(&format!("models:/{model}"), &["--engine", "ort"]);
        let answer = server.invoke(line["request"].as_str().unwrap()).json();
        let predictions = &answer["predictions"];
        for (key, names) in [
            ("label", ["label", "output_label"].as_slice()),
            ("probabilities", &["probabilities", "output_probability"]),
            ("value", &["variable"]),
        ] {
            let Some(wanted) = line.get(key) else { continue };
            let got = column(predictions, names);
            let wanted = numbers(wanted);
            assert_eq!(got.len(), wanted.len(), "{model} {key}");
            for (got, wanted) in got.iter().zip(&wanted) {
                assert!(
                    (got - wanted).abs() <= 1e-4 * wanted.abs().max(1.0),
                    "{model} {key}: {got} for {wanted}"
                );
            }
        }
    }
}

/// The numbers of one output, from an object of arrays or from a list of row objects.
fn column(predictions: &Value, names: &[&str]) -> Vec<f64> {
    let find = |object: &Value| names.iter().find_map(|name| object.get(name)).map(numbers);
    match predictions {
        Value::Array(rows) => rows
            .iter()
            .flat_map(|row| find(row).expect("the output"))
            .collect(),
        object => find(object).expect("the output"),
    }
}

/// Every number within a value, in order.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::Object(entries) => entries.values().flat_map(numbers).collect(),
        number => vec![number.as_f64().expect("a number")],
    }
}
