//! What is for people and their tools: predictions of flat records, the management API, and the description of it all.

mod document;
mod management;
mod predict;
mod serving;

use serde_json::Value;

use crate::support::{Answer, Server};

/// Sends JSON.
fn post(server: &Server, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    server.call("POST", path, &headers, body.to_string().as_bytes())
}

/// Reads JSON.
fn get(server: &Server, path: &str) -> Answer {
    server.call("GET", path, &[], b"")
}

/// The JSON of an answer with this status.
#[track_caller]
fn told(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    answer.json()
}

/// An answer in the shape of errors, with a word of its message.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, word: &str) {
    let json = answer.json();
    let got = (answer.status, json["error_code"].as_str());
    assert_eq!(got, (status, Some(code)), "{json}");
    assert!(json["message"].as_str().unwrap().contains(word), "{json}");
    assert_eq!(json.as_object().unwrap().len(), 2, "{json}");
}
