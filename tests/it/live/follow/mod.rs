//! `modelsd serve` follows real registries. Each test has one set-up of servers and many checks.

mod bad;
mod cut;
mod gate;
mod guarded;
mod mlflow2;
mod outage;
mod postgres;
mod sqlite;
mod stores;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::server::{MlflowServer, Options, Python, Store};
use crate::hot_swap::{ROW, copy, status, wait_for};
use crate::support::{Answer, Server, differ, golden_lines, modelsd, repository, send};

/// A registry with a person at it, and a cache for who follows it.
struct Site {
    server: MlflowServer,
    python: Python,
    store: Store,
    cache: TempDir,
}

impl Site {
    /// An empty registry on SQLite.
    fn new() -> Site {
        Site::start(Store::new(), &Options::default(), &[])
    }

    /// A server with these options, and a person with these variables.
    fn start(store: Store, options: &Options<'_>, person: &[(&str, &str)]) -> Site {
        let server = MlflowServer::start(&store, options);
        Site {
            python: Python::start_with(options, &server.url, person),
            server,
            store,
            cache: tempfile::tempdir().unwrap(),
        }
    }

    /// Logs a model and registers it; its version.
    fn log(&mut self, name: &str, folder: &Path) -> u64 {
        let logged = self.python.ask("log", json!({ "name": name, "folder": folder }));
        logged["version"].as_u64().unwrap()
    }

    /// Moves a version to Production in place of those there.
    fn promote(&mut self, name: &str, version: u64) {
        let to = json!({ "name": name, "version": version, "stage": "Production", "archive": true });
        self.python.ask("stage", to);
    }

    /// modelsd that has learnt of the server as MLflow's own client would.
    fn modelsd(&self) -> Command {
        let mut command = modelsd();
        command.env("MLFLOW_TRACKING_URI", &self.server.url);
        command.env("MODELSD_CACHE_DIR", self.cache.path());
        command
    }

    /// Serves with these flags.
    fn serve(&self, flags: &[&str]) -> Server {
        serve(self.modelsd(), flags)
    }

    /// Promotes a version and waits until it answers; how long that took.
    fn swap(&mut self, server: &Server, version: u64) -> Duration {
        self.promote("iris", version);
        live_after(server, version)
    }
}

/// Serves with these flags, one predictor a model.
fn serve(command: Command, flags: &[&str]) -> Server {
    Server::start_any(command, &[&["--predictors", "1"], flags].concat())
}

/// A version of the bundled iris model.
fn iris(version: u64) -> PathBuf {
    repository(&format!("models/iris/{version}"))
}

/// A copy of a model with something changed.
fn changed(from: &Path, change: impl FnOnce(&Path)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(from, folder.path());
    change(folder.path());
    folder
}

/// Sends requests until this version answers one; none may fail meanwhile. How long that took.
#[track_caller]
fn live_after(server: &Server, version: u64) -> Duration {
    let (began, version) = (Instant::now(), version.to_string());
    wait_for(&format!("version {version} answers"), || {
        let answer = server.invoke(ROW);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("x-model-version") == Some(&version)
    });
    began.elapsed()
}

/// What the slot at this path answers is what MLflow, onnxruntime and scikit-learn answer for the bundled iris model.
#[track_caller]
fn answers_as_bundled(server: &Server, path: &str, bundled: u64) {
    let pairs = golden_lines(&repository(&format!("tests/golden/bundled/iris-{bundled}.jsonl")));
    assert!(!pairs.is_empty());
    for mut pair in pairs {
        pair["request"]["path"] = json!(path);
        let answer = send(server, &pair["request"]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let wanted = pair["response"]["body"].as_str().unwrap();
        assert_eq!(
            differ(&answer.text(), wanted, 1e-6),
            None,
            "{path} {}",
            pair["id"]
        );
    }
}

/// Two versions, served one after the other by two processes with one cache, from where the server says they are.
#[track_caller]
fn is_followed(site: &mut Site, more: &[(&str, &str)]) {
    for version in 1..=2 {
        site.log("iris", &iris(version));
    }
    site.promote("iris", 1);
    let start = || {
        let mut command = site.modelsd();
        command.envs(more.iter().copied());
        serve(
            command,
            &["-m", "models:/iris/Production", "--poll-interval", "1"],
        )
    };
    let (server, other) = (start(), start());
    answers_as_bundled(&server, "/invocations", 1);
    for version in [2, 1] {
        let took = site.swap(&server, version);
        println!("live after a stage change to version {version}: {took:?}; poll interval 1 s");
        answers_as_bundled(&server, "/invocations", version);
        live_after(&other, version);
    }
    server.terminate();
    let (ended, log) = server.wait();
    assert!(ended.success() && log.contains("published"), "{log}");
    // As every secret of these tests begins.
    assert!(!log.contains("hidden"), "{log}");
}

/// `POST` to the slot of this name.
fn invoke(server: &Server, slot: &str) -> Answer {
    let headers = [("content-type", "application/json")];
    server.call(
        "POST",
        &format!("/models/{slot}/invocations"),
        &headers,
        ROW.as_bytes(),
    )
}

/// What is wrong with the registry, as the status has it.
fn problem(server: &Server, slot: &str) -> Value {
    status(server, slot)["registry"]["problem"].clone()
}
