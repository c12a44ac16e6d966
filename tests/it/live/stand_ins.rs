//! A real S3 API on this machine: moto's server.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::server::{Group, clean, free_port, python};

/// A running server, which keeps its buckets in memory; killed when dropped.
pub struct S3 {
    _process: Group,
    _folder: TempDir,
    address: String,
    /// `http://127.0.0.1:port`.
    pub url: String,
}

impl S3 {
    /// Starts it, with one bucket.
    pub fn start(bucket: &str) -> S3 {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = clean(&python());
        command
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            // So few that listings have several pages.
            .env("MOTO_S3_DEFAULT_MAX_KEYS", "3")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process = Group::start(&mut command);
        let address = format!("127.0.0.1:{port}");
        let start = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(120),
                "the S3 server does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let server = S3 {
            _process: process,
            _folder: folder,
            url: format!("http://{address}"),
            address,
        };
        server.put(bucket, b"");
        server
    }

    /// Makes a bucket, or an object in one. The path is percent-encoded.
    pub fn put(&self, path: &str, contents: &[u8]) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (host, length) = (&self.address, contents.len());
        write!(
            stream,
            "PUT /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        )
        .unwrap();
        stream.write_all(contents).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
}
