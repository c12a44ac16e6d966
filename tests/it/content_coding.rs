//! Compressed requests and answers, black-box over a socket.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::support::{Answer, Server};

const SEED: &str = r#"{"inputs": [[1, 2, 3, 4]]}"#;
const LIMIT: &[&str] = &["--max-body-bytes", "256KiB"];

fn iris(flags: &[&str]) -> Server {
    Server::start("models:/iris/1", flags)
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 3).unwrap()
}

fn send(server: &Server, coding: &str, body: &[u8]) -> Answer {
    let headers = [("content-type", "application/json"), ("content-encoding", coding)];
    server.call("POST", "/invocations", &headers, body)
}

fn rows(count: usize) -> String {
    format!(
        r#"{{"inputs": [{}]}}"#,
        vec!["[1.5, 2.5, 3.5, 4.5]"; count].join(", ")
    )
}

#[test]
fn a_compressed_request_is_answered_as_a_plain_one() {
    let server = iris(LIMIT);
    for rows in [rows(1), rows(8_000)] {
        let plain = server.invoke(&rows);
        assert_eq!(plain.status, 200, "{}", plain.text());
        let body = rows.as_bytes();
        for (coding, body) in [
            ("gzip", gzip(body)),
            ("X-GZIP", gzip(body)),
            ("zstd", zstd(body)),
            ("identity", body.to_vec()),
            ("gzip, zstd", zstd(&gzip(body))),
            ("zstd, identity, gzip", gzip(&zstd(body))),
            ("gzip", [gzip(&body[..10]), gzip(&body[10..])].concat()),
        ] {
            let answer = send(&server, coding, &body);
            assert!(
                (answer.status, &answer.body) == (200, &plain.body),
                "{coding}: {} {}",
                answer.status,
                answer.text().chars().take(200).collect::<String>()
            );
        }
    }
    let csv = [("content-type", "text/csv"), ("content-encoding", "zstd")];
    let table = b"a,b,c,d\n1,2,3,4\n";
    let plain = server.call("POST", "/invocations", &csv[..1], table);
    let answer = server.call("POST", "/invocations", &csv, &zstd(table));
    assert_eq!((answer.status, answer.text()), (plain.status, plain.text()));
}

#[test]
fn what_is_not_read_is_415_and_says_what_is() {
    let server = iris(&[]);
    for (coding, words) in [
        ("br", "`br`"),
        ("gzip, deflate", "`deflate`"),
        ("gzip, gzip, gzip", "more than 2"),
    ] {
        let answer = send(&server, coding, SEED.as_bytes());
        assert_eq!(answer.status, 415, "{}", answer.text());
        assert_eq!(answer.header("accept-encoding"), Some("gzip, zstd"));
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    // A media type that is not read is another matter.
    let answer = server.call("POST", "/invocations", &[("content-type", "text/html")], b"x");
    assert_eq!((answer.status, answer.header("accept-encoding")), (415, None));
    assert!(
        server
            .metrics()
            .contains(r#"modelsd_rejected_total{kind="unsupported_media"} 4"#)
    );
    // The same for one record.
    let headers = [("content-type", "application/json"), ("content-encoding", "br")];
    let answer = server.call("POST", "/predict", &headers, b"x");
    assert_eq!(
        (answer.status, answer.header("accept-encoding")),
        (415, Some("gzip, zstd"))
    );
}

#[test]
fn a_bomb_is_413_and_harms_nothing() {
    let server = iris(LIMIT);
    let plain = vec![b' '; 50 << 20];
    for (coding, bomb) in [
        ("gzip", gzip(&plain)),
        ("zstd", zstd(&plain)),
        ("gzip, gzip", gzip(&gzip(&plain))),
        ("zstd, zstd", zstd(&zstd(&plain))),
    ] {
        assert!(bomb.len() < 64 << 10, "{coding}: {}", bomb.len());
        let answer = send(&server, coding, &bomb);
        assert_eq!(answer.status, 413, "{}", answer.text());
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("limit of 262144 bytes"), "{message}");
        if !coding.contains(',') {
            assert!(
                message.contains(&format!("{} bytes of {coding}", bomb.len())),
                "{message}"
            );
        }
        assert_eq!(server.invoke(SEED).status, 200);
    }
    // The bound is of what comes out: at it, a body is read, and one byte beyond it, it is not.
    let exact = |length: usize| gzip(format!("{SEED}{}", " ".repeat(length - SEED.len())).as_bytes());
    assert_eq!(send(&server, "gzip", &exact(256 << 10)).status, 200);
    assert_eq!(send(&server, "gzip", &exact((256 << 10) + 1)).status, 413);
}

#[test]
fn damage_and_wide_windows_are_400_and_say_where() {
    let server = iris(&[]);
    let whole = gzip(rows(100).as_bytes());
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(SEED.as_bytes()).unwrap();
    let wide = encoder.finish().unwrap();
    for (coding, body, words) in [
        ("gzip", SEED.as_bytes(), "not whole gzip"),
        ("zstd", SEED.as_bytes(), "not whole zstd"),
        ("gzip", b"", "at byte 0 of 0"),
        ("gzip", &whole[..whole.len() - 3], "bytes were expanded"),
        ("gzip", &[&whole[..], b"x"].concat(), "bytes were expanded"),
        ("zstd", &wide, "RFC 9659"),
    ] {
        let answer = send(&server, coding, body);
        assert_eq!(answer.status, 400, "{}", answer.text());
        let error = answer.json();
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert_eq!(error["error_code"], "BAD_REQUEST");
    }
    assert_eq!(server.invoke(SEED).status, 200);
}

#[test]
fn answers_are_compressed_for_who_asks_where_it_is_worth_it() {
    let server = iris(&[]);
    let ask = |wish: Option<&str>, body: &str| {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(wish.map(|wish| ("accept-encoding", wish)));
        server.call("POST", "/invocations", &headers, body.as_bytes())
    };
    for rows in [rows(200), rows(20_000)] {
        let plain = ask(None, &rows);
        assert_eq!(
            (
                plain.status,
                plain.header("content-encoding"),
                plain.header("vary")
            ),
            (200, None, None)
        );
        for (wish, coding) in [
            ("gzip, deflate", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("zstd;q=0.1, gzip;q=0.2", Some("gzip")),
            ("br", None),
            ("identity, gzip;q=0.5", None),
        ] {
            let answer = ask(Some(wish), &rows);
            assert_eq!(
                (answer.status, answer.header("content-encoding")),
                (200, coding),
                "{wish}"
            );
            assert_eq!(answer.header("vary"), Some("accept-encoding"));
            let body = match coding {
                Some("zstd") => zstd::stream::decode_all(&answer.body[..]).unwrap(),
                Some(_) => {
                    let mut body = Vec::new();
                    GzDecoder::new(&answer.body[..]).read_to_end(&mut body).unwrap();
                    body
                }
                None => answer.body.clone(),
            };
            assert!(coding.is_none() || answer.body.len() < body.len() / 2);
            assert!(body == plain.body, "{wish}");
        }
    }
    let small = ask(Some("gzip"), SEED);
    assert_eq!(
        (small.header("content-encoding"), small.header("vary")),
        (None, None)
    );
    let metrics = server.call("GET", "/metrics", &[("accept-encoding", "gzip")], b"");
    assert_eq!(metrics.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&metrics.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("modelsd_build_info"), "{text}");
}
