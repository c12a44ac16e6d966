//! What a busy model's line has no room for is refused by the length of its body, before anybody decodes it.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::onnx::{BOOL, DOUBLE, Extent, INT64, graph, int, model, node, subgraph, value};
use crate::support::{Answer, Server, read_answer};

const MLMODEL: &str = r#"
flavors:
  onnx: {data: model.onnx}
signature:
  inputs: '[{"type": "double", "name": "turns"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 1]}}]'
"#;

/// An ONNX graph that goes round as often as its input says and then answers with it.
fn turns() -> Vec<u8> {
    let column = |name| value(name, DOUBLE, &[Extent::Named("n"), Extent::Is(1)]);
    let round = graph(
        "round",
        &[
            node("Identity", &["go"], "go_on", &[]),
            node("Identity", &["before"], "after", &[]),
        ],
        &[
            value("turn", INT64, &[]),
            value("go", BOOL, &[]),
            column("before"),
        ],
        &[value("go_on", BOOL, &[]), column("after")],
    );
    let turns = graph(
        "turns",
        &[
            node("ReduceMax", &["turns"], "most", &[int("keepdims", 0)]),
            node("Cast", &["most"], "count", &[int("to", INT64)]),
            node(
                "Loop",
                &["count", "", "turns"],
                "answer",
                &[subgraph("body", &round)],
            ),
        ],
        &[column("turns")],
        &[column("answer")],
    );
    model(13, &turns)
}

/// How long the server has for what it does at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server whose only predictor goes round as often as it is asked to, and has done so once.
fn going_round() -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.onnx"), turns()).unwrap();
    fs::write(folder.path().join("MLmodel"), MLMODEL).unwrap();
    // A call runs on the worker that read it, for the first was quick.
    let flags = [
        "--engine",
        "ort",
        "--threads",
        "3",
        "--predictors",
        "1",
        "--max-queue-rows",
        "100",
    ];
    let server = Server::start(folder.path().to_str().unwrap(), &flags);
    let answer = server.invoke(r#"{"inputs": {"turns": [3.0, 0.0]}}"#);
    assert_eq!(
        answer.text(),
        r#"{"predictions": [{"answer": 3.0}, {"answer": 0.0}]}"#
    );
    (server, folder)
}

/// A call that takes longer than any test; rows are of 29 bytes.
const FOR_EVER: &str = r#"{"inputs": {"turns": [1e15]}}"#;

/// A server that goes round for as long as the test lasts, with one row in line, and room for 99 more.
struct Busy {
    server: Server,
    _folder: TempDir,
    _clients: [TcpStream; 2],
}

impl Busy {
    fn start() -> Busy {
        let (server, folder) = going_round();
        // One of the two has the predictor and the other waits for it.
        let clients = [(), ()].map(|()| send(&server, "/invocations", FOR_EVER));
        wait(|| metric(&server, "modelsd_queue_enqueued_rows_total") == 1.0);
        Busy {
            server,
            _folder: folder,
            _clients: clients,
        }
    }

    fn ask(&self, path: &str, body: &str) -> Answer {
        read_answer(&mut send(&self.server, path, body)).unwrap()
    }
}

fn head(path: &str, length: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{length}\r\n\r\n")
}

fn send(server: &Server, path: &str, body: &str) -> TcpStream {
    let mut stream = server.connect();
    let head = head(path, &format!("content-length: {}", body.len()));
    stream.write_all((head + body).as_bytes()).unwrap();
    stream
}

/// The value of the metric whose line begins so; nothing counted yet is 0.
fn metric(server: &Server, begins: &str) -> f64 {
    let metrics = server.metrics();
    let line = metrics.lines().find(|line| line.starts_with(begins));
    line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn refusals(server: &Server) -> f64 {
    let metrics = server.metrics();
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("modelsd_requests_total"));
    let refused = lines.filter(|line| line.contains(r#"outcome="overloaded""#));
    refused
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

fn wait(until: impl Fn() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < PATIENCE, "the server never came so far");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A body that is no JSON: who decodes it answers 400, who refuses it before 503.
fn broken(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[test]
fn what_a_line_has_no_room_for_is_refused_by_the_length_of_its_body() {
    let busy = Busy::start();
    let refused = |answer: &Answer, what: &str| {
        let text = answer.text();
        assert_eq!(answer.status, 503, "{what}: {text}");
        assert!(
            text.contains("too many rows wait for the model"),
            "{what}: {text}"
        );
        assert!(answer.header("retry-after").is_some(), "{what}");
    };
    // A short one, and long ones; those have a way of their own.
    for bytes in [50 * 29, 100 * 29, 2_000, 64 << 10, 1 << 20] {
        let answer = busy.ask("/invocations", &broken(bytes));
        match bytes <= 99 * 29 {
            true => assert_eq!(answer.status, 400, "{bytes} bytes: {}", answer.text()),
            false => refused(&answer, &format!("{bytes} bytes")),
        }
    }
    refused(&busy.ask("/predict", &broken(4_000)), "one record");
    assert_eq!(busy.ask("/predict", &broken(1_000)).status, 400);

    // One whose length is not announced is known when it has come.
    let mut stream = busy.server.connect();
    stream
        .write_all(head("/invocations", "transfer-encoding: chunked").as_bytes())
        .unwrap();
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 100_000, broken(100_000));
    stream.write_all(chunk.as_bytes()).unwrap();
    refused(&read_answer(&mut stream).unwrap(), "in chunks");

    // One whose length is announced is refused before it comes; its client hears of it when he has sent it.
    let refusals = refusals(&busy.server);
    let mut stream = busy.server.connect();
    stream
        .write_all(head("/invocations", "content-length: 100000").as_bytes())
        .unwrap();
    wait(|| self::refusals(&busy.server) > refusals);
    stream.write_all(broken(100_000).as_bytes()).unwrap();
    refused(&read_answer(&mut stream).unwrap(), "announced");
}

/// The worker that computes may be the one that waited for the sockets of all connections: that depends on who was quicker, so
/// that several servers are asked.
#[test]
fn while_one_worker_computes_for_long_the_others_answer() {
    for _ in 0..20 {
        let (server, _folder) = going_round();
        let _client = send(&server, "/invocations", FOR_EVER);
        // Those who were awake for it sleep again.
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(metric(&server, "modelsd_in_flight"), 1.0);
    }
}
