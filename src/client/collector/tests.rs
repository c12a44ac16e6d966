//! Tests of the client of a collector.

use super::*;

fn config(url: &str) -> Config {
    Config::new(address(url).unwrap())
}

#[test]
fn addresses_are_those_of_http() {
    for (text, expected) in [
        ("http://h:4318", "http://h:4318/v1/traces"),
        ("http://h:4318/", "http://h:4318/v1/traces"),
        ("https://h/otlp", "https://h/otlp/v1/traces"),
        (" http://h:4318 ", "http://h:4318/v1/traces"),
    ] {
        assert_eq!(of_traces(&address(text).unwrap()).as_str(), expected, "{text}");
    }
    for text in [
        "h:4318",
        "grpc://me:hidden@h:4317",
        "http://me:hidden@",
        "http://h#x",
        "",
    ] {
        let problem = address(text).unwrap_err();
        assert!(problem.contains("no address of a collector"), "{problem}");
        assert!(!problem.contains("hidden"), "{problem}");
    }
}

#[test]
fn no_secret_is_shown() {
    let mut config = config("http://me:hidden@h:4318/x?key=hidden");
    config.headers = vec![("authorization".into(), "Bearer hidden".into())];
    let collector = Collector::new(&config).unwrap();
    assert_eq!(collector.name(), "http://h:4318/x");
    assert_eq!(collector.headers.get(AUTHORIZATION).unwrap(), "Bearer hidden");
    // A collector that repeats what it was told.
    let said = collector.said(b"no `Bearer hidden`\nhere");
    assert_eq!(said, "no `*** ***` here");
    for text in [format!("{config:?}"), format!("{:?}", collector.headers)] {
        assert!(!text.contains("hidden"), "{text}");
    }
    let problem = header("a b", "hidden").unwrap_err();
    assert_eq!(problem, "`a b` is no name of a header");
    let problem = header("a", "hid\nden").unwrap_err();
    assert!(!problem.contains("den"), "{problem}");
}

#[test]
fn a_user_in_the_address_is_sent() {
    let collector = Collector::new(&config("http://me:pass@h:4318")).unwrap();
    assert_eq!(
        collector.headers.get(AUTHORIZATION).unwrap(),
        "Basic bWU6cGFzcw=="
    );
    assert_eq!(collector.url.as_str(), "http://h:4318/");
}

#[test]
fn a_status_of_grpc_is_read() {
    let collector = Collector::new(&config("http://h:4318")).unwrap();
    // Code 3 with its message.
    assert_eq!(collector.said(b"\x08\x03\x12\x07no span"), "no span");
    assert_eq!(collector.said(b"<html>\nbusy"), "<html> busy");
    assert_eq!(collector.said(b""), "");
}
