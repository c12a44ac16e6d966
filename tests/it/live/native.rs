//! Native artifacts through a real registry: logged by each library's own module of MLflow, promoted, served here and by
//! `mlflow models serve`, and asked the same.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::server::{Group, MlflowServer, Options, Store, clean, free_port, python};
use crate::native::replay::{Tolerance, same};
use crate::support::{Server, modelsd, read_answer, repository};

/// Seven Pythons start at once.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn every_flavor_is_served_from_a_registry_as_mlflow_serves_it() {
    let store = Store::new();
    let registry = MlflowServer::start(&store, &Options::default());
    let trained = clean(&python())
        .arg(repository("tests/live/native.py"))
        .env("MLFLOW_TRACKING_URI", &registry.url)
        .current_dir(store.path("."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&trained.stderr);
    assert!(trained.status.success(), "{said}");
    let trained = String::from_utf8(trained.stdout).unwrap();
    let models: Vec<Value> = serde_json::from_str(trained.lines().last().unwrap()).unwrap();
    assert_eq!(models.len(), 7);
    let name = |model: &Value| model["name"].as_str().unwrap().to_owned();

    let cache = tempfile::tempdir().unwrap();
    let mut command = modelsd();
    command.env("MLFLOW_TRACKING_URI", &registry.url);
    command.env("MODELSD_CACHE_DIR", cache.path());
    let server = Server::start_any(command, &["--predictors", "1", "--all-models", "Production"]);

    let mut compared = 0;
    for model in &models {
        let name = name(model);
        let original = Original::start(&store, &registry.url, &name);
        for body in model["bodies"].as_array().unwrap() {
            let body = body.as_str().unwrap();
            let headers = [("content-type", "application/json")];
            let path = format!("/models/{name}/invocations");
            let ours = server.call("POST", &path, &headers, body.as_bytes());
            let (status, text) = original.ask(body);
            assert_eq!(ours.status, status, "{name} {body}: {} {text}", ours.text());
            if status == 200 {
                let (got, wanted): (Value, Value) = (ours.json(), serde_json::from_str(&text).unwrap());
                let tolerance = Tolerance::Relative(1e-12);
                assert!(
                    same(&got, &wanted, tolerance),
                    "{name} {body}: {got} for {wanted}"
                );
                compared += 1;
            }
        }
    }
    println!(
        "{compared} answers of {} models are those of `mlflow models serve`",
        models.len()
    );
    assert!(compared >= 5 * models.len());
}

/// `mlflow models serve` of a version in Production.
struct Original {
    port: u16,
    _process: Group,
}

impl Original {
    fn start(store: &Store, registry: &str, name: &str) -> Original {
        let port = free_port();
        let log = store.path(&format!("serve-{name}.log"));
        let file = File::create(&log).unwrap();
        let uri = format!("models:/{name}/Production");
        let process = Group::start(
            clean(&python())
                .args(["-m", "mlflow", "models", "serve", "--env-manager", "local"])
                .args(["-m", &uri, "-p", &port.to_string()])
                .env("MLFLOW_TRACKING_URI", registry)
                // The command looks for its server on the path.
                .env(
                    "PATH",
                    format!("{}:/usr/bin:/bin", python().parent().unwrap().display()),
                )
                .stdin(Stdio::null())
                .stdout(file.try_clone().unwrap())
                .stderr(file),
        );
        let original = Original {
            port,
            _process: process,
        };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        original
    }

    /// Status and text of the answer.
    fn ask(&self, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "POST /invocations HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let answer = read_answer(&mut stream).unwrap();
        (answer.status, answer.text())
    }
}
