//! A server on SQLite, and everything people do there: stages, aliases with webhooks, pins, models of MLflow 2.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::{Site, answers_as_bundled, invoke, iris, live_after, problem};
use crate::conformance::check_answers;
use crate::hot_swap::{get, serving, status, wait_for, wait_for_version};
use crate::live::server::{Options, Store};
use crate::support::repository;

const SECRET: &str = "hidden-secret-of-the-webhook";

#[test]
fn stages_ids_runs_and_whole_stages_are_followed() {
    let mut site = Site::new();
    let first = site
        .python
        .ask("log", json!({ "name": "iris", "folder": iris(1) }));
    site.log("iris", &iris(2));
    site.promote("iris", 1);
    let logged = format!("id=models:/{}", first["model_id"].as_str().unwrap());
    let run = format!("run=runs:/{}/model", first["run_id"].as_str().unwrap());
    let flags = [
        "-m",
        "models:/iris/Production",
        "-m",
        &logged,
        "-m",
        &run,
        "-m",
        "newest=models:/iris/latest",
        "--all-models",
        "production",
        "--poll-interval",
        "1",
    ];
    let server = site.serve(&flags);
    answers_as_bundled(&server, "/invocations", 1);
    answers_as_bundled(&server, "/models/id/invocations", 1);
    answers_as_bundled(&server, "/models/run/invocations", 1);
    answers_as_bundled(&server, "/models/newest/invocations", 2);

    // Forward, back, and to a version that is new to the cache.
    let (forward, back) = (site.swap(&server, 2), site.swap(&server, 1));
    answers_as_bundled(&server, "/invocations", 1);
    let third = site.log("iris", &iris(2));
    let new = site.swap(&server, third);
    answers_as_bundled(&server, "/invocations", 2);
    println!("live after a stage change: {forward:?}, back {back:?}, new {new:?}; poll interval 1 s");
    wait_for_version(&server, "newest", "3");

    // Of two versions in Production the highest number counts, whichever was moved last.
    for version in [2, 1] {
        let to = json!({ "name": "iris", "version": version, "stage": "Production" });
        site.python.ask("stage", to);
    }
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(serving(&server, "iris"), "3");
    let to = json!({ "name": "iris", "version": 3, "stage": "Archived" });
    site.python.ask("stage", to);
    live_after(&server, 2);

    // Models of MLflow 2 come with the stage, served as their own server served them, and go with it.
    let old = |name: &str| repository("tests/golden/models-2.21.3").join(name);
    for (name, source) in [
        ("onnx_cols", "{artifacts}/model"),
        ("onnx_clf_tensor", "runs:/{run}/model"),
    ] {
        let logged = json!({ "name": name, "folder": old(name), "source": source });
        site.python.ask("log_as_2", logged);
        site.promote(name, 1);
        wait_for(name, || serving(&server, name) == "1");
        check_answers(&server, &format!("/models/{name}/invocations"), name);
    }
    let to = json!({ "name": "onnx_cols", "version": 1, "stage": "Archived" });
    site.python.ask("stage", to);
    wait_for("it went", || get(&server, "/api/models/onnx_cols").status == 404);
    assert_eq!(invoke(&server, "onnx_cols").status, 404);

    // A name as people give them.
    site.log("a model.ü", &iris(1));
    site.promote("a model.ü", 1);
    let path = "a%20model.%C3%BC";
    wait_for("a name with more than ASCII", || serving(&server, path) == "1");
    answers_as_bundled(&server, &format!("/models/{path}/invocations"), 1);

    // Who deletes what is served is told so in the status, and the version serves on.
    site.python.ask("delete_model", json!({ "name": "iris" }));
    wait_for("the loss is told", || !problem(&server, "iris").is_null());
    let told = problem(&server, "iris");
    assert!(
        told["reason"].as_str().unwrap().contains("has no model `iris`"),
        "{told}"
    );
    live_after(&server, 2);
    // Made anew under its name, it has other files under the same number.
    site.log("iris", &iris(2));
    site.log("iris", &iris(1));
    site.promote("iris", 2);
    wait_for("the new version 2", || {
        status(&server, "iris")["swaps"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()["from"]["version"]
            == "2"
    });
    answers_as_bundled(&server, "/invocations", 1);
}

#[test]
fn aliases_move_by_webhook_and_pins_hold() {
    let env = [
        ("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http,https"),
        ("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true"),
        // Each of its processes remembers the webhooks there are, a minute unless told otherwise.
        ("MLFLOW_WEBHOOK_CACHE_TTL", "1"),
    ];
    let options = Options {
        env: &env,
        ..Options::default()
    };
    let mut site = Site::start(Store::new(), &options, &[]);
    for version in 1..=2 {
        site.log("iris", &iris(version));
    }
    let alias = |version: u64| json!({ "name": "iris", "alias": "champion", "version": version });
    site.python.ask("alias", alias(1));
    let secret = site.store.path("secret");
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let flags = [
        "-m",
        "models:/iris@champion",
        // The poll is not what brings the change.
        "--poll-interval",
        "3600",
        "--webhook-secret-file",
        secret.to_str().unwrap(),
    ];
    let server = site.serve(&flags);
    answers_as_bundled(&server, "/invocations", 1);
    let hook = json!({
        "name": "modelsd",
        "url": format!("http://{}/api/registry/webhook", server.address),
        "events": [["model_version_alias", "created"], ["model_version", "created"]],
        "secret": SECRET,
    });
    site.python.ask("webhook", hook);
    std::thread::sleep(Duration::from_secs(2));
    for version in [2, 1, 2] {
        site.python.ask("alias", alias(version));
        let took = live_after(&server, version);
        println!("live after an alias moved to version {version}, by webhook: {took:?}");
    }
    answers_as_bundled(&server, "/invocations", 2);

    // A pin holds whatever the registry says, and through a restart.
    let pin = |body: &str| server.call("PUT", "/api/models/iris/pin", &[], body.as_bytes());
    let refused = pin(r#"{"version": 9}"#);
    assert!(
        refused.status == 404 && refused.text().contains("version 9"),
        "{}",
        refused.text()
    );
    assert_eq!(pin(r#"{"version": "1"}"#).status, 200);
    live_after(&server, 1);
    let third = site.log("iris", &iris(2));
    site.python.ask("alias", alias(third));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(serving(&server, "iris"), "1");
    server.terminate();
    assert!(server.wait().0.success());
    let server = site.serve(&flags);
    assert_eq!(
        (
            serving(&server, "iris"),
            status(&server, "iris")["pinned"].clone()
        ),
        (json!("1"), json!("1"))
    );
    assert_eq!(
        server.call("DELETE", "/api/models/iris/pin", &[], b"").status,
        200
    );
    live_after(&server, third);
}
