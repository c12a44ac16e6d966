//! A real MLflow server, and a Python process that uses it as people do.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::repository;

/// Starting takes seconds on an idle machine; tests may share it with a build.
const PATIENCE: Duration = Duration::from_secs(180);

/// The Python of the tests, with the newest MLflow.
pub fn python() -> PathBuf {
    python_of(".venv-test")
}

/// The Python of an environment that scripts/test-python.sh makes.
fn python_of(environment: &str) -> PathBuf {
    let python = repository(environment).join("bin/python");
    assert!(
        python.is_file(),
        "there is no {}: run scripts/test-python.sh",
        python.display()
    );
    python
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Ends a process and all that it started.
pub struct Group {
    leader: Child,
    ended: bool,
}

impl Group {
    /// Starts it at the head of a process group of its own.
    pub fn start(command: &mut Command) -> Group {
        Group {
            leader: command.process_group(0).spawn().unwrap(),
            ended: false,
        }
    }

    /// The same, with what it says.
    pub fn with_output(command: &mut Command) -> (Group, ChildStdout) {
        let mut group = Group::start(command.stdout(Stdio::piped()));
        let said = group.leader.stdout.take().unwrap();
        (group, said)
    }

    fn kill(&mut self) {
        // Its number may be somebody else's by then.
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let group = format!("-{}", self.leader.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.leader.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a server keeps: a database and artifacts. Several servers may share one.
pub struct Store {
    folder: TempDir,
}

impl Store {
    /// An empty one.
    pub fn new() -> Store {
        Store {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A path within it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The database's file.
    pub fn database(&self) -> PathBuf {
        self.path("mlflow.db")
    }
}

/// How a server differs from a plain one.
#[derive(Default, Clone)]
pub struct Options<'a> {
    /// Further flags.
    pub flags: &'a [&'a str],
    /// Further variables.
    pub env: &'a [(&'a str, &'a str)],
    /// The store of runs and models; a SQLite file of the store's unless set.
    pub backend: Option<&'a str>,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Whether it is of the newest MLflow 2, and not of the newest one.
    pub mlflow2: bool,
}

impl Options<'_> {
    /// The Python that has this MLflow.
    fn python(&self) -> PathBuf {
        python_of(if self.mlflow2 {
            ".venv-test-mlflow2"
        } else {
            ".venv-test"
        })
    }
}

/// A running server; killed with its workers when dropped.
pub struct MlflowServer {
    process: Group,
    command: Box<dyn Fn() -> Command>,
    /// `http://127.0.0.1:port`, without a static prefix.
    pub url: String,
    address: String,
    log: PathBuf,
}

impl MlflowServer {
    /// Starts a server on a store, and waits until it listens and answers.
    pub fn start(store: &Store, options: &Options<'_>) -> MlflowServer {
        let port = free_port();
        let log = store.path(&format!("server-{port}.log"));
        let backend = options.backend.map_or_else(
            || format!("sqlite:///{}", store.database().display()),
            str::to_owned,
        );
        let mut words: Vec<String> = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
            .map(str::to_owned)
            .to_vec();
        words.extend(["--port".to_owned(), port.to_string()]);
        words.extend(["--backend-store-uri".to_owned(), backend]);
        if !options.flags.contains(&"--no-serve-artifacts") {
            let artifacts = store.path("artifacts").display().to_string();
            words.extend(["--artifacts-destination".to_owned(), artifacts]);
        }
        words.extend(options.flags.iter().map(|&flag| flag.to_owned()));
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let env: Vec<(String, String)> = options.env.iter().map(own).collect();
        let python = options.python();
        let (folder, log_of) = (store.path("."), log.clone());
        let command = move || {
            let log = File::options().create(true).append(true).open(&log_of).unwrap();
            let mut command = clean(&python);
            command
                .args(&words)
                .envs(env.iter().cloned())
                // Its job runner would start processes that no test needs.
                .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
                .current_dir(&folder)
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log);
            command
        };
        let scheme = if options.tls { "https" } else { "http" };
        let mut server = MlflowServer {
            process: Group::start(&mut command()),
            command: Box::new(command),
            url: format!("{scheme}://127.0.0.1:{port}"),
            address: format!("127.0.0.1:{port}"),
            log,
        };
        server.wait();
        server
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port.
    pub fn restart(&mut self) {
        self.kill();
        self.process = Group::start(&mut (self.command)());
        self.wait();
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it listens. It does so only when its application has started.
    fn wait(&mut self) {
        let start = Instant::now();
        while std::net::TcpStream::connect(&self.address).is_err() {
            let ended = self.process.leader.try_wait().unwrap();
            assert!(
                ended.is_none() && start.elapsed() < PATIENCE,
                "`mlflow server` does not start ({ended:?}):\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A command without what the desk has set for MLflow.
pub fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MLFLOW_") {
            command.env_remove(name);
        }
    }
    command
}

/// `tests/live/registry.py`, running.
pub struct Python {
    process: Group,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// Starts it for a server.
    pub fn start(url: &str, env: &[(&str, &str)]) -> Python {
        Python::start_with(&Options::default(), url, env)
    }

    /// Starts it with the MLflow of a server.
    pub fn start_with(options: &Options<'_>, url: &str, env: &[(&str, &str)]) -> Python {
        let mut command = clean(&options.python());
        command
            .arg(repository("tests/live/registry.py"))
            .env("MLFLOW_TRACKING_URI", url)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = Group::start(&mut command);
        let mut started = Python {
            commands: process.leader.stdin.take().unwrap(),
            answers: BufReader::new(process.leader.stdout.take().unwrap()),
            process,
        };
        assert_eq!(started.answer().unwrap(), "ready");
        started
    }

    /// Has a command carried out; panics with its error.
    #[track_caller]
    pub fn ask(&mut self, command: &str, arguments: Value) -> Value {
        self.try_ask(command, arguments)
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Has a command carried out.
    pub fn try_ask(&mut self, command: &str, mut arguments: Value) -> Result<Value, String> {
        arguments["do"] = json!(command);
        writeln!(self.commands, "{arguments}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let ended = || format!("tests/live/registry.py ended: {:?}", line);
        let mut answer: Value = serde_json::from_str(&line).map_err(|_| ended())?;
        match answer.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(answer["ok"].take()),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.process.kill();
    }
}
