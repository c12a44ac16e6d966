//! `modelsd bench` over https, with certificates of an authority of the test's own.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use super::{bench, counted, server};
use crate::security::certificates::{Authority, Place, Signed};
use crate::security::token;
use crate::support::{Server, modelsd};

/// A folder with a server's certificate, its authority, and what else a test needs.
struct Desk {
    folder: TempDir,
    authority: Authority,
}

impl Desk {
    fn new() -> Desk {
        Desk {
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::new("ours"),
        }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The file of the authority.
    fn trusted(&self) -> String {
        self.write("ca.pem", &self.authority.pem)
    }

    /// A certificate and its key in one file.
    fn identity(&self, name: &str, Signed { certificate, key }: &Signed) -> String {
        self.write(name, &format!("{key}{certificate}"))
    }

    fn serve(&self, names: &[&str], flags: &[&str]) -> (Server, String) {
        let place = Place::new(self.folder.path());
        place.put(&self.authority.sign_for(names));
        let server = Server::start("models:/iris/1", &[&place.flags()[..], flags].concat());
        let url = format!("https://{}", server.address);
        (server, url)
    }
}

const HERE: &[&str] = &["localhost", "127.0.0.1"];
const SHORT: &[&str] = &["-c", "2", "-d", "200ms", "-w", "0"];

/// Sends rows of a model; the report goes to standard output.
fn run(words: &[&str]) -> Output {
    let mut command = modelsd();
    command.arg("bench").args(words).args(["-m", "models:/iris/1"]);
    command.args(SHORT).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What it complains of where nothing is measured.
fn refused(words: &[&str]) -> String {
    let output = run(words);
    let told = text(&output.stderr);
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(1), String::new()),
        "{told}"
    );
    assert!(!told.contains("measuring"), "{told}");
    told
}

/// The metrics of a server that speaks TLS.
fn metrics(desk: &Desk, url: &str, secret: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let trusted = reqwest::Certificate::from_pem(desk.authority.pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([trusted])
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let request = client.get(format!("{url}/metrics")).bearer_auth(secret);
        request.send().await.unwrap().text().await.unwrap()
    })
}

#[test]
fn https_is_measured_beside_http_with_a_token_that_nobody_sees() {
    let desk = Desk::new();
    let (secret, line) = token("admin", "bench", &[]);
    let tokens = desk.write("tokens", &line);
    let (encrypted, url) = desk.serve(HERE, &["--token-file", &tokens]);
    let plain = Server::start("models:/iris/1", &[]);
    let (trusted, compare) = (desk.trusted(), format!("plain=http://{}", plain.address));
    let header = format!("Authorization: Bearer {secret}");
    // A body of several records of TLS.
    let words = [
        &url,
        "--compare",
        &compare,
        "--tls-ca",
        &trusted,
        "-H",
        &header,
        "--rows",
        "2000",
    ];
    let output = run(&[&words[..], &["--json"]].concat());
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    let said = text(&output.stdout);
    assert!(!said.contains(&secret) && !told.contains(&secret));
    let report: Value = serde_json::from_str(&said).unwrap();
    let (first, second) = (server(&report, 0, 0), server(&report, 0, 1));
    assert_eq!(first["url"], format!("{url}/invocations"), "{report:#}");
    for measured in [first, second] {
        assert!(measured["requests"].as_u64() > Some(0), "{report:#}");
        assert_eq!(measured["errors"], 0, "{report:#}");
        assert_eq!(measured["reconnections"], 0, "connections are kept: {report:#}");
    }
    assert!(second["ratio"]["p50"].as_f64() > Some(0.0), "{report:#}");
    let there = metrics(&desk, &url, &secret);
    assert_eq!(
        Some(counted(&there, "modelsd_requests_total", "ok")),
        first["requests"].as_u64()
    );

    let page = run(&words);
    assert!(page.status.success());
    let page = text(&page.stdout) + &text(&page.stderr);
    assert!(
        page.contains(&encrypted.address) && !page.contains(&secret),
        "{page}"
    );
    // Without the token there is no success, and with a wrong one that is not shown either.
    let output = run(&[
        &url,
        "--tls-ca",
        &trusted,
        "-H",
        "authorization: Bearer mdt_wrong",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let page = text(&output.stdout) + &text(&output.stderr);
    assert!(
        page.contains("status 401") && !page.contains("mdt_wrong"),
        "{page}"
    );
}

#[test]
fn the_system_is_trusted_where_no_authority_is_named() {
    let desk = Desk::new();
    let (_server, url) = desk.serve(HERE, &[]);
    let mut command = modelsd();
    command.args(["bench", &url, "-m", "models:/iris/1"]).args(SHORT);
    // Where the system's authorities are looked for.
    let output = command.env("SSL_CERT_FILE", desk.trusted()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    command
        .env("SSL_CERT_FILE", desk.write("none.pem", ""))
        .env_remove("SSL_CERT_DIR");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("--tls-ca"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_server_that_is_not_trusted_is_told_before_anything_is_measured() {
    let desk = Desk::new();
    let (encrypted, url) = desk.serve(HERE, &[]);
    let trusted = desk.trusted();
    let strangers = desk.write("strangers.pem", &Authority::new("strangers").pem);
    let told = refused(&[&url, "--tls-ca", &strangers]);
    assert!(
        told.contains(&format!("cannot measure {url}/invocations")),
        "{told}"
    );
    assert!(
        told.contains("no authority that is trusted") && told.contains("--tls-ca"),
        "{told}"
    );
    // The second of two, and the first had better not be asked either.
    let plain = Server::start("models:/iris/1", &[]);
    let first = format!("http://{}", plain.address);
    let told = refused(&[&first, "--compare", &url, "--tls-ca", &strangers]);
    assert!(told.contains(&url), "{told}");
    assert_eq!(counted(&plain.metrics(), "modelsd_requests_total", "ok"), 0);
    // TLS where plain HTTP is meant, and the other way round.
    let output = run(&[&format!("http://{}", encrypted.address)]);
    let told = text(&output.stderr);
    assert!(
        output.status.code() == Some(1) && told.contains("write https://"),
        "{told}"
    );
    let told = refused(&[&format!("https://{}", plain.address), "--tls-ca", &trusted]);
    assert!(told.contains("write http://"), "{told}");
    // An authority that shows its own certificate.
    let place = Place::new(desk.folder.path());
    place.put(&desk.authority.own());
    let own = Server::start("models:/iris/1", &place.flags());
    let told = refused(&[&format!("https://{}", own.address), "--tls-ca", &trusted]);
    assert!(told.contains("is that of an authority"), "{told}");
    let (other, url) = desk.serve(&["models.example.com"], &[]);
    let told = refused(&[&url, "--tls-ca", &trusted]);
    assert!(
        told.contains("models.example.com") && told.contains("another name"),
        "{told}"
    );
    drop((encrypted, own, other));
    let output = run(&[
        "https://127.0.0.1:5001",
        "--tls-ca",
        &desk.write("no.pem", "none"),
    ]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("--tls-ca must be a PEM file"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_certificate_is_shown_to_a_server_that_wants_one() {
    let desk = Desk::new();
    let clients = Authority::new("clients");
    let file = desk.write("clients.pem", &clients.pem);
    let (_server, url) = desk.serve(HERE, &["--tls-client-ca", &file]);
    let trusted = desk.trusted();
    let words = [&url, "--tls-ca", &trusted];
    let told = refused(&words);
    assert!(
        told.contains("wants a certificate") && told.contains("--tls-identity"),
        "{told}"
    );
    let stranger = desk.identity("stranger.pem", &Authority::new("strangers").sign());
    let told = refused(&[&words[..], &["--tls-identity", &stranger]].concat());
    assert!(told.contains("does not take our certificate"), "{told}");
    let ours = desk.identity("ours.pem", &clients.sign());
    let output = run(&[&words[..], &["--tls-identity", &ours]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn tls_that_fails_later_is_an_error_with_its_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            // The greeting before the measurement finds nobody.
            if number > 0 {
                let mut stream = stream;
                let _ = stream.read(&mut [0; 2048]);
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            }
        }
    });
    let desk = Desk::new();
    let words = [&url, "--tls-ca", &desk.trusted()];
    let (output, report) = bench(&[&words[..], &["-c", "1", "-d", "200ms", "-w", "0"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let measured = server(&report, 0, 0);
    assert!(measured["causes"]["tls"].as_u64() > Some(0), "{report:#}");
    assert_eq!(
        (&measured["errors"], &measured["requests"]),
        (&measured["causes"]["tls"], &Value::from(0))
    );
    assert!(
        measured["first_error"].as_str().unwrap().contains("is no TLS"),
        "{report:#}"
    );
}
