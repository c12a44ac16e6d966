//! A running server, black-box over a socket: routes, headers, limits, signals.

use std::io::{Read, Write};
use std::time::Duration;

use crate::support::{Server, modelsd, read_answer};

const IRIS: &str = "models:/iris/1";
const SEED: &str = r#"{"inputs": [[1, 2, 3, 4]]}"#;

fn iris(flags: &[&str]) -> Server {
    Server::start(IRIS, flags)
}

#[test]
fn the_seed_request_is_answered_with_predictions() {
    let server = iris(&[]);
    let answer = server.invoke(SEED);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        answer.text().starts_with(r#"{"predictions": {"#),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-model-name"), Some("iris"));
    assert_eq!(answer.header("x-model-version"), Some("1"));
    let timing = answer.header("server-timing").unwrap();
    for part in ["queue;dur=", "predict;dur=", "total;dur="] {
        assert!(timing.contains(part), "{timing}");
    }
}

#[test]
fn a_request_id_is_taken_over_or_made() {
    let server = iris(&[]);
    let headers = [("content-type", "application/json"), ("x-request-id", "order-17")];
    let answer = server.call("POST", "/invocations", &headers, SEED.as_bytes());
    assert_eq!(answer.header("x-request-id"), Some("order-17"));
    let (one, two) = (server.invoke(SEED), server.invoke("{"));
    assert_eq!(one.header("x-request-id").unwrap().len(), 36);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
}

#[test]
fn routes_answer_as_mlflows_server_does() {
    let server = iris(&[]);
    for path in ["/ping", "/health", "/ping?x=1"] {
        let answer = server.call("GET", path, &[], b"");
        assert_eq!((answer.status, answer.text().as_str()), (200, "\n"), "{path}");
    }
    let version = server.call("GET", "/version", &[], b"");
    assert_eq!(
        (version.status, version.text().as_str()),
        (200, env!("CARGO_PKG_VERSION"))
    );
    for path in ["/nope", "/v2/health/ready", "/nope/"] {
        let answer = server.call("GET", path, &[], b"");
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (404, r#"{"detail":"Not Found"}"#),
            "{path}"
        );
    }
    for (method, path, allow) in [
        ("POST", "/ping", "GET"),
        ("HEAD", "/ping", "GET"),
        ("OPTIONS", "/invocations", "POST"),
        ("GET", "/invocations", "POST"),
        ("PUT", "/invocations", "POST"),
    ] {
        let answer = server.call(method, path, &[], b"");
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allow)),
            "{method} {path}"
        );
    }
    let slash = server.call("POST", "/invocations/", &[], SEED.as_bytes());
    assert_eq!(slash.status, 307);
    assert_eq!(
        slash.header("location"),
        Some(format!("http://{}/invocations", server.address).as_str())
    );
}

#[test]
fn bodies_that_are_no_request_get_a_clear_error_and_harm_nothing() {
    let server = iris(&["--max-body-bytes", "64KiB"]);
    let deep = format!(r#"{{"inputs": {}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let deep = &deep[..60_000];
    let nested = format!(r#"{{"inputs": {}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let cases: &[(&[u8], u16, &str)] = &[
        (b"", 400, "Expecting value: line 1 column 1 (char 0)"),
        (b"{", 400, "Expecting property name enclosed in double quotes"),
        (b"\xff\xfe\xfd\x00\x01", 400, "Invalid input"),
        (&[0; 1000], 400, "Invalid input"),
        (b"[[1]]", 400, "Received a list"),
        (deep.as_bytes(), 400, "deep"),
        (nested.as_bytes(), 400, "deep"),
        (&[b' '; 70_000], 413, "--max-body-bytes"),
    ];
    for (body, status, words) in cases {
        let headers = [("content-type", "application/json")];
        let answer = server.call("POST", "/invocations", &headers, body);
        let start = String::from_utf8_lossy(&body[..body.len().min(40)]);
        assert_eq!(answer.status, *status, "{start}: {}", answer.text());
        let error = answer.json();
        assert!(
            error["message"].as_str().unwrap().contains(words),
            "{start}: {error}"
        );
        assert!(
            error["error_code"].is_string() && error["sqlstate"].is_string(),
            "{error}"
        );
        assert_eq!(server.invoke(SEED).status, 200, "after {start}");
    }
}

#[test]
fn a_chunked_body_is_read_and_bounded() {
    let server = iris(&["--max-body-bytes", "64KiB"]);
    let head = "POST /invocations HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let (one, two) = SEED.split_at(10);
    let chunks = format!(
        "{head}{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
        one.len(),
        two.len()
    );
    assert_eq!(server.raw(chunks.as_bytes()).text(), server.invoke(SEED).text());
    let endless = format!(
        "{head}{}0\r\n\r\n",
        format!("1000\r\n{}\r\n", " ".repeat(0x1000)).repeat(40)
    );
    assert_eq!(server.raw(endless.as_bytes()).status, 413);
}

#[test]
fn a_body_that_is_too_long_takes_no_place_while_the_rest_of_it_is_awaited() {
    let server = iris(&["--max-body-bytes", "64KiB", "--max-in-flight", "1"]);
    let head = "POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ";
    let begin = |length: usize| {
        let mut stream = server.connect();
        stream
            .write_all(format!("{head}{length}\r\n\r\n{{").as_bytes())
            .unwrap();
        stream
    };
    let becomes = |status: u16| (0..500).any(|_| server.invoke(SEED).status == status);
    // The control: a body within the limit has the only place until it is there. Unless it comes just while a request is
    // answered, and is refused itself.
    let takes_the_place = || {
        let awaited = begin(1000);
        let refused = (0..50).any(|_| server.invoke(SEED).status == 503);
        refused.then_some(awaited)
    };
    assert!((0..50).any(|_| takes_the_place().is_some()));
    assert!(becomes(200));
    let mut refused = begin(100_000);
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(server.invoke(SEED).status, 200);
    }
    assert_eq!(read_answer(&mut refused).unwrap().status, 413);
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let server = iris(&["--max-header-bytes", "8KiB"]);
    let answer = server.call("GET", "/ping", &[("x-long", &"a".repeat(10_000))], b"");
    assert_eq!(answer.status, 431);
    assert_eq!(server.invoke(SEED).status, 200);
}

#[test]
fn what_is_not_http_harms_nothing() {
    let server = iris(&[]);
    let mut stream = server.connect();
    stream.write_all(b"\x16\x03\x01 hello there\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(server.invoke(SEED).status, 200);
}

#[test]
fn a_client_that_sends_too_slowly_is_let_go() {
    let server = iris(&["--client-timeout", "0.3"]);
    let mut slow_body = server.connect();
    slow_body
        .write_all(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
        .unwrap();
    assert_eq!(read_answer(&mut slow_body).unwrap().status, 408);
    let mut slow_head = server.connect();
    slow_head
        .write_all(b"POST /invocations HTTP/1.1\r\nhost: x\r\n")
        .unwrap();
    assert!(read_answer(&mut slow_head).is_none_or(|answer| answer.status == 408));
    assert_eq!(server.invoke(SEED).status, 200);
}

#[test]
fn large_bodies_that_come_slowly_hold_up_nobody() {
    // Sixteen large bodies are read at once.
    let server = iris(&["--threads", "1", "--client-timeout", "60"]);
    let rows = vec!["[5.1, 3.5, 1.4, 0.2]"; 5_000].join(", ");
    let body = format!("{{\"inputs\": [{rows}]}}");
    let head = format!(
        "POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{{",
        body.len()
    );
    let mut slow: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for stream in &mut slow {
        stream.write_all(head.as_bytes()).unwrap();
    }
    while !server
        .metrics()
        .lines()
        .any(|line| line == "modelsd_in_flight 40")
    {
        std::thread::sleep(Duration::from_millis(2));
    }
    let quick = server.invoke(&body);
    assert_eq!(quick.status, 200, "{}", quick.text());
    for stream in &mut slow {
        stream.write_all(&body.as_bytes()[1..]).unwrap();
        let answer = read_answer(stream).unwrap();
        assert_eq!(
            (answer.status, answer.body == quick.body),
            (200, true),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn beyond_the_limit_of_requests_in_flight_is_503_with_retry_after() {
    let server = iris(&["--max-in-flight", "1"]);
    let mut holder = server.connect();
    let head = format!(
        "POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        SEED.len()
    );
    holder.write_all(head.as_bytes()).unwrap();
    // The permit is taken when the head has been read, which the gauge shows.
    while !server.metrics().lines().any(|line| line == "modelsd_in_flight 1") {
        std::thread::sleep(Duration::from_millis(2));
    }
    let refused = server.invoke(SEED);
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1")),
        "{}",
        refused.text()
    );
    assert_eq!(server.call("GET", "/ping", &[], b"").status, 200);
    holder.write_all(SEED.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut holder).unwrap().status, 200);
    assert_eq!(server.invoke(SEED).status, 200);
    assert!(
        server
            .metrics()
            .contains(r#"modelsd_rejected_total{kind="overloaded"} 1"#)
    );
}

#[test]
fn a_request_over_its_time_limit_is_504_in_mlflows_words() {
    let mut command = modelsd();
    command.env("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "0.001");
    let server = Server::start_with(command, IRIS, &[]);
    let rows = vec!["[1.5, 2.5, 3.5, 4.5]"; 200_000].join(", ");
    let answer = server.invoke(&format!(r#"{{"inputs": [{rows}]}}"#));
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (504, "Request processing time exceeded limit")
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(server.call("GET", "/ping", &[], b"").status, 200);
}

#[test]
fn requests_on_one_connection_are_answered_in_order() {
    let server = iris(&[]);
    let mut stream = server.connect();
    let request = |id: &str| {
        format!(
            "POST /invocations HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{SEED}",
            SEED.len()
        )
    };
    let last = request("three").replace("host: x\r\n", "host: x\r\nconnection: close\r\n");
    stream
        .write_all((request("one") + &request("two") + &last).as_bytes())
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let ids: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("x-request-id: "))
        .map(str::trim)
        .collect();
    assert_eq!(ids, ["one", "two", "three"]);
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_exits_0() {
    let server = iris(&[]);
    let mut stream = server.connect();
    let (one, two) = SEED.split_at(7);
    let head = format!(
        "POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{one}",
        SEED.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    while !server.metrics().lines().any(|line| line == "modelsd_in_flight 1") {
        std::thread::sleep(Duration::from_millis(2));
    }
    server.terminate();
    while std::net::TcpStream::connect(&server.address).is_ok() {
        std::thread::sleep(Duration::from_millis(2));
    }
    stream.write_all(two.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 200);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn sigterm_does_not_wait_beyond_its_grace() {
    let server = iris(&["--shutdown-grace", "0.2"]);
    let mut stream = server.connect();
    stream
        .write_all(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
        .unwrap();
    while !server.metrics().lines().any(|line| line == "modelsd_in_flight 1") {
        std::thread::sleep(Duration::from_millis(2));
    }
    server.terminate();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("did not end within the grace time"), "{log}");
}

#[test]
fn every_prediction_is_measured() {
    let server = iris(&[]);
    server.invoke(SEED);
    server.invoke(r#"{"inputs": [[1, 2, 3, 4], [4, 3, 2, 1]]}"#);
    server.invoke(r#"{"inputs": [[1, 2, 3]]}"#);
    let metrics = server.metrics();
    for line in [
        r#"modelsd_requests_total{route="iris",model="iris",version="1",outcome="ok"} 2"#,
        r#"modelsd_rows_total{route="iris",model="iris",version="1",outcome="ok"} 3"#,
        r#"modelsd_requests_total{route="iris",model="iris",version="1",outcome="schema_violation"} 1"#,
        r#"modelsd_rejected_total{kind="schema_violation"} 1"#,
        r#"modelsd_prediction_seconds_count{route="iris",model="iris",version="1",outcome="ok"} 2"#,
        r#"modelsd_prediction_seconds_bucket{route="iris",model="iris",version="1",outcome="ok",le="+Inf"} 2"#,
        r#"modelsd_stage_seconds_count{route="iris",model="iris",version="1",stage="predict"} 2"#,
        r#"modelsd_stage_seconds_count{route="iris",model="iris",version="1",stage="decode"} 3"#,
        r#"modelsd_serving_version{slot="iris",model="iris",version="1"} 1"#,
        "modelsd_in_flight 0",
    ] {
        assert!(
            metrics.lines().any(|got| got == line),
            "no `{line}` in:\n{metrics}"
        );
    }
    assert!(metrics.contains(r#"le="0.00001""#), "{metrics}");
}

#[test]
fn a_bad_configuration_exits_64_with_every_problem() {
    let output = modelsd()
        .args(["serve", "-m", "models:/iris", "--port", "x", "--engine", "gpu"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{text}");
    for words in ["models:/iris", "--port", "gpu"] {
        assert!(text.contains(words), "{text}");
    }
    let unknown = modelsd().args(["serve", "--no-such-flag"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(64));
}

#[test]
fn a_model_that_cannot_be_served_says_why_in_plain_words() {
    for (model, wanted) in [
        ("models:/nope/1", "iris"),
        ("models:/iris/99", "1, 2"),
        ("models:/iris@nope", "champion"),
        ("./no-such-folder", "no-such-folder"),
    ] {
        let output = modelsd()
            .args(["serve", "-m", model, "--port", "0"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{model}: {text}");
        assert!(text.contains(wanted), "{model}: {text}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let server = iris(&[]);
    let port = server.address.rsplit(':').next().unwrap();
    let output = modelsd()
        .args(["serve", "-m", IRIS, "--port", port])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{text}"
    );
}

#[test]
fn predict_answers_from_a_file_as_the_server_does() {
    let server = iris(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.json"), folder.path().join("out.json"));
    std::fs::write(&input, SEED).unwrap();
    let run = modelsd()
        .args(["predict", "-m", IRIS, "-i"])
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(
        std::fs::read_to_string(&output).unwrap(),
        server.invoke(SEED).text()
    );
    std::fs::write(&input, "{").unwrap();
    let run = modelsd()
        .args(["predict", "-m", IRIS, "-i"])
        .arg(&input)
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
}

#[test]
fn inspect_shows_what_a_model_is() {
    let run = modelsd()
        .args(["inspect", "models:/iris/Production", "--json"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let shown: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let text = shown.to_string();
    for words in ["iris", "onnx", "float32", "sha256"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let run = modelsd()
        .args(["inspect", "models:/iris/Production"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&run.stdout).contains("iris"));
}
