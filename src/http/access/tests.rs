//! Tests of the guard.

use super::tokens::mint;
use super::*;

const PUBLIC: [u8; 4] = [10, 0, 0, 1];
const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

fn guard(token: Option<&str>, listening: [u8; 4]) -> Guard {
    with(&Config::default(), token, listening)
}

fn with(config: &Config, token: Option<&str>, listening: [u8; 4]) -> Guard {
    Guard::new(config, token, listening.into(), "box.internal").unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&'static str, &str)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap());
    pairs.iter().map(pair).collect()
}

fn status(guard: &Guard, pairs: &[(&'static str, &str)]) -> Option<u16> {
    status_from(guard, pairs, false)
}

fn status_from(guard: &Guard, pairs: &[(&'static str, &str)], local: bool) -> Option<u16> {
    let answer = guard
        .admit(&Method::POST, "/api/reload", &headers(pairs), local)
        .err();
    answer.map(|response| response.status().as_u16())
}

#[test]
fn the_token_or_loopback_opens() {
    let token = guard(Some("t"), PUBLIC);
    assert_eq!(status(&token, &[("authorization", "Bearer t")]), None);
    assert_eq!(status(&token, &[("authorization", "bearer  t")]), None);
    assert_eq!(status(&token, &[("authorization", "Bearer u")]), Some(401));
    assert_eq!(status(&token, &[("authorization", "Basic t")]), Some(401));
    assert_eq!(status(&token, &[]), Some(401));
    assert_eq!(status(&guard(None, PUBLIC), &[]), Some(403));
    assert_eq!(status(&guard(None, LOOPBACK), &[]), None);
    assert_eq!(status(&guard(Some("t"), LOOPBACK), &[]), Some(401));
}

#[test]
fn the_unix_socket_is_as_good_as_loopback() {
    let open = guard(None, PUBLIC);
    assert_eq!(status_from(&open, &[], true), None);
    assert_eq!(status_from(&open, &[], false), Some(403));
    assert_eq!(status_from(&guard(Some("t"), PUBLIC), &[], true), Some(401));
    assert_eq!(
        status_from(&open, &[("origin", "http://evil.example")], true),
        Some(403)
    );
}

#[test]
fn pages_of_other_sites_are_refused() {
    let open = guard(None, LOOPBACK);
    let host = ("host", "localhost:5001");
    assert_eq!(status(&open, &[host, ("origin", "http://localhost:5001")]), None);
    assert_eq!(
        status(&open, &[host, ("origin", "http://evil.example")]),
        Some(403)
    );
    assert_eq!(status(&open, &[host, ("origin", "null")]), Some(403));
}

#[test]
fn a_name_that_leads_here_is_that_of_this_machine_where_nobody_needs_a_token() {
    let evil = headers(&[
        ("host", "evil.example:5001"),
        ("origin", "http://evil.example:5001"),
    ]);
    let admitted = |guard: &Guard, method: &Method, path: &str, headers: &HeaderMap, local: bool| {
        guard.admit(method, path, headers, local).is_ok()
    };
    let (open, everywhere) = (guard(None, LOOPBACK), guard(None, PUBLIC));
    for (method, path) in [
        (Method::GET, "/api/models"),
        (Method::POST, "/invocations"),
        (Method::POST, "/api/reload"),
    ] {
        assert!(!admitted(&open, &method, path, &evil, false), "{path}");
        for host in ["localhost:5001", "127.0.0.1:5001", "box.internal:5001"] {
            let own = headers(&[("host", host), ("origin", &format!("http://{host}"))]);
            assert!(admitted(&open, &method, path, &own, false), "{host} {path}");
        }
        // The name of a service; it may change nothing for another reason.
        let service = headers(&[("host", "modelsd.prod.svc:5001")]);
        assert_eq!(
            admitted(&everywhere, &method, path, &service, false),
            path != "/api/reload"
        );
        assert!(
            admitted(&open, &method, path, &evil, true),
            "{path} of the socket"
        );
    }
    assert!(admitted(&open, &Method::GET, "/ping", &evil, false));
    let token = headers(&[("host", "models.example"), ("authorization", "Bearer t")]);
    assert!(admitted(
        &guard(Some("t"), LOOPBACK),
        &Method::POST,
        "/api/reload",
        &token,
        false
    ));
    // Behind a proxy that is known by a name.
    let proxied = headers(&[("host", "models.example"), ("origin", "https://models.example")]);
    for (origin, changes) in [("https://models.example", true), ("*", false)] {
        let config = Config {
            origins: vec![origin.parse().unwrap()],
            ..Config::default()
        };
        let known = with(&config, None, LOOPBACK);
        assert!(admitted(&known, &Method::GET, "/api/models", &proxied, false));
        assert_eq!(
            admitted(&known, &Method::POST, "/api/reload", &proxied, false),
            changes
        );
    }
}

#[test]
fn no_line_of_the_file_takes_the_admin_token_away() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = Line {
        role: Role::Predict,
        name: "other".to_owned(),
        digest: Digest::of("t"),
        limit: None,
    };
    std::fs::write(file.path(), line.to_string()).unwrap();
    let config = Config {
        tokens: Some(file.path().to_owned()),
        ..Config::default()
    };
    let guard = with(&config, Some("t"), LOOPBACK);
    let token = [("authorization", "Bearer t")];
    assert_eq!(status(&guard, &token), None);
    guard.reread().unwrap();
    assert_eq!(status(&guard, &token), None);
}

#[test]
fn allowed_pages_may_change_things_with_a_token_only() {
    let config = Config {
        origins: vec!["https://app.example".parse().unwrap()],
        ..Config::default()
    };
    let page = ("origin", "https://app.example");
    let other = ("origin", "https://evil.example");
    let token = ("authorization", "Bearer t");
    let guarded = with(&config, Some("t"), LOOPBACK);
    assert_eq!(status(&guarded, &[page, token]), None);
    assert_eq!(status(&guarded, &[other, token]), Some(403));
    let without = with(&config, None, LOOPBACK);
    assert_eq!(status(&without, &[page]), Some(403));
    assert_eq!(status(&without, &[]), None);
}

#[test]
fn a_limit_is_each_tokens_own_and_that_of_everybody_else() {
    let (first, one) = mint(Role::Predict, "one", None).unwrap();
    let (second, two) = mint(Role::Predict, "two", Some("1:3".parse().unwrap())).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{one}\n{two}\n")).unwrap();
    let config = Config {
        tokens: Some(file.path().to_owned()),
        anonymous: vec![Role::Predict],
        limit: Some("0.001:2".parse().unwrap()),
        ..Config::default()
    };
    let guard = with(&config, None, LOOPBACK);
    let passed = |pairs: &[(&'static str, &str)]| {
        let headers = headers(pairs);
        let admit = || guard.admit(&Method::POST, "/invocations", &headers, false);
        (0..10).filter(|_| admit().is_ok()).count()
    };
    assert_eq!(passed(&[("authorization", &format!("Bearer {first}"))]), 2);
    assert_eq!(passed(&[("authorization", &format!("Bearer {second}"))]), 3);
    assert_eq!(passed(&[]), 2);
    // A token that nobody has is no token.
    assert_eq!(passed(&[("authorization", "Bearer other")]), 0);
    let admit = guard.admit(&Method::GET, "/ping", &HeaderMap::new(), false);
    assert!(admit.is_ok());
}

#[test]
fn only_what_needs_it_is_in_the_way_of_predictions() {
    let (nothing, page) = (headers(&[]), headers(&[("origin", "http://a.b")]));
    assert!(!guard(None, PUBLIC).is_in_the_way(&page));
    assert!(!guard(Some("t"), PUBLIC).is_in_the_way(&page));
    assert!(!guard(None, LOOPBACK).is_in_the_way(&nothing));
    assert!(guard(None, LOOPBACK).is_in_the_way(&page));
    let limited = Config {
        limit: Some("1".parse().unwrap()),
        ..Config::default()
    };
    assert!(with(&limited, None, PUBLIC).is_in_the_way(&nothing));
}
