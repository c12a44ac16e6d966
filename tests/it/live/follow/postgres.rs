//! A server on PostgreSQL.

use std::fs::{self, File, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Site, is_followed, live_after, problem};
use crate::hot_swap::wait_for;
use crate::live::server::{Options, Store, free_port};
use crate::support::repository;

/// Who owns the cluster where we are root, whom PostgreSQL refuses.
const OWNER: &str = "postgres";
/// What its log says when it can be used.
const READY: &str = "ready to accept connections";
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster of its own; ended when dropped.
struct Postgres {
    process: Option<Child>,
    folder: TempDir,
    port: u16,
}

/// PostgreSQL's programs, as `scripts/test-postgres.sh` finds and installs them.
fn programs() -> PathBuf {
    let script = repository("scripts/test-postgres.sh");
    let found = Command::new(&script).arg("--find").output().unwrap();
    assert!(
        found.status.success(),
        "there is no PostgreSQL: run scripts/test-postgres.sh"
    );
    PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
}

/// What a command prints.
fn printed(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn is_root() -> bool {
    printed("id", &["-u"]) == "0"
}

/// A program of PostgreSQL, by its owner where we are root.
fn program(name: &str) -> Command {
    let path = programs().join(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", OWNER, "--regid", OWNER, "--clear-groups", "--"]);
    command.arg(path);
    command
}

impl Postgres {
    fn new() -> Postgres {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        if is_root() {
            fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
            let id = |which: &str| printed("id", &[which, OWNER]).parse().ok();
            chown(&data, id("-u"), id("-g")).unwrap();
        }
        let mut cluster = Postgres {
            process: None,
            folder,
            port: free_port(),
        };
        let at = data.to_str().unwrap();
        let made = cluster.run("initdb", &["-D", at, "-U", "mlflow", "-A", "trust", "--no-sync"]);
        assert!(made.wait().unwrap().success(), "initdb: {}", cluster.log());
        cluster.start();
        cluster
    }

    fn url(&self) -> String {
        format!("postgresql+psycopg2://mlflow@127.0.0.1:{}/postgres", self.port)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn run(&mut self, name: &str, words: &[&str]) -> &mut Child {
        let log = self.folder.path().join("log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = program(name);
        // The current folder may be one that the owner cannot enter.
        command.args(words).current_dir("/").stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.process.insert(command.spawn().unwrap())
    }

    fn start(&mut self) {
        let data = self.folder.path().join("data");
        let (at, port) = (data.to_str().unwrap(), self.port.to_string());
        let mut words = vec!["-D", at, "-k", at, "-p", &port];
        for setting in [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            // Nothing is left behind, however it ends.
            "dynamic_shared_memory_type=mmap",
        ] {
            words.extend(["-c", setting]);
        }
        let before = self.log().matches(READY).count();
        self.run("postgres", &words);
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err()
            || self.log().matches(READY).count() == before
        {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < PATIENCE,
                "PostgreSQL does not start ({ended:?}): {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it at once, and its other processes with it.
    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let id = process.id().to_string();
            let _ = Command::new("kill").args(["-QUIT", &id]).status();
            let _ = process.wait();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn versions_registered_in_postgresql_are_followed_also_when_it_goes_away_and_comes_back() {
    let mut postgres = Postgres::new();
    let url = postgres.url();
    let options = Options {
        backend: Some(&url),
        ..Options::default()
    };
    let mut site = Site::start(Store::new(), &options, &[]);
    is_followed(&mut site, &[]);
    assert!(!site.store.database().is_file());

    // The server answers, its database does not.
    let flags = ["-m", "models:/iris/Production", "--poll-interval", "0.5"];
    let server = site.serve(&flags);
    postgres.stop();
    wait_for("the outage", || problem(&server, "iris")["outage"] == true);
    println!("without its database: {}", problem(&server, "iris")["reason"]);
    live_after(&server, 1);
    drop(server);
    let began = Instant::now();
    let server = site.serve(&flags);
    live_after(&server, 1);
    println!("started in that outage: first answer after {:?}", began.elapsed());
    postgres.start();
    wait_for("its end", || problem(&server, "iris").is_null());
    site.swap(&server, 2);
}

#[test]
fn predictions_with_nul_get_into_postgresql() {
    let postgres = Postgres::new();
    let url = postgres.url();
    let options = Options {
        backend: Some(&url),
        ..Options::default()
    };
    let site = Site::start(Store::new(), &options, &[]);
    let sinks = ["mlflow:runs?mode=runs&sample=1", "mlflow:traces?sample=1"];
    let flags = ["-m", "models:/iris/1", "--registry", "./models"];
    let flags = [&flags[..], &["--record", sinks[0], "--record", sinks[1]]].concat();
    let server = site.serve(&flags);
    live_after(&server, 1);
    // The message names the column as it is, and PostgreSQL has no text with NUL.
    let body = r#"{"dataframe_split": {"columns": ["a\u0000b"], "data": [["x\u0000"]]}}"#;
    let refused = server.invoke(body);
    assert_eq!(refused.status, 400, "{}", refused.text());
    let taken = |sink: &str| {
        let metrics = server.metrics();
        let start = format!("modelsd_records_total{{sink=\"{sink}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&start));
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    for sink in ["mlflow-runs", "mlflow-traces"] {
        wait_for("both predictions", || taken(sink) >= 2);
    }
}
