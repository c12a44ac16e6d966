//! `modelsd health`: its line and its status, over a port and over a socket.

use std::net::TcpListener;
use std::process::Output;

use crate::house::House;
use crate::support::{Server, modelsd};

fn health(flags: &[&str], port: Option<&str>) -> Output {
    let mut command = modelsd();
    // Whatever the desk has for a proxy must not be asked.
    command.env("http_proxy", "http://127.0.0.1:9");
    if let Some(port) = port {
        command.env("MODELSD_PORT", port).env("MODELSD_HOST", "0.0.0.0");
    }
    command.arg("health").args(flags).output().unwrap()
}

/// Its status, what it says, and what it complains of.
fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_server_that_is_ready_is_told_from_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("modelsd.sock");
    let socket = socket.to_str().unwrap();
    let server = Server::start("models:/iris/1", &["--uds", socket]);
    let url = format!("http://{}", server.address);
    let well = format!("{url}/health/ready answers 200\n");
    assert_eq!(
        told(&health(&["--url", &url], None)),
        (Some(0), well.clone(), String::new())
    );
    // As in a container, where nothing is typed.
    let (_, port) = server.address.rsplit_once(':').unwrap();
    assert_eq!(told(&health(&[], Some(port))), (Some(0), well, String::new()));
    let on_socket = format!("/health/ready on {socket} answers 200\n");
    assert_eq!(
        told(&health(&["--uds", socket], None)),
        (Some(0), on_socket, String::new())
    );
    let (status, said, complained) = told(&health(&["--url", &format!("{url}/nothing")], None));
    assert_eq!((status, said.as_str()), (Some(1), ""));
    assert!(complained.contains("/nothing answers 404"), "{complained}");

    // One that follows a registry with nothing for it yet: live, but not ready.
    let house = House::new(&["iris"]);
    let waiting = house.serve_any(&["--all-models", "Archived"]);
    let url = format!("http://{}", waiting.address);
    let (status, said, complained) = told(&health(&["--url", &url], None));
    assert_eq!((status, said.as_str()), (Some(1), ""), "{complained}");
    assert!(complained.contains("answers 503"), "{complained}");
    let (status, said, _) = told(&health(&["--url", &url, "--live"], None));
    assert_eq!(
        (status, said),
        (Some(0), format!("{url}/health/live answers 200\n"))
    );
}

#[test]
fn a_server_that_is_not_there_is_told_in_words() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (status, said, complained) = told(&health(&["--url", &format!("http://{free}")], None));
    assert_eq!((status, said.as_str()), (Some(1), ""));
    assert!(complained.contains("does not answer"), "{complained}");
    // One that accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (status, _, complained) = told(&health(&["--url", &url, "--timeout", "0.2"], None));
    assert!(
        status == Some(1) && complained.contains("timed out"),
        "{complained}"
    );
    let (status, _, complained) = told(&health(&["--url", "nowhere"], None));
    assert!(
        status == Some(64) && complained.contains("`nowhere`"),
        "{complained}"
    );
}
