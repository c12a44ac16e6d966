//! Traces of requests: what collectors are sent, read by OpenTelemetry's own messages, and by MLflow.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::collector::{Collector, Rotel};
use super::server::{MlflowServer, Options, Python, Store, free_port};
use crate::support::{Server, modelsd};

const IRIS: &str = r#"{"inputs": [[5.125, 3.5, 1.4, 0.2]]}"#;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A server of `iris` with these variables of OpenTelemetry, which sends spans soon.
fn tracing(env: &[(&str, &str)], flags: &[&str]) -> Server {
    let mut command = modelsd();
    command.env("OTEL_BSP_SCHEDULE_DELAY", "50");
    for (name, value) in env {
        command.env(format!("OTEL_{name}"), value);
    }
    Server::start_with(command, "models:/iris/1", flags)
}

fn predict(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
    let headers = [&[("content-type", "application/json")], headers].concat();
    server.call("POST", path, &headers, body.as_bytes()).status
}

/// What a counter of a sink has come to.
fn counted(server: &Server, name: &str, labels: &str) -> u64 {
    let metrics = server.metrics();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}{{{labels}}} ")));
    line.map_or(0, |count| count.parse().unwrap())
}

fn taken(server: &Server) -> u64 {
    counted(server, "modelsd_records_total", "sink=\"otlp\"")
}

fn dropped(server: &Server, reason: &str) -> u64 {
    let labels = format!("reason=\"{reason}\",sink=\"otlp\"");
    counted(server, "modelsd_records_dropped_total", &labels)
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(120), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_request_is_a_span_below_that_of_its_caller() {
    let collector = Collector::start();
    let env = [
        ("EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hidden,x-team=ml"),
        ("EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("SERVICE_NAME", "iris"),
        ("RESOURCE_ATTRIBUTES", "deployment.environment.name=tests"),
    ];
    let server = tracing(
        &env,
        &["--otlp-endpoint", &collector.url(), "--log-level", "debug"],
    );
    let caller = format!("00-{TRACE}-{SPAN}-01");
    let traced = [
        ("traceparent", caller.as_str()),
        ("tracestate", "rojo=1,congo=t61"),
    ];
    assert_eq!(predict(&server, "/invocations", &traced, IRIS), 200);
    // Who does not record has his way.
    let unsampled = format!("00-{TRACE}-{SPAN}-00");
    let headers = [("traceparent", unsampled.as_str())];
    assert_eq!(predict(&server, "/invocations", &headers, IRIS), 200);
    let own_id = [("x-request-id", "mine"), ("tracestate", "of=nothing")];
    assert_eq!(predict(&server, "/models/iris/invocations", &own_id, "{"), 400);
    assert_eq!(
        predict(&server, "/predict", &[], r#"{"0": 1, "1": 2, "2": 3, "3": 4}"#),
        200
    );
    until("three requests", || collector.roots().len() == 3);

    let spans = collector.seen("spans");
    let of = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
    let root = of("POST /invocations");
    for (key, expected) in [
        ("trace", json!(TRACE)),
        ("parent", json!(SPAN)),
        ("state", json!("rojo=1,congo=t61")),
        // Recorded, and from another process.
        ("flags", json!(0x301)),
        ("status", json!(0)),
        ("scope", json!("modelsd")),
    ] {
        assert_eq!(root[key], expected, "{key}: {root:#}");
    }
    for (key, expected) in [
        ("http.request.method", json!("POST")),
        ("http.route", json!("/invocations")),
        ("http.response.status_code", json!(200)),
        ("http.request.body.size", json!(IRIS.len())),
        ("modelsd.model", json!("iris")),
        ("modelsd.version", json!("1")),
        ("modelsd.route", json!("iris")),
        ("modelsd.rows", json!(1)),
    ] {
        assert_eq!(root["attributes"][key], expected, "{key}: {root:#}");
    }
    assert_eq!(root["resource"]["service.name"], "iris");
    assert_eq!(root["resource"]["deployment.environment.name"], "tests");
    let stages: Vec<&Value> = spans
        .iter()
        .filter(|span| span["parent"] == root["span"])
        .collect();
    let names: Vec<&str> = stages.iter().filter_map(|span| span["name"].as_str()).collect();
    assert!(
        ["decode", "predict", "encode"]
            .iter()
            .all(|stage| names.contains(stage)),
        "{names:?}"
    );
    let between = |span: &Value| {
        let time = |of: &Value, key: &str| of[key].as_u64().unwrap();
        time(root, "start") <= time(span, "start") && time(span, "start") < time(span, "end")
    };
    for stage in stages {
        assert_eq!((&stage["trace"], &stage["flags"]), (&json!(TRACE), &json!(0x101)));
        assert!(between(stage), "{stage:#} of {root:#}");
    }

    let failed = of("POST /models/{name}/invocations");
    assert_eq!((&failed["parent"], &failed["state"]), (&json!(""), &json!("")));
    assert_eq!(
        (&failed["status"], &failed["message"]),
        (&json!(2), &json!("invalid_input"))
    );
    assert_eq!(failed["attributes"]["http.response.status_code"], 400);
    assert_eq!(failed["attributes"]["error.type"], "invalid_input");
    assert_eq!(failed["attributes"]["modelsd.request_id"], "mine");
    let flat = of("POST /predict");
    assert_ne!(flat["trace"], failed["trace"]);
    // Nobody was told an id, and nothing of the values is told.
    let all = json!(spans).to_string();
    assert!(!all.contains("prediction_id") && !all.contains("5.125"), "{all}");
    until("all counted", || taken(&server) == spans.len() as u64);

    for request in collector.seen("requests") {
        assert_eq!(request["path"], "/v1/traces");
        let headers = &request["headers"];
        assert_eq!(
            (&headers["authorization"], &headers["x-team"]),
            (&json!("Bearer hidden"), &json!("ml"))
        );
        assert_eq!(headers["content-encoding"], "gzip");
    }
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success() && !log.contains("hidden"), "{log}");
}

/// Whether as many came as chance makes of so many with that share: chi squared with one degree of freedom, which exceeds 37
/// once in a thousand million times.
fn is_likely(came: usize, of: usize, share: f64) -> bool {
    let (came, of) = (came as f64, of as f64);
    let difference = came - of * share;
    difference * difference <= 37.0 * of * share * (1.0 - share)
}

#[test]
fn samples_of_traces_and_of_records_are_apart() {
    const REQUESTS: usize = 400;
    let collector = Collector::start();
    let folder = tempfile::tempdir().unwrap();
    let record = format!("jsonl:{}", folder.path().display());
    let (url, own) = (collector.url(), format!("{}/own", collector.url()));
    let env = [
        ("EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("EXPORTER_OTLP_TRACES_ENDPOINT", &own),
        ("TRACES_SAMPLER", "parentbased_traceidratio"),
        ("TRACES_SAMPLER_ARG", "0.3"),
    ];
    let server = tracing(
        &env,
        &[
            "--record",
            &record,
            "--record-share",
            "0.6",
            "--record-drop",
            "trace_id",
        ],
    );
    for _ in 0..REQUESTS {
        assert_eq!(predict(&server, "/invocations", &[], IRIS), 200);
    }
    // The caller's decision comes before any share. Its span is the last to come.
    let caller = format!("00-{TRACE}-{SPAN}-01");
    for _ in 0..20 {
        assert_eq!(
            predict(&server, "/invocations", &[("traceparent", &caller)], IRIS),
            200
        );
    }
    let of_caller = |roots: &[Value]| roots.iter().filter(|root| root["trace"] == TRACE).count();
    until("the caller's", || of_caller(&collector.roots()) == 20);
    let roots = collector.roots();
    assert!(is_likely(roots.len() - 20, REQUESTS, 0.3), "{}", roots.len());
    assert_eq!(collector.seen("requests")[0]["path"], "/own");
    server.terminate();
    assert!(server.wait().0.success());

    let lines = std::fs::read_dir(folder.path()).unwrap().map(|file| {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.collect::<Vec<_>>()
    });
    let lines: Vec<Value> = lines.flatten().collect();
    assert!(is_likely(lines.len(), REQUESTS + 20, 0.6), "{}", lines.len());
    assert!(
        lines
            .iter()
            .all(|line| line["outputs"].is_object() || line["outputs"].is_array()),
        "{:#}",
        lines[0]
    );
    assert!(
        lines.iter().all(|line| line["trace_id"].is_null()),
        "{:#}",
        lines[0]
    );
    // Of each that is both, the two name the same prediction; some are only one of them.
    let ids = |of: &[Value], key: fn(&Value) -> &Value| -> std::collections::BTreeSet<String> {
        of.iter()
            .filter_map(|one| key(one).as_str().map(str::to_owned))
            .collect()
    };
    let recorded = ids(&lines, |line| &line["prediction_id"]);
    let traced = ids(&roots, |root| &root["attributes"]["modelsd.prediction_id"]);
    let both = recorded.intersection(&traced).count();
    assert_eq!(both, traced.len(), "every id that a span has is recorded");
    assert!(both > 0 && both < recorded.len() && both < roots.len());
}

#[test]
fn requests_do_not_wait_for_a_collector_that_is_away() {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let env = [
        ("EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("BSP_MAX_QUEUE_SIZE", "50"),
        ("BSP_MAX_EXPORT_BATCH_SIZE", "5"),
        ("TRACES_SAMPLER", "always_on"),
    ];
    let server = tracing(&env, &[]);
    let caller = format!("00-{TRACE}-{SPAN}-00");
    for _ in 0..40 {
        assert_eq!(
            predict(&server, "/invocations", &[("traceparent", &caller)], IRIS),
            200
        );
    }
    until("more than may wait", || dropped(&server, "queue_full") > 0);
    assert_eq!((taken(&server), dropped(&server, "sink_failed")), (0, 0));
    // What waited comes when the collector is there, whole requests and no span more than may wait.
    let collector = Collector::at(port);
    until("what waited", || {
        taken(&server) > 0 && taken(&server) == collector.seen("spans").len() as u64
    });
    until("all", || {
        taken(&server) + dropped(&server, "queue_full") >= 40 * 4
    });
    let came = collector.seen("spans").len();
    assert!((4..=50).contains(&came), "{came}");
    assert_eq!(predict(&server, "/invocations", &[], IRIS), 200);
    until("later ones", || collector.seen("spans").len() > came);
    server.terminate();
    let (status, log) = server.wait();
    let told = |text: &str| log.matches(text).count();
    assert!(status.success());
    assert_eq!(told("traces do not get to the collector"), 1, "{log}");
    assert_eq!(told("traces get to the collector again"), 1, "{log}");
    // The end counts requests, not their spans.
    let end = log
        .lines()
        .find(|line| line.contains("the record lacks predictions"));
    let end: Value = serde_json::from_str(end.unwrap()).unwrap();
    assert_eq!(end["dropped"], 41 - collector.roots().len(), "{log}");
}

#[test]
fn only_what_may_pass_is_sent_again_and_not_too_soon() {
    let collector = Collector::start();
    let url = collector.url();
    let env = [
        ("EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("EXPORTER_OTLP_HEADERS", "x-key=hidden-key"),
    ];
    let server = tracing(&env, &[]);
    let statuses = || -> Vec<u64> {
        let requests = collector.seen("requests");
        requests
            .iter()
            .map(|request| request["status"].as_u64().unwrap())
            .collect()
    };
    collector.will_answer(
        json!([{"status": 503, "retry_after": "2"}, {"status": 429}, {"status": 502}, {"status": 504}]),
    );
    assert_eq!(predict(&server, "/invocations", &[], IRIS), 200);
    until("the fifth time", || taken(&server) > 0);
    assert_eq!(statuses(), [503, 429, 502, 504, 200]);
    let requests = collector.seen("requests");
    let time = |number: usize| requests[number]["time"].as_f64().unwrap();
    assert!(time(1) - time(0) >= 2.0, "sent again before it was asked to");
    let spans = taken(&server);
    assert_eq!(
        collector.seen("spans").len() as u64,
        spans,
        "what is sent again came once"
    );

    // Others are refusals for ever. What the collector says is told, but not what it was told.
    collector.will_answer(json!([{"status": 400, "text": "bad hidden-key here"}]));
    assert_eq!(predict(&server, "/invocations", &[], IRIS), 200);
    until("a loss", || dropped(&server, "sink_failed") == spans);
    collector.will_answer(json!([{"rejected": 1}]));
    assert_eq!(predict(&server, "/invocations", &[], IRIS), 200);
    until("a part of a loss", || {
        dropped(&server, "sink_failed") == spans + 1
    });
    assert_eq!(taken(&server), 2 * spans - 1);
    assert_eq!(statuses()[5..], [400, 200]);
    server.terminate();
    let (_, log) = server.wait();
    assert!(
        log.contains("answers 400: bad *** here") && !log.contains("hidden"),
        "{log}"
    );
    assert!(log.contains("some are too old"), "{log}");
}

#[test]
fn what_cannot_be_is_refused_before_the_start() {
    let output = modelsd()
        .args(["serve", "-m", "models:/iris/1", "--port", "0"])
        .args(["--otlp-endpoint", "http://me:hidden@127.0.0.1:4317"])
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env("OTEL_TRACES_SAMPLER", "jaeger_remote")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "a b=hidden")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    for named in [
        "OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`",
        "OTEL_TRACES_SAMPLER is",
        "`a b` is no name of a header",
    ] {
        assert!(said.contains(named), "{said}");
    }
    assert!(!said.contains("hidden"), "{said}");
}

#[test]
fn traces_get_to_mlflow_directly_and_through_a_collector() {
    let store = Store::new();
    let mlflow = MlflowServer::start(&store, &Options::default());
    let mut python = Python::start(&mlflow.url, &[]);
    let mut experiment = |name: &str| python.ask("create_experiment", json!({ "name": name }));
    let (direct, through) = (experiment("direct"), experiment("through"));
    let header = |id: &Value| format!("x-mlflow-experiment-id={}", id.as_str().unwrap());

    let rotel = Rotel::start(&mlflow.url, &header(&through));

    let of_mlflow = header(&direct);
    let servers = [
        tracing(
            &[("EXPORTER_OTLP_HEADERS", of_mlflow.as_str())],
            &["--otlp-endpoint", &mlflow.url],
        ),
        tracing(
            &[("EXPORTER_OTLP_COMPRESSION", "gzip")],
            &["--otlp-endpoint", &rotel.url],
        ),
    ];
    for (server, experiment) in servers.iter().zip(["direct", "through"]) {
        assert_eq!(predict(server, "/invocations", &[], IRIS), 200);
        assert_eq!(predict(server, "/invocations", &[], "{"), 400);
        let mut found = Vec::new();
        let began = Instant::now();
        while found.len() < 2 {
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "{experiment}: {found:#?}"
            );
            let traces = python.ask("traces", json!({ "experiment": experiment }));
            found = traces.as_array().unwrap().clone();
        }
        let failed = found.iter().filter(|trace| trace["state"] == "ERROR").count();
        assert_eq!(failed, 1, "{experiment}: {found:#?}");
        for trace in &found {
            let spans = trace["spans"].as_array().unwrap();
            assert_eq!(
                (&spans[0][0], &spans[0][1]),
                (&json!("POST /invocations"), &json!(true))
            );
            assert!(
                spans.iter().any(|span| span[0] == "decode" && span[1] == false),
                "{spans:?}"
            );
            assert!(
                trace["inputs"].is_null() && trace["outputs"].is_null(),
                "{trace:#}"
            );
        }
    }
}

#[test]
fn what_is_asked_of_mlflow_for_a_request_is_in_its_trace() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let registry = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heads);
    // A server that has nothing, and notes who asks.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            noted.lock().unwrap().push(head.to_lowercase());
            let _ = stream
                .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
        }
    });
    let caller = format!("00-{TRACE}-{SPAN}-01");
    let headers = [
        ("traceparent", caller.as_str()),
        ("tracestate", "rojo=1"),
        ("x-mine", "mine"),
    ];
    for (endpoint, expected) in [(Some("http://127.0.0.1:9"), true), (None, false)] {
        let env: Vec<_> = endpoint
            .iter()
            .map(|url| ("EXPORTER_OTLP_ENDPOINT", *url))
            .collect();
        let mut command = modelsd();
        command.envs(env.iter().map(|(name, value)| (format!("OTEL_{name}"), value)));
        let server = Server::start_with(command, "flower=models/iris/1", &["--registry", &registry]);
        server.call("GET", "/api/mlflow/runs/12", &headers, b"");
        let asked = || {
            let heads = heads.lock().unwrap();
            let mut heads = heads.iter().filter(|head| head.contains("runs/get"));
            heads.next_back().cloned()
        };
        until("the question", || asked().is_some());
        let asked = asked().unwrap();
        assert_eq!(
            asked.contains(&format!("traceparent: {caller}\r\n")),
            expected,
            "{asked}"
        );
        assert_eq!(asked.contains("tracestate: rojo=1\r\n"), expected, "{asked}");
        assert!(!asked.contains("mine"), "{asked}");
        heads.lock().unwrap().clear();
    }
}
