//! The examples, each run for real.

use serde_json::{Value, json};

use super::{Platform, ask, run};

/// A run, as MLflow has it.
fn mlflow_run(platform: &Platform, printed: &Value) -> Value {
    let id = printed["run_id"].as_str().unwrap();
    let answer = ask(platform.mlflow, &format!("/api/2.0/mlflow/runs/get?run_id={id}"));
    answer.json()["run"].take()
}

/// A metric or a parameter of a run.
fn logged<'a>(run: &'a Value, kind: &str, key: &str) -> &'a Value {
    let entries = run["data"][kind].as_array().unwrap();
    let found = entries.iter().find(|entry| entry["key"] == key);
    &found.unwrap_or_else(|| panic!("no {key} among the {kind} of {run}"))["value"]
}

fn tracking(platform: &Platform) {
    let printed = platform.example(&["01_basic_tracking.py"]);
    assert_eq!(printed["validation_mae"].as_array().unwrap().len(), 20);
    assert_eq!(printed["tags"]["dataset"], "diabetes");
    assert_eq!(printed["artifacts"], json!(["importances.json", "notes"]));
    let run = mlflow_run(platform, &printed);
    assert_eq!(logged(&run, "params", "max_depth"), "3");
    assert_eq!(logged(&run, "metrics", "r2"), &printed["r2"]);
}

fn registry(platform: &Platform) {
    let printed = platform.example(&["02_model_registry.py"]);
    assert_eq!(printed["versions"], json!(["1", "2"]));
    let stages = &printed["stages"];
    assert_eq!(stages["registered"], json!({ "1": "None" }));
    assert_eq!(stages["1 to Staging"], json!({ "1": "Staging" }));
    assert_eq!(stages["1 to Production"], json!({ "1": "Production" }));
    assert_eq!(
        stages["2 to Staging"],
        json!({ "1": "Production", "2": "Staging" })
    );
    assert_eq!(
        stages["2 to Production"],
        json!({ "1": "Archived", "2": "Production" })
    );
    assert_eq!(printed["aliases"], json!({ "champion": "2" }));
    assert_eq!(printed["tags"], json!({ "team": "examples" }));
}

fn serving(platform: &Platform) {
    let printed = platform.example(&["03_model_serving.py"]);
    let forms = printed["as_in_python"].as_object().unwrap();
    let names: Vec<&str> = forms.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "csv",
            "dataframe_records",
            "dataframe_split",
            "inputs",
            "instances",
            "parquet"
        ]
    );
    assert!(forms.values().all(|same| same == true), "{printed}");
    let variants = &printed["variants"];
    assert_eq!(
        variants["champion"],
        json!({ "version": "2", "as_in_python": true })
    );
    assert_eq!(
        variants["challenger"],
        json!({ "version": "1", "as_in_python": true })
    );
}

fn ab(platform: &Platform) {
    let printed = platform.example(&["iris_ab.py", "--requests", "500"]);
    assert_eq!(printed["better"], "challenger", "{printed}");
    let run = mlflow_run(platform, &printed);
    assert_eq!(logged(&run, "tags", "better"), "challenger");
    for variant in ["champion", "challenger"] {
        let mean = logged(&run, "metrics", &format!("{variant}_accuracy"));
        assert_eq!(mean, &printed["accuracy"][variant], "{run}");
    }
    let requests = |variant: &str| {
        logged(&run, "metrics", &format!("{variant}_requests"))
            .as_f64()
            .unwrap()
    };
    assert_eq!(requests("champion") + requests("challenger"), 500.0);
}

fn regression(platform: &Platform) {
    let printed = platform.example(&[
        "abalone.py",
        "--trees",
        "30",
        "--depth",
        "4",
        "--learning-rate",
        "0.2",
    ]);
    let differs = &printed["largest_difference_from_python"];
    assert!(differs["sklearn"].as_f64().unwrap() <= 1e-12, "{printed}");
    assert!(differs["onnx"].as_f64().unwrap() <= 1e-5, "{printed}");
    assert_eq!(printed["rows_compared"], 500);
    let run = mlflow_run(platform, &printed);
    assert_eq!(logged(&run, "params", "trees"), "30");
    assert_eq!(logged(&run, "params", "data"), "synthetic");
    let quality = logged(&run, "metrics", "validation_r2");
    assert_eq!(quality, &printed["metrics"]["validation_r2"]);
    assert!(quality.as_f64().unwrap() > 0.6, "{run}");
}

fn clusters(platform: &Platform) {
    let printed = platform.example(&["sensor_clusters.py", "run"]);
    assert_eq!(
        (&printed["good_enough"], &printed["served"]),
        (&json!(true), &json!("1")),
        "{printed}"
    );
    let silhouette = logged(&mlflow_run(platform, &printed), "metrics", "silhouette")
        .as_f64()
        .unwrap();
    assert!(silhouette > 0.5);
    // With twice as many clusters as there are states, the next version is refused.
    let worse = platform.example(&["sensor_clusters.py", "train", "--clusters", "9"]);
    let refused = run(&mut platform.example_command(&["sensor_clusters.py", "check", "2"]));
    assert_eq!(
        (worse["version"].as_str(), refused.status),
        (Some("2"), Some(3)),
        "{refused:?}"
    );
    let reasons: Value = serde_json::from_str(&refused.out).unwrap();
    assert!(
        reasons["reasons"][0].as_str().unwrap().contains("below 0.5"),
        "{reasons}"
    );
}

#[test]
fn the_examples_do_what_they_say() {
    let platform = Platform::new();
    // Without a server they say what to do.
    let alone = run(&mut platform.example_command(&["01_basic_tracking.py"]));
    assert_eq!(alone.status, Some(1));
    assert!(alone.err.contains("next: scripts/start.sh"), "{alone:?}");

    let started = run(&mut platform.start(&[]));
    assert_eq!(started.status, Some(0), "{started:?}");
    // Side by side, as users work; those that write routes in turn.
    let lanes: [&[fn(&Platform)]; 2] = [&[serving, ab, tracking], &[registry, regression, clusters]];
    std::thread::scope(|scope| {
        for lane in lanes {
            let platform = &platform;
            scope.spawn(move || lane.iter().for_each(|example| example(platform)));
        }
    });
}
