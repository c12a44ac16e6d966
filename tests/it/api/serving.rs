//! Models that are put into service and taken out of it while the server runs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{get, post, refused, told};
use crate::support::{Answer, Server, modelsd, repository};

const DEPLOY: &str = "/api/mlflow/serving/models/deploy";
const MODELS: &str = "/api/mlflow/serving/models";

/// A server of a copy of the bundled models, whose state lies in `folder`.
fn serve(folder: &Path) -> Server {
    let mut command = modelsd();
    command.env("MODELSD_CACHE_DIR", folder.join("cache"));
    let registry = folder.join("models").display().to_string();
    Server::start_with(command, "models:/wine/1", &["--registry", &registry])
}

fn copied(folder: &Path) {
    copy(&repository("models"), &folder.join("models"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn iris(server: &Server, slot: &str) -> Answer {
    post(
        server,
        &format!("{MODELS}/{slot}/predict"),
        &json!({"0": 6.3, "1": 3.3, "2": 6, "3": 2.5}),
    )
}

fn delete(server: &Server, slot: &str) -> Answer {
    server.call("DELETE", &format!("{MODELS}/{slot}"), &[], b"")
}

fn slots(server: &Server) -> Vec<String> {
    let models = told(&get(server, MODELS), 200);
    let models = models["models"].as_array().unwrap();
    models
        .iter()
        .map(|model| model["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_is_deployed_serves_through_a_restart_until_it_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    copied(folder.path());
    let server = serve(folder.path());

    let deployed = told(
        &post(
            &server,
            DEPLOY,
            &json!({"name": "iris", "version": 1, "slot": "flower"}),
        ),
        201,
    );
    assert_eq!(deployed["state"], "serving", "{deployed}");
    let mut shown = told(&get(&server, "/api/models/flower"), 200)["serving"].clone();
    for only_there in ["signature", "input_example"] {
        assert!(
            !shown
                .as_object_mut()
                .unwrap()
                .remove(only_there)
                .unwrap()
                .is_null()
        );
    }
    assert_eq!(deployed["serving"], shown);
    assert_eq!(told(&iris(&server, "flower"), 200)["version"], "1");
    // The same once more, and another version in the same place.
    let again = post(
        &server,
        DEPLOY,
        &json!({"name": "iris", "version": "1", "slot": "flower"}),
    );
    told(&again, 201);
    told(
        &post(&server, DEPLOY, &json!({"name": "iris", "stage": "Staging"})),
        201,
    );
    let two = told(
        &post(
            &server,
            DEPLOY,
            &json!({"name": "iris", "version": 2, "slot": "flower"}),
        ),
        201,
    );
    assert_eq!(two["swaps"][1]["from"]["version"], "1", "{two}");
    assert_eq!(told(&iris(&server, "flower"), 200)["version"], "2");
    assert_eq!(slots(&server), ["flower", "iris", "wine"]);

    server.terminate();
    let _ = server.wait();
    let server = serve(folder.path());
    assert_eq!(slots(&server), ["flower", "iris", "wine"]);
    assert_eq!(told(&iris(&server, "flower"), 200)["version"], "2");

    assert_eq!(told(&delete(&server, "flower"), 200)["deployed"], false);
    refused(
        &iris(&server, "flower"),
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "`flower`",
    );
    refused(
        &delete(&server, "flower"),
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "flower",
    );
    server.terminate();
    let _ = server.wait();
    let server = serve(folder.path());
    assert_eq!(slots(&server), ["iris", "wine"]);
}

#[test]
fn what_cannot_be_deployed_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    copied(folder.path());
    let server = serve(folder.path());
    let no = |body: Value, status: u16, code: &str, word: &str| {
        refused(&post(&server, DEPLOY, &body), status, code, word);
    };
    no(
        json!({"name": "iris", "version": 9}),
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "version 9",
    );
    no(
        json!({"name": "none", "version": 1}),
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "none",
    );
    no(
        json!({"name": "wine", "version": 1}),
        409,
        "RESOURCE_CONFLICT",
        "`wine`",
    );
    for (body, word) in [
        (json!({}), "name"),
        (
            json!({"name": "iris", "version": 1, "stage": "None"}),
            "at most one",
        ),
        (json!({"name": "iris", "version": "v1"}), "version"),
        (json!({"name": "iris", "stage": "Live"}), "stage"),
        (json!({"name": "iris", "slot": "a/b"}), "slot"),
        (json!({"name": "../iris"}), "name"),
        (json!({"name": "iris", "colour": 1}), "colour"),
    ] {
        no(body, 400, "INVALID_PARAMETER_VALUE", word);
    }
    let text = server.call("POST", DEPLOY, &[("content-type", "text/plain")], b"{}");
    refused(&text, 415, "BAD_REQUEST", "application/json");
    refused(&delete(&server, "wine"), 409, "RESOURCE_CONFLICT", "`wine`");
    assert_eq!(slots(&server), ["wine"]);

    // One that is there and cannot be loaded; the slot waits for better files.
    fs::write(folder.path().join("models/digits/1/model.onnx"), b"no model").unwrap();
    no(
        json!({"name": "digits", "version": 1}),
        409,
        "INVALID_STATE",
        "cannot be served",
    );
    assert_eq!(told(&get(&server, "/api/models/digits"), 200)["state"], "failed");
    assert_eq!(get(&server, "/ping").status, 200);
    told(&delete(&server, "digits"), 200);
    assert_eq!(slots(&server), ["wine"]);
}

#[test]
fn changes_want_the_admin_token_where_one_is_set() {
    let mut command = modelsd();
    command.env("MODELSD_ADMIN_TOKEN", "secret");
    let server = Server::start_with(command, "models:/wine/1", &[]);
    for (method, path) in [
        ("POST", DEPLOY),
        ("DELETE", "/api/mlflow/serving/models/wine"),
        ("POST", "/api/mlflow/experiments/create"),
        ("POST", "/api/mlflow/experiments/0/runs/start"),
        ("POST", "/api/mlflow/experiments/0/runs/a/end"),
        ("POST", "/api/mlflow/runs/a/log-params"),
        ("POST", "/api/mlflow/runs/a/log-metrics"),
        ("POST", "/api/mlflow/runs/a/log-artifacts"),
        ("POST", "/api/mlflow/models/register"),
        ("POST", "/api/mlflow/models/wine/versions/1/stage"),
    ] {
        refused(
            &server.call(method, path, &[], b""),
            401,
            "UNAUTHENTICATED",
            "needs a token",
        );
    }
    told(&get(&server, "/api/mlflow/serving/models"), 200);
}

#[test]
fn without_a_tracking_server_the_registry_is_the_folder_and_the_rest_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    copied(folder.path());
    let server = serve(folder.path());
    let health = told(&get(&server, "/api/mlflow/health"), 200);
    assert_eq!(
        (&health["status"], &health["tracking_server"]),
        (&json!("ok"), &Value::Null)
    );
    let info = told(&get(&server, "/api/mlflow/info"), 200);
    assert_eq!(
        (&info["models"], &info["tracking_server"]),
        (&json!(["wine"]), &Value::Null)
    );
    assert_eq!(
        told(&get(&server, "/api/mlflow/version"), 200)["mlflow"],
        Value::Null
    );

    let page = told(&get(&server, "/api/mlflow/models?max_results=2"), 200);
    assert_eq!(page["registered_models"][1]["name"], "diabetes", "{page}");
    let next = format!(
        "/api/mlflow/models?page_token={}",
        page["next_page_token"].as_str().unwrap()
    );
    let rest = told(&get(&server, &next), 200);
    assert_eq!(rest["registered_models"].as_array().unwrap().len(), 3, "{rest}");
    assert_eq!(rest["next_page_token"], Value::Null);
    let iris = told(&get(&server, "/api/mlflow/models/iris"), 200);
    assert_eq!(iris["versions"][0]["version"], "2", "{iris}");
    let stage = post(
        &server,
        "/api/mlflow/models/iris/versions/2/stage",
        &json!({"stage": "Production", "archive_existing_versions": true}),
    );
    assert_eq!(told(&stage, 200)["current_stage"], "Production");
    let versions = told(&get(&server, "/api/mlflow/models/iris/versions"), 200);
    assert_eq!(
        versions["model_versions"][0]["current_stage"], "Production",
        "{versions}"
    );
    refused(
        &get(&server, "/api/mlflow/models/none"),
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "none",
    );

    for path in [
        "/api/mlflow/experiments",
        "/api/mlflow/experiments/0",
        "/api/mlflow/runs/a",
    ] {
        refused(&get(&server, path), 501, "NOT_IMPLEMENTED", "--registry");
    }
    let new = json!({"name": "x"});
    refused(
        &post(&server, "/api/mlflow/experiments/create", &new),
        501,
        "NOT_IMPLEMENTED",
        "MLFLOW_TRACKING_URI",
    );
    refused(
        &post(&server, "/api/mlflow/models/register", &new),
        501,
        "NOT_IMPLEMENTED",
        "modelsd registry register",
    );
    refused(
        &get(&server, "/api/mlflow/none/such"),
        404,
        "ENDPOINT_NOT_FOUND",
        "/openapi.json",
    );
    refused(
        &get(&server, "/api/mlflow/models?max_results=0"),
        400,
        "INVALID_PARAMETER_VALUE",
        "max_results",
    );
    refused(
        &get(&server, "/api/mlflow/models?page=1"),
        400,
        "INVALID_PARAMETER_VALUE",
        "`page`",
    );
    refused(
        &get(&server, "/api/mlflow/models/%FF"),
        400,
        "INVALID_PARAMETER_VALUE",
        "path",
    );
}
