//! Collectors of traces that speak TLS and want to know who comes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::certificates::Authority;
use crate::live::server::{Group, clean, free_port, python};
use crate::support::{Server, modelsd, repository};

/// A server that traces to that port over TLS, with these variables.
fn tracing(port: u16, env: &[(&str, &str)]) -> Server {
    let mut command = modelsd();
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://localhost:{port}"))
        .env("OTEL_BSP_SCHEDULE_DELAY", "0");
    for (name, value) in env {
        command.env(format!("OTEL_EXPORTER_OTLP_{name}"), value);
    }
    Server::start_with(command, "models:/iris/1", &[])
}

/// What became of the spans of one request: how many got there, and how many were lost.
fn traced(server: &Server) -> (u64, u64) {
    assert_eq!(server.invoke(r#"{"inputs": [[1, 2, 3, 4]]}"#).status, 200);
    let counted = |start: &str| -> u64 {
        let metrics = server.metrics();
        let line = metrics.lines().find_map(|line| line.strip_prefix(start));
        line.map_or(0, |count| count.parse().unwrap())
    };
    let began = Instant::now();
    loop {
        let taken = counted("modelsd_records_total{sink=\"otlp\"} ");
        let lost = counted("modelsd_records_dropped_total{reason=\"sink_failed\",sink=\"otlp\"} ");
        if taken + lost > 0 {
            return (taken, lost);
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no span went anywhere");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_collector_is_trusted_by_its_authority_and_told_who_comes() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("collectors");
    let (theirs, ours) = (authority.sign(), authority.sign());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ca = file("ca.pem", &authority.pem);
    let (their_certificate, their_key) = (file("c.pem", &theirs.certificate), file("c.key", &theirs.key));
    let (certificate, key) = (file("m.pem", &ours.certificate), file("m.key", &ours.key));
    let port = free_port();
    let mut command = clean(&python());
    command
        .arg(repository("tests/live/collector.py"))
        .args([&port.to_string(), &their_certificate, &their_key, &ca])
        .stderr(Stdio::null());
    let (_process, said) = Group::with_output(&mut command);
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "listening");

    let known = [
        ("CERTIFICATE", ca.as_str()),
        ("CLIENT_CERTIFICATE", &certificate),
        ("CLIENT_KEY", &key),
    ];
    let (taken, lost) = traced(&tracing(port, &known));
    assert!(taken > 0 && lost == 0, "{taken} {lost}");

    // The system's authorities do not know it: what helps is told, and nothing is tried again.
    let server = tracing(port, &known[1..]);
    let (taken, lost) = traced(&server);
    assert!(taken == 0 && lost > 0, "{taken} {lost}");
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success());
    assert!(
        log.contains("name the PEM file of its authority in OTEL_EXPORTER_OTLP_CERTIFICATE"),
        "{log}"
    );
}
