//! `scripts/start.sh` and its like, and the examples: MLflow and modelsd as people run them, and what is done with both.
//!
//! Everything is real: the MLflow server, PostgreSQL, the Python of the examples, Airflow. `scripts/test-python.sh` makes
//! the environments.

mod containers;
mod dag;
mod examples;
mod postgres;
mod refusals;
mod scripts;

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::live::server::{clean, free_port};
use crate::support::{Answer, read_answer, repository};

/// What takes seconds on an idle machine takes minutes beside a build.
const PATIENCE: Duration = Duration::from_secs(300);

/// A state folder of its own with ports of its own; what was started in it is stopped when dropped.
struct Platform {
    folder: TempDir,
    mlflow: u16,
    modelsd: u16,
}

impl Platform {
    fn new() -> Platform {
        let folder = tempfile::tempdir().unwrap();
        // PostgreSQL's own user has to get in.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Platform {
            folder,
            mlflow: free_port(),
            modelsd: free_port(),
        }
    }

    /// A path in the state folder.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command in an environment that knows of this platform and of nothing on the desk.
    fn command(&self, program: &Path) -> Command {
        let mut command = clean(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["MODELSD_", "POSTGRES_", "PLATFORM_"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
            {
                command.env_remove(&name);
            }
        }
        command
            .env("PLATFORM_DIR", self.folder.path())
            .env("PLATFORM_ENV_FILE", "/dev/null")
            .env("MODELSD_BIN", env!("CARGO_BIN_EXE_modelsd"))
            .env("MODELSD_POLL_INTERVAL", "0.2")
            // Any folder will do.
            .current_dir("/");
        command
    }

    /// A script of the repository.
    fn script(&self, name: &str) -> Command {
        self.command(&repository("scripts").join(name))
    }

    /// `scripts/start.sh` on its ports.
    fn start(&self, flags: &[&str]) -> Command {
        let mut command = self.script("start.sh");
        let (mlflow, modelsd) = (self.mlflow.to_string(), self.modelsd.to_string());
        command.args(["--mlflow-port", &mlflow, "--port", &modelsd]);
        command.args(flags);
        command
    }

    fn mlflow_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.mlflow)
    }

    fn modelsd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.modelsd)
    }

    /// The number of the process that was started as `part`.
    fn process(&self, part: &str) -> String {
        let file = fs::read_to_string(self.path(&format!("{part}.pid"))).unwrap();
        file.lines().next().unwrap().to_owned()
    }

    /// What an example prints.
    fn example(&self, words: &[&str]) -> Value {
        let output = self.example_command(words).output().unwrap();
        let told = said(&output);
        assert_eq!(told.status, Some(0), "{words:?}: {told:?}");
        serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{words:?}: {error}: {told:?}"))
    }

    fn example_command(&self, words: &[&str]) -> Command {
        let python = repository(".platform/venv/bin/python");
        assert!(
            python.is_file(),
            "there is no {}: run scripts/test-python.sh",
            python.display()
        );
        let mut command = self.command(&python);
        command
            .arg(repository("scripts/examples").join(words[0]))
            .args(&words[1..]);
        command
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = self.script("stop.sh").arg("--reset").output();
    }
}

/// What came of a command.
#[derive(Debug)]
struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

fn said(output: &Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        status: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Said {
    said(&command.output().unwrap())
}

/// Asks a server.
fn ask(port: u16, path: &str) -> Answer {
    use std::io::Write;

    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let text = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    read_answer(&mut stream).unwrap()
}

/// Whether a process is there.
fn lives(process: &str) -> bool {
    Path::new("/proc").join(process).join("cmdline").is_file()
        && fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|words| !words.is_empty())
}
