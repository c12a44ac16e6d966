//! Native artifacts against the libraries that wrote them.
//!
//! `tests/golden/native` holds models as `mlflow.<flavor>.save_model` wrote them, with requests and the answers of the
//! Python model behind `mlflow models serve` (`cases.jsonl`), models of older library versions, and hostile files.

mod hostile;
pub mod replay;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use modelsd::flavor::Config;
use serde_json::Value as Json;

use self::replay::{Model, Tolerance, cases};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/native")
}

/// A model of an index.
struct Entry {
    dir: PathBuf,
    name: String,
    flavor: String,
    estimator: String,
    tolerance: String,
}

fn entries(index: &str) -> Vec<Entry> {
    let list: Json = serde_json::from_str(&std::fs::read_to_string(golden().join(index)).unwrap()).unwrap();
    list.as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            Entry {
                dir: golden().join(text("name")),
                name: text("name"),
                flavor: text("flavor"),
                estimator: text("estimator"),
                tolerance: text("tolerance"),
            }
        })
        .collect()
}

/// What is wrong with the answers of the models of an index; empty when nothing is.
fn misses(index: &str) -> Vec<String> {
    let mut misses = Vec::new();
    for entry in entries(index) {
        let mut model = match Model::open(&entry.dir, &Config::default()) {
            Ok(model) => model,
            Err(why) => {
                misses.push(format!("{}: not loaded: {why}", entry.name));
                continue;
            }
        };
        let tolerance = Tolerance::parse(&entry.tolerance);
        let cases = cases(&entry.dir.join("cases.jsonl"));
        assert!(!cases.is_empty(), "{}", entry.name);
        misses.extend(
            cases
                .iter()
                .filter_map(|case| model.miss(case, tolerance))
                .map(|miss| format!("{}: {miss}", entry.name)),
        );
    }
    misses
}

#[test]
fn every_model_answers_as_in_python() {
    let misses = misses("index.json");
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

#[test]
fn models_of_older_scikit_learn_answer_as_they_did() {
    let misses = misses("index_skver.json");
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

#[test]
fn models_of_older_xgboost_answer_as_they_did() {
    let misses = misses("index_xgbver.json");
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

/// Columns of pandas categories, which MLflow's own server cannot serve.
#[test]
fn pandas_categories_are_served_when_asked_for() {
    let config = Config {
        pandas_categories: true,
        ..Config::default()
    };
    let mut asked = 0;
    for entry in entries("index.json") {
        let file = entry.dir.join("cases_ext.jsonl");
        if !file.is_file() {
            continue;
        }
        let mut model = Model::open(&entry.dir, &config).unwrap();
        for case in cases(&file) {
            asked += 1;
            assert_eq!(
                model.miss(&case, Tolerance::parse(&entry.tolerance)),
                None,
                "{}",
                entry.name
            );
        }
    }
    assert!(asked > 0);
}

/// The table of what is covered, in `docs/models.md`: made here, so that it says what is tested.
#[test]
fn the_table_of_models_says_what_is_proved() {
    let mut rows: BTreeMap<(String, String, String), (usize, usize)> = BTreeMap::new();
    for entry in entries("index.json")
        .into_iter()
        .chain(entries("index_xgbver.json"))
    {
        let class = entry.estimator.rsplit('.').next().unwrap_or_default().to_owned();
        let proved = match Tolerance::parse(&entry.tolerance) {
            Tolerance::Exact => "the same bits".to_owned(),
            Tolerance::Single => "2 units of float32".to_owned(),
            Tolerance::Double => "2 units of float64".to_owned(),
            Tolerance::Relative(share) => format!("{share:e}"),
        };
        let row = rows.entry((entry.flavor, class, proved)).or_default();
        row.0 += 1;
        row.1 += cases(&entry.dir.join("cases.jsonl")).len();
    }
    let mut table =
        String::from("| flavor | class | models | requests | proved to |\n| --- | --- | --- | --- | --- |\n");
    for ((flavor, class, proved), (models, requests)) in rows {
        let class = if class.is_empty() {
            "Booster of 2.1 (legacy, JSON, UBJSON)".into()
        } else {
            class
        };
        writeln!(table, "| {flavor} | {class} | {models} | {requests} | {proved} |").unwrap();
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/models.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains(&table),
        "the table of docs/models.md should be:\n{table}"
    );
}
