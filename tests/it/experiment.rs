//! Records of predictions, copies to shadows, what came of predictions, and which variant is better.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::house::{House, get, wait_for};
use crate::support::{Answer, Server};

const ROW: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;

fn ask(server: &Server, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    server.call("POST", "/invocations", &headers, body.as_bytes())
}

fn id(answer: &Answer) -> String {
    answer.header("x-prediction-id").expect("an id").to_owned()
}

/// What a server has recorded, once it has ended.
fn recorded(server: Server, folder: &Path) -> Vec<Value> {
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    let mut records = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(path.extension().unwrap(), "jsonl", "{path:?}");
        let text = fs::read_to_string(path).unwrap();
        records.extend(
            text.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()),
        );
    }
    records
}

#[test]
fn what_was_asked_and_answered_is_recorded() {
    let house = House::new(&["iris"]);
    let folder = house.folder.path().join("records");
    let sink = format!("jsonl:{}", folder.display());
    let route = "iris=champion*50:models:/iris/1,challenger*50:models:/iris/2";
    let server = house.serve_any(&["--route", route, "--record", &sink]);
    let mut answers = Vec::new();
    for number in 0..60 {
        let key = number.to_string();
        let body = format!(r#"{{"inputs": [[5.0, {number}, 1.5, 0.25], [1, 2, 3, 4]]}}"#);
        let headers = match number % 3 {
            0 => vec![("x-request-id", &*key)],
            1 => vec![("x-routing-key", &*key)],
            _ => vec![("x-model-variant", "challenger")],
        };
        let answer = ask(&server, &headers, &body);
        answers.push((number, answer));
    }
    let refused = ask(&server, &[], r#"{"inputs": [[1, 2]]}"#);
    assert_eq!(refused.status, 400);
    let records = recorded(server, &folder);
    assert_eq!(records.len(), 61);
    let of = |answer: &Answer| {
        records
            .iter()
            .find(|record| record["prediction_id"] == id(answer))
            .unwrap()
    };
    for (number, answer) in &answers {
        let record = of(answer);
        let header = |name| answer.header(name).unwrap();
        assert_eq!(record["route"], "iris");
        assert_eq!(record["variant"], header("x-model-variant"));
        assert_eq!(record["version"], header("x-model-version"));
        // Who sends no id goes by the prediction's.
        let (request_id, own) = match number % 3 {
            0 => (number.to_string(), json!(number.to_string())),
            _ => (id(answer), Value::Null),
        };
        assert_eq!(
            (header("x-request-id"), &record["request_id"]),
            (&*request_id, &own)
        );
        assert_eq!(record["rows"], 2);
        assert_eq!(
            record["inputs"]["inputs"][0],
            json!([5.0, f64::from(*number), 1.5, 0.25])
        );
        assert_eq!(record["outputs"], answer.json()["predictions"], "{number}");
        let (assignment, key) = match number % 3 {
            0 => ("weight", Value::Null),
            1 => ("key", number.to_string().into()),
            _ => ("asked", Value::Null),
        };
        assert_eq!(
            (&record["assignment"], &record["routing_key"]),
            (&json!(assignment), &key)
        );
        let time = |name: &str| record[name].as_f64().unwrap();
        let parts = time("decode_us") + time("queue_us") + time("predict_us") + time("encode_us");
        assert!(
            time("predict_us") > 0.0 && parts <= time("total_us") * 1.001,
            "{record}"
        );
    }
    assert_eq!(of(&refused)["error"]["kind"], "schema_violation");
    assert_eq!(of(&refused)["outputs"], Value::Null);
}

#[test]
fn a_share_is_recorded_and_columns_are_hidden() {
    let house = House::new(&["iris"]);
    let folder = house.folder.path().join("records");
    let sink = format!("jsonl:{}", folder.display());
    let flags = [
        "-m",
        "models:/iris/1",
        "--record",
        &sink,
        "--record-share",
        "0.25",
    ];
    let server = house.serve_any(&[&flags[..], &["--record-drop", "probabilities"]].concat());
    let mut stream = server.connect();
    for _ in 0..2000 {
        let request = format!(
            "POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ROW}",
            ROW.len()
        );
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        // Each has an id, recorded or not: what comes of it can be told.
        id(&crate::support::read_answer(&mut stream).unwrap());
    }
    drop(stream);
    let records = recorded(server, &folder);
    // Five and a half standard deviations around 500.
    assert!((394..606).contains(&records.len()), "{}", records.len());
    for record in &records {
        let outputs = record["outputs"].as_object().unwrap();
        assert!(
            outputs.contains_key("label") && !outputs.contains_key("probabilities"),
            "{record}"
        );
    }
}

const SHADOWED: &str = r#"
[routes.iris]
record = 1.0
variants.champion = { model = "models:/iris/1" }
shadows.same = { model = "models:/iris/1" }
shadows.forest = { model = "models:/iris/2" }
"#;

fn shadowed(house: &House, file: &str, flags: &[&str]) -> Server {
    let path = house.folder.path().join("modelsd.toml");
    fs::write(&path, file).unwrap();
    house.serve_any(&[&["--config", path.to_str().unwrap()], flags].concat())
}

fn shadow(server: &Server, name: &str) -> Value {
    let answer = get(server, "/api/routes/iris/shadow").json();
    let found = answer["shadows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|shadow| shadow["name"] == name);
    found.unwrap().clone()
}

#[test]
fn a_shadow_is_compared_with_what_was_answered() {
    let house = House::new(&["iris"]);
    let folder = house.folder.path().join("records");
    let sink = format!("jsonl:{}", folder.display());
    let server = shadowed(&house, SHADOWED, &["--record", &sink]);
    for name in ["same", "forest"] {
        wait_for(name, || shadow(&server, name)["version"].is_string());
    }
    // The two models do not say the same of the third.
    let bodies = ["5.1, 3.5, 1.4, 0.2", "6.2, 2.9, 4.3, 1.3", "6.0, 2.2, 5.0, 1.5"];
    let mut ids = Vec::new();
    for number in 0..30 {
        let own = format!("order-{number}");
        let headers = [("x-request-id", &*own)];
        let answer = ask(
            &server,
            if number % 2 == 0 { &headers } else { &[] },
            &format!(r#"{{"inputs": [[{}]]}}"#, bodies[number % 3]),
        );
        assert_eq!(answer.header("x-model-variant"), Some("champion"));
        ids.push(if number % 2 == 0 { own } else { id(&answer) });
        // One at a time: none of them is dropped.
        wait_for("the copies", || {
            ["same", "forest"]
                .iter()
                .all(|name| shadow(&server, name)["requests"] == number + 1)
        });
    }
    let same = shadow(&server, "same");
    assert_eq!(
        (&same["compared_rows"], &same["disagreements"]),
        (&json!(30), &json!(0))
    );
    assert_eq!(same["absolute_difference"]["max"], 0.0);
    let forest = shadow(&server, "forest");
    assert_eq!(forest["compared_rows"], 30);
    let wanted = {
        let label = |version: &str| {
            let asked = server.call(
                "POST",
                if version == "1" {
                    "/invocations"
                } else {
                    "/models/iris.forest/invocations"
                },
                &[("content-type", "application/json")],
                format!(r#"{{"inputs": [[{}]]}}"#, bodies[2]).as_bytes(),
            );
            asked.json()["predictions"]["label"][0].clone()
        };
        if label("1") == label("2") { 0 } else { 10 }
    };
    assert_eq!(forest["disagreements"], wanted);
    assert!(
        forest["relative_difference"]["p50"].as_f64().unwrap() > 0.0,
        "{forest}"
    );
    assert!(forest["latency_ms"]["p50"].as_f64().unwrap() > 0.0);
    let metrics = server.metrics();
    let line = r#"modelsd_shadow_predictions_total{route="iris",variant="same",outcome="ok"} 3"#;
    assert!(metrics.contains(line), "{metrics}");
    // A shadow is nobody's choice.
    assert_eq!(ask(&server, &[("x-model-variant", "forest")], ROW).status, 400);
    let records = recorded(server, &folder);
    let shadows: Vec<&Value> = records.iter().filter(|record| record["shadow"] == true).collect();
    assert!(shadows.len() >= 60, "{}", shadows.len());
    assert!(
        shadows
            .iter()
            .all(|record| record["outputs"].is_object() && record["variant"] != "champion")
    );
    // A copy goes by the id of the request that was answered: the client's, or that of its prediction.
    for id in ids {
        let copies = shadows.iter().filter(|record| record["request_id"] == *id);
        assert_eq!(copies.count(), 2, "{id}");
    }
}

#[test]
fn a_shadow_that_fails_or_is_slow_costs_nobody_an_answer() {
    let house = House::new(&["iris", "wine"]);
    // Wine has other columns, so that it fails on each copy.
    let file = r#"
[routes.iris]
variants.champion = { model = "models:/iris/1" }
shadows.wine = { model = "models:/wine/1" }
shadows.missing = { model = "models:/iris/Archived" }
"#;
    let server = shadowed(&house, file, &[]);
    wait_for("the shadow", || shadow(&server, "wine")["version"].is_string());
    for _ in 0..50 {
        assert_eq!(ask(&server, &[], ROW).status, 200);
    }
    let all = |name: &str| {
        let shadow = shadow(&server, name);
        shadow["requests"].as_u64().unwrap() + shadow["dropped"].as_u64().unwrap()
    };
    wait_for("the copies", || all("wine") == 50 && all("missing") == 50);
    let wine = shadow(&server, "wine");
    assert_eq!(wine["error_rate"], 1.0, "{wine}");
    assert_eq!(
        shadow(&server, "missing")["errors"]["not_ready"].as_u64(),
        shadow(&server, "missing")["requests"].as_u64()
    );
    // Many rows at once are run, or dropped and counted; the answers do not wait for that.
    let rows = vec!["[5.1, 3.5, 1.4, 0.2]"; 20_000].join(", ");
    for _ in 0..12 {
        assert_eq!(
            ask(&server, &[], &format!(r#"{{"inputs": [{rows}]}}"#)).status,
            200
        );
    }
    wait_for("the copies", || all("wine") == 62 && all("missing") == 62);
}

fn feedback(server: &Server, body: Value) -> Answer {
    server.call("POST", "/api/feedback", &[], body.to_string().as_bytes())
}

#[test]
fn outcomes_find_their_variant_and_decide() {
    let house = House::new(&["iris"]);
    let folder = house.folder.path().join("records");
    let sink = format!("jsonl:{}", folder.display());
    let route = "iris=champion*50:models:/iris/1,challenger*50:models:/iris/2";
    let flags = ["--route", route, "--record", &sink];
    let before = {
        let server = house.serve_any(&flags);
        id(&ask(&server, &[("x-model-variant", "challenger")], ROW))
    };
    // Another process: the id says whose it was.
    let server = house.serve_any(&flags);
    let joined = feedback(
        &server,
        json!({ "prediction_id": before, "value": true, "kind": "clicked" }),
    );
    assert_eq!(joined.status, 200, "{}", joined.text());
    assert_eq!(
        (joined.json()["variant"].clone(), joined.json()["version"].clone()),
        (json!("challenger"), json!("2"))
    );
    for (body, status) in [
        (
            json!({ "prediction_id": before, "value": true, "kind": "clicked" }),
            409,
        ),
        (
            json!({ "prediction_id": "00000000-0000-8000-8000-000000000000", "value": 1 }),
            404,
        ),
        (json!({ "prediction_id": "x", "value": 1 }), 400),
        (json!({ "prediction_id": before, "value": [1] }), 400),
        (json!({ "value": 1 }), 400),
    ] {
        let refused = feedback(&server, body);
        assert_eq!(refused.status, status, "{}", refused.text());
    }
    // The challenger is clicked nine times of ten, the champion once.
    for number in 0..400 {
        let answer = ask(&server, &[], ROW);
        let clicked = (number % 10 == 0) != (answer.header("x-model-variant") == Some("challenger"));
        let told = feedback(
            &server,
            json!({ "prediction_id": id(&answer), "value": clicked, "kind": "clicked" }),
        );
        assert_eq!(told.json()["counted"], true, "{}", told.text());
    }
    let compare = || get(&server, "/api/routes/iris/compare").json();
    wait_for("all to be counted", || compare()["ratio"]["draws"] == 400);
    let found = compare();
    assert_eq!(found["verdict"]["better"], "challenger", "{found}");
    assert_eq!(found["ratio"]["fits"], true, "{found}");
    let requests = |at: usize| found["variants"][at]["requests"].as_u64().unwrap();
    assert_eq!(requests(0) + requests(1), 400);
    assert_eq!(
        get(&server, "/api/routes/iris/compare?lower_is_better=true").json()["verdict"]["better"],
        "champion"
    );
    assert_eq!(get(&server, "/api/routes/iris/compare?nothing=1").status, 400);
    assert_eq!(get(&server, "/api/routes/nope/compare").status, 404);
    // Other weights begin a comparison anew.
    let set = server.call("PUT", "/api/routes/iris/weights", &[], br#"{"challenger": 60}"#);
    assert_eq!(set.status, 200);
    assert_eq!(compare()["ratio"]["draws"], 0);
    let records = recorded(server, &folder);
    assert_eq!(
        records
            .iter()
            .filter(|record| record["type"] == "feedback")
            .count(),
        401
    );
}

#[test]
fn the_mean_of_predictions_is_shown_beside_that_of_the_first() {
    let house = House::new(&["iris"]);
    let sink = format!("jsonl:{}", house.folder.path().join("records").display());
    let server = house.serve_any(&["-m", "models:/iris/1", "--record", &sink]);
    let ask_often = |row: Value| {
        let body = json!({ "inputs": vec![row; 600] }).to_string();
        for _ in 0..2 {
            assert_eq!(ask(&server, &[], &body).status, 200);
        }
    };
    let shows = |metric: &str, value: f64| {
        let line = format!("modelsd_prediction_{metric}{{route=\"iris\",model=\"iris\",version=\"1\"}} ");
        wait_for(&line, || {
            let metrics = server.metrics();
            let found = metrics.lines().find_map(|found| found.strip_prefix(&*line));
            found.is_some_and(|found| found.parse::<f64>().unwrap() == value)
        });
    };
    // The first label is 0, and later it is 2.
    ask_often(json!([5.1, 3.5, 1.4, 0.2]));
    shows("window_rows", 1200.0);
    shows("mean", 0.0);
    shows("baseline_mean", 0.0);
    ask_often(json!([6.7, 3.1, 5.6, 2.3]));
    shows("mean", 2.0);
    shows("window_rows", 1200.0);
    shows("baseline_mean", 0.0);
}
