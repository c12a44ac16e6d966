//! What a server fails on does not hold up the rest.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::SystemTime;

use super::super::super::record::{Assignment, Record, Timing};
use super::*;
use crate::client::Config;

/// A server that knows an experiment and always fails on the run of this name; gives its address and the paths it was asked.
fn server(bad: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let paths = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut request, mut piece) = (stream.unwrap(), String::new(), [0; 4096]);
            let whole = |request: &str| {
                let (head, body) = request.split_once("\r\n\r\n")?;
                let head = head.to_lowercase();
                let length = head.split("content-length: ").nth(1);
                let length = length.and_then(|rest| rest.split("\r\n").next()).unwrap_or("0");
                (body.len() >= length.parse::<usize>().unwrap()).then_some(())
            };
            while whole(&request).is_none() {
                let length = stream.read(&mut piece).unwrap();
                request.push_str(std::str::from_utf8(&piece[..length]).unwrap());
            }
            let path = request.split_whitespace().nth(1).unwrap().to_owned();
            let (status, body) = if path.contains("get-by-name") {
                ("200 OK", r#"{"experiment": {"experiment_id": "1"}}"#)
            } else if path.ends_with("runs/create") && request.contains(&bad) {
                (
                    "500 Internal Server Error",
                    r#"{"error_code": "INTERNAL_ERROR", "message": "no"}"#,
                )
            } else {
                ("200 OK", r#"{"run": {"info": {"run_id": "r"}}}"#)
            };
            let length = body.len();
            paths.lock().unwrap().push(path);
            write!(
                stream,
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    (url, asked)
}

fn queued(id: u128) -> Queued {
    let record = Record {
        id: uuid::Uuid::from_u128(id),
        time: SystemTime::UNIX_EPOCH,
        origin: Arc::default(),
        rows: 1,
        inputs: None,
        outputs: None,
        error: None,
        timing: Timing::default(),
        request_id: None,
        assignment: Assignment::None,
        routing_key: None,
        sampled: true,
        trace: None,
    };
    Queued {
        record: Box::new(record),
        weight: 0,
    }
}

#[tokio::test]
async fn a_prediction_that_the_server_fails_on_is_dropped_while_it_answers_other_questions() {
    let (url, asked) = server(uuid::Uuid::from_u128(1).to_string());
    let client = Client::new(&Config {
        retries: 0,
        ..Config::new(&url)
    });
    let spec = MlflowSpec {
        experiment: "e".into(),
        mode: Mode::Runs,
        sample: 1.0,
        server: None,
    };
    // The queue stays open, as it is while the process goes on.
    let (_queue, queue) = tokio::sync::mpsc::channel(1);
    let load = Arc::new(Load::default());
    let mut sender = Sender::new(client.unwrap(), &spec, queue, Arc::clone(&load));
    sender.deliver(&[queued(1)]).await;
    assert_eq!(load.lost.load(Ordering::Relaxed), 1);
    let creations = |asked: &[String]| asked.iter().filter(|path| path.ends_with("runs/create")).count();
    assert_eq!(creations(&asked.lock().unwrap()), TRIES as usize);
    sender.deliver(&[queued(2)]).await;
    assert_eq!(load.lost.load(Ordering::Relaxed), 1);
    assert_eq!(creations(&asked.lock().unwrap()), TRIES as usize + 1);
}
