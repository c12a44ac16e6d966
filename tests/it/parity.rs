//! Recorded answers beside a model: asked before it goes live, by hand with `modelsd verify`, shown everywhere.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hot_swap::copy;
use crate::support::{Server, modelsd, repository};

/// A model with recorded answers.
fn recorded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(
        &repository("tests/golden/native/xgb_booster_reg_nan"),
        folder.path(),
    );
    folder
}

/// The same with the first number of the first answer changed by this much.
fn changed(by: f64) -> TempDir {
    let folder = recorded();
    let file = folder.path().join("cases.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let mut case: Value = serde_json::from_str(first).unwrap();
    assert_eq!(case["status"], 200);
    let mut answer: Value = serde_json::from_str(case["response"].as_str().unwrap()).unwrap();
    let number = answer["predictions"][0].as_f64().unwrap();
    answer["predictions"][0] = json!(number + by);
    case["response"] = json!(answer.to_string());
    std::fs::write(&file, format!("{case}\n{rest}")).unwrap();
    folder
}

fn run(words: &[&str], model: &Path) -> (Output, String) {
    let mut command: Command = modelsd();
    let output = command.args(words).arg(model).output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output, String::from_utf8(said).unwrap())
}

#[test]
fn equal_answers_are_shown_everywhere() {
    let model = recorded();
    let path = model.path().to_str().unwrap();
    let (verified, said) = run(&["verify"], model.path());
    assert!(verified.status.success(), "{said}");
    assert!(
        said.contains("recorded answers are the same, the largest difference is 0.000e0"),
        "{said}"
    );
    let (_, said) = run(&["inspect"], model.path());
    assert!(
        said.contains("parity") && said.contains("the largest difference is 0.000e0"),
        "{said}"
    );
    assert!(said.contains("trees over"), "{said}");

    let server = Server::start(path, &[]);
    let models = server.call("GET", "/api/models", &[], b"").json();
    let text = models.to_string();
    assert!(text.contains("\"largest_difference\":0.0"), "{text}");
    let metrics = server.metrics();
    assert!(metrics.contains("modelsd_parity_difference{"), "{metrics}");
}

#[test]
fn other_answers_are_refused_unless_they_are_tolerated() {
    let model = changed(0.5);
    let path = model.path().to_str().unwrap();
    let mut command = modelsd();
    let refused = command
        .args(["serve", "--port", "0", "-m", path])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("its answers differ from the recorded ones by more than 1e-6"),
        "{said}"
    );
    assert!(
        said.contains("is answered {\\\"predictions\\\"") || said.contains("is answered {\"predictions\""),
        "{said}"
    );

    Server::start(path, &["--parity-tolerance", "1"]);
    let (refused, said) = run(&["verify"], model.path());
    assert_eq!(refused.status.code(), Some(1), "{said}");
    let (verified, said) = run(&["verify", "--tolerance", "1"], model.path());
    assert!(verified.status.success(), "{said}");
    // Within what single rounds.
    Server::start(changed(1e-7).path().to_str().unwrap(), &[]);
}

#[test]
fn cases_that_are_none_are_told() {
    let model = recorded();
    let cases = model.path().join("cases.jsonl");
    std::fs::write(&cases, "{\"request\": {}}\n").unwrap();
    let (refused, said) = run(&["verify"], model.path());
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("line 1: no `response`"), "{said}");
    std::fs::remove_file(&cases).unwrap();
    let (refused, said) = run(&["verify"], model.path());
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("give --cases FILE"), "{said}");
    let file = repository("tests/golden/native/xgb_booster_reg_nan/cases.jsonl");
    let (verified, said) = run(&["verify", "--cases", file.to_str().unwrap()], model.path());
    assert!(verified.status.success(), "{said}");
}
