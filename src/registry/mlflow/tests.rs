//! What a real server was seen to answer, read with our types; and the rules over it.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::*;
use crate::model::stage::Stage;

/// Pairs of a request to an MLflow server and its answer.
fn captured() -> Vec<Json> {
    let files = [
        include_str!("../../../tests/golden/registry/server.jsonl"),
        include_str!("../../../tests/golden/registry/auth.jsonl"),
        include_str!("../../../tests/golden/registry/configurations.jsonl"),
    ];
    let lines = files.iter().flat_map(|file| file.lines());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn reads<T: DeserializeOwned>(body: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<T>(body).map(drop)
}

#[test]
fn every_captured_answer_is_read() {
    let mut read = BTreeMap::new();
    for pair in captured() {
        let path = pair["request"]["path"].as_str().unwrap();
        let route = path.split('?').next().unwrap();
        let route = route
            .split_once("/api/2.0/mlflow/")
            .map_or("", |(_, route)| route);
        let ours = match (pair["request"]["method"].as_str().unwrap(), route) {
            ("GET", "registered-models/get") => reads::<wire::OneModel>,
            ("GET", "registered-models/search") => reads::<wire::ModelPage>,
            ("GET", "model-versions/get") => reads::<wire::OneVersion>,
            ("GET", "model-versions/get-download-uri") => reads::<wire::Download>,
            ("GET", "runs/get") => reads::<wire::OneRun>,
            ("POST", "logged-models/search") => reads::<wire::LoggedPage>,
            ("GET", logged) if logged.starts_with("logged-models/") && !logged.contains("/artifacts/") => {
                reads::<wire::OneLogged>
            }
            _ => continue,
        };
        let body = pair["response"]["body"].as_str().unwrap();
        let success = pair["response"]["status"] == 200;
        assert_eq!(
            ours(body).is_ok(),
            success,
            "{}: {body}: {:?}",
            pair["id"],
            ours(body)
        );
        *read
            .entry(route.split('/').next().unwrap().to_owned())
            .or_insert(0) += 1;
    }
    assert!(read.len() == 4 && read.values().sum::<i32>() >= 30, "{read:?}");
}

fn answer(id: &str) -> wire::Model {
    let pair = captured().into_iter().find(|pair| pair["id"] == id).unwrap();
    let answer: wire::OneModel = serde_json::from_str(pair["response"]["body"].as_str().unwrap()).unwrap();
    answer.registered_model
}

#[test]
fn uris_mean_what_the_model_tells() {
    let model = answer("rm-get-after-alias");
    let mean = |uri: &str| meant(&model, &uri.parse().unwrap());
    for (uri, version) in [
        ("models:/reg/Production", 2),
        ("models:/reg/production", 2),
        ("models:/reg/None", 3),
        ("models:/reg/latest", 3),
        ("models:/reg@Champion", 2),
        ("models:/reg@latest", 3),
    ] {
        assert_eq!(mean(uri).unwrap(), version, "{uri}");
    }
    for (uri, wanted) in [
        (
            "models:/reg/Staging",
            "has no version in stage Staging; it has as the newest of each stage ",
        ),
        (
            "models:/reg/Staging",
            "2 (Production), 3 (None); the aliases Champion (version 2)",
        ),
        ("models:/reg@champion", "has no alias `champion`"),
        ("models:/reg/Staging", "transition_model_version_stage"),
    ] {
        let error = mean(uri).unwrap_err();
        assert!(
            error.to_string().contains(wanted) && !error.is_outage(),
            "{error}"
        );
    }
}

#[test]
fn an_alias_may_point_to_a_version_that_is_the_newest_of_no_stage() {
    let mut model = answer("rm-get-after-alias");
    model.latest_versions.retain(|version| version.version != 2);
    assert_eq!(
        meant(&model, &"models:/reg@Champion".parse().unwrap()).unwrap(),
        2
    );
    assert_eq!(told_ready(&model, 2), None);
    assert_eq!(told_ready(&model, 3), Some(true));
}

#[test]
fn what_is_known_of_a_version_ends_with_the_next_change() {
    let registry = MlflowRegistry::new(&Config::new("http://h"), &Config::new("http://h")).unwrap();
    let mut model = answer("rm-get-after-alias");
    assert!(!registry.known_ready(&model, 1));
    registry.learn_ready(&model, 1);
    assert!(registry.known_ready(&model, 1) && !registry.known_ready(&model, 2));
    model.last_updated_timestamp = model.last_updated_timestamp.map(|moment| moment + 1);
    assert!(!registry.known_ready(&model, 1));
}

#[test]
fn answers_of_other_shapes_are_read_leniently() {
    let text = r#"{"registered_model": {"name": "n", "creation_timestamp": "17", "new_field": [1],
        "latest_versions": [{"version": 2, "current_stage": "Shadow"}],
        "tags": [{"key": "mlflow.prompt.is_prompt", "value": "True"}]}}"#;
    let model = serde_json::from_str::<wire::OneModel>(text)
        .unwrap()
        .registered_model;
    assert_eq!((model.creation_timestamp, model.is_prompt()), (Some(17), true));
    assert_eq!(model.latest_versions[0].stage(), Stage::None);
    assert_eq!(told_ready(&model, 2), Some(true));
    let bad = r#"{"registered_model": {"name": "n", "latest_versions": [{"version": "-2"}]}}"#;
    assert!(serde_json::from_str::<wire::OneModel>(bad).is_err());
}

#[test]
fn a_revision_tells_a_model_made_anew() {
    let mut model = answer("rm-get");
    let before = wanted(&model, 2);
    assert_eq!(wanted(&model, 2), before);
    model.creation_timestamp = model.creation_timestamp.map(|moment| moment + 1);
    assert_eq!(wanted(&model, 2).id, before.id);
    assert_ne!(wanted(&model, 2).revision, before.revision);
}
