//! Each route with every token, without one and with a wrong one.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::{ROW, ask, serve, token};
use crate::house::House;
use crate::support::{Answer, Server, modelsd};

/// Every route of the server, and what it needs. A route that is not here fails the test below.
const ROUTES: &[(&str, &str, &str)] = &[
    ("GET", "/", "nothing"),
    ("GET", "/assets/script.js", "nothing"),
    ("GET", "/ping", "nothing"),
    ("GET", "/health", "nothing"),
    ("GET", "/health/live", "nothing"),
    ("GET", "/health/ready", "nothing"),
    ("POST", "/api/registry/webhook", "nothing"),
    ("GET", "/docs", "nothing"),
    ("GET", "/openapi.json", "nothing"),
    ("GET", "/version", "read"),
    ("GET", "/metrics", "read"),
    ("GET", "/api/models", "read"),
    ("GET", "/api/models/{name}", "read"),
    ("GET", "/api/events", "read"),
    ("GET", "/api/routes", "read"),
    ("GET", "/api/routes/{route}", "read"),
    ("GET", "/api/routes/{route}/compare", "read"),
    ("GET", "/api/routes/{route}/shadow", "read"),
    ("POST", "/invocations", "predict"),
    ("POST", "/models/{name}/invocations", "predict"),
    ("POST", "/predict", "predict"),
    ("POST", "/models/{name}/predict", "predict"),
    ("POST", "/api/feedback", "predict"),
    ("PUT", "/api/models/{name}/pin", "admin"),
    ("DELETE", "/api/models/{name}/pin", "admin"),
    ("PUT", "/api/routes/{route}/weights", "admin"),
    ("POST", "/api/routes/{route}/promote", "admin"),
    ("POST", "/api/config/reload", "admin"),
    ("POST", "/api/reload", "admin"),
    ("GET", "/api/mlflow/health", "read"),
    ("GET", "/api/mlflow/info", "read"),
    ("GET", "/api/mlflow/version", "read"),
    ("GET", "/api/mlflow/serving/models", "read"),
    ("POST", "/api/mlflow/serving/models/deploy", "admin"),
    ("POST", "/api/mlflow/serving/models/{name}/predict", "predict"),
    ("DELETE", "/api/mlflow/serving/models/{name}", "admin"),
    ("GET", "/api/mlflow/experiments", "read"),
    ("POST", "/api/mlflow/experiments/create", "admin"),
    ("GET", "/api/mlflow/experiments/{id}", "read"),
    ("POST", "/api/mlflow/experiments/{id}/runs/start", "admin"),
    ("POST", "/api/mlflow/experiments/{id}/runs/{run}/end", "admin"),
    ("GET", "/api/mlflow/runs/{id}", "read"),
    ("POST", "/api/mlflow/runs/{id}/log-params", "admin"),
    ("POST", "/api/mlflow/runs/{id}/log-metrics", "admin"),
    ("POST", "/api/mlflow/runs/{id}/log-artifacts", "admin"),
    ("GET", "/api/mlflow/runs/{id}/artifacts", "read"),
    ("GET", "/api/mlflow/models", "read"),
    ("POST", "/api/mlflow/models/register", "admin"),
    ("GET", "/api/mlflow/models/{name}", "read"),
    ("GET", "/api/mlflow/models/{name}/versions", "read"),
    (
        "POST",
        "/api/mlflow/models/{name}/versions/{version}/stage",
        "admin",
    ),
    ("GET", "/api/mlflow/{*rest}", "read"),
];

/// The methods and paths of the document, which a test of its own keeps to those that the router knows.
#[test]
fn every_route_has_a_role() {
    let server = Server::start("models:/iris/1", &[]);
    let document = server.call("GET", "/openapi.json", &[], b"").json();
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let role = operation["security"][0]["token"][0].as_str();
            found.insert(
                (method.to_uppercase(), path.clone()),
                role.unwrap_or("nothing").to_owned(),
            );
        }
    }
    assert!(found.len() > 40);
    // The document is for programs, which want neither the page nor what answers for paths that are none.
    let shown = |path: &str| path != "/" && !path.starts_with("/assets/") && !path.contains("{*");
    let known: BTreeMap<(String, String), String> = ROUTES
        .iter()
        .filter(|(_, path, _)| shown(path))
        .map(|(method, path, role)| (((*method).into(), (*path).into()), (*role).into()))
        .collect();
    assert_eq!(
        found, known,
        "each route needs a line in ROUTES, and its role in src/http/access/role.rs"
    );
}

/// A path of the route that may exist or not: who may ask is told before that.
fn path(route: &str) -> String {
    let names = [
        ("{name}", "iris"),
        ("{route}", "none"),
        ("{id}", "1"),
        ("{run}", "1"),
        ("{version}", "1"),
        ("{*rest}", "nothing"),
    ];
    let put = |route: String, (name, value): (&str, &str)| route.replace(name, value);
    names.into_iter().fold(route.to_owned(), put)
}

fn call(server: &Server, method: &str, route: &str, token: Option<&str>) -> Answer {
    let body = if route.ends_with("invocations") { ROW } else { "{}" };
    match token {
        Some(token) => ask(server, method, &path(route), token, body),
        None => server.call(
            method,
            &path(route),
            &[("content-type", "application/json")],
            body.as_bytes(),
        ),
    }
}

#[test]
fn each_route_wants_its_role() {
    let folder = tempfile::tempdir().unwrap();
    let made: Vec<(&str, String, String)> = ["read", "predict", "admin"]
        .into_iter()
        .map(|role| {
            let (token, line) = token(role, role, &[]);
            (role, token, line)
        })
        .collect();
    let lines: Vec<&str> = made.iter().map(|(_, _, line)| line.as_str()).collect();
    // Without a secret, webhooks are refused whoever sends them.
    let hook = serve(folder.path(), &lines, &[]).call("POST", "/api/registry/webhook", &[], b"{}");
    assert_eq!(hook.status, 403);
    assert!(hook.text().contains("--webhook-secret-file"), "{}", hook.text());
    let secret = folder.path().join("secret");
    fs::write(&secret, "s3cret").unwrap();
    let server = serve(
        folder.path(),
        &lines,
        &["--webhook-secret-file", secret.to_str().unwrap()],
    );
    for (method, route, needed) in ROUTES {
        let what = format!("{method} {route}");
        for wrong in [None, Some("mdt_wrong")] {
            let answer = call(&server, method, route, wrong);
            let refused = answer.status == 401;
            assert_eq!(
                refused,
                *needed != "nothing",
                "{what} {wrong:?}: {}",
                answer.text()
            );
            if refused {
                assert_eq!(answer.json()["error_code"], "UNAUTHENTICATED", "{what}");
                assert!(answer.json()["message"].is_string(), "{what}");
                let challenge = answer.header("www-authenticate").unwrap();
                assert!(challenge.starts_with("Bearer "), "{what}: {challenge}");
                assert!(answer.header("x-request-id").is_some(), "{what}");
            }
        }
        for (role, token, _) in &made {
            let answer = call(&server, method, route, Some(token));
            let may = ["nothing", role].contains(needed) || *role == "admin";
            if may {
                assert!(
                    ![401, 403].contains(&answer.status),
                    "{what} {role}: {}",
                    answer.text()
                );
            } else {
                assert_eq!(answer.status, 403, "{what} {role}");
                assert_eq!(answer.json()["error_code"], "PERMISSION_DENIED", "{what}");
                let message = answer.json()["message"].to_string();
                assert!(
                    message.contains(&format!("`{needed}`")),
                    "{what} {role}: {message}"
                );
            }
        }
    }
    // What is answered where no route is says nothing to strangers either.
    assert_eq!(server.call("GET", "/nothing/here", &[], b"").status, 401);
    assert_eq!(server.call("OPTIONS", "/invocations", &[], b"").status, 401);
    let metrics = ask(&server, "GET", "/metrics", &made[0].1, "").text();
    for reason in ["no_token", "unknown_token", "role"] {
        let line = format!("modelsd_access_refused_total{{reason=\"{reason}\"}}");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

/// What is waited for holds a connection. Files for a run are left out: without a tracking server nobody reads them.
#[test]
fn every_body_has_its_time_and_its_bound() {
    use std::io::Write;
    let server = Server::start("models:/iris/1", &["--client-timeout", "0.3"]);
    let head = |method: &str, route: &str, length: usize| {
        format!(
            "{method} {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n",
            path(route),
            server.address
        )
    };
    let sending = ROUTES
        .iter()
        .filter(|(method, route, _)| *method != "GET" && !route.ends_with("log-artifacts"));
    let waiting: Vec<_> = sending
        .clone()
        .map(|(method, route, _)| {
            let mut stream = server.connect();
            stream.write_all(head(method, route, 10).as_bytes()).unwrap();
            stream.write_all(b"{").unwrap();
            (method, route, stream)
        })
        .collect();
    assert!(waiting.len() > 15);
    for (method, route, mut stream) in waiting {
        let answer = crate::support::read_answer(&mut stream).unwrap();
        assert_eq!(answer.status, 408, "{method} {route}: {}", answer.text());
    }
    let long = vec![b' '; 3 << 20];
    for (method, route, _) in sending.filter(|(_, _, needed)| *needed != "predict") {
        let answer = server.raw(&[head(method, route, long.len()).as_bytes(), &long].concat());
        assert_eq!(answer.status, 413, "{method} {route}: {}", answer.text());
        assert_eq!(answer.json()["error_code"], "BAD_REQUEST", "{method} {route}");
    }
}

#[test]
fn without_tokens_loopback_is_open_and_other_addresses_are_closed_to_changes() {
    let house = House::new(&["iris"]);
    for (host, changes) in [("127.0.0.1", true), ("0.0.0.0", false)] {
        let server = house.serve(&["models:/iris/1", "--host", host]);
        let server = server.at_loopback();
        for (method, route, needed) in ROUTES {
            let answer = call(&server, method, route, None);
            let refused = [401, 403].contains(&answer.status);
            let wanted = *needed == "admin" && !changes;
            assert_eq!(refused, wanted, "{host} {method} {route}: {}", answer.text());
        }
    }
}

/// What a server says up to the line that it serves.
fn said_at_start(flags: &[&str]) -> String {
    let all = [
        &[
            "serve",
            "-m",
            "models:/iris/1",
            "--port",
            "0",
            "--log-format",
            "json",
        ],
        flags,
    ]
    .concat();
    let mut child = modelsd().args(all).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    for line in lines.map_while(Result::ok) {
        said.push_str(&line);
        if line.contains("\"serving\"") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    said
}

#[test]
fn the_start_says_what_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let (_, line) = token("predict", "one", &[]);
    fs::write(&file, line).unwrap();
    let tokens = ["--token-file", file.to_str().unwrap()];
    let all = ["--host", "0.0.0.0"];
    for (flags, warns, wanted) in [
        (&[][..], false, "no admin token is set"),
        (
            &all,
            true,
            "no tokens are set, and the address is none of loopback",
        ),
        (&tokens, false, "tokens are set"),
        (
            &[tokens, all].concat(),
            true,
            "tokens are set, but travel as plain text",
        ),
    ] {
        let said = said_at_start(flags);
        assert!(said.contains(wanted), "{flags:?}: {said}");
        assert_eq!(said.contains("\"WARN\""), warns, "{flags:?}: {said}");
    }
}

#[test]
fn a_body_is_not_asked_for_from_somebody_who_may_not_send_it() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let (_, line) = token("predict", "one", &[]);
    let server = serve(folder.path(), &[&line], &[]);
    let mut stream = server.connect();
    let head = format!(
        "POST /invocations HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 60000000\r\n\
         expect: 100-continue\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The control is the status itself: whoever is asked for the body gets 100 first.
    assert_eq!(crate::support::read_answer(&mut stream).unwrap().status, 401);
}
