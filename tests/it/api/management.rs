//! The management API over a real MLflow server, and the document of all routes under schemathesis.

use std::fs;

use serde_json::{Value, json};

use super::{get, post, refused, told};
use crate::live::server::{MlflowServer, Options, Store, clean, python};
use crate::support::{Answer, Server, modelsd};

const API: &str = "/api/mlflow";

/// A server that serves from a folder, of a registry on this MLflow server.
fn serve(store: &Store, mlflow: &MlflowServer, flags: &[&str]) -> Server {
    let mut command = modelsd();
    command.env("MODELSD_CACHE_DIR", store.path("cache"));
    let flags = [&["--registry", &mlflow.url], flags].concat();
    Server::start_with(command, "flower=models/iris/1", &flags)
}

/// Sends files as a browser or curl does.
fn upload(server: &Server, run: &str, parts: &[(&str, Option<&str>, &str)]) -> Answer {
    let mut body = String::new();
    for (name, file, text) in parts {
        let file = file
            .map(|file| format!("; filename=\"{file}\""))
            .unwrap_or_default();
        body += &format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{text}\r\n");
    }
    body += "--B--\r\n";
    let headers = [("content-type", "multipart/form-data; boundary=B")];
    server.call(
        "POST",
        &format!("{API}/runs/{run}/log-artifacts"),
        &headers,
        body.as_bytes(),
    )
}

#[test]
fn experiments_runs_and_artifacts_are_those_of_the_tracking_server() {
    let store = Store::new();
    let mut mlflow = MlflowServer::start(&store, &Options::default());
    let server = serve(&store, &mlflow, &["--max-body-bytes", "100000"]);
    let health = told(&get(&server, &format!("{API}/health")), 200);
    assert_eq!(
        (&health["status"], &health["tracking_server"]["reachable"]),
        (&json!("ok"), &json!(true))
    );
    let versions = told(&get(&server, &format!("{API}/version")), 200);
    assert_eq!(versions["mlflow"], "3.17.2");
    assert_eq!(
        told(&get(&server, &format!("{API}/info")), 200)["tracking_server"],
        mlflow.url
    );

    let create = format!("{API}/experiments/create");
    let made = told(
        &post(
            &server,
            &create,
            &json!({"name": "abalone", "tags": {"team": "sea"}}),
        ),
        201,
    );
    let id = made["experiment_id"].as_str().unwrap();
    refused(
        &post(&server, &create, &json!({"name": "abalone"})),
        409,
        "RESOURCE_ALREADY_EXISTS",
        "abalone",
    );
    let experiment = told(&get(&server, &format!("{API}/experiments/{id}")), 200);
    assert_eq!(
        (&experiment["name"], &experiment["tags"]["team"]),
        (&json!("abalone"), &json!("sea"))
    );
    let page = told(&get(&server, &format!("{API}/experiments?max_results=1")), 200);
    assert_eq!(page["experiments"][0]["name"], "abalone", "{page}");
    let next = page["next_page_token"].as_str().unwrap();
    let rest = told(
        &get(&server, &format!("{API}/experiments?page_token={next}")),
        200,
    );
    assert_eq!(rest["experiments"][0]["name"], "Default", "{rest}");
    refused(
        &get(&server, &format!("{API}/experiments/77")),
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "77",
    );
    refused(
        &get(&server, &format!("{API}/experiments/x")),
        400,
        "INVALID_PARAMETER_VALUE",
        "digits",
    );

    let start = format!("{API}/experiments/{id}/runs/start");
    told(&server.call("POST", &start, &[], b""), 201);
    let run = told(
        &post(
            &server,
            &start,
            &json!({"run_name": "first", "tags": {"by": "me"}}),
        ),
        201,
    );
    assert_eq!(
        (&run["status"], &run["run_name"]),
        (&json!("RUNNING"), &json!("first"))
    );
    let run = run["run_id"].as_str().unwrap();
    let path = format!("{API}/runs/{run}");

    let params = json!({"params": {"depth": 3, "rate": 0.1, "kind": "tree", "prune": true}});
    assert_eq!(
        told(&post(&server, &format!("{path}/log-params"), &params), 200)["logged"],
        4
    );
    let other = json!({"params": {"depth": 4}});
    refused(
        &post(&server, &format!("{path}/log-params"), &other),
        400,
        "INVALID_PARAMETER_VALUE",
        "depth",
    );
    let metrics =
        json!({"metrics": {"rmse": 2.25, "mae": 1e-9}, "step": 3, "timestamp": 1_700_000_000_000_u64});
    assert_eq!(
        told(&post(&server, &format!("{path}/log-metrics"), &metrics), 200)["logged"],
        2
    );
    let text = json!({"metrics": {"rmse": "low"}});
    refused(
        &post(&server, &format!("{path}/log-metrics"), &text),
        400,
        "INVALID_PARAMETER_VALUE",
        "body",
    );

    let kept = upload(
        &server,
        run,
        &[
            ("file", Some("notes.txt"), "läuft"),
            ("path", None, "model/a"),
            ("file", Some("w.bin"), "0123"),
        ],
    );
    assert_eq!(told(&kept, 200)["files"], json!(["notes.txt", "model/a/w.bin"]));
    for (parts, status, code, word) in [
        (
            &[("file", Some("../x"), "")][..],
            400,
            "INVALID_PARAMETER_VALUE",
            "path",
        ),
        (
            &[("files", Some("x"), "")],
            400,
            "INVALID_PARAMETER_VALUE",
            "`files`",
        ),
        (&[], 400, "INVALID_PARAMETER_VALUE", "`file`"),
        (
            &[("file", Some("x"), &"x".repeat(100_001))],
            413,
            "BAD_REQUEST",
            "--max-body-bytes",
        ),
    ] {
        refused(&upload(&server, run, parts), status, code, word);
    }
    // What is no file counts as well: words before the form, and a head that does not end.
    let filler = "x".repeat(200_000);
    let headers = [("content-type", "multipart/form-data; boundary=B")];
    for body in [filler.clone(), format!("--B\r\nContent-Disposition: {filler}")] {
        let answer = server.call(
            "POST",
            &format!("{path}/log-artifacts"),
            &headers,
            body.as_bytes(),
        );
        refused(&answer, 413, "BAD_REQUEST", "--max-body-bytes");
    }
    refused(
        &upload(&server, "none", &[("file", Some("x"), "")]),
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "none",
    );
    let top = told(&get(&server, &format!("{path}/artifacts")), 200);
    assert_eq!(top["files"][0]["path"], "model", "{top}");
    assert_eq!(
        top["files"][1],
        json!({"path": "notes.txt", "is_dir": false, "file_size": 6}),
        "{top}"
    );
    let below = told(&get(&server, &format!("{path}/artifacts?path=model/a")), 200);
    assert_eq!(below["files"][0]["path"], "model/a/w.bin", "{below}");
    refused(
        &get(&server, &format!("{path}/artifacts?path=../..")),
        400,
        "INVALID_PARAMETER_VALUE",
        "path",
    );

    let end = format!("{API}/experiments/{id}/runs/{run}/end");
    let other = format!("{API}/experiments/0/runs/{run}/end");
    refused(
        &post(&server, &other, &json!({})),
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "experiment",
    );
    assert_eq!(
        told(&post(&server, &end, &json!({"status": "FAILED"})), 200)["status"],
        "FAILED"
    );
    let run = told(&get(&server, &path), 200);
    assert_eq!(
        run["params"],
        json!({"depth": "3", "rate": "0.1", "kind": "tree", "prune": "True"})
    );
    let rmse = json!({"value": 2.25, "step": 3, "timestamp": 1_700_000_000_000_u64});
    assert_eq!(run["metrics"]["rmse"], rmse, "{run}");
    assert_eq!(
        (&run["status"], &run["tags"]["by"]),
        (&json!("FAILED"), &json!("me"))
    );
    assert!(run["end_time"].as_i64() >= run["start_time"].as_i64(), "{run}");

    mlflow.kill();
    let health = told(&get(&server, &format!("{API}/health")), 200);
    assert_eq!(
        (&health["status"], &health["tracking_server"]["reachable"]),
        (&json!("degraded"), &json!(false))
    );
    let away = get(&server, &format!("{API}/experiments"));
    refused(&away, 503, "TEMPORARILY_UNAVAILABLE", "cannot reach");
    assert_eq!(away.header("retry-after"), Some("1"));
}

#[test]
fn models_are_registered_moved_deployed_and_called_by_the_names_of_their_classes() {
    let store = Store::new();
    let mlflow = MlflowServer::start(&store, &Options::default());
    let server = serve(&store, &mlflow, &["--poll-interval", "3600"]);
    let register = format!("{API}/models/register");
    let model = json!({"name": "it's iris", "description": "of flowers", "tags": {"team": "sea"}});
    let made = told(&post(&server, &register, &model), 201);
    assert_eq!(
        (&made["description"], &made["tags"]["team"]),
        (&json!("of flowers"), &json!("sea"))
    );
    refused(
        &post(&server, &register, &model),
        409,
        "RESOURCE_ALREADY_EXISTS",
        "iris",
    );

    // A run keeps the files of a model, and a version is made of them.
    let start = format!("{API}/experiments/0/runs/start");
    let run = told(&post(&server, &start, &json!({})), 201);
    let (run, artifacts) = (
        run["run_id"].as_str().unwrap(),
        run["artifact_uri"].as_str().unwrap(),
    );
    for file in ["MLmodel", "model.onnx"] {
        let bytes = fs::read(crate::support::repository("models/iris/1").join(file)).unwrap();
        let mut body = format!("--B\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\nmodel\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file}\"\r\n\r\n").into_bytes();
        body.extend(bytes);
        body.extend(b"\r\n--B--\r\n");
        let headers = [("content-type", "multipart/form-data; boundary=B")];
        told(
            &server.call(
                "POST",
                &format!("{API}/runs/{run}/log-artifacts"),
                &headers,
                &body,
            ),
            200,
        );
    }
    let version = json!({"name": "iris", "source": format!("{artifacts}/model"), "run_id": run,
        "tags": {"classes": "setosa, versicolor, virginica"}});
    let made = told(&post(&server, &register, &version), 201);
    assert_eq!(
        (&made["version"], &made["current_stage"]),
        (&json!("1"), &json!("None"))
    );
    told(&post(&server, &register, &version), 201);
    let stage = format!("{API}/models/iris/versions/2/stage");
    assert_eq!(
        told(&post(&server, &stage, &json!({"stage": "Production"})), 200)["current_stage"],
        "Production"
    );
    refused(
        &post(&server, &stage, &json!({"stage": "Live"})),
        400,
        "INVALID_PARAMETER_VALUE",
        "stage",
    );
    let none = format!("{API}/models/iris/versions/9/stage");
    refused(
        &post(&server, &none, &json!({"stage": "Production"})),
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "9",
    );
    let versions = told(&get(&server, &format!("{API}/models/iris/versions")), 200);
    assert_eq!(versions["model_versions"][0]["version"], "2", "{versions}");
    let quoted = told(&get(&server, &format!("{API}/models/it's%20iris/versions")), 200);
    assert_eq!(quoted["model_versions"], json!([]));
    refused(
        &get(&server, &format!("{API}/models/none/versions")),
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "none",
    );
    let names: Vec<Value> = told(&get(&server, &format!("{API}/models")), 200)["registered_models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["name"].clone())
        .collect();
    assert_eq!(names, ["iris", "it's iris"]);

    let deploy = format!("{API}/serving/models/deploy");
    let deployed = told(
        &post(&server, &deploy, &json!({"name": "iris", "stage": "Production"})),
        201,
    );
    assert_eq!(
        (&deployed["serving"]["version"], &deployed["deployed"]),
        (&json!("2"), &json!(true))
    );
    let record = json!({"0": "6.3", "1": 3.3, "2": 6, "3": "2.5"});
    let answer = told(
        &post(&server, &format!("{API}/serving/models/iris/predict"), &record),
        200,
    );
    assert_eq!(answer["prediction"]["label"], "virginica", "{answer}");
    assert!(
        answer["prediction"]["probabilities"]["virginica"]
            .as_f64()
            .unwrap()
            > 0.5,
        "{answer}"
    );
}

#[test]
fn artifacts_that_the_server_does_not_serve_are_refused_with_the_setting() {
    let store = Store::new();
    let options = Options {
        flags: &["--no-serve-artifacts"],
        ..Options::default()
    };
    let mlflow = MlflowServer::start(&store, &options);
    let server = serve(&store, &mlflow, &[]);
    let run = told(
        &post(&server, &format!("{API}/experiments/0/runs/start"), &json!({})),
        201,
    );
    let run = run["run_id"].as_str().unwrap();
    refused(
        &upload(&server, run, &[("file", Some("x"), "")]),
        501,
        "NOT_IMPLEMENTED",
        "--serve-artifacts",
    );
}

/// Requests that are made from the document, good and bad, against all routes: every answer is as the document says, none
/// is a failure of the server's, bad requests are refused, and all that needs a token wants it. Left out is the check that what
/// fits the document is accepted: which record a model takes, and which names MLflow does, no schema says. Left out are
/// `/invocations`, which without a content type is 500 as in MLflow, and artifacts, where MLflow's server answers 500 to a
/// folder that is a file.
#[test]
fn requests_made_from_the_document_are_answered_as_it_says() {
    let store = Store::new();
    let mlflow = MlflowServer::start(&store, &Options::default());
    let (token, line) = crate::security::token("admin", "tester", &[]);
    let tokens = store.path("tokens");
    fs::write(&tokens, line).unwrap();
    let server = serve(&store, &mlflow, &["--token-file", tokens.to_str().unwrap()]);
    let document = format!("http://{}/openapi.json", server.address);
    let run = clean(&python())
        .args(["-m", "schemathesis.cli", "run", &document])
        .args([
            "--header",
            &format!("Authorization: Bearer {token}"),
            "--max-time",
            "60",
            "--request-timeout",
            "60",
        ])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "3",
            "--seed",
            "7",
        ])
        .args([
            "--exclude-checks",
            "positive_data_acceptance",
            "--continue-on-failure",
        ])
        .args(["--suppress-health-check", "all"])
        .args(["--exclude-path-regex", "invocations$|log-artifacts$"])
        .current_dir(store.path("."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let cases = said.split("Test cases:").nth(1).unwrap_or_default();
    let cases: usize = cases.split_whitespace().next().unwrap().parse().unwrap();
    assert!(cases > 40, "{said}");
}
