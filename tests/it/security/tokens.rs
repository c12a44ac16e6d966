//! The file of tokens while the server runs, and the limits of tokens.

use std::fs;

use super::{ROW, ask, serve, token};
use crate::house::wait_for;
use crate::support::{Server, modelsd};

fn predicts(server: &Server, token: &str) -> u16 {
    ask(server, "POST", "/invocations", token, ROW).status
}

fn counted(server: &Server, admin: &str, line: &str) -> Option<u64> {
    let metrics = ask(server, "GET", "/metrics", admin, "").text();
    let line = metrics.lines().find_map(|found| found.strip_prefix(line))?;
    line.trim().parse().ok()
}

#[test]
fn a_changed_file_counts_and_a_bad_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let (old, old_line) = token("predict", "old", &[]);
    let (new, new_line) = token("predict", "new", &[]);
    let (admin, admin_line) = token("admin", "operator", &[]);
    let server = serve(folder.path(), &[&old_line, &admin_line], &[]);
    assert_eq!((predicts(&server, &old), predicts(&server, &new)), (200, 401));

    // In the way of secrets that are mounted: as a whole.
    let next = folder.path().join("next");
    fs::write(&next, format!("{new_line}\n{admin_line}\n")).unwrap();
    fs::rename(&next, &file).unwrap();
    wait_for("the new token", || predicts(&server, &new) == 200);
    assert_eq!(predicts(&server, &old), 401);

    let bad = "modelsd_credentials_read_total{kind=\"tokens\",outcome=\"rejected\"}";
    fs::write(&file, format!("{old_line}\npredict secret-in-the-wrong-place\n")).unwrap();
    wait_for("the bad file to be seen", || {
        counted(&server, &admin, bad) == Some(1)
    });
    assert_eq!((predicts(&server, &old), predicts(&server, &new)), (401, 200));

    // Emptied: who is known stays known.
    fs::write(&file, "").unwrap();
    wait_for("the empty file to be seen", || {
        counted(&server, &admin, bad) == Some(2)
    });
    assert_eq!(predicts(&server, &new), 200);

    let good = "modelsd_credentials_read_total{kind=\"tokens\",outcome=\"ok\"}";
    fs::write(&file, format!("{old_line}\n{admin_line}\n")).unwrap();
    wait_for("the old token again", || predicts(&server, &old) == 200);
    let before = counted(&server, &admin, good).unwrap();
    server.hang_up();
    wait_for("the signal", || counted(&server, &admin, good) > Some(before));

    assert_eq!(ask(&server, "POST", "/api/reload", &admin, "").status, 202);
    server.terminate();
    let (_, log) = server.wait();
    assert!(log.contains("line 2: a line is ROLE NAME sha256:HEX"), "{log}");
    assert!(log.contains("\"token\":\"operator\""), "{log}");
    for secret in [&old, &new, &admin, "secret-in-the-wrong-place"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_limit_is_answered_429_and_probes_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let (slow, slow_line) = token("predict", "slow", &["--rate", "0.001:2"]);
    let (other, other_line) = token("predict", "other", &[]);
    let flags = ["--rate-limit", "0.001:5", "--anonymous", "predict"];
    let server = serve(folder.path(), &[&slow_line, &other_line], &flags);
    let statuses = |token: &str| -> Vec<u16> { (0..7).map(|_| predicts(&server, token)).collect() };
    assert_eq!(statuses(&slow), [200, 200, 429, 429, 429, 429, 429]);
    assert_eq!(statuses(&other), [200, 200, 200, 200, 200, 429, 429]);
    let anonymous: Vec<u16> = (0..6).map(|_| server.invoke(ROW).status).collect();
    assert_eq!(anonymous, [200, 200, 200, 200, 200, 429]);
    let refused = server.invoke(ROW);
    assert_eq!(refused.json()["error_code"], "REQUEST_LIMIT_EXCEEDED");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=1000).contains(&wait), "{wait}");
    for _ in 0..20 {
        assert_eq!(server.call("GET", "/ping", &[], b"").status, 200);
    }
}

#[test]
fn a_limit_works_without_tokens() {
    let server = Server::start("models:/iris/1", &["--rate-limit", "0.001:2"]);
    let statuses: Vec<u16> = (0..3).map(|_| server.invoke(ROW).status).collect();
    assert_eq!(statuses, [200, 200, 429]);
}

#[test]
fn the_commands_send_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let (admin, line) = token("admin", "operator", &[]);
    let server = serve(folder.path(), &[&line], &[]);
    let url = format!("http://{}", server.address);
    let pin = |token: &str| {
        let mut command = modelsd();
        // No proxy gets to see a token for this machine.
        command.env("http_proxy", "http://127.0.0.1:9");
        command.args(["pin", "iris", "1", "--server", &url]);
        command.env("MODELSD_ADMIN_TOKEN", token).output().unwrap()
    };
    assert!(pin(&admin).status.success());
    let refused = pin("mdt_other");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && told.contains("does not know the token"),
        "{told}"
    );
}

#[test]
fn bad_settings_are_told_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    fs::write(&file, "read a b\n\nroot c d\n").unwrap();
    let flags = [
        "serve",
        "-m",
        "models:/iris/1",
        "--token-file",
        file.to_str().unwrap(),
        "--anonymous",
        "admin",
        "--rate-limit",
        "many",
        "--cors-origin",
        "example.com",
    ];
    let output = modelsd().args(flags).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for wanted in [
        "line 1: the third word",
        "line 3: role: use read, predict or admin",
        "--anonymous is `admin`",
        "--rate-limit is `many`",
        "--cors-origin is `example.com`",
    ] {
        assert!(told.contains(wanted), "{wanted} in {told}");
    }
    let words = ["token", "new", "--role", "root", "--name", "a b", "--rate", "x"];
    let output = modelsd().args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("--role") && told.contains("--name") && told.contains("--rate"),
        "{told}"
    );
}
