//! An embedded registry of one's own, a cache of one's own, and what a server says of its models.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::registry::say;
use crate::support::{Answer, Server, modelsd, repository};

/// Nothing here takes longer, unless it hangs. Other tests may have the cores meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);

/// A registry with copies of bundled models, and a cache of its own.
pub struct House {
    pub folder: TempDir,
}

impl House {
    pub fn new(models: &[&str]) -> House {
        let house = House {
            folder: tempfile::tempdir().unwrap(),
        };
        for model in models {
            copy(&repository("models").join(model), &house.registry().join(model));
        }
        house
    }

    pub fn registry(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    pub fn say(&self, command: &str) -> String {
        say(&self.registry(), command, 0).unwrap()
    }

    pub fn serve(&self, flags: &[&str]) -> Server {
        self.serve_any(&[&["-m"], flags].concat())
    }

    /// Without a model, unless the flags have one.
    pub fn serve_any(&self, flags: &[&str]) -> Server {
        let mut command = modelsd();
        command.env("MODELSD_CACHE_DIR", self.folder.path().join("cache"));
        command.env("MODELSD_REGISTRY", self.registry());
        Server::start_any(command, &[&["--predictors", "1"], flags].concat())
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

pub fn get(server: &Server, path: &str) -> Answer {
    server.call("GET", path, &[], b"")
}

pub fn status(server: &Server, model: &str) -> Value {
    get(server, &format!("/api/models/{model}")).json()
}

pub fn serving(server: &Server, model: &str) -> Value {
    status(server, model)["serving"]["version"].clone()
}

#[track_caller]
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
pub fn wait_for_version(server: &Server, model: &str, version: &str) {
    wait_for(&format!("{model} {version}"), || {
        serving(server, model) == version
    });
}
