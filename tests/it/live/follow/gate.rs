//! A gate before a real registry: a bad version is held, a good one accepted, and the registry is told.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Site, changed, iris, serve};
use crate::gate::{ROWS, wrong_graph};
use crate::hot_swap::{get, serving, status, wait_for};
use crate::live::server::{Options, Store};
use crate::support::Server;

/// Decides soon, and never by the time that a busy machine took.
const FLAGS: [&str; 6] = [
    "-m",
    "models:/iris/Production",
    "--poll-interval",
    "0.5",
    "--gate",
    "requests=20,max_latency_ratio=100000,watch=0",
];
const PASSWORD: &str = "hidden-of-reader";

/// A registry with two good versions, and two with their labels mixed up; the first is in Production.
fn fill(site: &mut Site) {
    site.log("iris", &iris(1));
    site.log("iris", &iris(2));
    let wrong = changed(&iris(1), |folder: &Path| {
        fs::write(folder.join("model.onnx"), wrong_graph()).unwrap();
    });
    for version in [3, 4] {
        assert_eq!(site.log("iris", wrong.path()), version);
    }
    site.promote("iris", 1);
}

/// Sends requests until the version at the gate is in this state.
#[track_caller]
fn ask_until(server: &Server, version: &str, state: &str) {
    wait_for(&format!("version {version} is {state}"), || {
        let answer = server.invoke(ROWS);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answered = answer.header("x-model-version").unwrap();
        assert!(["1", "2"].contains(&answered), "a wrong version answered");
        let gate = status(server, "iris")["gate"].clone();
        gate["version"] == version && gate["state"] == state
    });
}

fn tags(site: &mut Site, version: u64) -> Value {
    site.python
        .ask("tags", json!({ "name": "iris", "version": version }))
}

#[test]
fn a_bad_version_is_held_and_a_good_one_accepted_with_tags_in_mlflow() {
    let mut site = Site::new();
    fill(&mut site);
    let server = site.serve(&FLAGS);
    site.promote("iris", 3);
    ask_until(&server, "3", "held");
    let reason = status(&server, "iris")["gate"]["reason"].clone();
    assert!(reason.as_str().unwrap().contains("rows disagree"), "{reason}");
    let site_of = std::cell::RefCell::new(site);
    let told = |version: u64, word: &str| {
        wait_for("tags", || {
            tags(&mut site_of.borrow_mut(), version)["modelsd.gate"] == word
        });
        let tags = tags(&mut site_of.borrow_mut(), version);
        println!("tags of version {version} in MLflow: {tags}");
        tags
    };
    assert_eq!(told(3, "held")["modelsd.gate.reason"], reason);
    assert_eq!(serving(&server, "iris"), "1");

    site_of.borrow_mut().promote("iris", 2);
    ask_until(&server, "2", "accepted");
    assert_eq!(serving(&server, "iris"), "2");
    assert_eq!(
        told(2, "accepted")["modelsd.gate.reason"],
        status(&server, "iris")["gate"]["reason"]
    );

    // While the registry is away, the gate decides all the same; it is told when it is back.
    site_of.borrow_mut().promote("iris", 4);
    wait_for("a trial", || status(&server, "iris")["gate"]["state"] == "trial");
    site_of.borrow_mut().server.kill();
    ask_until(&server, "4", "held");
    site_of.borrow_mut().server.restart();
    told(4, "held");
    assert_eq!(get(&server, "/health/ready").status, 200);
    let forced = server.call("POST", "/api/routes/iris/promote", &[], br#"{"force": true}"#);
    assert_eq!(forced.status, 200, "{}", forced.text());
    wait_for("version 4", || serving(&server, "iris") == "4");
    assert_eq!(
        told(4, "forced")["modelsd.gate.reason"],
        "an operator promoted it"
    );
}

#[test]
fn a_registry_that_takes_no_tags_costs_a_line_in_the_log() {
    let store = Store::new();
    let path = |name: &str| store.path(name).to_str().unwrap().to_owned();
    let users = format!(
        "[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{}\nadmin_username = admin\n\
         authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
        path("users.db")
    );
    fs::write(path("auth.ini"), users).unwrap();
    let ini = path("auth.ini");
    let admin = "hidden-of-admin";
    let env = [
        ("MLFLOW_AUTH_CONFIG_PATH", ini.as_str()),
        ("MLFLOW_AUTH_ADMIN_PASSWORD", admin),
        ("MLFLOW_FLASK_SERVER_SECRET_KEY", "a key of the test"),
    ];
    let options = Options {
        flags: &["--app-name", "basic-auth"],
        env: &env,
        ..Options::default()
    };
    let person = [
        ("MLFLOW_TRACKING_USERNAME", "admin"),
        ("MLFLOW_TRACKING_PASSWORD", admin),
    ];
    let mut site = Site::start(store, &options, &person);
    fill(&mut site);
    site.python
        .ask("user", json!({ "name": "reader", "password": PASSWORD }));
    let mut command = site.modelsd();
    command.env("MLFLOW_TRACKING_USERNAME", "reader");
    command.env("MLFLOW_TRACKING_PASSWORD", PASSWORD);
    let server = serve(command, &FLAGS);
    site.promote("iris", 3);
    ask_until(&server, "3", "held");
    site.promote("iris", 2);
    ask_until(&server, "2", "accepted");
    assert!(tags(&mut site, 3).get("modelsd.gate").is_none());
    server.terminate();
    let (ended, log) = server.wait();
    assert!(ended.success());
    let line = log.lines().find(|line| line.contains("does not take the tags"));
    assert!(line.is_some_and(|line| line.contains("tags = false")), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
}
