//! A real Prometheus with our configuration, and every question of the dashboard and the rules put to it while modelsd
//! answers, shadows, swaps and rejects.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{all_rules, dashboard, list, program, read, text};
use crate::house::{House, serving, status, wait_for, wait_for_version};
use crate::live::server::{Group, free_port};
use crate::support::{Server, golden_lines, repository};

/// Nothing here takes longer, unless it hangs. Other tests may have the cores meanwhile.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often modelsd is scraped and the rules are asked.
const INTERVAL: &str = "500ms";
/// Over what the dashboard takes rates.
const RATE_INTERVAL: &str = "10s";

/// A Prometheus of its own, ended when dropped.
struct Prometheus {
    _process: Group,
    address: String,
    folder: TempDir,
}

impl Prometheus {
    /// One with the configuration of `deploy/`, which scrapes this server, and more often.
    fn start(server: &Server) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let mut config = read("prometheus/prometheus.yml");
        let rules = repository("deploy/prometheus/rules.yml");
        for (from, to) in [
            ("15s", INTERVAL),
            ("127.0.0.1:5001", &server.address),
            ("- rules.yml", &format!("- {}", rules.display())),
        ] {
            assert!(config.contains(from), "{from}: {config}");
            config = config.replace(from, to);
        }
        let path = folder.path().join("prometheus.yml");
        fs::write(&path, config).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", path.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let prometheus = Prometheus {
            _process: Group::start(&mut command),
            address,
            folder,
        };
        let began = Instant::now();
        while prometheus
            .answer("/-/ready")
            .is_none_or(|(status, _)| status != 200)
        {
            assert!(began.elapsed() < PATIENCE, "Prometheus: {}", prometheus.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        prometheus
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Status and body; HTTP/1.0, so that the body comes in one piece and ends with the connection.
    fn answer(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.address).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The data of a question to its API, which must be well put.
    #[track_caller]
    fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let encoded = parameters
            .iter()
            .map(|(name, value)| {
                let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
                format!("{}={value}", utf8_percent_encode(name, NON_ALPHANUMERIC))
            })
            .collect::<Vec<_>>();
        let (_, body) = self
            .answer(&format!("{path}?{}", encoded.join("&")))
            .expect("an answer of Prometheus");
        let answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(answer["status"], "success", "{parameters:?}: {body}");
        answer["data"].clone()
    }

    /// What an expression is now.
    #[track_caller]
    fn query(&self, expression: &str) -> Value {
        self.ask("/api/v1/query", &[("query", expression)])
    }

    /// Whether an expression has a series with a number now.
    #[track_caller]
    fn has_data(&self, expression: &str) -> bool {
        let data = self.query(expression);
        assert_eq!(data["resultType"], "vector", "{expression}");
        let number = |series: &Value| series["value"][1].as_str()?.parse::<f64>().ok();
        list(&data["result"])
            .iter()
            .any(|series| number(series).is_some_and(f64::is_finite))
    }
}

/// What is chosen in the variables of the dashboard.
struct Choice<'a> {
    instance: &'a str,
    route: &'a str,
    variant: &'a str,
    model: &'a str,
    version: &'a str,
}

/// What Grafana puts for "All".
const ALL: Choice<'_> = Choice {
    instance: ".*",
    route: ".*",
    variant: ".*",
    model: ".*",
    version: ".*",
};

impl Choice<'_> {
    /// An expression as Grafana would send it.
    fn put_in(&self, expression: &str) -> String {
        [
            ("$__rate_interval", RATE_INTERVAL),
            ("$instance", self.instance),
            ("$route", self.route),
            ("$variant", self.variant),
            ("$model", self.model),
            ("$version", self.version),
        ]
        .iter()
        .fold(expression.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    }
}

/// A route with two variants and a shadow, whose version 2 has recorded answers; its configuration.
fn site(house: &House) -> PathBuf {
    let cases = golden_lines(&repository("tests/golden/bundled/iris-2.jsonl"));
    let cases = cases.iter().filter(|case| case["response"]["status"] == 200);
    let case = |case: &Value| {
        json!({
            "id": case["id"],
            "request": case["request"]["body"],
            "status": 200,
            "response": case["response"]["body"],
        })
    };
    // One is enough for a figure.
    let cases: Vec<String> = cases.take(1).map(|line| case(line).to_string() + "\n").collect();
    fs::write(house.registry().join("iris/2/cases.jsonl"), cases.concat()).unwrap();
    let config = house.folder.path().join("modelsd.toml");
    let routes = r#"
        [routes.iris.gate]
        requests = 4
        max_disagreement = 1
        max_latency_ratio = 100000
        watch = 0
        [routes.iris.variants]
        champion = { model = "models:/iris@champion", weight = 50 }
        challenger = { model = "models:/iris@challenger", weight = 50 }
        [routes.iris.shadows]
        trial = { model = "models:/iris/2", share = 1.0 }
    "#;
    fs::write(&config, routes).unwrap();
    config
}

/// Requests to both variants: good ones of twenty rows, bad ones, and ones whose client does not wait.
fn traffic(server: &Server) {
    let rows = vec![json!([5.1, 3.5, 1.4, 0.2]); 20];
    let good = json!({ "inputs": rows }).to_string();
    for variant in ["champion", "challenger"] {
        let send = |more: &[(&str, &str)], body: &str| {
            let headers = [("content-type", "application/json"), ("x-model-variant", variant)];
            server.call(
                "POST",
                "/invocations",
                &[&headers[..], more].concat(),
                body.as_bytes(),
            )
        };
        for _ in 0..4 {
            let answer = send(&[], &good);
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        assert_eq!(send(&[], "{").status, 400);
        // Too late, or refused at once because it would be.
        let late = send(&[("x-request-timeout-ms", "0.001")], &good);
        assert!([503, 504].contains(&late.status), "{}", late.text());
    }
}

/// A version of iris that has no model file.
fn broken(house: &House) -> String {
    let folder = house.folder.path().join("broken");
    crate::house::copy(&repository("models/iris/1"), &folder);
    fs::remove_file(Path::new(&folder).join("model.onnx")).unwrap();
    folder.display().to_string()
}

#[test]
fn every_question_of_the_dashboard_and_the_rules_has_an_answer() {
    let house = House::new(&["iris"]);
    let config = site(&house);
    let sink = format!("jsonl:{}", house.folder.path().join("records").display());
    let flags = [
        "--config",
        config.to_str().unwrap(),
        "--record",
        &sink,
        "--poll-interval",
        "0.5",
    ];
    let mut server = house.serve_any(&flags);
    for (slot, version) in [
        ("iris.champion", "1"),
        ("iris.challenger", "2"),
        ("iris.trial", "2"),
    ] {
        wait_for_version(&server, slot, version);
    }
    let prometheus = Prometheus::start(&server);
    traffic(&server);

    // A new version, and one that cannot be served.
    house.say("alias iris champion 2");
    wait_for("the gate lets it pass", || {
        traffic(&server);
        serving(&server, "iris.champion") == "2"
    });
    house.say(&format!("register iris {}", broken(&house)));
    house.say("alias iris challenger 3");
    wait_for("a rejection", || {
        !status(&server, "iris.challenger")["last_error"].is_null()
    });
    assert_eq!(serving(&server, "iris.challenger"), "2");

    let board = dashboard();
    let one = |variant| Choice {
        instance: &server.address,
        route: "iris",
        variant,
        model: "iris",
        version: "2",
    };
    let mut waits: Vec<(String, String)> = Vec::new();
    for (place, expression) in super::dashboard::expressions(&board) {
        let variant = if expression.contains("modelsd_shadow") {
            "trial"
        } else if expression.contains("modelsd_gate") {
            "champion"
        } else {
            "challenger"
        };
        waits.push((format!("{place}, all"), ALL.put_in(&expression)));
        waits.push((format!("{place}, {variant}"), one(variant).put_in(&expression)));
    }
    for rule in all_rules() {
        if let Some(name) = rule["record"].as_str() {
            waits.push((format!("rule {name}"), name.to_owned()));
        }
    }
    let rejected =
        r#"ALERTS{alertname="ModelsdVersionRejected", alertstate="firing", slot="iris.challenger"}"#;
    waits.push(("the alert".to_owned(), rejected.to_owned()));
    let began = Instant::now();
    while !waits.is_empty() {
        assert!(
            began.elapsed() < PATIENCE,
            "no data: {waits:#?}\n{}\n{}",
            server.metrics(),
            prometheus.log()
        );
        // Rates want a change between two scrapes.
        traffic(&server);
        waits.retain(|(_, expression)| !prometheus.has_data(expression));
    }

    for (name, selector, label) in super::dashboard::variable_queries(&board) {
        let path = format!("/api/v1/label/{label}/values");
        let values = prometheus.ask(&path, &[("match[]", &ALL.put_in(&selector))]);
        let values: Vec<&str> = list(&values).iter().map(text).collect();
        let wanted = match &*name {
            "instance" => vec![&*server.address],
            "variant" => vec!["challenger", "champion", "trial"],
            "version" => vec!["1", "2"],
            _ => vec!["iris"],
        };
        assert_eq!(values, wanted, "{name}");
    }

    let groups = prometheus.ask("/api/v1/rules", &[]);
    let rules: Vec<&Value> = list(&groups["groups"])
        .iter()
        .flat_map(|group| list(&group["rules"]))
        .collect();
    assert_eq!(rules.len(), all_rules().len());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    // A scrape may have taken too long on a busy machine.
    let is_missed = || prometheus.has_data(r#"ALERTS{alertname="ModelsdDown"}"#);
    wait_for("a scrape", || !is_missed());
    server.kill();
    wait_for("modelsd is missed", is_missed);
}
