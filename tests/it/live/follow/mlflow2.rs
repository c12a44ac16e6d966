//! A server of MLflow 2, which knows no logged models and no webhooks, and asks for other things in other words.

use serde_json::json;

use super::{Site, answers_as_bundled, invoke, iris, live_after, problem};
use crate::hot_swap::{ROW, status, wait_for, wait_for_version};
use crate::live::server::{Options, Store};

#[test]
fn a_server_of_mlflow_2_is_followed() {
    let options = Options {
        mlflow2: true,
        ..Options::default()
    };
    let mut site = Site::start(Store::new(), &options, &[]);
    let log = |site: &mut Site, version: u64| {
        let model = json!({ "name": "iris", "folder": iris(version) });
        site.python.ask("log_as_2", model)
    };
    let first = log(&mut site, 1);
    log(&mut site, 2);
    site.promote("iris", 1);
    let alias = json!({ "name": "iris", "alias": "champion", "version": 1 });
    site.python.ask("alias", alias);
    let run = format!("run=runs:/{}/model", first["run_id"].as_str().unwrap());
    let flags = [
        "-m",
        "models:/iris/Production",
        "-m",
        "champion=models:/iris@champion",
        "-m",
        "newest=models:/iris/latest",
        "-m",
        &run,
        "--all-models",
        "Production",
        "--poll-interval",
        "0.5",
    ];
    let server = site.serve(&flags);
    for (path, bundled) in [
        ("/invocations", 1),
        ("/models/champion/invocations", 1),
        ("/models/newest/invocations", 2),
        ("/models/run/invocations", 1),
    ] {
        answers_as_bundled(&server, path, bundled);
    }

    let took = site.swap(&server, 2);
    println!("a stage change on MLflow 2 was live after {took:?}");
    answers_as_bundled(&server, "/invocations", 2);
    let alias = json!({ "name": "iris", "alias": "champion", "version": 2 });
    site.python.ask("alias", alias);
    wait_for_version(&server, "champion", "2");
    log(&mut site, 1);
    wait_for_version(&server, "newest", "3");
    let gone = json!({ "name": "iris", "alias": "champion" });
    site.python.ask("delete_alias", gone);
    wait_for("the alias is missed", || !problem(&server, "champion").is_null());
    let reason = problem(&server, "champion")["reason"].to_string();
    assert!(reason.contains("champion"), "{reason}");
    assert_eq!(invoke(&server, "champion").status, 200);

    // It goes away, modelsd starts without it, and it comes back.
    server.terminate();
    assert!(server.wait().0.success());
    site.server.kill();
    let server = site.serve(&flags);
    assert_eq!(server.invoke(ROW).header("x-model-version"), Some("2"));
    assert_eq!(status(&server, "iris")["registry"]["problem"]["outage"], true);
    site.server.restart();
    wait_for("the end of the outage", || problem(&server, "iris").is_null());
    site.promote("iris", 1);
    live_after(&server, 1);
}
