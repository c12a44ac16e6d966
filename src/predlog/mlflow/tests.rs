//! What a server fails on does not hold up the rest.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::super::record::{Assignment, Timing};
use super::*;

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

fn entry(id: u128) -> Entry {
    Entry::Prediction(Box::new(Record {
        id: Uuid::from_u128(id),
        time: SystemTime::UNIX_EPOCH.into(),
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
        traced: None,
    }))
}

#[test]
fn a_prediction_that_the_server_fails_on_is_dropped_while_it_answers_other_questions() {
    let (url, asked) = server(Uuid::from_u128(1).to_string());
    let mut sink = Mlflow::start(&MlflowSpec {
        experiment: "e".into(),
        mode: Mode::Runs,
        sample: 1.0,
        server: Some(Config::new(&url)),
    })
    .unwrap();
    // The sink stays open, as it is while the process goes on.
    let began = Instant::now();
    for (id, creations) in [(1, 3), (2, 4)] {
        sink.write(&[entry(id)]).unwrap();
        while sink.standing().waiting > 0 {
            assert!(began.elapsed() < Duration::from_secs(120));
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(sink.standing().lost, 1);
        let asked = asked.lock().unwrap();
        let created = asked.iter().filter(|path| path.ends_with("runs/create"));
        assert_eq!(created.count(), creations, "{asked:?}");
    }
    sink.close().unwrap();
    assert_eq!(sink.standing(), Standing { waiting: 0, lost: 1 });
}
