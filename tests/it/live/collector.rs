//! Collectors of traces: one that reads them by OpenTelemetry's own messages and answers as it is told to, and one that people
//! use.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::server::{Group, clean, free_port, python};
use crate::support::{read_answer, repository};

/// `tests/live/collector.py`, running.
pub struct Collector {
    port: u16,
    _process: Group,
}

impl Collector {
    /// Starts it.
    pub fn start() -> Collector {
        Collector::at(free_port())
    }

    /// Starts it at this port.
    pub fn at(port: u16) -> Collector {
        let mut command = clean(&python());
        command
            .arg(repository("tests/live/collector.py"))
            .arg(port.to_string())
            .stderr(Stdio::null());
        let (process, said) = Group::with_output(&mut command);
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "listening");
        Collector {
            port,
            _process: process,
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: c\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(head.as_bytes()).unwrap();
        read_answer(&mut stream).unwrap().json()
    }

    /// What it is to answer first.
    pub fn will_answer(&self, answers: Value) {
        self.ask("POST", "/answers", &answers.to_string());
    }

    /// What it took.
    pub fn seen(&self, what: &str) -> Vec<Value> {
        self.ask("GET", "/seen", "")[what].as_array().unwrap().clone()
    }

    /// The spans of requests, without those of stages.
    pub fn roots(&self) -> Vec<Value> {
        let mut spans = self.seen("spans");
        spans.retain(|span| span["kind"] == 2);
        spans
    }
}

/// Rotel, running: it receives traces, batches them, and exports what it got.
pub struct Rotel {
    /// Its address.
    pub url: String,
    _process: Group,
}

impl Rotel {
    /// Starts it; it exports to this address with a header, `NAME=VALUE`.
    pub fn start(to: &str, header: &str) -> Rotel {
        let within = "import os, rotel; print(os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'))";
        let found = clean(&python()).args(["-c", within]).output().unwrap();
        let said = String::from_utf8_lossy(&found.stderr);
        assert!(found.status.success(), "{said}");
        let program = String::from_utf8(found.stdout).unwrap();
        let [grpc, http] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let mut command = clean(Path::new(program.trim()));
        command.arg("start");
        for (flag, value) in [
            ("grpc-endpoint", grpc.as_str()),
            ("http-endpoint", &http),
            ("exporter-protocol", "http"),
            ("exporter-endpoint", to),
            ("exporter-custom-headers", header),
        ] {
            command.args([&format!("--otlp-{flag}"), value]);
        }
        command.args(["--exporter", "otlp"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Group::start(&mut command);
        let began = Instant::now();
        while TcpStream::connect(&http).is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "the collector does not start"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Rotel {
            url: format!("http://{http}"),
            _process: process,
        }
    }
}
