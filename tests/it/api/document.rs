//! The OpenAPI document tells of every route, and of nothing else; the page that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{get, told};
use crate::support::{Server, repository};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/// The methods of each path in the document.
fn documented(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| {
        item.as_object()
            .unwrap()
            .keys()
            .map(|method| method.to_uppercase())
            .collect()
    };
    paths
        .iter()
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

/// The paths that the sources route.
fn routed(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            routed(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let paths = text
                .split(".route(")
                .skip(1)
                .filter_map(|rest| rest.trim_start().strip_prefix('"'));
            found.extend(paths.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
}

#[test]
fn the_document_tells_of_every_route_and_of_nothing_else() {
    let server = Server::start("models:/iris/1", &[]);
    let document = told(&get(&server, "/openapi.json"), 200);
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        document["openapi"]
    );
    let documented = documented(&document);
    let mut routed = BTreeSet::new();
    self::routed(&repository("src/http"), &mut routed);
    // What answers for paths that are none.
    routed.retain(|path| !path.contains("{*"));
    assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), routed);

    for (path, methods) in &documented {
        let parts = path
            .split('/')
            .map(|part| if part.starts_with('{') { "1" } else { part });
        let concrete = parts.collect::<Vec<_>>().join("/");
        for method in METHODS.into_iter().filter(|method| !methods.contains(*method)) {
            // A path with a name in it may be another path as well, such as that of a model called `register`.
            let answer = server.call(method, &concrete, &[], b"");
            assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
            let allowed = answer.header("allow").unwrap();
            let allowed: BTreeSet<String> = allowed.split(", ").map(str::to_owned).collect();
            assert_eq!(&allowed, methods, "{path}");
        }
        assert_eq!(
            server.call("HEAD", &concrete, &[], b"").status,
            405,
            "HEAD {path}"
        );
    }
}

#[test]
fn every_operation_says_what_it_does_and_how_it_fails() {
    let server = Server::start("models:/iris/1", &[]);
    let document = told(&get(&server, "/openapi.json"), 200);
    let tags: Vec<&Value> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                operation["summary"].as_str().is_some_and(|text| text.len() > 5),
                "{method} {path}"
            );
            assert!(tags.contains(&&operation["tags"][0]), "{method} {path}");
            assert!(
                ids.insert(operation["operationId"].to_string()),
                "{method} {path}: the id is there twice"
            );
            let otherwise =
                &operation["responses"]["default"]["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(otherwise, "#/components/schemas/Error", "{method} {path}");
        }
    }
}

#[test]
fn the_page_is_one_file_that_needs_nobody_else() {
    let server = Server::start("models:/iris/1", &[]);
    let answer = get(&server, "/docs");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"),
        "{policy}"
    );
    let page = answer.text();
    assert!(page.len() < 40_000 && !page.contains("http://") && !page.contains("https://"));
    for word in [
        "lang=\"en\"",
        "prefers-color-scheme: dark",
        "width=device-width",
        ":focus-visible",
    ] {
        assert!(page.contains(word), "{word}");
    }
    assert!(!page.contains("innerHTML"));
}
