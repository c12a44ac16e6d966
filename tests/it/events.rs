//! `GET /api/events`: what happened lately; and what the page needs of `GET /api/models/{name}`.

use serde_json::{Value, json};

use crate::house::{House, get, status, wait_for};
use crate::support::Server;

/// The events after one, without what changes from run to run.
fn events(server: &Server, after: u64) -> Vec<Value> {
    let news = get(server, &format!("/api/events?after={after}")).json();
    news["events"].as_array().unwrap().clone()
}

#[test]
fn swaps_and_rejected_versions_are_told_in_order() {
    let house = House::new(&["iris"]);
    let server = house.serve(&["models:/iris/Production", "--poll-interval", "1"]);
    let first = events(&server, 0);
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(
        (
            &first[0]["id"],
            &first[0]["kind"],
            &first[0]["version"],
            &first[0]["previous"]
        ),
        (&json!(1), &json!("published"), &json!("1"), &Value::Null)
    );
    house.say("transition iris 2 Production");
    wait_for("the swap", || !events(&server, 1).is_empty());
    let second = events(&server, 1);
    assert_eq!(
        (
            &second[0]["kind"],
            &second[0]["slot"],
            &second[0]["version"],
            &second[0]["previous"]
        ),
        (&json!("published"), &json!("iris"), &json!("2"), &json!("1"))
    );

    let bad = house.folder.path().join("bad");
    crate::house::copy(&house.registry().join("iris").join("1"), &bad);
    std::fs::write(bad.join("model.onnx"), b"no model").unwrap();
    house.say(&format!("register iris {}", bad.display()));
    house.say("transition iris 3 Production");
    wait_for("a version that is rejected", || {
        let newest = events(&server, 2);
        newest
            .iter()
            .any(|event| event["kind"] == "rejected" && event["version"] == "3" && event["previous"] == "2")
    });
    assert!(events(&server, 1 << 40).is_empty());
    assert_eq!(get(&server, "/api/events?after=x").status, 400);
    assert_eq!(get(&server, "/api/events?before=1").status, 400);
    assert_eq!(server.call("POST", "/api/events", &[], b"").status, 405);
}

#[test]
fn a_request_that_failed_is_told_without_what_was_in_it() {
    let house = House::new(&["iris"]);
    let server = house.serve(&["models:/iris/1"]);
    let send = |path: &str, id: &str, body: &str| {
        let headers = [("content-type", "application/json"), ("x-request-id", id)];
        server.call("POST", path, &headers, body.as_bytes()).status
    };
    assert_eq!(send("/invocations", "good", r#"{"inputs": [[1, 2, 3, 4]]}"#), 200);
    assert_eq!(
        send("/invocations", "one", r#"{"inputs": [["tell-nobody"]]}"#),
        400
    );
    assert_eq!(send("/invocations", "two", r#"{"tell-nobody"#), 400);
    assert_eq!(send("/models/nope/invocations", "three", "{}"), 404);
    let told = events(&server, 1);
    let short: Vec<(&str, &str, &str)> = told
        .iter()
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap_or_default();
            (text("request_id"), text("slot"), text("version"))
        })
        .collect();
    assert_eq!(
        short,
        [("one", "iris", "1"), ("two", "iris", "1"), ("three", "nope", "")],
        "{told:?}"
    );
    assert!(told.iter().all(|event| event["kind"] == "request"));
    assert_eq!(told[2]["failure"], "unknown_slot");
    let text = get(&server, "/api/events").text();
    assert!(!text.contains("tell-nobody"), "{text}");
}

#[test]
fn a_model_shows_its_signature_and_a_small_input_example() {
    let house = House::new(&["wine"]);
    let server = house.serve(&["models:/wine/1"]);
    let serving = &status(&server, "wine")["serving"];
    assert_eq!(
        serving["signature"],
        json!({
            "inputs": [
                { "name": "features", "type": "tensor", "tensor-spec": { "dtype": "float32", "shape": [-1, 13] } }
            ],
            "outputs": null,
            "params": null,
        })
    );
    let example = serving["input_example"].to_string();
    assert_eq!(server.invoke(&example).status, 200, "{example}");
    // The list is for many models, and stays short.
    let all = get(&server, "/api/models").json();
    assert_eq!(all["models"][0]["serving"].get("signature"), None);
}
