//! What the modules share: golden files, a server to talk to, and a client that says exactly what it is told.

pub mod onnx;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A path within the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The lines of a golden file, as JSON.
pub fn golden_lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The program under test, with an environment of its own.
pub fn modelsd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_modelsd"));
    // What the desk has set must not decide.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["MLFLOW_", "MODELSD_", "OTEL_"];
        if ours.iter().any(|start| text.starts_with(start)) || text == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env(
        "MODELSD_CACHE_DIR",
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
    );
    command
}

/// A running server; ended when dropped.
pub struct Server {
    child: Child,
    /// `127.0.0.1:port`
    pub address: String,
    /// Behind a lock, so that a server can be shared by threads.
    log: Mutex<Receiver<String>>,
}

impl Server {
    /// Serves `model` with further flags, and waits until it listens.
    pub fn start(model: &str, flags: &[&str]) -> Server {
        Server::start_with(modelsd(), model, flags)
    }

    /// The same from a prepared command.
    pub fn start_with(command: Command, model: &str, flags: &[&str]) -> Server {
        Server::start_any(command, &[&["-m", model], flags].concat())
    }

    /// The same with all flags as given.
    pub fn start_any(mut command: Command, flags: &[&str]) -> Server {
        command
            .args(["serve", "--port", "0", "--log-format", "json"])
            .args(flags);
        let mut child = command
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let log = lines(child.stderr.take().unwrap());
        let start = Instant::now();
        let mut seen = String::new();
        while let Ok(line) = log.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
            if let Ok(event) = serde_json::from_str::<Value>(&line)
                && let Some(url) = event.get("url").and_then(|url| url.as_str())
            {
                let address = url.trim_start_matches("https://").trim_start_matches("http://");
                let address = address.to_string();
                return Server {
                    child,
                    address,
                    log: Mutex::new(log),
                };
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("`modelsd serve {}` did not start:\n{seen}", flags.join(" "));
    }

    /// Sends one request on a connection of its own.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            self.address
        );
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        self.raw(&[text.as_bytes(), body].concat())
    }

    /// `POST /invocations` with JSON.
    pub fn invoke(&self, body: &str) -> Answer {
        self.call(
            "POST",
            "/invocations",
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    }

    /// Sends exactly these bytes and reads one answer.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // The server may answer and close before it has read everything; what it said still counts.
        let _ = stream.write_all(bytes);
        read_answer(&mut stream).expect("an answer")
    }

    /// A connection.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The metrics.
    pub fn metrics(&self) -> String {
        self.call("GET", "/metrics", &[], b"").text()
    }

    /// The same, asked at the loopback address where it listens on every one.
    pub fn at_loopback(mut self) -> Server {
        self.address = self.address.replace("0.0.0.0", "127.0.0.1");
        self
    }

    /// Asks the server to stop.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Asks the server to read its configuration again.
    pub fn hang_up(&self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-HUP", &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Kills it, which leaves it no time to tidy up.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; the exit status and what it logged since it listened.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if start.elapsed() > PATIENCE => panic!("the server does not end"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        (
            status,
            self.log.lock().unwrap().iter().collect::<Vec<_>>().join("\n"),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log in the background, so that a full pipe never stops the server.
fn lines(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = sync_channel(10_000);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // A full channel drops lines: tests look at few.
            let _ = sender.try_send(line);
        }
    });
    receiver
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads one answer, by its content length or its chunks; `None` when the server closed without one.
pub fn read_answer(stream: &mut impl Read) -> Option<Answer> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&length| length > 0)?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
    }
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
    };
    let length: usize = answer
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    answer.body.resize(length, 0);
    // The answer to HEAD announces a body that does not come.
    let read = reader.read_exact(&mut answer.body);
    if read.is_err() {
        answer.body.clear();
    }
    Some(answer)
}

/// Sends the request of a golden pair.
pub fn send(server: &Server, request: &Value) -> Answer {
    let body = match (&request["body_b64"], &request["body"]) {
        (Value::String(text), _) => STANDARD.decode(text).unwrap(),
        (_, Value::String(text)) => text.clone().into_bytes(),
        _ => Vec::new(),
    };
    let empty = serde_json::Map::new();
    let headers = request["headers"].as_object().unwrap_or(&empty);
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| {
            !["host", "content-length", "transfer-encoding", "connection"]
                .contains(&name.to_lowercase().as_str())
        })
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    server.call(
        request["method"].as_str().unwrap(),
        request["path"].as_str().unwrap(),
        &headers,
        &body,
    )
}

/// How two texts differ, if they do by more than the rounding of their numbers.
pub fn differ(got: &str, wanted: &str, tolerance: f64) -> Option<String> {
    let (mut one, mut two) = (words(got), words(wanted));
    loop {
        match (one.next(), two.next()) {
            (None, None) => return None,
            (Some(a), Some(b)) if a == b || close(a, b, tolerance) => {}
            (a, b) => {
                return Some(format!(
                    "`{}` for `{}` in `{got}` for `{wanted}`",
                    a.unwrap_or(""),
                    b.unwrap_or("")
                ));
            }
        }
    }
}

/// Whether two words are fractions that differ by rounding only; integers have none.
fn close(a: &str, b: &str, tolerance: f64) -> bool {
    let is_float = |word: &str| word.contains(['.', 'e']);
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(x), Ok(y)) => {
            is_float(a) && is_float(b) && (x - y).abs() <= tolerance * x.abs().max(y.abs()).max(1e-6)
        }
        _ => false,
    }
}

/// Splits a JSON text into numbers and what is between them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e');
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest
            .find(|c| is_number(c) != is_number(first))
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

#[test]
fn texts_differ_by_more_than_rounding_or_not() {
    for (a, b, same) in [
        ("[1.0, 2.5]", "[1.0, 2.5]", true),
        ("[1.0, 2.5000001]", "[1.0, 2.5]", true),
        ("[1.0, 2.51]", "[1.0, 2.5]", false),
        ("[1]", "[1.0]", false),
        ("[1]", "[2]", false),
        ("[1.0]", "[1.0, 1.0]", false),
        (r#"{"a": 1.5}"#, r#"{"b": 1.5}"#, false),
        ("[NaN]", "[NaN]", true),
    ] {
        assert_eq!(differ(a, b, 1e-6).is_none(), same, "{a} {b}");
    }
}
