//! Versions change while requests go on: the embedded registry, several models, bad versions.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

pub use crate::house::{House, copy, get, serving, status, wait_for, wait_for_version};
use crate::support::{Server, modelsd, repository};

pub const ROW: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;

#[test]
fn every_change_of_the_embedded_registry_is_served() {
    let house = House::new(&["iris"]);
    // The folder is watched, so that the poll is not what brings the change.
    let server = house.serve(&["models:/iris/Production", "--poll-interval", "3600"]);
    assert_eq!(serving(&server, "iris"), "1");
    house.say("transition iris 2 Production --archive-existing");
    wait_for_version(&server, "iris", "2");
    let answer = server.invoke(ROW);
    assert_eq!(
        (answer.status, answer.header("x-model-version")),
        (200, Some("2"))
    );
    // A rollback is a change like any other.
    house.say("transition iris 1 Production --archive-existing");
    wait_for_version(&server, "iris", "1");
    house.say(&format!(
        "register iris {} --stage Production",
        repository("models/iris/2").display()
    ));
    wait_for_version(&server, "iris", "3");
    // An empty answer unloads nothing.
    house.say("transition iris 1 Archived");
    house.say("transition iris 3 Archived");
    wait_for("the stage is empty", || {
        !status(&server, "iris")["registry"]["problem"].is_null()
    });
    assert_eq!(serving(&server, "iris"), "3");
    assert_eq!(server.invoke(ROW).status, 200);
    let problem = status(&server, "iris")["registry"]["problem"]["reason"].to_string();
    assert!(problem.contains("no version in stage Production"), "{problem}");
    let swaps = status(&server, "iris")["swaps"].clone();
    let versions: Vec<&Value> = swaps
        .as_array()
        .unwrap()
        .iter()
        .map(|swap| &swap["to"]["version"])
        .collect();
    assert_eq!(versions, ["1", "2", "1", "3"]);
}

#[test]
fn a_folder_that_is_copied_by_hand_is_a_version_once_it_is_whole() {
    let house = House::new(&["iris"]);
    let server = house.serve(&["models:/iris/latest", "--poll-interval", "0.1"]);
    assert_eq!(serving(&server, "iris"), "2");
    // The graph comes last: until then the version is rejected, and the old one serves.
    let (from, to) = (house.registry().join("iris/1"), house.registry().join("iris/7"));
    fs::create_dir(&to).unwrap();
    fs::copy(from.join("MLmodel"), to.join("MLmodel")).unwrap();
    wait_for("a rejection", || {
        status(&server, "iris")["last_error"]["version"] == "7"
    });
    assert_eq!(server.invoke(ROW).header("x-model-version"), Some("2"));
    fs::copy(from.join("model.onnx"), to.join("model.onnx")).unwrap();
    wait_for_version(&server, "iris", "7");
    assert!(status(&server, "iris")["last_error"].is_null());
}

/// Writes over one file of a version that is about to be served, and says what came of it.
fn rejected(file: &str, text: &[u8]) -> (String, String) {
    let house = House::new(&["iris"]);
    let server = house.serve(&["models:/iris/Production", "--poll-interval", "3600"]);
    fs::write(house.registry().join("iris/2").join(file), text).unwrap();
    house.say("transition iris 2 Production --archive-existing");
    wait_for("a rejection", || !status(&server, "iris")["last_error"].is_null());
    let answer = server.invoke(ROW);
    assert_eq!(
        (answer.status, answer.header("x-model-version")),
        (200, Some("1"))
    );
    assert_eq!(get(&server, "/health/ready").status, 200);
    let error = status(&server, "iris")["last_error"].clone();
    assert_eq!(error["version"], "2");
    let metrics = server.metrics();
    let step = error["step"].as_str().unwrap().to_owned();
    let counter = format!("modelsd_reloads_total{{slot=\"iris\",outcome=\"rejected\",stage=\"{step}\"}} ");
    assert!(metrics.contains(&counter), "{counter} in {metrics}");
    (step, error["reason"].as_str().unwrap().to_owned())
}

#[test]
fn a_bad_version_is_rejected_with_its_reason_and_the_old_one_serves() {
    let mlmodel = fs::read_to_string(repository("models/iris/2/MLmodel")).unwrap();
    let with_example = |body: &str| {
        let example =
            "saved_input_example_info:\n  artifact_path: e.json\n  serving_input_path: example.json\n";
        (format!("{mlmodel}{example}"), body.to_owned())
    };
    for (file, text, step, reason) in [
        ("model.onnx", b"no graph".to_vec(), "load", "cannot load"),
        ("model.onnx", Vec::new(), "load", "cannot load"),
        (
            "MLmodel",
            b"flavors: {keras: {}}".to_vec(),
            "load",
            "no flavor of this model can be served",
        ),
        (
            "MLmodel",
            b"flavors: [".to_vec(),
            "fetch",
            "`MLmodel` cannot be read",
        ),
    ] {
        let (got, said) = rejected(file, &text);
        assert!(got == step && said.contains(reason), "{file}: {got}: {said}");
    }
    // Its own example does not satisfy its signature.
    let house = House::new(&["iris"]);
    let (text, body) = with_example(r#"{"inputs": [["red", "green"]]}"#);
    let server = house.serve(&["models:/iris/Production", "--poll-interval", "3600"]);
    fs::write(house.registry().join("iris/2/example.json"), body).unwrap();
    fs::write(house.registry().join("iris/2/MLmodel"), text).unwrap();
    house.say("transition iris 2 Production --archive-existing");
    wait_for("a rejection", || {
        status(&server, "iris")["last_error"]["step"] == "prove"
    });
    let reason = status(&server, "iris")["last_error"]["reason"].to_string();
    assert!(
        reason.contains("its own input example `example.json` does not satisfy its signature"),
        "{reason}"
    );
    // It is tried again when it changes, and at once when asked to.
    fs::write(
        house.registry().join("iris/2/example.json"),
        r#"{"inputs": [[1, 2, 3, 4]]}"#,
    )
    .unwrap();
    wait_for_version(&server, "iris", "2");
}

#[test]
fn a_server_that_has_nothing_to_serve_says_why_and_ends() {
    let house = House::new(&["iris"]);
    for (model, wanted) in [
        ("models:/nope/1", "has no model `nope`"),
        ("models:/iris/9", "has no version 9"),
        ("models:/iris/Archived", "no version in stage Archived"),
    ] {
        let output = modelsd()
            .env("MODELSD_CACHE_DIR", house.folder.path().join("cache"))
            .args(["serve", "-m", model, "--port", "0", "--registry"])
            .arg(house.registry())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(wanted), "{text}");
    }
}

#[test]
fn several_models_live_in_one_process() {
    let house = House::new(&["iris", "diabetes"]);
    let flags = [
        "models:/iris/1",
        "-m",
        "rival=models:/iris/2",
        "-m",
        "models:/diabetes/latest",
    ];
    let server = house.serve(&flags);
    let version = |path: &str| {
        let answer = server.call(
            "POST",
            path,
            &[("content-type", "application/json")],
            ROW.as_bytes(),
        );
        (answer.status, answer.header("x-model-version").map(str::to_owned))
    };
    assert_eq!(version("/invocations"), (200, Some("1".into())));
    assert_eq!(version("/models/iris/invocations"), (200, Some("1".into())));
    assert_eq!(version("/models/rival/invocations"), (200, Some("2".into())));
    assert_eq!(version("/models/diabetes/invocations").0, 400);
    assert_eq!(version("/models/nope/invocations").0, 404);
    assert_eq!(get(&server, "/models/iris/invocations").status, 405);
    let list = get(&server, "/api/models").json();
    let names: Vec<&Value> = list["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| &model["name"])
        .collect();
    assert_eq!(names, ["diabetes", "iris", "rival"]);
    assert_eq!(get(&server, "/api/models/nope").status, 404);
    assert_eq!(
        (
            get(&server, "/health/live").status,
            get(&server, "/health/ready").status
        ),
        (200, 200)
    );
    let twice = modelsd()
        .args(["serve", "-m", "models:/iris/1", "-m", "models:/iris/2"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&twice.stderr).into_owned();
    assert!(
        twice.status.code() == Some(64) && text.contains("2 models would be served as `iris`"),
        "{text}"
    );
}

#[test]
fn all_models_of_a_stage_come_and_go_with_the_registry() {
    let house = House::new(&["iris", "wine", "diabetes"]);
    let names = |server: &Server| {
        let list = get(server, "/api/models").json();
        let models = list["models"].as_array().unwrap().clone();
        models
            .into_iter()
            .filter(|model| model["state"] == "serving")
            .map(|model| model["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let versions: BTreeMap<&str, String> = ["iris", "wine", "diabetes"]
        .map(|name| (name, house.say(&format!("show {name}"))))
        .into();
    assert!(versions["iris"].contains("Production"));
    house.say("transition wine 1 Staging");
    house.say("transition diabetes 1 Production");
    let mut command = modelsd();
    command.env("MODELSD_CACHE_DIR", house.folder.path().join("cache"));
    command.env("MODELSD_REGISTRY", house.registry());
    let server = Server::start_any(
        command,
        &["--all-models", "production", "--poll-interval", "3600"],
    );
    wait_for("two models", || names(&server) == ["diabetes", "iris"]);
    // None is the default, and the answer says which there are.
    let answer = server.invoke(ROW);
    assert!(
        answer.status == 404 && answer.text().contains("`diabetes`, `iris`"),
        "{}",
        answer.text()
    );
    house.say("transition wine 1 Production");
    wait_for("a third", || names(&server) == ["diabetes", "iris", "wine"]);
    house.say("transition diabetes 1 Archived");
    wait_for("one went", || names(&server) == ["iris", "wine"]);
    assert_eq!(get(&server, "/api/models/diabetes").status, 404);
}

#[test]
fn a_version_that_does_not_fit_beside_the_old_one_replaces_it_and_a_bad_one_gives_way_to_it_again() {
    let house = House::new(&["digits"]);
    let bytes = status(&house.serve(&["models:/digits/1"]), "digits")["serving"]["file_bytes"]
        .as_u64()
        .unwrap();
    house.say(&format!(
        "register digits {}",
        repository("models/digits/1").display()
    ));
    house.say(&format!(
        "register digits {}",
        repository("models/digits/1").display()
    ));
    fs::write(
        house.registry().join("digits/3/model.onnx"),
        vec![0; bytes as usize / 2],
    )
    .unwrap();
    // Room for what one version is expected to take and no more.
    let budget = (bytes + 1).to_string();
    let server = house.serve(&["models:/digits/1", "--memory-budget", &budget]);
    let pin = |version: u64| {
        let body = json!({ "version": version }).to_string();
        assert_eq!(
            server
                .call("PUT", "/api/models/digits/pin", &[], body.as_bytes())
                .status,
            200
        );
    };
    pin(2);
    wait_for_version(&server, "digits", "2");
    // Nothing served when it was published.
    let swaps = status(&server, "digits")["swaps"].clone();
    let last = swaps.as_array().unwrap().last().unwrap();
    assert!(last["to"]["version"] == "2" && last["from"].is_null(), "{last}");
    pin(3);
    wait_for("a rejection", || {
        status(&server, "digits")["last_error"]["version"] == "3"
    });
    wait_for_version(&server, "digits", "2");
}

/// Requests without a break on some connections, while versions change; the two versions answer differently.
#[test]
fn swaps_under_load_fail_no_request_and_mix_no_versions() {
    let house = House::new(&["iris"]);
    let server = house.serve(&["models:/iris/Production", "--poll-interval", "3600"]);
    let first = server.invoke(ROW).text();
    house.say("transition iris 2 Production --archive-existing");
    wait_for_version(&server, "iris", "2");
    let second = server.invoke(ROW).text();
    assert_ne!(first, second);
    let wanted: BTreeMap<&str, &str> = [("1", &*first), ("2", &*second)].into();
    let stop = AtomicBool::new(false);
    let answers = AtomicUsize::new(0);
    let mixed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let answer = server.invoke(ROW);
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    let version = answer.header("x-model-version").unwrap();
                    mixed.fetch_add(usize::from(wanted[version] != answer.text()), Ordering::Relaxed);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..30 {
            let version = if round % 2 == 0 { "1" } else { "2" };
            house.say(&format!(
                "transition iris {version} Production --archive-existing"
            ));
            wait_for_version(&server, "iris", version);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (answers, mixed) = (answers.into_inner(), mixed.into_inner());
    assert!(answers > 200, "{answers} answers are no load");
    assert_eq!(mixed, 0);
}

#[test]
fn a_start_with_a_bad_version_serves_what_served_last() {
    let house = House::new(&["iris"]);
    let flags = ["models:/iris/Production", "--poll-interval", "3600"];
    let server = house.serve(&flags);
    // What serves is written down at the latest when the server is told to end.
    server.terminate();
    assert_eq!(server.wait().0.code(), Some(0));
    fs::write(house.registry().join("iris/2/model.onnx"), "no graph").unwrap();
    house.say("transition iris 2 Production --archive-existing");
    let server = house.serve(&flags);
    assert_eq!(serving(&server, "iris"), "1");
    let state = status(&server, "iris");
    assert!(
        state["wanted"]["version"] == "2" && state["last_error"]["version"] == "2",
        "{state}"
    );
    assert_eq!(get(&server, "/health/ready").status, 200);
    // Neither is worth serving: the reason of the wanted one is given, and there is no rush to try again.
    fs::write(house.registry().join("iris/1/model.onnx"), "no graph").unwrap();
    drop(server);
    let output = modelsd()
        .env("MODELSD_CACHE_DIR", house.folder.path().join("cache"))
        .env("MODELSD_REGISTRY", house.registry())
        .args(["serve", "--port", "0", "-m"])
        .args(flags)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && text.contains("cannot load `iris/2`"),
        "{text}"
    );
}

#[test]
fn a_version_that_takes_too_long_is_rejected() {
    let house = House::new(&["iris"]);
    // Several: a process that dies under the thread that still loads, as one in five did, does not do so every time.
    let started: [_; 12] = std::array::from_fn(|one| {
        modelsd()
            .env(
                "MODELSD_CACHE_DIR",
                house.folder.path().join(format!("cache-{one}")),
            )
            .env("MODELSD_REGISTRY", house.registry())
            .args([
                "serve",
                "-m",
                "models:/iris/1",
                "--port",
                "0",
                "--load-timeout",
                "0.0001",
            ])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    });
    for server in started {
        let output = server.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{}: {text}", output.status);
        assert!(
            text.contains("it was not loaded and proved within 100µs; see --load-timeout"),
            "{text}"
        );
    }
}

#[test]
fn a_server_without_registry_and_cache_waits_and_says_so() {
    let house = House::new(&[]);
    // A port that was free a moment ago refuses connections.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let registry = format!("http://{free}");
    let server = house.serve(&[
        "models:/iris/Production",
        "--registry",
        &registry,
        "--poll-interval",
        "0.2",
    ]);
    assert_eq!(get(&server, "/health/live").status, 200);
    assert_eq!(
        (get(&server, "/health/ready").status, get(&server, "/ping").status),
        (503, 503)
    );
    let answer = server.invoke(ROW);
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1")),
        "{}",
        answer.text()
    );
    let status = status(&server, "iris");
    assert!(
        status["state"] == "waiting" && status["registry"]["problem"]["outage"] == true,
        "{status}"
    );
    server.terminate();
    assert_eq!(server.wait().0.code(), Some(0));
}
