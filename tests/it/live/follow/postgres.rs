//! A server on PostgreSQL.

use std::fs::{self, File, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Site, is_followed};
use crate::live::server::{Options, Store, free_port};
use crate::support::repository;

/// Who owns the cluster where we are root, whom PostgreSQL refuses.
const OWNER: &str = "postgres";
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster of its own; ended when dropped.
struct Postgres {
    process: Child,
    _folder: TempDir,
    url: String,
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
    fn start() -> Postgres {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        if is_root() {
            fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
            let id = |which: &str| printed("id", &[which, OWNER]).parse().ok();
            chown(&data, id("-u"), id("-g")).unwrap();
        }
        let log = folder.path().join("log");
        // The current folder may be one that the owner cannot enter.
        let run = |mut command: Command, words: &[&str]| {
            let log = File::options().create(true).append(true).open(&log).unwrap();
            command.args(words).current_dir("/").stdin(Stdio::null());
            command
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap()
        };
        let told = || fs::read_to_string(&log).unwrap();
        let at = data.to_str().unwrap();
        let made = run(
            program("initdb"),
            &["-D", at, "-U", "mlflow", "-A", "trust", "--no-sync"],
        )
        .wait()
        .unwrap();
        assert!(made.success(), "initdb: {}", told());
        let port = free_port();
        let number = port.to_string();
        let mut words = vec!["-D", at, "-k", at, "-p", &number];
        for setting in [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            // Nothing is left behind, however it ends.
            "dynamic_shared_memory_type=mmap",
        ] {
            words.extend(["-c", setting]);
        }
        let mut server = Postgres {
            process: run(program("postgres"), &words),
            _folder: folder,
            url: format!("postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"),
        };
        server.wait(port, &told);
        server
    }

    fn wait(&mut self, port: u16, log: &dyn Fn() -> String) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err()
            || !log().contains("ready to accept connections")
        {
            let ended = self.process.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < PATIENCE,
                "PostgreSQL does not start ({ended:?}): {}",
                log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // So it ends at once, and its other processes with it.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &id]).status();
        let _ = self.process.wait();
    }
}

#[test]
fn versions_registered_in_postgresql_are_followed() {
    let postgres = Postgres::start();
    let options = Options {
        backend: Some(&postgres.url),
        ..Options::default()
    };
    let mut site = Site::start(Store::new(), &options, &[]);
    is_followed(&mut site, &[]);
    assert!(!site.store.database().is_file());
}
