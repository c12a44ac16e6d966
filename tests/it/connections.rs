//! Connections of HTTP/1.1 and how the two protocols are told apart on one port, byte by byte over a socket.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::support::{Server, read_answer};

const SEED: &str = r#"{"inputs": [[1, 2, 3, 4]]}"#;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Far below the limits of time that the servers here are started with, but for those that are to pass.
const SOON: Duration = Duration::from_secs(10);

fn iris(flags: &[&str]) -> Server {
    Server::start("models:/iris/1", flags)
}

fn request(id: &str, more: &str, body: &str) -> String {
    format!(
        "POST /invocations HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\n{more}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn many_pipelined_requests_are_answered_in_order_good_and_bad() {
    let server = iris(&[]);
    let mut stream = server.connect();
    let mut reader = stream.try_clone().unwrap();
    let count = 300;
    let sender = std::thread::spawn(move || {
        for number in 0..count {
            let more = if number + 1 == count {
                "connection: close\r\n"
            } else {
                ""
            };
            let body = if number % 3 == 1 { "{" } else { SEED };
            stream
                .write_all(request(&format!("n{number}"), more, body).as_bytes())
                .unwrap();
        }
    });
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    sender.join().unwrap();
    let of = |start: &str| {
        let lines = text.match_indices(start).map(|(at, _)| &text[at + start.len()..]);
        lines
            .map(|rest| rest.split("\r\n").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let ids: Vec<String> = (0..count).map(|number| format!("n{number}")).collect();
    assert_eq!(of("x-request-id: "), ids);
    for (number, status) in of("HTTP/1.1 ").iter().enumerate() {
        let wanted = if number % 3 == 1 { "400" } else { "200" };
        assert!(status.starts_with(wanted), "{number}: {status}");
    }
}

#[test]
fn a_request_that_begins_like_http2_and_comes_in_single_bytes_is_served() {
    let server = iris(&[]);
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for byte in request("torn", "", SEED).bytes().take(30) {
        stream.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    stream
        .write_all(&request("torn", "", SEED).as_bytes()[30..])
        .unwrap();
    let answer = read_answer(&mut stream).unwrap();
    assert_eq!(
        (answer.status, answer.header("x-request-id")),
        (200, Some("torn"))
    );
}

#[test]
fn a_preface_in_single_bytes_is_http2() {
    let server = iris(&[]);
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for byte in PREFACE {
        stream.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(
        (head[3], &head[5..]),
        (4, &[0, 0, 0, 0][..]),
        "a SETTINGS frame of the connection"
    );
}

#[test]
fn a_preface_that_breaks_off_ends_at_once() {
    let server = iris(&[]);
    for part in [&PREFACE[..3], &PREFACE[..23], b""] {
        let start = Instant::now();
        let mut stream = server.connect();
        stream.write_all(part).unwrap();
        // Once with what was sent already seen, once with both at a time.
        std::thread::sleep(Duration::from_millis(if part.len() == 3 { 100 } else { 0 }));
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        assert!(start.elapsed() < SOON, "{part:?}");
    }
    assert_eq!(server.invoke(SEED).status, 200);
}

#[test]
fn who_says_nothing_or_too_little_is_let_go() {
    let server = iris(&["--client-timeout", "0.3"]);
    for part in [&b""[..], b"PR", b"POST /inv", PREFACE] {
        let start = Instant::now();
        let mut stream = server.connect();
        stream.write_all(part).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        let took = start.elapsed();
        assert!(
            (Duration::from_millis(250)..SOON).contains(&took),
            "{part:?}: {took:?}"
        );
    }
}

/// Requests for more answers than the system takes on its way to a client, and how long all of the answers are but for
/// what is in their heads.
fn too_many_answers(server: &Server) -> (Vec<u8>, usize) {
    let rows = vec!["[1.5, 2.5, 3.5, 4.5]"; 15_000].join(", ");
    let body = format!(r#"{{"inputs": [{rows}]}}"#);
    let answer = server.invoke(&body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let count = (20 << 20) / answer.body.len() + 1;
    let last = request("last", "connection: close\r\n", &body);
    let all = request("more", "", &body).repeat(count - 1) + &last;
    (all.into_bytes(), answer.body.len() * count)
}

#[test]
fn who_takes_no_answers_is_let_go() {
    let server = iris(&["--client-timeout", "0.3"]);
    let (requests, bytes) = too_many_answers(&server);
    let mut stream = server.connect();
    let mut writer = stream.try_clone().unwrap();
    // Not all of them may find room before the connection ends.
    let sender = std::thread::spawn(move || drop(writer.write_all(&requests)));
    std::thread::sleep(Duration::from_secs(2));
    let mut taken = Vec::new();
    let _ = stream.read_to_end(&mut taken);
    assert!(taken.len() < bytes, "{} of {bytes}", taken.len());
    sender.join().unwrap();
    assert_eq!(server.invoke(SEED).status, 200);
}

#[test]
fn who_takes_answers_slowly_gets_all_of_them() {
    let server = iris(&["--client-timeout", "0.3"]);
    let (requests, bytes) = too_many_answers(&server);
    let mut stream = server.connect();
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(&requests));
    let (start, mut taken, mut piece) = (Instant::now(), 0, vec![0; 256 << 10]);
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            length => taken += length,
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(taken > bytes, "{taken} of {bytes}");
    // The control: it took longer than a client that takes nothing is given.
    assert!(
        start.elapsed() > Duration::from_millis(600),
        "{:?}",
        start.elapsed()
    );
    sender.join().unwrap().unwrap();
}

#[test]
fn silent_connections_do_not_hold_up_the_end() {
    let server = iris(&[]);
    let mut silent = server.connect();
    let mut torn = server.connect();
    torn.write_all(&PREFACE[..5]).unwrap();
    let mut http2 = server.connect();
    http2.write_all(PREFACE).unwrap();
    http2.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    http2.read_exact(&mut [0; 9]).unwrap();
    // All of them have been accepted, for this one came last.
    assert_eq!(server.invoke(SEED).status, 200);
    let start = Instant::now();
    server.terminate();
    for stream in [&mut silent, &mut torn] {
        let _ = stream.read_to_end(&mut Vec::new());
    }
    // An HTTP/2 client has a say in the end: it is asked with a PING whether it has heard.
    drop(http2);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(start.elapsed() < SOON && !log.contains("did not end"), "{log}");
}
