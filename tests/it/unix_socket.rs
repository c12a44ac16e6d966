//! A server on a Unix domain socket besides its port.

use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Answer, Server, modelsd, read_answer};

const IRIS: &str = "models:/iris/1";
const SEED: &str = r#"{"inputs": [[1, 2, 3, 4]]}"#;

fn start(socket: &Path, flags: &[&str]) -> Server {
    Server::start(IRIS, &[&["--uds", socket.to_str().unwrap()], flags].concat())
}

fn ask(socket: &Path, method: &str, path: &str, body: &str) -> Answer {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).unwrap();
    read_answer(&mut stream).unwrap()
}

fn refused(socket: &Path) -> String {
    let run = modelsd()
        .args(["serve", "-m", IRIS, "--port", "0", "--uds"])
        .arg(socket)
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
    String::from_utf8_lossy(&run.stderr).into_owned()
}

#[test]
fn the_socket_answers_as_the_port_does_and_its_file_goes_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("modelsd.sock");
    let server = start(&socket, &[]);
    let (there, here) = (ask(&socket, "POST", "/invocations", SEED), server.invoke(SEED));
    assert_eq!((there.status, there.text()), (200, here.text()));
    let text = refused(&socket);
    assert!(
        text.contains("another process listens on") && text.contains(socket.to_str().unwrap()),
        "{text}"
    );
    assert_eq!(ask(&socket, "GET", "/ping", "").status, 200);
    server.terminate();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!socket.try_exists().unwrap());
}

#[test]
fn the_file_of_a_server_that_died_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let mut died = start(&socket, &[]);
    died.kill();
    assert!(std::fs::metadata(&socket).unwrap().file_type().is_socket());
    let _server = start(&socket, &[]);
    assert_eq!(ask(&socket, "GET", "/ping", "").status, 200);
}

#[test]
fn a_file_that_is_no_socket_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    std::fs::write(&file, "mine").unwrap();
    let text = refused(&file);
    assert!(text.contains("is no socket") && text.contains("notes"), "{text}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn the_umask_says_who_may_connect() {
    let folder = tempfile::tempdir().unwrap();
    for (umask, writers) in [("007", 0o220), ("077", 0o200)] {
        let socket = folder.path().join(umask);
        let modelsd = modelsd();
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
            .arg(modelsd.get_program())
            .current_dir(modelsd.get_current_dir().unwrap());
        for (name, value) in modelsd.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let _server = Server::start_with(command, IRIS, &["--uds", socket.to_str().unwrap()]);
        let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o222, writers, "{umask}: {mode:o}");
    }
}

#[test]
fn who_reaches_the_socket_may_change_things_where_the_network_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let server = start(&socket, &["--host", "0.0.0.0"]);
    assert_eq!(server.call("POST", "/api/reload", &[], b"").status, 403);
    assert_eq!(ask(&socket, "POST", "/api/reload", "").status, 202);
    let mut command = modelsd();
    command
        .env("MODELSD_ADMIN_TOKEN", "secret")
        .env("MODELSD_UDS", folder.path().join("t"));
    let _guarded = Server::start_with(command, IRIS, &[]);
    assert_eq!(
        ask(&folder.path().join("t"), "POST", "/api/reload", "").status,
        401
    );
}
