//! Tests of the client against a server that says exactly what it is told, on a real socket.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, sync_channel};

use futures_util::TryStreamExt;
use serde_json::{Value as Json, json};

use super::*;

/// Answers one connection with each of these texts; gives the address, and the head of each request.
fn server(answers: Vec<String>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, requests) = sync_channel(16);
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = vec![0; 16 << 10];
            let length = stream.read(&mut bytes).unwrap();
            sender
                .send(String::from_utf8_lossy(&bytes[..length]).to_lowercase())
                .unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, requests)
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn client(address: &str, retries: u32) -> Client {
    let mut config = Config::new(&format!("http://me:hidden@{address}/x"));
    config.retries = retries;
    config.backoff_factor = 0.0;
    config.backoff_jitter = 0.0;
    config.timeout = Duration::from_secs(5);
    Client::new(&config).unwrap()
}

#[tokio::test]
async fn a_question_says_who_asks_and_is_asked_again() {
    let (address, requests) = server(vec![
        answer("503 Unavailable", "busy"),
        answer("200 OK", r#"{"a": 1}"#),
    ]);
    let client = client(&address, 2);
    let read: Json = client.get("api/y", &[("q", "a b&c")]).await.unwrap();
    assert_eq!(read, json!({"a": 1}));
    for _ in 0..2 {
        let request = requests.recv().unwrap();
        assert!(
            request.starts_with("get /x/api/y?q=a+b%26c http/1.1"),
            "{request}"
        );
        assert!(request.contains("authorization: basic "), "{request}");
        assert!(request.contains("user-agent: modelsd/"), "{request}");
    }
    assert_eq!(client.name(), format!("http://{address}/x"));
    assert!(!format!("{client:?}").contains("hidden"));
}

#[tokio::test]
async fn retries_end() {
    let (address, requests) = server(vec![answer("503 Unavailable", "busy"); 3]);
    let error = client(&address, 2).get::<Json>("y", &[]).await.unwrap_err();
    assert_eq!((error.status(), error.is_transient()), (Some(503), true));
    assert_eq!(requests.iter().count(), 3);
}

#[tokio::test]
async fn what_will_not_pass_is_asked_once() {
    let (address, requests) = server(vec![answer("404 Not Found", "<html>")]);
    let error = client(&address, 5).get::<Json>("y", &[]).await.unwrap_err();
    assert!(
        matches!(error, ClientError::NotJson { status: 404, .. }),
        "{error}"
    );
    assert_eq!(requests.iter().count(), 1);
}

#[tokio::test]
async fn nobody_there_is_told_from_a_refusal() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = client(&address.to_string(), 1)
        .get::<Json>("y", &[])
        .await
        .unwrap_err();
    assert!(error.is_transient() && error.status().is_none());
    assert!(error.to_string().contains("no connection"), "{error}");
    assert!(!causes(&error).contains("hidden"), "{}", causes(&error));
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_origin() {
    let (other, at_other) = server(vec![answer("200 OK", "{}"), answer("200 OK", "{}")]);
    let to_other = format!(
        "HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: http://{other}/z\r\ncontent-length: 0\r\n\r\n"
    );
    let (address, _requests) = server(vec![to_other]);
    let client = client(&address, 0);
    client.get::<Json>("y", &[]).await.unwrap();
    let url = Url::parse(&format!("http://{other}/file?signature=s")).unwrap();
    client.download(&url, 0, true).await.unwrap();
    for _ in 0..2 {
        let request = at_other.recv().unwrap();
        assert!(
            !request.contains("authorization") && !request.contains("referer"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_is_told() {
    let part = "HTTP/1.1 206 Partial\r\nconnection: close\r\ncontent-length: 3\r\netag: \"e\"\r\n\
        content-range: bytes 2-4/5\r\n\r\ncde";
    let (address, requests) = server(vec![part.into(), answer("200 OK", "abcde")]);
    let client = client(&address, 0);
    for (offset, wanted) in [(2, "cde"), (0, "abcde")] {
        let download = client.download(&client.url("f"), 2, true).await.unwrap();
        assert_eq!((download.offset, download.total), (offset, Some(5)));
        let pieces: Vec<Bytes> = download.bytes.try_collect().await.unwrap();
        assert_eq!(pieces.concat(), wanted.as_bytes());
        assert!(requests.recv().unwrap().contains("range: bytes=2-"));
    }
}

#[tokio::test]
async fn a_download_that_breaks_off_is_an_error() {
    let (address, _requests) = server(vec!["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".into()]);
    let client = client(&address, 0);
    let download = client.download(&client.url("f"), 0, true).await.unwrap();
    let error = download.bytes.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(
        matches!(error, ClientError::BrokeOff { .. }) && error.is_transient(),
        "{error}"
    );
}

#[tokio::test]
async fn endless_answers_are_refused() {
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", u64::MAX >> 1);
    let piece = "x".repeat(1 << 20).repeat(70);
    let (address, _requests) = server(vec![huge + &piece]);
    let error = client(&address, 0).get::<Json>("y", &[]).await.unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Config::new(&format!("http://{}", listener.local_addr().unwrap()));
    config.timeout = Duration::from_millis(200);
    config.retries = 0;
    let error = Client::new(&config)
        .unwrap()
        .get::<Json>("y", &[])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("MLFLOW_HTTP_REQUEST_TIMEOUT"),
        "{error}"
    );
    assert!(error.is_transient());
}

#[test]
fn settings_that_cannot_be_used_are_refused_by_name() {
    let mut ca = Config::new("https://host");
    ca.ca_bundle = Some("/nowhere/ca.pem".into());
    let mut ours = Config::new("https://host");
    ours.client_certificate = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into());
    let mut token = Config::new("https://host");
    token.credentials = Some(Credentials::Bearer("hidden\n".into()));
    let mut workspace = Config::new("https://host");
    workspace.workspace = Some("a\nb".into());
    for (config, wanted) in [
        (ca, "MLFLOW_TRACKING_SERVER_CERT_PATH"),
        (ours, "MLFLOW_TRACKING_CLIENT_CERT_PATH"),
        (token, "MLFLOW_TRACKING_TOKEN"),
        (workspace, "MLFLOW_WORKSPACE"),
    ] {
        let message = Client::new(&config).unwrap_err().to_string();
        assert!(
            message.contains(wanted) && !message.contains("hidden"),
            "{message}"
        );
    }
}
