//! What a busy model's line has no room for is refused by the length of its body, before anybody decodes it.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Answer, Server, read_answer};

const MLMODEL: &str = r#"
flavors:
  onnx: {data: model.onnx}
signature:
  inputs: '[{"type": "double", "name": "turns"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 1]}}]'
"#;

/// A field of bytes and a field of a number, as protobuf writes them.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    let length = match u8::try_from(length).unwrap_or(u8::MAX) {
        short @ 0..0x80 => vec![short],
        _ => vec![length as u8 | 0x80, (length >> 7) as u8],
    };
    [&[number << 3 | 2][..], &length, bytes].concat()
}

fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// An operator: the fields are those of `NodeProto` in onnx.proto.
fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs = inputs.iter().map(|input| field(1, input.as_bytes()));
    let ends = [field(2, output.as_bytes()), field(4, operator.as_bytes())];
    let attributes = attributes.iter().map(|attribute| field(5, attribute));
    inputs.chain(ends).chain(attributes).flatten().collect()
}

/// `AttributeProto.type` is field 20, whose key takes two bytes.
fn attribute(name: &str, value: &[u8], kind: u8) -> Vec<u8> {
    [&field(1, name.as_bytes())[..], value, &[0xa0, 0x01, kind]].concat()
}

/// A `ValueInfoProto` of an element type: 7 is a whole number, 9 a truth, 11 a double.
fn value(name: &str, element: u8, shape: &[u8]) -> Vec<u8> {
    let tensor = [number(1, element), field(2, shape)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

/// An ONNX graph that goes round as often as its input says and then answers with it.
fn turns() -> Vec<u8> {
    // `[n, 1]`: the first has a name, the second is a number.
    let column = [field(1, &field(2, b"n")), field(1, &number(1, 1))].concat();
    let round = [
        field(1, &node("Identity", &["go"], "go_on", &[])),
        field(1, &node("Identity", &["before"], "after", &[])),
        field(2, b"round"),
        field(11, &value("turn", 7, b"")),
        field(11, &value("go", 9, b"")),
        field(11, &value("before", 11, &column)),
        field(12, &value("go_on", 9, b"")),
        field(12, &value("after", 11, &column)),
    ]
    .concat();
    let graph = [
        field(
            1,
            &node(
                "ReduceMax",
                &["turns"],
                "most",
                &[attribute("keepdims", &number(3, 0), 2)],
            ),
        ),
        field(
            1,
            &node("Cast", &["most"], "count", &[attribute("to", &number(3, 7), 2)]),
        ),
        field(
            1,
            &node(
                "Loop",
                &["count", "", "turns"],
                "answer",
                &[attribute("body", &field(6, &round), 5)],
            ),
        ),
        field(2, b"turns"),
        field(11, &value("turns", 11, &column)),
        field(12, &value("answer", 11, &column)),
    ]
    .concat();
    [number(1, 8), field(7, &graph), field(8, &number(2, 13))].concat()
}

/// How long the server has for what it does at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server whose only predictor goes round for as long as the test lasts, with one row in line, and room for 99 more.
struct Busy {
    server: Server,
    _folder: TempDir,
    _clients: [TcpStream; 2],
}

impl Busy {
    fn start() -> Busy {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.onnx"), turns()).unwrap();
        fs::write(folder.path().join("MLmodel"), MLMODEL).unwrap();
        // The first call may run on the worker that read it.
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
        // One of the two has the predictor and the other waits for it; rows are of 29 bytes from now on.
        let clients = [(), ()].map(|()| send(&server, "/invocations", r#"{"inputs": {"turns": [1e15]}}"#));
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
