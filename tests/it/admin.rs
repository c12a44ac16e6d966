//! The admin API: pins, the token, webhooks.

use std::fs;

use serde_json::{Value, json};

use crate::house::{House, serving, status, wait_for, wait_for_version};
use crate::support::{Server, modelsd};

#[test]
fn a_pin_holds_against_the_registry_and_a_restart() {
    let house = House::new(&["iris"]);
    let flags = ["models:/iris/Production", "--poll-interval", "3600"];
    let pin = |server: &Server, version: Value| {
        let body = json!({ "version": version }).to_string();
        server.call("PUT", "/api/models/iris/pin", &[], body.as_bytes())
    };
    {
        let server = house.serve(&flags);
        assert_eq!(pin(&server, json!("2")).status, 200);
        wait_for_version(&server, "iris", "2");
        assert_eq!(status(&server, "iris")["pinned"], "2");
        let refused = pin(&server, json!(9));
        assert!(
            refused.status == 404 && refused.text().contains("no version 9"),
            "{}",
            refused.text()
        );
        assert_eq!(pin(&server, json!("x")).status, 400);
        assert_eq!(
            server
                .call("PUT", "/api/models/nope/pin", &[], br#"{"version": 1}"#)
                .status,
            404
        );
    }
    let server = house.serve(&flags);
    assert_eq!(serving(&server, "iris"), "2");
    assert_eq!(
        server.call("DELETE", "/api/models/iris/pin", &[], b"").status,
        200
    );
    wait_for_version(&server, "iris", "1");
}

#[test]
fn a_token_guards_what_changes_things() {
    let house = House::new(&["iris"]);
    let token = house.folder.path().join("token");
    fs::write(&token, "s3cret\n").unwrap();
    let server = house.serve(&["models:/iris/1", "--admin-token-file", token.to_str().unwrap()]);
    let reload = |headers: &[(&str, &str)]| server.call("POST", "/api/reload", headers, b"");
    assert_eq!(reload(&[]).status, 401);
    assert_eq!(reload(&[("authorization", "Bearer wrong")]).status, 401);
    let answer = reload(&[("authorization", "Bearer s3cret")]);
    assert_eq!(
        (answer.status, answer.json()),
        (202, json!({ "models": ["iris"] }))
    );
    assert_eq!(
        server
            .call(
                "POST",
                "/api/reload?model=nope",
                &[("authorization", "Bearer s3cret")],
                b""
            )
            .status,
        404
    );
    let config = modelsd()
        .args(["serve", "-m", "models:/iris/1", "--admin-token-file", "/nowhere"])
        .output()
        .unwrap();
    assert_eq!(config.status.code(), Some(64));
}

#[test]
fn a_webhook_without_a_secret_causes_a_poll_and_one_with_a_secret_needs_its_signature() {
    let house = House::new(&["iris"]);
    let hook = |server: &Server| server.call("POST", "/api/registry/webhook", &[], b"{}");
    let polls = |server: &Server| {
        let metrics = server.metrics();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("modelsd_registry_polls_total{outcome=\"ok\"}"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let server = house.serve(&["models:/iris/1", "--poll-interval", "3600"]);
    let before = polls(&server);
    assert_eq!(hook(&server).status, 200);
    wait_for("a poll", || polls(&server) > before);
    let secret = house.folder.path().join("secret");
    fs::write(&secret, "s3cret").unwrap();
    let server = house.serve(&[
        "models:/iris/1",
        "--webhook-secret-file",
        secret.to_str().unwrap(),
    ]);
    assert_eq!(hook(&server).status, 400);
    let headers = [
        ("x-mlflow-delivery-id", "1"),
        ("x-mlflow-timestamp", "1"),
        ("x-mlflow-signature", "v1,AAAA"),
    ];
    assert_eq!(
        server
            .call("POST", "/api/registry/webhook", &headers, b"{}")
            .status,
        403
    );
}
