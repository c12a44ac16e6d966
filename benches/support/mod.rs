//! What the benches over a socket share: a served model, a bare axum handler to compare with, a blocking client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A running modelsd; ended when dropped.
pub struct Served {
    child: Child,
    /// `127.0.0.1:port`
    pub address: String,
}

impl Served {
    /// Serves `model` from the bundled registry; `wrapper` runs the program, such as `["taskset", "-c", "0"]`.
    #[allow(dead_code)] // why: each bench is a program of its own and uses a part of this
    pub fn start(model: &str, wrapper: &[&str]) -> Served {
        let cache = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        Served::start_with(model, wrapper, &[], &cache)
    }

    /// The same with further flags and a cache folder.
    pub fn start_with(model: &str, wrapper: &[&str], flags: &[&str], cache: &std::path::Path) -> Served {
        let program = env!("CARGO_BIN_EXE_modelsd");
        let words: Vec<&str> = wrapper.iter().copied().chain([program]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(env!("CARGO_MANIFEST_DIR"));
        command
            .args(["serve", "-m", model, "--log-format", "json"])
            .args(flags);
        if !flags.contains(&"--port") {
            command.args(["--port", "0"]);
        }
        command.env("MODELSD_CACHE_DIR", cache);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "modelsd did not start");
            if let Some(url) = line.split(r#""url":"http://"#).nth(1) {
                break url.split('"').next().unwrap().to_string();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Served { child, address }
    }

    /// Megabytes of the process in memory.
    #[allow(dead_code)] // why: as above
    pub fn resident_megabytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kilobytes.unwrap_or(0) / 1024
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The handler to compare with.
#[allow(dead_code)] // why: as above
pub async fn serve_fixed(listener: tokio::net::TcpListener, reply: String) {
    let reply = bytes::Bytes::from(reply);
    let handler = move |_body: bytes::Bytes| {
        let reply = reply.clone();
        async move { ([("content-type", "application/json")], reply) }
    };
    let router = axum::Router::new().route("/invocations", axum::routing::post(handler));
    serve(listener, router).await;
}

/// Serves what a router answers, as modelsd's own listener does, but for all that keeps a server safe.
#[allow(dead_code)] // why: as above
pub async fn serve(listener: tokio::net::TcpListener, router: axum::Router) {
    let service = hyper_util::service::TowerToHyperService::new(router);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(hyper_util::rt::TokioIo::new(stream), service.clone());
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}

/// `POST /invocations` with JSON.
pub fn request(body: &str) -> Vec<u8> {
    let head =
        "POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ";
    format!("{head}{}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A kept connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: &str) -> Connection {
        Connection::try_open(address).expect("the server listens")
    }

    /// Connects, if anybody listens.
    pub fn try_open(address: &str) -> Option<Connection> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Connection {
            stream,
            buffer: vec![0; 1 << 20],
        })
    }

    /// Sends a request and returns the whole answer, unless the connection breaks.
    #[allow(dead_code)] // why: as above
    pub fn try_exchange(&mut self, request: &[u8]) -> Option<String> {
        let length = self.try_exchange_quietly(request)?;
        Some(String::from_utf8_lossy(self.buffer.get(..length)?).into_owned())
    }

    /// Sends a request and returns the whole answer.
    pub fn exchange(&mut self, request: &[u8]) -> String {
        let length = self.exchange_quietly(request);
        String::from_utf8_lossy(&self.buffer[..length]).into_owned()
    }

    /// Sends a request and waits for the whole answer; its length.
    pub fn exchange_quietly(&mut self, request: &[u8]) -> usize {
        self.try_exchange_quietly(request)
            .expect("the server keeps the connection")
    }

    fn try_exchange_quietly(&mut self, request: &[u8]) -> Option<usize> {
        self.stream.write_all(request).ok()?;
        let mut length = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[length..]).ok()?;
            if read == 0 {
                return None;
            }
            length += read;
            if complete(&self.buffer[..length]) {
                return Some(length);
            }
        }
    }
}

/// Whether an answer with a content length has arrived whole.
pub fn complete(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let text = std::str::from_utf8(&answer[..head]).unwrap();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    answer.len() >= head + 4 + length.unwrap_or(0)
}
