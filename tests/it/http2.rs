//! HTTP/2 with prior knowledge, beside HTTP/1.1 on the same port: an independent client, and one that breaks the rules.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::support::Server;

const SEED: &str = r#"{"inputs": [[1, 2, 3, 4]]}"#;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(60);
/// Far below the limits of time that the servers here are started with, but for those that are to pass.
const SOON: Duration = Duration::from_secs(10);

/// A client, and what drives it.
type Client = (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>);

fn iris(flags: &[&str]) -> Server {
    Server::start("models:/iris/1", flags)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { timeout(PATIENCE, test).await.expect("no hang") })
}

async fn connect(server: &Server, builder: &Builder) -> Client {
    let stream = TcpStream::connect(&server.address).await.unwrap();
    let (client, connection) = builder.handshake(stream).await.unwrap();
    (client, tokio::spawn(connection))
}

fn request(server: &Server, path: &str) -> axum::http::request::Builder {
    Request::post(format!("http://{}{path}", server.address)).header("content-type", "application/json")
}

/// Sends a whole request and reads the whole answer.
async fn ask(
    client: SendRequest<Bytes>,
    request: Request<()>,
    body: &str,
) -> Result<(u16, HeaderMap, String), h2::Error> {
    let mut client = client.ready().await?;
    let (answer, mut sender) = client.send_request(request, false)?;
    sender.send_data(Bytes::copy_from_slice(body.as_bytes()), true)?;
    let (head, mut body) = answer.await?.into_parts();
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        text.extend_from_slice(&data);
    }
    Ok((
        head.status.as_u16(),
        head.headers,
        String::from_utf8(text).unwrap(),
    ))
}

#[test]
fn many_streams_at_once_get_their_own_answers() {
    let server = iris(&[]);
    let plain = server.invoke(SEED).text();
    run(async {
        let (client, _connection) = connect(&server, &Builder::new()).await;
        let asked: Vec<_> = (0..1000)
            .map(|number| {
                let (client, id) = (client.clone(), format!("n{number}"));
                let request = request(&server, "/invocations").header("x-request-id", &id);
                let request = request.body(()).unwrap();
                let body = if number % 7 == 3 { "{" } else { SEED };
                tokio::spawn(async move { (number, id, ask(client, request, body).await.unwrap()) })
            })
            .collect();
        for task in asked {
            let (number, id, (status, headers, text)) = task.await.unwrap();
            assert_eq!(headers["x-request-id"], id);
            if number % 7 == 3 {
                assert_eq!(status, 400, "{text}");
            } else {
                assert_eq!((status, &text), (200, &plain));
            }
        }
        assert_eq!(client.current_max_send_streams(), 128);
    });
    assert_eq!(server.invoke(SEED).status, 200);
}

#[test]
fn large_bodies_go_both_ways() {
    let server = iris(&["--max-body-bytes", "8MiB"]);
    let rows = vec!["[1.5, 2.5, 3.5, 4.5]"; 100_000].join(", ");
    let body = format!(r#"{{"inputs": [{rows}]}}"#);
    run(async {
        let (client, _connection) = connect(&server, &Builder::new()).await;
        let post = || request(&server, "/invocations").body(()).unwrap();
        let (status, _, text) = ask(client.clone(), post(), &body).await.unwrap();
        assert!(status == 200 && text == server.invoke(&body).text(), "{status}");
        let (status, _, text) = ask(client.clone(), post(), &" ".repeat(9 << 20)).await.unwrap();
        assert_eq!(status, 413, "{text}");
        assert_eq!(ask(client, post(), SEED).await.unwrap().0, 200);
    });
}

#[test]
fn the_authority_is_the_host() {
    let server = iris(&[]);
    run(async {
        let (client, _connection) = connect(&server, &Builder::new()).await;
        let slash = request(&server, "/invocations/").body(()).unwrap();
        let (status, headers, _) = ask(client.clone(), slash, SEED).await.unwrap();
        assert_eq!(status, 307);
        assert_eq!(
            headers["location"],
            format!("http://{}/invocations", server.address)
        );
        for (origin, wanted) in [
            (format!("http://{}", server.address), 202),
            ("http://evil.example".into(), 403),
        ] {
            let reload = request(&server, "/api/reload")
                .header("origin", origin)
                .body(())
                .unwrap();
            assert_eq!(ask(client.clone(), reload, "").await.unwrap().0, wanted);
        }
    });
}

#[test]
fn a_head_that_is_too_long_is_refused_alone() {
    let server = iris(&["--max-header-bytes", "8KiB"]);
    run(async {
        let (client, _connection) = connect(&server, &Builder::new()).await;
        let long = request(&server, "/invocations").header("x-long", "a".repeat(10_000));
        let refused = ask(client.clone(), long.body(()).unwrap(), SEED).await;
        assert!(!matches!(refused, Ok((200, ..))), "{refused:?}");
        let short = request(&server, "/invocations").header("x-long", "a".repeat(4_000));
        assert_eq!(ask(client, short.body(()).unwrap(), SEED).await.unwrap().0, 200);
    });
}

#[test]
fn a_body_that_is_too_slow_is_408_and_others_are_answered_meanwhile() {
    let server = iris(&["--client-timeout", "0.5"]);
    run(async {
        let (client, _connection) = connect(&server, &Builder::new()).await;
        let mut slow = client.clone().ready().await.unwrap();
        let post = || request(&server, "/invocations").body(()).unwrap();
        let (answer, mut sender) = slow.send_request(post(), false).unwrap();
        sender.send_data(Bytes::from_static(b"{"), false).unwrap();
        assert_eq!(ask(client, post(), SEED).await.unwrap().0, 200);
        assert_eq!(answer.await.unwrap().status(), 408);
    });
}

#[test]
fn an_idle_client_is_told_to_go_and_a_busy_one_is_not() {
    let server = iris(&["--client-timeout", "0.5"]);
    run(async {
        let start = Instant::now();
        let (_idle, idle_ends) = connect(&server, &Builder::new()).await;
        let (busy, busy_ends) = connect(&server, &Builder::new()).await;
        while !idle_ends.is_finished() {
            let post = request(&server, "/invocations").body(()).unwrap();
            assert_eq!(ask(busy.clone(), post, SEED).await.unwrap().0, 200);
            sleep(Duration::from_millis(20)).await;
        }
        idle_ends.await.unwrap().unwrap();
        let took = start.elapsed();
        assert!((Duration::from_millis(400)..SOON).contains(&took), "{took:?}");
        assert!(!busy_ends.is_finished());
    });
}

#[test]
fn who_takes_no_answers_is_let_go() {
    let server = iris(&["--client-timeout", "0.5"]);
    run(async {
        let mut builder = Builder::new();
        builder.initial_window_size(0);
        let (client, ends) = connect(&server, &builder).await;
        let mut client = client.ready().await.unwrap();
        let post = request(&server, "/invocations").body(()).unwrap();
        let (answer, mut sender) = client.send_request(post, false).unwrap();
        sender
            .send_data(Bytes::from_static(SEED.as_bytes()), true)
            .unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        // The connection is alive all the time: its PINGs are answered, only the window stays shut.
        assert!(timeout(SOON, ends).await.is_ok());
        drop(answer);
    });
}

#[test]
fn who_takes_a_long_answer_slowly_gets_all_of_it() {
    let server = iris(&["--client-timeout", "1"]);
    let rows = vec!["[1.5, 2.5, 3.5, 4.5]"; 15_000].join(", ");
    let body = format!(r#"{{"inputs": [{rows}]}}"#);
    let plain = server.invoke(&body);
    assert!(plain.body.len() > 1_000_000, "{}", plain.body.len());
    run(async {
        let (client, _connection) = connect(&server, &Builder::new()).await;
        let mut client = client.ready().await.unwrap();
        let post = request(&server, "/invocations").body(()).unwrap();
        let (answer, mut sender) = client.send_request(post, false).unwrap();
        sender.send_data(Bytes::from(body), true).unwrap();
        let mut answer = answer.await.unwrap().into_body();
        let (start, mut taken) = (Instant::now(), 0);
        while let Some(data) = answer.data().await {
            let data = data.unwrap();
            taken += data.len();
            answer.flow_control().release_capacity(data.len()).unwrap();
            // Scraps of a window that was just used up do not count.
            if data.len() > 1000 {
                sleep(Duration::from_millis(40)).await;
            }
        }
        assert_eq!(taken, plain.body.len());
        // The control: it took longer than a client that takes nothing is given.
        assert!(
            start.elapsed() > Duration::from_millis(2200),
            "{:?}",
            start.elapsed()
        );
    });
}

/// A HEADERS frame for `POST /`, by the static table alone, and its reset.
fn opened_and_reset(stream: u32) -> Vec<u8> {
    let id = stream.to_be_bytes();
    let headers = [&[0, 0, 3, 1, 4], &id[..], &[0x83, 0x86, 0x84]].concat();
    [&headers[..], &[0, 0, 4, 3, 0], &id, &[0, 0, 0, 8]].concat()
}

#[test]
fn a_flood_of_resets_ends_its_connection_alone() {
    let server = iris(&[]);
    let goaway_after = |resets: u32| {
        let mut stream = server.connect();
        let mut start = PREFACE.to_vec();
        start.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
        for number in 0..resets {
            start.extend(opened_and_reset(2 * number + 1));
        }
        let _ = stream.write_all(&start);
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut head = [0; 9];
        while stream.read_exact(&mut head).is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            stream.read_exact(&mut payload).ok()?;
            if head[3] == 7 {
                return payload.get(7).copied();
            }
        }
        None
    };
    assert_eq!(goaway_after(10_000), Some(11), "ENHANCE_YOUR_CALM");
    // The control: a client may change its mind now and then.
    assert_eq!(goaway_after(10), None);
    assert_eq!(server.invoke(SEED).status, 200);
}

#[test]
fn sigterm_finishes_the_streams_in_flight_and_exits_0() {
    let server = iris(&[]);
    let (one, two) = SEED.split_at(7);
    run(async {
        let (client, ends) = connect(&server, &Builder::new()).await;
        let (_idle, idle_ends) = connect(&server, &Builder::new()).await;
        let mut client = client.ready().await.unwrap();
        let post = || request(&server, "/invocations").body(()).unwrap();
        let (answer, mut sender) = client.send_request(post(), false).unwrap();
        sender
            .send_data(Bytes::copy_from_slice(one.as_bytes()), false)
            .unwrap();
        while !server.metrics().lines().any(|line| line == "modelsd_in_flight 1") {
            sleep(Duration::from_millis(2)).await;
        }
        server.terminate();
        // Told to go, the idle one goes; new requests of the other are refused, and the one in flight is answered.
        idle_ends.await.unwrap().unwrap();
        while ask(client.clone(), post(), SEED).await.is_ok() {
            sleep(Duration::from_millis(2)).await;
        }
        sender
            .send_data(Bytes::copy_from_slice(two.as_bytes()), true)
            .unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        let _ = ends.await;
    });
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("did not end"), "{log}");
}
