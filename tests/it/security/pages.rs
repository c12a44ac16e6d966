//! Pages of other sites, as browsers ask for them.

use super::{ROW, serve, token};
use crate::support::{Answer, Server};

const APP: &str = "https://app.example";

fn preflight(server: &Server, path: &str, origin: &str) -> Answer {
    let asked = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    server.call("OPTIONS", path, &asked, b"")
}

fn invoke(server: &Server, headers: &[(&str, &str)]) -> Answer {
    let all = [&[("content-type", "application/json")], headers].concat();
    server.call("POST", "/invocations", &all, ROW.as_bytes())
}

#[test]
fn without_a_setting_browsers_are_told_nothing() {
    let server = Server::start("models:/iris/1", &[]);
    assert_eq!(preflight(&server, "/invocations", APP).status, 405);
    let answer = invoke(&server, &[("origin", APP)]);
    assert_eq!(answer.status, 200);
    assert!(answer.header("access-control-allow-origin").is_none() && answer.header("vary").is_none());
}

#[test]
fn an_allowed_page_may_ask_and_another_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, line) = token("admin", "page", &[]);
    let server = serve(folder.path(), &[&line], &["--cors-origin", APP]);
    // Browsers send no token with a preflight.
    for path in ["/invocations", "/api/reload"] {
        let answer = preflight(&server, path, APP);
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("authorization,content-type")
        );
        assert!(
            answer
                .header("access-control-allow-methods")
                .unwrap()
                .contains("POST")
        );
        assert!(answer.header("access-control-allow-credentials").is_none());
        assert!(answer.header("vary").unwrap().contains("origin"));
        let answer = preflight(&server, path, "https://evil.example");
        assert_eq!(answer.status, 401);
        assert!(answer.header("access-control-allow-origin").is_none());
    }
    let bearer = format!("Bearer {secret}");
    let token = ("authorization", bearer.as_str());
    let answer = invoke(&server, &[("origin", APP), token]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert!(
        answer
            .header("access-control-expose-headers")
            .unwrap()
            .contains("x-model-version")
    );
    // A page has to be able to read why it is refused, and a cache to know that the answer is not for all.
    let refused = invoke(&server, &[("origin", APP)]);
    assert_eq!(
        (refused.status, refused.header("access-control-allow-origin")),
        (401, Some(APP))
    );
    let other = invoke(&server, &[("origin", "https://evil.example"), token]);
    assert_eq!(
        (other.status, other.header("access-control-allow-origin")),
        (200, None)
    );
    assert_eq!(other.header("vary"), Some("origin"));
    let reload = |origin: &str| server.call("POST", "/api/reload", &[("origin", origin), token], b"");
    assert_eq!(
        (reload(APP).status, reload("https://evil.example").status),
        (202, 403)
    );
}

/// As a browser asks a page's own server, whose name leads to this machine by now.
#[test]
fn a_page_whose_name_leads_here_is_told_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "secret").unwrap();
    let open = Server::start("models:/iris/1", &[]);
    let guarded = Server::start("models:/iris/1", &["--admin-token-file", file.to_str().unwrap()]);
    let everywhere = Server::start("models:/iris/1", &["--host", "0.0.0.0"]).at_loopback();
    let ask = |server: &Server, method: &str, path: &str, host: &str, more: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}");
        let head = format!(
            "{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{ROW}",
            ROW.len()
        );
        server.raw(head.as_bytes())
    };
    let evil = "evil.example:5001";
    let origin = "origin: http://evil.example:5001\r\n";
    for (method, path, more) in [
        ("GET", "/api/models", ""),
        ("GET", "/metrics", ""),
        ("POST", "/api/reload", origin),
        ("POST", "/invocations", origin),
        ("POST", "/models/iris/invocations", origin),
        ("POST", "/predict", ""),
    ] {
        let refused = ask(&open, method, path, evil, more);
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
        assert!(refused.text().contains("--token-file"), "{}", refused.text());
        let answer = ask(&open, method, path, "localhost:5001", "");
        assert_ne!(answer.status, 403, "{path}: {}", answer.text());
        if path != "/api/reload" {
            for server in [&guarded, &everywhere] {
                let answer = ask(server, method, path, evil, more);
                assert_ne!(answer.status, 403, "{path}: {}", answer.text());
            }
        }
    }
    assert_eq!(ask(&open, "GET", "/health/live", evil, "").status, 200);
    assert_eq!(ask(&open, "POST", "/invocations", evil, "").status, 200);
    let metrics = open.metrics();
    assert!(
        metrics.contains("modelsd_access_refused_total{reason=\"other_name\"} 6"),
        "{metrics}"
    );
}

#[test]
fn any_page_may_read_but_change_nothing_where_no_token_is_needed() {
    let server = Server::start("models:/iris/1", &["--cors-origin", "*"]);
    let answer = invoke(&server, &[("origin", APP)]);
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, Some("*"))
    );
    let reload = server.call("POST", "/api/reload", &[("origin", APP)], b"");
    assert_eq!(reload.status, 403);
    assert_eq!(server.call("POST", "/api/reload", &[], b"").status, 202);
}
