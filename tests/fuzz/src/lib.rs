//! What the targets share that ask a server: one on a real socket, whose answers are the input.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use modelsd::flavor::{Config, Source, load, loaders};
use modelsd::model::batch::{Batch, Body, Columns, Frame, Name};
use modelsd::model::mlmodel::MlModel;
use modelsd::model::tensor::{Elements, Tensor};
use modelsd::model::value::Value;
use tempfile::TempDir;

/// Stands between two answers of one input.
const BETWEEN: u8 = 0xff;

/// Answers requests with the parts of the input, one after the other, and with 404 when there are no more.
pub struct Server {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    answers: Arc<Mutex<VecDeque<Vec<u8>>>>,
}

impl Server {
    /// Starts one on a free port, for as long as the process lives. Paths with one of `silent` in them are answered with
    /// 404, whatever the input is.
    pub fn start(silent: &'static [&'static str]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket"));
        let answers: Arc<Mutex<VecDeque<Vec<u8>>>> = Arc::default();
        let shared = Arc::clone(&answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = Arc::clone(&shared);
                std::thread::spawn(move || answer_all(stream, &answers, silent));
            }
        });
        Server { url, answers }
    }

    /// The answers from now on. A part that begins with `?` is a 404, with `!` a 500; all others are 200.
    pub fn load(&self, input: &[u8]) {
        let parts = input.split(|byte| *byte == BETWEEN).map(<[u8]>::to_vec);
        *self.answers.lock().expect("nobody panics with it") = parts.collect();
    }
}

/// Requests of one connection, until it ends.
fn answer_all(stream: TcpStream, answers: &Mutex<VecDeque<Vec<u8>>>, silent: &[&str]) {
    let _ = stream.set_nodelay(true);
    let Ok(mut writer) = stream.try_clone() else {
        return;
    };
    let mut reader = BufReader::new(stream);
    loop {
        let (mut first, mut body) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                body = length.trim().parse().unwrap_or(0);
            }
            match line.trim() {
                "" => break,
                line if first.is_empty() => first = line.to_owned(),
                _ => {}
            }
        }
        if std::io::copy(&mut (&mut reader).take(body), &mut std::io::sink()).is_err() {
            return;
        }
        let part = if silent.iter().any(|path| first.contains(path)) {
            None
        } else {
            answers.lock().expect("nobody panics with it").pop_front()
        };
        let (status, body) = match part.as_deref() {
            Some([b'!', rest @ ..]) => ("500 Internal Server Error", rest),
            Some([b'?', rest @ ..]) => ("404 Not Found", rest),
            Some(rest) => ("200 OK", rest),
            None => (
                "404 Not Found",
                &br#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": ""}"#[..],
            ),
        };
        let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        if writer.write_all(&answer).is_err() {
            return;
        }
    }
}

/// A folder in memory where the system has such: what is written durably there costs no disk.
pub fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a folder")
}

/// Loads bytes as the artifact of a flavor and, where that works, asks it rows of every kind: an answer or an error, never
/// a panic. The first byte says which entry of `MLmodel`, and with it which file name, is taken.
pub fn native(flavor: &str, entries: &[(&str, &str)], bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_first() else {
        return;
    };
    let (file, entry) = entries[usize::from(choice) % entries.len()];
    let folder = folder();
    std::fs::write(folder.path().join(file), bytes).expect("room");
    let mlmodel = MlModel {
        flavors: vec![(flavor.to_owned(), serde_json::from_str(entry).expect("JSON"))],
        ..MlModel::default()
    };
    let source = Source {
        dir: folder.path(),
        mlmodel: &mlmodel,
    };
    let mut loaded = match load(&loaders(&Config::default()), source, NonZeroUsize::MIN) {
        Ok(loaded) => loaded,
        Err(error) => return check_error(&error, "\u{0}"),
    };
    let Some(predictor) = loaded.predictors.first_mut() else {
        return;
    };
    for width in (1..8).chain([13, 30]) {
        let values = [0.0, -1.0, 1e30, f64::NAN, f64::INFINITY, 3.0, 0.5];
        for rows in [0, 1, 20] {
            let doubles = (0..rows * width).map(|at| values[at % values.len()]).collect();
            let matrix = Tensor::new(&[rows, width][..], Elements::F64(doubles)).expect("it fits");
            let names: Arc<[Name]> = (0..width).map(|at| Name::from(&*format!("x{at}"))).collect();
            let texts = (0..width).map(|at| match at % 2 {
                0 => Tensor::vector(Elements::Str(vec!["a".into(); rows])),
                _ => Tensor::vector(Elements::Object(vec![Value::Null; rows])),
            });
            let frames = [
                Columns::Matrix(matrix.clone()),
                Columns::Separate(texts.collect()),
            ];
            for columns in frames {
                let frame = Frame::new(rows, Arc::clone(&names), columns).expect("it fits");
                let _ = predictor.predict(&Batch::new(Body::Frame(frame)));
            }
            let _ = predictor.predict(&Batch::new(Body::Array(matrix)));
        }
    }
}

/// Checks what an error says of a server's words: on one line, of a bounded length, and never the password.
pub fn check_error(error: &dyn std::error::Error, password: &str) {
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        assert!(!text.contains(password), "it tells the password: {text}");
        assert!(
            !text.chars().any(char::is_control),
            "it has control characters: {text:?}"
        );
        assert!(text.len() < 20_000, "it has {} bytes", text.len());
        next = error.source();
    }
}
