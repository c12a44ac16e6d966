//! The DAG, run by Airflow.

use std::process::Command;

use super::{Platform, ask, run};
use crate::support::repository;

/// Airflow with a home of its own, in the environment of a platform.
fn airflow(platform: &Platform, words: &[&str]) -> Command {
    let program = repository(".venv-test-tools/bin/airflow");
    assert!(
        program.is_file(),
        "there is no {}: run scripts/test-python.sh",
        program.display()
    );
    let mut command = platform.command(&program);
    command
        .args(words)
        .env("AIRFLOW_HOME", platform.path("airflow"))
        .env("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        .env("AIRFLOW__CORE__DAGS_FOLDER", repository("scripts/examples"));
    command
}

#[test]
fn the_dag_promotes_what_is_good_and_stops_at_what_is_not() {
    let platform = Platform::new();
    let started = run(&mut platform.start(&[]));
    assert_eq!(started.status, Some(0), "{started:?}");
    let migrated = run(&mut airflow(&platform, &["db", "migrate"]));
    assert_eq!(migrated.status, Some(0), "{migrated:?}");

    let good = run(&mut airflow(&platform, &["dags", "test", "sensor_clusters"]));
    assert_eq!(good.status, Some(0), "{good:?}");
    let serving = || {
        let status = ask(platform.modelsd, "/api/models/sensor-clusters").json();
        status["serving"]["version"].clone()
    };
    assert_eq!(serving(), "1");

    let bad = run(&mut airflow(
        &platform,
        &["dags", "test", "-c", r#"{"clusters": 9}"#, "sensor_clusters"],
    ));
    assert_eq!(bad.status, Some(1), "{bad:?}");
    let told = bad.out + &bad.err;
    assert!(
        told.contains("the new version is not good enough: its silhouette is"),
        "{told}"
    );
    // There is a second version, and it is not in Production.
    let versions = ask(
        platform.mlflow,
        "/api/2.0/mlflow/registered-models/get?name=sensor-clusters",
    );
    let latest = versions.json()["registered_model"]["latest_versions"].take();
    let stage_of = |version: &str| {
        let found = latest.as_array().unwrap();
        let found = found.iter().find(|entry| entry["version"] == version);
        found.unwrap_or_else(|| panic!("no version {version}: {latest}"))["current_stage"].clone()
    };
    assert_eq!(
        (stage_of("1"), stage_of("2")),
        ("Production".into(), "None".into())
    );
    assert_eq!(serving(), "1");
}
