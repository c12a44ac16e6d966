//! Predictions in a real MLflow: written by a server of ours, read back by MLflow's own client.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::proxy::{Mood, Proxy};
use super::server::{MlflowServer, Options, Python, Store};
use crate::support::{Answer, Server, modelsd};

const IRIS: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;
const TWO: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}"#;

/// A server of `iris` that records to sinks of this MLflow server.
fn recording(mlflow: &str, sinks: &[&str]) -> Server {
    recording_by(modelsd(), mlflow, sinks)
}

/// The same by this command.
fn recording_by(mut command: Command, mlflow: &str, sinks: &[&str]) -> Server {
    command.env("MLFLOW_TRACKING_URI", mlflow);
    let mut flags = vec!["-m", "models:/iris/1", "--registry", "./models"];
    for sink in sinks {
        flags.extend(["--record", sink]);
    }
    Server::start_any(command, &flags)
}

/// What a counter of a sink has come to.
fn counted(server: &Server, name: &str, labels: &str) -> f64 {
    let metrics = server.metrics();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}{{{labels}}} ")));
    line.map_or(0.0, |count| count.parse().unwrap())
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(300), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-prediction-id").unwrap().to_owned()
}

#[test]
fn predictions_are_runs_and_traces_of_mlflow() {
    let store = Store::new();
    let mlflow = MlflowServer::start(&store, &Options::default());
    let mut python = Python::start(&mlflow.url, &[]);
    let sinks = ["mlflow:as runs?mode=runs&sample=1", "mlflow:as traces?sample=1"];
    let server = recording(&mlflow.url, &sinks);
    let (one, two) = (server.invoke(IRIS), server.invoke(TWO));
    let ids = [id(&one), id(&two)];
    assert_eq!(server.invoke("{").status, 400);
    for sink in ["runs", "traces"] {
        until("three predictions at the server", || {
            counted(
                &server,
                "modelsd_records_total",
                &format!("sink=\"mlflow-{sink}\""),
            ) == 3.0
        });
    }

    let single = [5.1_f32, 3.5, 1.4, 0.2].map(f64::from);
    let inputs = json!([single]);
    // MLflow orders by the millisecond, in which there may be several.
    let in_order = |found: Value, key: &str| -> Vec<Value> {
        let bare = |id: &str| id.trim_start_matches("tr-").replace('-', "");
        let place = |item: &Value| {
            let known = |id: &String| bare(id) == bare(item[key].as_str().unwrap());
            // The one that failed has told no id.
            ids.iter().position(known).unwrap_or(ids.len())
        };
        let mut found = found.as_array().unwrap().clone();
        found.sort_by_key(place);
        found
    };
    let runs = in_order(python.ask("runs", json!({"experiment": "as runs"})), "name");
    let [first, second, failed] = &runs[..] else {
        panic!("{runs:#?}");
    };
    assert_eq!(first["name"], ids[0]);
    assert_eq!(first["status"], "FINISHED");
    // The model was handed single floats.
    assert_eq!(
        first["params"],
        json!({"inputs": inputs.to_string().replace(',', ", ")})
    );
    for (tag, value) in [
        ("model", "iris"),
        ("version", "1"),
        ("route", "iris"),
        ("prediction_id", &ids[0]),
        ("mlflow.source.name", "modelsd"),
    ] {
        assert_eq!(first["tags"][tag], value, "{tag}: {first:#}");
    }
    assert_eq!(predicted(first), numbers(&one), "{first:#}");
    assert_eq!(predicted(second), numbers(&two), "{second:#}");
    assert_eq!(second["metrics"]["rows"], json!([[0, 2.0]]));
    assert_eq!(failed["status"], "FAILED");
    assert_eq!(failed["tags"]["error"], "invalid_input");
    let fast =
        json!({"experiment": "as runs", "filter": "metrics.latency_ms < 60000 and tags.version = '1'"});
    assert_eq!(python.ask("runs", fast).as_array().unwrap().len(), 3);

    let traces = in_order(python.ask("traces", json!({"experiment": "as traces"})), "id");
    let [first, second, failed] = &traces[..] else {
        panic!("{traces:#?}");
    };
    // Under its id a trace is found from what the client was told.
    assert_eq!(first["id"], format!("tr-{}", ids[0].replace('-', "")));
    assert_eq!(first["state"], "OK");
    assert_eq!(first["inputs"], json!({ "inputs": inputs }));
    assert_eq!(first["outputs"], one.json()["predictions"], "{first:#}");
    assert_eq!(second["outputs"], two.json()["predictions"]);
    assert!(first["request"].as_str().unwrap().contains("5.0999"), "{first:#}");
    assert_eq!(first["tags"]["version"], "1", "{first:#}");
    let spans: Vec<&str> = first["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| span[0].as_str().unwrap())
        .collect();
    assert_eq!(spans[0], "predict iris");
    assert!(
        ["decode", "predict", "encode"]
            .iter()
            .all(|stage| spans.contains(stage)),
        "{spans:?}"
    );
    assert_eq!(failed["state"], "ERROR");
    let of_version =
        json!({"experiment": "as traces", "filter": "tags.version = '1' and trace.status = 'OK'"});
    assert_eq!(python.ask("traces", of_version).as_array().unwrap().len(), 2);
}

/// The numbers of an answer, in order.
fn numbers(answer: &Answer) -> Vec<f64> {
    fn collect(value: &Value, into: &mut Vec<f64>) {
        match value {
            Value::Number(number) => into.push(number.as_f64().unwrap()),
            Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            Value::Object(members) => members.values().for_each(|member| collect(member, into)),
            _ => {}
        }
    }
    let mut numbers = Vec::new();
    collect(&answer.json()["predictions"], &mut numbers);
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// The numbers of a run that are predictions, in order.
fn predicted(run: &Value) -> Vec<f64> {
    let metrics = run["metrics"].as_object().unwrap();
    let predictions = metrics.iter().filter(|(key, _)| key.starts_with("prediction"));
    let steps = predictions.flat_map(|(_, steps)| steps.as_array().unwrap());
    let mut numbers: Vec<f64> = steps.map(|step| step[1].as_f64().unwrap()).collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

#[test]
fn files_do_not_wait_for_an_mlflow_that_is_away() {
    let store = Store::new();
    let mut mlflow = MlflowServer::start(&store, &Options::default());
    let mut python = Python::start(&mlflow.url, &[]);
    let files = store.path("files");
    let jsonl = format!("jsonl:{}", files.display());
    let sinks = ["mlflow:runs?mode=runs&sample=1", "mlflow:traces?sample=1", &jsonl];
    let server = recording(&mlflow.url, &sinks);
    mlflow.kill();
    for _ in 0..5 {
        id(&server.invoke(IRIS));
    }
    until("five lines, though MLflow is away", || {
        counted(&server, "modelsd_records_total", "sink=\"jsonl\"") == 5.0
    });
    assert_eq!(
        counted(&server, "modelsd_records_total", "sink=\"mlflow-runs\""),
        0.0
    );
    // What waited comes when it is back.
    mlflow.restart();
    for sink in ["mlflow-runs", "mlflow-traces"] {
        until("five predictions at the server", || {
            counted(&server, "modelsd_records_total", &format!("sink=\"{sink}\"")) == 5.0
        });
    }
    assert_eq!(
        python
            .ask("runs", json!({"experiment": "runs"}))
            .as_array()
            .unwrap()
            .len(),
        5
    );
    assert_eq!(
        python
            .ask("traces", json!({"experiment": "traces"}))
            .as_array()
            .unwrap()
            .len(),
        5
    );
    // What MLflow refuses is counted and told once, and goes on being tried.
    python.ask("delete_experiment", json!({"name": "runs"}));
    for _ in 0..3 {
        id(&server.invoke(IRIS));
    }
    until("three predictions that nobody wants", || {
        counted(
            &server,
            "modelsd_records_dropped_total",
            "reason=\"sink_failed\",sink=\"mlflow-runs\"",
        ) >= 3.0
    });
    mlflow.kill();
    id(&server.invoke(IRIS));
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    let told = |message: &str| log.lines().filter(|line| line.contains(message)).count();
    assert_eq!(told("predictions get to MLflow again"), 2, "{log}");
    let ends = log
        .lines()
        .filter(|line| line.contains("the record lacks predictions"));
    let ends: Vec<Value> = ends.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ends.len(), 1, "{log}");
    // Three runs were lost before, and a run and a trace at the end.
    let lost = |name: &str| ends[0][name].as_u64().unwrap();
    assert!(lost("dropped") >= 5 && lost("at_the_end") >= 2, "{log}");
    // Away; deleted; away at the end.
    assert!(told("predictions do not get to MLflow") <= 5, "{log}");
    // In the words of the server, or in ours, which has asked it for the experiment once more.
    assert!(log.contains("deleted"), "{log}");
}

#[test]
fn several_sinks_of_a_server_that_hangs_are_waited_for_together() {
    let store = Store::new();
    let mlflow = MlflowServer::start(&store, &Options::default());
    let proxy = Proxy::start(&mlflow.url);
    let files = store.path("files");
    let jsonl = format!("jsonl:{}", files.display());
    let mut sinks = vec![jsonl.as_str()];
    sinks.extend(["mlflow:a?mode=runs&sample=1", "mlflow:b?mode=runs&sample=1"]);
    sinks.extend(["mlflow:c?mode=runs&sample=1", "mlflow:d?mode=runs&sample=1"]);
    let mut command = modelsd();
    // A collector that hangs is one more.
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &proxy.url);
    let server = recording_by(command, &proxy.url, &sinks);
    proxy.becomes(Mood::Silent);
    id(&server.invoke(IRIS));
    until("a line", || {
        counted(&server, "modelsd_records_total", "sink=\"jsonl\"") == 1.0
    });
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    // Five seconds for each of them would be more than there are in all, and the disk would be blamed.
    assert!(!log.contains("could not be recorded within"), "{log}");
    let end = log
        .lines()
        .find(|line| line.contains("the record lacks predictions"));
    let end: Value = serde_json::from_str(end.unwrap()).unwrap();
    assert_eq!(
        (&end["dropped"], &end["at_the_end"]),
        (&json!(5), &json!(5)),
        "{log}"
    );
}

#[test]
fn a_comparison_is_a_run_of_each_variant() {
    let store = Store::new();
    let mlflow = MlflowServer::start(&store, &Options::default());
    let mut python = Python::start(&mlflow.url, &[]);
    let route = "iris=champion*50:models:/iris/1,challenger*50:models:/iris/2";
    let server = Server::start_any(modelsd(), &["--registry", "./models", "--route", route]);
    until("both variants", || {
        server.call("GET", "/health/ready", &[], b"").status == 200
    });
    for _ in 0..20 {
        server.invoke(IRIS);
    }
    let address = format!("http://{}", server.address);
    let compare = |flags: &[&str]| {
        let mut command = modelsd();
        command.env("MLFLOW_TRACKING_URI", &mlflow.url);
        command
            .args(["compare", "iris", "--server", &address])
            .args(flags);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    until("twenty requests", || {
        let compared: Value = serde_json::from_str(&compare(&["--json"])).unwrap();
        let variants = compared["variants"].as_array().unwrap();
        variants
            .iter()
            .map(|variant| variant["requests"].as_u64().unwrap())
            .sum::<u64>()
            == 20
    });
    let shown = compare(&["--log-to-mlflow"]);
    assert!(
        shown.contains(&format!("logged to MLflow: {}/#/experiments/", mlflow.url)),
        "{shown}"
    );
    let compared: Value = serde_json::from_str(&compare(&["--json"])).unwrap();
    let runs = python.ask("runs", json!({"experiment": "iris comparison"}));
    let runs = runs.as_array().unwrap();
    assert_eq!(runs.len(), 2, "{runs:#?}");
    for variant in compared["variants"].as_array().unwrap() {
        let run = runs.iter().find(|run| run["name"] == variant["variant"]).unwrap();
        assert_eq!(
            run["metrics"]["requests"][0][1],
            variant["requests"].as_f64().unwrap()
        );
        let p50 = variant["latency_ms"]["p50"].as_f64();
        assert_eq!(
            run["metrics"]
                .get("latency_ms.p50")
                .map(|steps| steps[0][1].as_f64()),
            p50.map(Some)
        );
        assert_eq!(run["tags"]["version"], variant["version"]);
    }
    let elsewhere = compare(&["--log-to-mlflow", "--experiment", "mine", "--json"]);
    let elsewhere: Value = serde_json::from_str(&elsewhere).unwrap();
    assert_eq!(
        elsewhere["mlflow"]["runs"].as_array().unwrap().len(),
        2,
        "{elsewhere:#}"
    );
    assert_eq!(
        python
            .ask("runs", json!({"experiment": "mine"}))
            .as_array()
            .unwrap()
            .len(),
        2
    );
}
