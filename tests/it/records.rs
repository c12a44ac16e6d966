//! The record of predictions through a server: what it holds, and what is left of it when the process dies or the disk is
//! full.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Server, modelsd};

const BODY: &str = r#"{"inputs": [[1, 2, 3, 4], [5, 6, 7, 8]]}"#;

/// All files in a folder whose names end so.
fn files(folder: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().unwrap().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// The answer of `modelsd records`.
fn records(words: &[&str]) -> String {
    let output = modelsd().arg("records").args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn lines(dir: &Path) -> Vec<Value> {
    let text = records(&["export", dir.to_str().unwrap(), "--to", "-"]);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until it holds; the writer of records looks forty times a second.
fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn sink(kind: &str, dir: &Path) -> String {
    format!("{kind}:{}", dir.display())
}

#[test]
fn what_was_answered_is_recorded() {
    for kind in ["jsonl", "parquet"] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start("models:/iris/1", &["--record", &sink(kind, dir.path())]);
        let answer = server.invoke(BODY);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let predicted = answer.json();
        server.invoke("{");
        server.terminate();
        let (status, log) = server.wait();
        assert!(status.success(), "{log}");
        let lines = lines(dir.path());
        let good: Vec<&Value> = lines
            .iter()
            .filter(|line| !(line["error"].is_object() || line["error_kind"].is_string()))
            .collect();
        assert_eq!(good.len(), if kind == "jsonl" { 1 } else { 2 }, "{lines:#?}");
        assert_eq!(lines.len(), good.len() + 1, "{lines:#?}");
        for line in &good {
            assert_eq!(
                (line["model"].as_str(), line["version"].as_str()),
                (Some("iris"), Some("1"))
            );
            assert_eq!(line["rows"], 2);
            assert!(line["total_us"].as_f64().unwrap() > 0.0, "{line}");
        }
        if kind == "jsonl" {
            assert_eq!(good[0]["outputs"], predicted["predictions"]);
        }
        let stats = records(&["stats", dir.path().to_str().unwrap()]);
        let counted: Vec<&str> = stats.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(counted[2..7], ["iris", "1", "2", "2", "1"], "{stats}");
    }
}

#[test]
fn the_trace_of_a_request_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start("models:/iris/1", &["--record", &sink("jsonl", dir.path())]);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for header in [&format!("00-{trace}-00f067aa0ba902b7-01"), "none"] {
        let headers = [("content-type", "application/json"), ("traceparent", header)];
        let answer = server.call("POST", "/invocations", &headers, BODY.as_bytes());
        assert_eq!(answer.status, 200);
    }
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    let lines = lines(dir.path());
    assert_eq!(lines[0]["trace_id"], trace, "{lines:#?}");
    assert_eq!(lines[1].get("trace_id"), None);
}

#[test]
fn a_process_that_is_killed_leaves_whole_files() {
    let dir = tempfile::tempdir().unwrap();
    let (text, table) = (dir.path().join("text"), dir.path().join("table"));
    let flags = [
        "--record",
        &sink("jsonl", &text),
        "--record",
        &sink("parquet", &table),
    ];
    let mut server = Server::start("models:/iris/1", &flags);
    for _ in 0..20 {
        server.invoke(BODY);
    }
    // Rows of Parquet are in memory for five seconds.
    until("a row group", || {
        let partial = files(&table, ".parquet.partial");
        partial.iter().any(|path| path.metadata().unwrap().len() > 1_000)
    });
    for _ in 0..5 {
        server.invoke(BODY);
    }
    until("all lines", || {
        let partial = files(&text, ".jsonl.partial");
        let written = partial.iter().map(|path| std::fs::read_to_string(path).unwrap());
        written.map(|text| text.lines().count()).sum::<usize>() == 25
    });
    server.kill();
    // What the next server finds is finished, and reads.
    drop(Server::start("models:/iris/1", &flags));
    assert_eq!(lines(&text).len(), 25);
    assert_eq!(lines(&table).len(), 40);
}

#[test]
fn a_server_answers_though_nothing_can_be_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let program = modelsd();
    // Files may have 8 KiB and no more; a write beyond that fails as on a full disk, instead of ending the process.
    let mut command = Command::new("bash");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .current_dir(program.get_current_dir().unwrap())
        .stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let server = Server::start_with(
        command,
        "models:/iris/1",
        &["--record", &sink("jsonl", dir.path())],
    );
    let dropped = || {
        let metrics = server.metrics();
        let line = metrics.lines().find(|line| {
            line.starts_with("modelsd_records_dropped_total{reason=\"sink_failed\",sink=\"jsonl\"}")
        });
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
    };
    // A first line has room, whatever comes at once then.
    assert_eq!(server.invoke(BODY).status, 200);
    until("a line", || {
        let partial = files(dir.path(), ".jsonl.partial");
        partial.iter().any(|path| path.metadata().unwrap().len() > 0)
    });
    let mut asked = 1;
    while dropped().is_none_or(|dropped| dropped == 0.0) {
        assert_eq!(server.invoke(BODY).status, 200);
        asked += 1;
        assert!(asked < 5_000);
    }
    assert_eq!(server.invoke(BODY).status, 200);
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    let mut written = 0;
    for path in files(dir.path(), ".jsonl") {
        let text = std::fs::read_to_string(path).unwrap();
        for line in text.lines() {
            serde_json::from_str::<Value>(line).unwrap();
            written += 1;
        }
    }
    // The last word on it, when there are no metrics any more.
    let lost = lost(&log);
    assert!(written > 0 && lost > 0, "{written} {lost}");
    assert_eq!(written + lost, asked + 1, "{log}");
}

/// What the log of a server that has ended says of predictions that were lost.
fn lost(log: &str) -> u64 {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut told = lines.filter(|line| line["message"] == "the record lacks predictions");
    told.next().map_or(0, |line| line["dropped"].as_u64().unwrap())
}

#[test]
fn what_is_left_out_of_files_is_not_counted_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("modelsd.toml");
    let routes = "[routes.iris]\nrecord = 0.3\nvariants.a = { model = 'models:/iris/1' }\n\
                  [routes.not]\nrecord = 0\nvariants.a = { model = 'models:/iris/2' }\n";
    std::fs::write(&config, routes).unwrap();
    let records = dir.path().join("records");
    let sink = sink("jsonl", &records);
    let flags = ["--registry", "./models", "--config", config.to_str().unwrap()];
    let server = Server::start_any(modelsd(), &[&flags[..], &["--record", &sink]].concat());
    until("both routes", || {
        server.call("GET", "/health/ready", &[], b"").status == 200
    });
    let ask = |route: &str| {
        let path = format!("/models/{route}/invocations");
        let headers = [("content-type", "application/json")];
        assert_eq!(server.call("POST", &path, &headers, BODY.as_bytes()).status, 200);
    };
    (0..200).for_each(|_| ask("iris"));
    let counted = |sink: &str| {
        let metrics = server.metrics();
        let start = format!("modelsd_records_total{{sink=\"{sink}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&start));
        count.map_or(0, |count| count.parse::<usize>().unwrap())
    };
    // All are counted by variant, as they are to be.
    until("two hundred", || counted("compare") == 200);
    // The writer does one thing after the other: with this one it has written all before, and the file gets none of it.
    ask("not");
    until("one more", || counted("compare") == 201);
    let counted = counted("jsonl");
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success() && lost(&log) == 0, "{log}");
    let written = lines(&records).len();
    assert!(written > 0 && written < 200, "{written}");
    assert_eq!(counted, written);
}
