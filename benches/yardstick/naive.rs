//! The server that one writes in an afternoon: `serde_json::Value`, and a session of ONNX Runtime behind
//! a lock. It reads `{"inputs": [[…], …]}` with numbers, and nothing else; it checks nothing, records nothing, and signs
//! nothing.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use ort::session::Session;
use ort::value::Tensor;
use serde_json::{Value, json};

pub async fn serve(listener: tokio::net::TcpListener, library: &Path, graph: &Path) {
    let environment = ort::init_from(library)
        .expect("ONNX Runtime")
        .with_telemetry(false)
        .build()
        .expect("an environment");
    let session = Session::builder(&environment)
        .and_then(|builder| Ok(builder.with_intra_threads(1)?))
        .and_then(|mut builder| builder.commit_from_file(graph))
        .expect("the model");
    let router = axum::Router::new()
        .route("/ping", axum::routing::get(async || ""))
        .route("/invocations", post(invocations))
        .with_state(Arc::new(Mutex::new(session)));
    super::support::serve(listener, router).await;
}

type Reply = ([(&'static str, &'static str); 1], Vec<u8>);

async fn invocations(State(session): State<Arc<Mutex<Session>>>, body: bytes::Bytes) -> Reply {
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let rows = body["inputs"].as_array().expect("rows");
    let numbers: Vec<f32> = rows
        .iter()
        .flat_map(|row| row.as_array().expect("a row"))
        .map(|number| number.as_f64().expect("a number") as f32)
        .collect();
    let shape = [rows.len(), numbers.len() / rows.len()];
    let mut session = session.lock().expect("a session");
    let input = Tensor::from_array((shape, numbers)).expect("a tensor");
    let outputs = session.run(ort::inputs![input]).expect("an answer");
    let predictions = outputs.iter().map(|(name, value)| {
        let nested = match value.try_extract_tensor::<f32>() {
            Ok((shape, numbers)) => nested(shape, numbers),
            Err(_) => {
                let (shape, numbers) = value.try_extract_tensor::<i64>().expect("numbers");
                nested(shape, numbers)
            }
        };
        (name.to_owned(), nested)
    });
    let answer = json!({ "predictions": predictions.collect::<serde_json::Map<_, _>>() });
    (
        [("content-type", "application/json")],
        serde_json::to_vec(&answer).expect("JSON"),
    )
}

fn nested<T: Copy + Into<Value>>(shape: &[i64], numbers: &[T]) -> Value {
    let flat = |numbers: &[T]| Value::from_iter(numbers.iter().map(|&number| number.into()));
    match shape {
        [_] => flat(numbers),
        [_, width] => numbers.chunks(*width as usize).map(flat).collect(),
        _ => panic!("outputs have one dimension or two"),
    }
}
