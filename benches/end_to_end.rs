//! One request over loopback on a kept connection: modelsd beside a bare axum handler with a fixed reply of the same
//! size. Ratios within one run count, not the figures themselves.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{Connection, Served, request, serve_fixed};

const CASES: [(&str, &str, &str); 3] = [
    (
        "iris_inputs_1",
        "models:/iris/1",
        r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#,
    ),
    (
        "iris_forest_inputs_1",
        "models:/iris/2",
        r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#,
    ),
    (
        "diabetes_split_1",
        "models:/diabetes/1",
        r#"{"dataframe_split": {"columns": ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"], "data": [[0.04, 0.05, 0.06, 0.02, -0.04, -0.03, -0.04, -0.01, 0.02, -0.02]]}}"#,
    ),
];

/// A bare axum handler that reads the body and returns a fixed one.
struct FixedReply {
    _runtime: tokio::runtime::Runtime,
    address: String,
}

impl FixedReply {
    /// Serves `reply` on as many threads as modelsd would use.
    fn start(reply: String) -> FixedReply {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap().to_string();
        runtime.spawn(serve_fixed(listener, reply));
        FixedReply {
            _runtime: runtime,
            address,
        }
    }
}

fn end_to_end(criterion: &mut Criterion) {
    for (case, model, body) in CASES {
        let served = Served::start(model, &[]);
        let request = request(body);
        let mut group = criterion.benchmark_group(format!("end_to_end/{case}"));
        let mut connection = Connection::open(&served.address);
        let answer = connection.exchange(&request);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        group.bench_function("modelsd", |bench| {
            bench.iter(|| connection.exchange_quietly(&request))
        });
        let fixed = FixedReply::start(answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_string());
        let mut connection = Connection::open(&fixed.address);
        group.bench_function("fixed_reply", |bench| {
            bench.iter(|| connection.exchange_quietly(&request))
        });
        group.finish();
    }
}

criterion_group!(benches, end_to_end);
criterion_main!(benches);
