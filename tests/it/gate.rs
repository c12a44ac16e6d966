//! The gate: new versions run beside the old one before they serve. One of them is wrong on purpose.

use std::fs;

use serde_json::{Value, json};

use crate::house::{House, get, serving, status, wait_for, wait_for_version};
use crate::support::{Answer, Server, modelsd, repository};

/// Rows of three species, on which the two bundled versions agree.
pub const ROWS: &str =
    r#"{"inputs": [[5.1, 3.5, 1.4, 0.2], [5.9, 2.8, 4.3, 1.3], [6.7, 3.1, 5.6, 2.3], [4.8, 3.0, 1.4, 0.1]]}"#;
/// Decides soon, and never by the time that a busy machine took.
const GATE: &str = "requests=20,max_latency_ratio=100000";

/// Serves Production of iris behind this gate.
fn serve(house: &House, gate: &str) -> Server {
    house.serve(&["models:/iris/Production", "--gate", gate])
}

/// Sends requests until this is so; the version that answers them must be one of these.
#[track_caller]
fn ask_until(server: &Server, versions: &[&str], what: &str, condition: impl Fn() -> bool) {
    wait_for(what, || {
        let answer = server.invoke(ROWS);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let version = answer.header("x-model-version").unwrap();
        assert!(versions.contains(&version), "{what}: version {version} answered");
        condition()
    });
}

fn gate(server: &Server) -> Value {
    status(server, "iris")["gate"].clone()
}

fn is(server: &Server, version: &str, state: &str) -> bool {
    let gate = gate(server);
    gate["version"] == version && gate["state"] == state
}

fn promote(server: &Server, route: &str, body: &str) -> Answer {
    let path = format!("/api/routes/{route}/promote");
    server.call("POST", &path, &[], body.as_bytes())
}

/// The graph of the first version with its labels mixed up, as a slip in training would.
pub fn wrong_graph() -> Vec<u8> {
    let right = fs::read(repository("models/iris/1/model.onnx")).unwrap();
    let labels = [0x40, 0, 0x40, 1, 0x40, 2];
    let at = right.windows(6).position(|bytes| bytes == labels).unwrap();
    let mut wrong = right.clone();
    wrong[at..at + 6].copy_from_slice(&[0x40, 2, 0x40, 0, 0x40, 1]);
    wrong
}

fn register_wrong(house: &House) {
    register_changed(house, "model.onnx", &wrong_graph());
}

/// Registers a copy of the first version with this file, and moves it to Production.
fn register_changed(house: &House, file: &str, bytes: &[u8]) {
    let folder = house.folder.path().join("changed");
    crate::house::copy(&repository("models/iris/1"), &folder);
    fs::write(folder.join(file), bytes).unwrap();
    house.say(&format!("register iris {} --stage Production", folder.display()));
}

fn tags(house: &House, version: &str) -> Value {
    let text = fs::read_to_string(house.registry().join("iris/registry.yaml")).unwrap();
    let yaml: Value = serde_saphyr::from_str(&text).unwrap();
    yaml["versions"][version]["tags"].clone()
}

#[test]
fn a_good_version_is_accepted_and_a_wrong_one_is_held_until_it_is_forced() {
    let house = House::new(&["iris"]);
    let server = serve(&house, &format!("{GATE},watch=0"));
    // The first version has nobody to be compared with.
    assert_eq!(serving(&server, "iris"), "1");
    assert!(gate(&server).is_null());
    house.say("transition iris 2 Production --archive-existing");
    wait_for("a trial", || is(&server, "2", "trial"));
    assert_eq!(server.invoke(ROWS).header("x-model-version"), Some("1"));
    ask_until(&server, &["1", "2"], "version 2 is accepted", || {
        is(&server, "2", "accepted")
    });
    assert_eq!(serving(&server, "iris"), "2");
    let reason = gate(&server)["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("20 requests: 0 % failed, 0 % of 80 rows disagree"),
        "{reason}"
    );
    wait_for("tags", || tags(&house, "2")["modelsd.gate"] == "accepted");
    assert_eq!(tags(&house, "2")["modelsd.gate.reason"], reason);
    assert_eq!(tags(&house, "2")["algorithm"], "random forest");

    register_wrong(&house);
    ask_until(&server, &["2"], "version 3 is held", || is(&server, "3", "held"));
    let held = gate(&server);
    let reason = held["reason"].as_str().unwrap();
    assert!(
        reason.contains("100 % of 80 rows disagree with the old version, more than 10 %"),
        "{reason}"
    );
    wait_for("tags", || tags(&house, "3")["modelsd.gate"] == "held");
    assert_eq!(tags(&house, "3")["modelsd.gate.reason"], reason);
    let metrics = server.metrics();
    for line in [
        r#"modelsd_gate_state{slot="iris",state="held"} 1"#,
        r#"modelsd_gate_state{slot="iris",state="trial"} 0"#,
        r#"modelsd_gate_versions_total{slot="iris",outcome="accepted"} 1"#,
        r#"modelsd_gate_versions_total{slot="iris",outcome="held"} 1"#,
        r#"modelsd_gate_copies_total{slot="iris",outcome="ok"} 40"#,
        r#"modelsd_gate_compared_rows_total{slot="iris"} 160"#,
        r#"modelsd_gate_disagreements_total{slot="iris"} 80"#,
        r#"modelsd_serving_version{slot="iris",model="iris",version="2"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let refused = promote(&server, "iris", "");
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(
        refused.text().contains("rows disagree") && refused.text().contains("--force"),
        "{}",
        refused.text()
    );

    // A restart does not serve it silently.
    server.terminate();
    assert!(server.wait().0.success());
    let server = serve(&house, &format!("{GATE},watch=0"));
    ask_until(&server, &["2"], "it is held still", || is(&server, "3", "held"));
    assert_eq!(gate(&server)["reason"], held["reason"]);

    let output = modelsd()
        .args(["promote", "iris", "--force", "--server"])
        .arg(format!("http://{}", server.address))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("loads version 3"),
        "{output:?}"
    );
    wait_for_version(&server, "iris", "3");
    wait_for("it is told of", || is(&server, "3", "accepted"));
    wait_for("tags", || tags(&house, "3")["modelsd.gate"] == "forced");
    assert_eq!(promote(&server, "iris", r#"{"force": true}"#).status, 409);
    // Back to one that has served needs no trial.
    house.say("transition iris 2 Production --archive-existing");
    wait_for_version(&server, "iris", "2");
}

#[test]
fn a_version_that_fails_is_held_and_a_restart_in_a_trial_goes_on_with_it() {
    let house = House::new(&["iris"]);
    let server = serve(&house, "requests=1000000");
    house.say("transition iris 2 Production --archive-existing");
    wait_for("a trial", || is(&server, "2", "trial"));
    assert_eq!(promote(&server, "iris", "").status, 409);
    server.terminate();
    assert!(server.wait().0.success());
    // What served last is there first, and the trial begins anew.
    let server = serve(&house, "requests=1000000");
    assert_eq!(server.invoke(ROWS).header("x-model-version"), Some("1"));
    ask_until(&server, &["1"], "a trial with requests", || {
        is(&server, "2", "trial") && gate(&server)["trial"]["requests"].as_u64() >= Some(3)
    });
    let trial = gate(&server);
    assert!(
        trial["trial"]["disagreement"] == 0.0 && trial["answers"]["requests"].as_u64() >= Some(3),
        "{trial}"
    );
    assert_eq!(trial["bounds"]["requests"], 1_000_000);
    // A newer version takes the place of the one on trial. It wants thirteen numbers and gets four.
    house.say(&format!(
        "register iris {} --stage Production",
        repository("models/wine/1").display()
    ));
    wait_for("another trial", || is(&server, "3", "trial"));
    server.terminate();
    assert!(server.wait().0.success());
    let server = serve(&house, &format!("{GATE},tags=false"));
    ask_until(&server, &["1"], "version 3 is held", || is(&server, "3", "held"));
    let reason = gate(&server)["reason"].to_string();
    assert!(
        reason.contains(" copies failed (model_failed ") && reason.contains(", more than 1 %"),
        "{reason}"
    );
    // Told to try again, it fails again; an operator may still overrule.
    assert_eq!(server.call("POST", "/api/reload", &[], b"").status, 202);
    ask_until(&server, &["1"], "it is held again", || {
        server
            .metrics()
            .contains(r#"modelsd_gate_versions_total{slot="iris",outcome="held"} 2"#)
    });
    assert!(tags(&house, "3").get("modelsd.gate").is_none());
    // Pinned is pinned, whatever the gate says.
    let pinned = server.call("PUT", "/api/models/iris/pin", &[], br#"{"version": "3"}"#);
    assert_eq!(pinned.status, 200, "{}", pinned.text());
    wait_for_version(&server, "iris", "3");
}

#[test]
fn a_version_that_fails_when_it_serves_is_rolled_back() {
    let house = House::new(&["iris"]);
    let server = serve(&house, &format!("{GATE},watch=1h,max_error_rate=0.1"));
    // What it computes is right, and what it says that it takes is not: the copies have been checked before.
    let mlmodel = fs::read_to_string(repository("models/iris/1/MLmodel")).unwrap();
    let example = mlmodel.find("saved_input_example_info").unwrap();
    let rest = mlmodel.find("signature:").unwrap();
    let wrong = format!("{}{}", &mlmodel[..example], &mlmodel[rest..]).replace("[-1, 4]", "[-1, 5]");
    register_changed(&house, "MLmodel", wrong.as_bytes());
    wait_for("a trial", || is(&server, "3", "trial"));
    for _ in 0..20 {
        assert_eq!(server.invoke(ROWS).header("x-model-version"), Some("1"));
    }
    wait_for("the watch", || is(&server, "3", "watch"));
    for _ in 0..2 {
        let failed = server.invoke(ROWS);
        assert_eq!(
            (failed.status, failed.header("x-model-version")),
            (400, Some("3")),
            "{}",
            failed.text()
        );
    }
    assert_eq!(gate(&server)["answers"]["errors"]["schema_violation"], 2);
    wait_for("the old version", || {
        let answer = server.invoke(ROWS);
        answer.status == 200 && answer.header("x-model-version") == Some("1")
    });
    wait_for("the reason", || is(&server, "3", "rolled_back"));
    let reason = gate(&server)["reason"].to_string();
    assert!(reason.contains("requests failed (schema_violation"), "{reason}");
    wait_for("tags", || tags(&house, "3")["modelsd.gate"] == "rolled_back");
    let state = status(&server, "iris");
    assert_eq!(
        (&state["serving"]["version"], &state["wanted"]["version"]),
        (&json!("1"), &json!("3"))
    );
    // A restart serves the old one, too.
    server.terminate();
    assert!(server.wait().0.success());
    let server = serve(&house, GATE);
    ask_until(&server, &["1"], "it is held still", || {
        is(&server, "3", "rolled_back")
    });
}

#[test]
fn a_watch_that_sees_nothing_bad_ends() {
    let house = House::new(&["iris"]);
    let server = serve(&house, &format!("{GATE},watch=300ms"));
    house.say("transition iris 2 Production --archive-existing");
    ask_until(&server, &["1", "2"], "the end of the watch", || {
        is(&server, "2", "accepted")
    });
    let reason = gate(&server)["reason"].to_string();
    assert!(reason.contains("in the watch window: 0 % failed"), "{reason}");
    assert_eq!(serving(&server, "iris"), "2");
}

#[test]
fn without_requests_it_is_decided_as_configured() {
    let house = House::new(&["iris"]);
    let server = serve(&house, "max_time=200ms");
    house.say("transition iris 2 Production --archive-existing");
    wait_for("it is held", || is(&server, "2", "held"));
    let reason = gate(&server)["reason"].to_string();
    assert!(
        reason.contains("too few requests: 0 within 200ms, and 50 are needed"),
        "{reason}"
    );
    drop(server);
    let house = House::new(&["iris"]);
    let server = serve(&house, "max_time=200ms,on_timeout=accept,watch=0");
    house.say("transition iris 2 Production --archive-existing");
    wait_for_version(&server, "iris", "2");
}

#[test]
fn a_route_has_a_gate_of_its_own() {
    let house = House::new(&["iris"]);
    let file = house.folder.path().join("modelsd.toml");
    let write = |gate: &str| {
        let text = format!(
            "[routes.iris]\n{gate}\nvariants.only = {{ model = 'models:/iris/Production' }}\n\
             shadows.next = {{ model = 'models:/iris/2' }}\n"
        );
        fs::write(&file, text).unwrap();
    };
    write("gate = { requests = 20, max_latency_ratio = 100000, watch = 0 }");
    let server = house.serve_any(&["--config", file.to_str().unwrap()]);
    let variant = || get(&server, "/api/routes/iris").json()["variants"][0].clone();
    let stands = |version: &str, state: &str| {
        let gate = variant()["gate"].clone();
        gate["version"] == version && gate["state"] == state
    };
    register_wrong(&house);
    ask_until(&server, &["1"], "it is held", || stands("3", "held"));
    // With another configuration the same version is tried by that, once it is asked for again.
    write("gate = { requests = 20, max_latency_ratio = 100000, watch = 0, max_disagreement = 1 }");
    assert_eq!(server.call("POST", "/api/config/reload", &[], b"").status, 200);
    assert_eq!(server.call("POST", "/api/reload", &[], b"").status, 202);
    ask_until(&server, &["1", "3"], "it is accepted", || stands("3", "accepted"));
    assert_eq!(variant()["version"], "3");
    assert_eq!(get(&server, "/api/models/iris.next").json()["gate"], Value::Null);
    // Without a gate, a version on trial is served at once.
    write("gate = { requests = 1000000 }");
    assert_eq!(server.call("POST", "/api/config/reload", &[], b"").status, 200);
    house.say("transition iris 2 Production --archive-existing");
    ask_until(&server, &["3"], "a trial", || stands("2", "trial"));
    write("");
    assert_eq!(server.call("POST", "/api/config/reload", &[], b"").status, 200);
    wait_for("it serves", || variant()["version"] == "2");
    assert_eq!(promote(&server, "iris", "").status, 409);
    assert_eq!(promote(&server, "nope", "").status, 404);
    assert_eq!(promote(&server, "iris", "{").status, 400);
}

#[test]
fn a_promotion_of_a_route_tells_what_it_refuses() {
    let house = House::new(&["iris"]);
    house.say("transition iris 2 Staging");
    let file = house.folder.path().join("modelsd.toml");
    let text = "[routes.iris]\ngate = { requests = 1000000, min_requests = 5, max_latency_ratio = 100000, watch = 0 }\n\
                variants.asked = { model = 'models:/iris/Production', weight = 1 }\n\
                variants.idle = { model = 'models:/iris/Staging', weight = 0 }\n";
    fs::write(&file, text).unwrap();
    let server = house.serve_any(&["--config", file.to_str().unwrap()]);
    let gates = || {
        let variants = get(&server, "/api/routes/iris").json()["variants"].clone();
        [variants[0]["gate"].clone(), variants[1]["gate"].clone()]
    };
    let first = repository("models/iris/1");
    for stage in ["Production", "Staging"] {
        house.say(&format!("register iris {} --stage {stage}", first.display()));
    }
    wait_for("two trials", || {
        gates().iter().all(|gate| gate["state"] == "trial")
    });
    ask_until(&server, &["1"], "enough copies", || {
        gates()[0]["trial"]["requests"].as_u64() >= Some(5)
    });
    let output = modelsd()
        .args(["promote", "iris", "--server"])
        .arg(format!("http://{}", server.address))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said} {complained}");
    assert_eq!(said, "`iris.asked` serves version 3\n", "{complained}");
    assert!(
        complained.contains("iris.idle") && complained.contains("requests"),
        "{complained}"
    );
    let forced = promote(&server, "iris", r#"{"force": true}"#).json();
    assert_eq!(forced["promoted"][0]["slot"], "iris.idle", "{forced}");
    assert_eq!(forced["refused"], json!([]), "{forced}");
}

#[test]
fn what_is_held_is_shown_no_longer_of_a_slot_that_goes_or_serves_something_else() {
    let house = House::new(&["iris"]);
    let file = house.folder.path().join("modelsd.toml");
    let write = |variants: &str| {
        let gate = "gate = { requests = 20, max_latency_ratio = 100000, watch = 0 }";
        fs::write(&file, format!("[routes.iris]\n{gate}\n{variants}\n")).unwrap();
    };
    write(
        "variants.changes = { model = 'models:/iris/Production', weight = 50 }\n\
         variants.goes = { model = 'models:/iris/Production', weight = 50 }",
    );
    let server = house.serve_any(&["--config", file.to_str().unwrap()]);
    let held = |slot: &str, count: u8| {
        let line = format!("modelsd_gate_state{{slot=\"iris.{slot}\",state=\"held\"}} {count}\n");
        server.metrics().contains(&line)
    };
    register_wrong(&house);
    ask_until(&server, &["1"], "both are held", || {
        held("changes", 1) && held("goes", 1)
    });
    write("variants.changes = { model = 'models:/iris/1', weight = 100 }");
    let read = server.call("POST", "/api/config/reload", &[], b"");
    assert_eq!(read.status, 200, "{}", read.text());
    let metrics = server.metrics();
    assert!(held("changes", 0) && held("goes", 0), "{metrics}");
}

#[test]
fn a_version_that_does_not_fit_beside_the_old_one_waits_for_an_operator() {
    let house = House::new(&["digits"]);
    let bytes = fs::metadata(repository("models/digits/1/model.onnx"))
        .unwrap()
        .len();
    let budget = (bytes * 3 / 2).to_string();
    let server = house.serve(&[
        "models:/digits/Production",
        "--memory-budget",
        &budget,
        "--gate",
        "default",
    ]);
    let folder = repository("models/digits/1");
    house.say(&format!(
        "register digits {} --stage Production",
        folder.display()
    ));
    wait_for("it is rejected", || {
        status(&server, "digits")["last_error"]["version"] == "2"
    });
    let reason = status(&server, "digits")["last_error"]["reason"].to_string();
    assert!(
        reason.contains("does not fit into --memory-budget beside"),
        "{reason}"
    );
    assert_eq!(serving(&server, "digits"), "1");
    let promoted = promote(&server, "digits", r#"{"force": true}"#);
    assert_eq!(promoted.status, 200, "{}", promoted.text());
    assert_eq!(promoted.json()["promoted"][0]["serves"], false);
    wait_for_version(&server, "digits", "2");
}
