//! `POST /predict` and `POST /models/{name}/predict`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::refused;
use crate::support::{Answer, Server, modelsd, repository};

const COLUMNS: [&str; 10] = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"];

fn post(server: &Server, path: &str, kind: &str, body: &str) -> Answer {
    server.call("POST", path, &[("content-type", kind)], body.as_bytes())
}

fn record(server: &Server, path: &str, body: &Value) -> Answer {
    post(server, path, "application/json", &body.to_string())
}

fn form(server: &Server, path: &str, body: &str) -> Answer {
    post(server, path, "application/x-www-form-urlencoded", body)
}

#[test]
fn a_record_gets_the_answer_of_invocations() {
    let server = Server::start("models:/diabetes/1", &["-m", "models:/iris/1"]);
    let values: Vec<f64> = (0..10).map(|column| 0.01 * f64::from(column) - 0.03).collect();
    let split = json!({"dataframe_split": {"columns": COLUMNS, "data": [values]}});
    let wanted = server.invoke(&split.to_string()).json()["predictions"].clone();
    let wanted = wanted.as_array().map_or(&wanted, |rows| &rows[0]);

    let typed: Value = COLUMNS
        .iter()
        .zip(&values)
        .map(|(name, value)| (name.to_string(), json!(value)))
        .collect();
    let texts: Value = COLUMNS
        .iter()
        .zip(&values)
        .map(|(name, value)| (name.to_string(), json!(value.to_string())))
        .collect();
    let fields: Vec<String> = COLUMNS
        .iter()
        .zip(&values)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    for answer in [
        record(&server, "/predict", &typed),
        record(&server, "/predict", &texts),
        form(&server, "/predict", &fields.join("&")),
        record(&server, "/models/diabetes/predict", &typed),
    ] {
        let json = answer.json();
        assert_eq!(answer.status, 200, "{json}");
        assert_eq!(flat(&json["prediction"]), flat(wanted), "{json}");
        assert_eq!(
            (&json["model"], &json["version"]),
            (&json!("diabetes"), &json!("1"))
        );
        assert!(json["latency_ms"].as_f64().unwrap() > 0.0);
        assert_eq!(answer.header("x-model-name"), Some("diabetes"));
        assert!(answer.header("x-request-id").is_some() && answer.header("server-timing").is_some());
    }
    let iris = form(&server, "/models/iris/predict", "0=6.3&1=3.3&2=6&3=2.5").json();
    assert_eq!(iris["prediction"]["label"], 2, "{iris}");
}

/// Numbers of arrays of one element as if they were bare: a regressor may answer a row with a list.
fn flat(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), flat(value)))
            .collect(),
        Value::Array(items) if items.len() == 1 => flat(&items[0]),
        other => other.clone(),
    }
}

#[test]
fn refusals_have_one_shape_and_name_the_field() {
    let server = Server::start("models:/diabetes/1", &["--max-body-bytes", "10000"]);
    refused(
        &form(&server, "/predict", "age=old"),
        400,
        "BAD_REQUEST",
        "`age` is `old`",
    );
    refused(
        &form(&server, "/predict", "age=1"),
        400,
        "INVALID_PARAMETER_VALUE",
        "bmi",
    );
    refused(
        &post(&server, "/predict", "application/json", "[1]"),
        400,
        "BAD_REQUEST",
        "flat JSON object",
    );
    refused(
        &post(&server, "/predict", "text/csv", "age\n1"),
        415,
        "BAD_REQUEST",
        "text/csv",
    );
    refused(
        &form(&server, "/models/none/predict", "a=1"),
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "`none`",
    );
    refused(
        &form(&server, "/predict", &"a".repeat(10_001)),
        413,
        "BAD_REQUEST",
        "--max-body-bytes",
    );
    let late = server.call("POST", "/predict", &[("x-request-timeout-ms", "soon")], b"a=1");
    refused(&late, 400, "INVALID_PARAMETER_VALUE", "x-request-timeout-ms");
    let got = server.call("GET", "/predict", &[], b"");
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
    let metrics = server.metrics();
    assert!(
        metrics.contains(r#"modelsd_rejected_total{kind="unsupported_media"} 1"#),
        "{metrics}"
    );
}

#[test]
fn classes_have_the_names_of_the_metadata() {
    let folder = tempfile::tempdir().unwrap();
    copy(&repository("models/iris/1"), folder.path());
    let file = folder.path().join("MLmodel");
    let text = fs::read_to_string(&file).unwrap();
    let metadata = "metadata:\n  classes: [setosa, versicolor, virginica]\n";
    fs::write(&file, text + metadata).unwrap();
    let server = Server::start_with(modelsd(), &format!("flower={}", folder.path().display()), &[]);
    let answer = form(&server, "/predict", "0=6.3&1=3.3&2=6&3=2.5").json();
    assert_eq!(answer["prediction"]["label"], "virginica", "{answer}");
    let scores = answer["prediction"]["probabilities"].as_object().unwrap();
    assert_eq!(
        scores.keys().collect::<Vec<_>>(),
        ["setosa", "versicolor", "virginica"]
    );
    assert_eq!(answer["version"], Value::Null);
}

fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
