//! Who may do what: tokens and roles on every route, limits, pages of other sites, TLS.

use std::fs;
use std::path::Path;

use crate::support::{Answer, Server, modelsd};

pub(crate) mod certificates;
mod collectors;
mod pages;
mod roles;
mod tls;
mod tokens;

/// A token, and its line for the file, as the command makes them.
pub(crate) fn token(role: &str, name: &str, more: &[&str]) -> (String, String) {
    let words = ["token", "new", "--role", role, "--name", name];
    let output = modelsd().args(words).args(more).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (token, line) = text.trim_end().split_once('\n').unwrap();
    let token = token.strip_prefix("token: ").unwrap();
    let line = line.strip_prefix("line:  ").unwrap();
    (token.to_owned(), line.to_owned())
}

/// A server of a small model with these tokens.
pub(crate) fn serve(folder: &Path, lines: &[&str], flags: &[&str]) -> Server {
    let file = folder.join("tokens");
    fs::write(&file, lines.join("\n")).unwrap();
    let file = file.to_str().unwrap();
    Server::start("models:/iris/1", &[&["--token-file", file], flags].concat())
}

/// Asks with a token.
pub(crate) fn ask(server: &Server, method: &str, path: &str, token: &str, body: &str) -> Answer {
    let token = format!("Bearer {token}");
    server.call(
        method,
        path,
        &[("authorization", &token), ("content-type", "application/json")],
        body.as_bytes(),
    )
}

/// A one-row request.
pub(crate) const ROW: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;
