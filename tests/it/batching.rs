//! Requests that share calls of a model get the answers they would get alone.

use std::fs;
use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::onnx::{Extent, FLOAT, graph, ints, model, node, value};
use crate::support::{Server, read_answer, repository};

/// Numbers of a body, a little other in each round; whole numbers stay, they may be keys of something.
fn varied(body: &Value, round: u32) -> Value {
    match body {
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap();
            json!(number * (1.0 + 0.03 * f64::from(round)) + 0.01 * f64::from(round))
        }
        Value::Array(items) => items.iter().map(|item| varied(item, round)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), varied(member, round)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// Calls of the model and rows in them, by the metrics.
fn calls(server: &Server) -> (f64, f64) {
    let metrics = server.metrics();
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    (value("modelsd_batch_rows_count"), value("modelsd_batch_rows_sum"))
}

/// A model of the repository with a JSON example: answers with and without batching, of requests that come together.
fn check(model: &str) {
    let folder = repository(&format!("models/{model}"));
    let example = fs::read_to_string(folder.join("serving_input_example.json")).unwrap();
    let example: Value = serde_json::from_str(&example).unwrap();
    let bodies: Vec<String> = (0..24).map(|round| varied(&example, round).to_string()).collect();
    let uri = folder.to_str().unwrap();

    let alone = Server::start(uri, &["--max-batch-rows", "1"]);
    let wanted: Vec<String> = bodies.iter().map(|body| alone.invoke(body).text()).collect();

    // With a delay, what comes within it shares a call for certain.
    let together = Server::start(uri, &["--max-batch-delay", "50"]);
    let status = together.call("GET", "/api/models", &[], b"").json();
    let from_rows = &status["models"][0]["serving"]["batched_from_rows"];
    assert!(from_rows == 1 || from_rows == 2, "{model}: {status}");
    let (calls_before, rows_before) = calls(&together);
    let answers: Vec<(u16, String)> = std::thread::scope(|scope| {
        let threads: Vec<_> = bodies
            .iter()
            .map(|body| scope.spawn(|| together.invoke(body)))
            .collect();
        let answers = threads.into_iter().map(|thread| thread.join().unwrap());
        answers.map(|answer| (answer.status, answer.text())).collect()
    });
    for ((status, answer), wanted) in answers.iter().zip(&wanted) {
        assert_eq!((*status, answer), (200, wanted), "{model}");
    }
    let (calls, rows) = calls(&together);
    let (calls, rows) = (calls - calls_before, rows - rows_before);
    assert!(
        calls < rows,
        "{model}: {calls} calls of {rows} rows share nothing"
    );
}

#[test]
fn every_bundled_model_answers_the_same_in_batches() {
    for model in [
        "iris/1",
        "iris/2",
        "wine/1",
        "breast_cancer/1",
        "diabetes/1",
        "digits/1",
    ] {
        check(model);
    }
}

const CENTRED: &str = r#"
flavors:
  onnx: {data: model.onnx}
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]'
"#;

/// An ONNX graph that subtracts the mean over all rows.
fn centred() -> Vec<u8> {
    let pairs = |name| value(name, FLOAT, &[Extent::Named("n"), Extent::Is(2)]);
    let nodes = [
        node("ReduceMean", &["x"], "m", &[ints("axes", 0)]),
        node("Sub", &["x", "m"], "y", &[]),
    ];
    model(13, &graph("centred", &nodes, &[pairs("x")], &[pairs("y")]))
}

#[test]
fn a_model_that_looks_at_all_rows_is_not_batched_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.onnx"), centred()).unwrap();
    fs::write(folder.path().join("MLmodel"), CENTRED).unwrap();
    let server = Server::start(folder.path().to_str().unwrap(), &["--max-batch-delay", "50"]);
    let status = server.call("GET", "/api/models", &[], b"").json();
    let serving = &status["models"][0]["serving"];
    assert!(serving["batched_from_rows"].is_null());
    let reason = serving["not_batched_because"].as_str().unwrap();
    assert!(reason.contains("rows at once are not those"), "{reason}");
}

#[test]
fn a_client_may_say_how_long_it_waits() {
    let server = Server::start(repository("models/iris/1").to_str().unwrap(), &[]);
    let ask = |millis: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("x-request-timeout-ms", millis),
        ];
        let body = br#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;
        let answer = server.call("POST", "/invocations", &headers, body);
        (answer.status, answer.text())
    };
    assert_eq!(ask("5000").0, 200);
    assert_eq!(ask("0.000001").0, 504);
    let (status, text) = ask("soon");
    assert_eq!(status, 400);
    assert!(text.contains("use a positive number of milliseconds"), "{text}");
    // A body that has come too late is not decoded to find out what else is wrong with it.
    let mut slow = server.connect();
    slow.write_all(b"POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n")
        .unwrap();
    slow.write_all(b"x-request-timeout-ms: 20\r\ncontent-length: 4\r\n\r\n{\"x")
        .unwrap();
    std::thread::sleep(Duration::from_millis(60));
    slow.write_all(b"}").unwrap();
    assert_eq!(read_answer(&mut slow).unwrap().status, 504);
    // Nothing is left behind by the ones that were too late.
    std::thread::sleep(Duration::from_millis(10));
    assert_eq!(ask("5000").0, 200);
}
