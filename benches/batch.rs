//! What the line before a model costs, with a model that costs nothing: a lone call, calls that come together and share
//! one, and a long call in parts. `cargo bench --bench batch`.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use modelsd::batching::pool::{Pool, Setup};
use modelsd::batching::{Config, Meters};
use modelsd::flavor::{PredictError, Predictor};
use modelsd::model::batch::{Batch, Body};
use modelsd::model::tensor::{Elements, Tensor};
use tokio::runtime::Builder;

/// Gives back what it gets.
struct Echo;

impl Predictor for Echo {
    fn predict(&mut self, input: &Batch) -> Result<Batch, PredictError> {
        Ok(input.clone())
    }
}

fn rows(rows: usize, columns: usize) -> Batch {
    let elements = Elements::F32(vec![1.0; rows * columns]);
    Batch::new(Body::Array(Tensor::new(&[rows, columns][..], elements).unwrap()))
}

fn pool(config: Config) -> Arc<Pool> {
    let setup = Setup {
        name: "bench",
        config,
        join_from: Some(NonZeroUsize::MIN),
        // As if a call cost 40 µs and a row ten more, so that sharing is worth it.
        times: &[(1, Duration::from_micros(50)), (20, Duration::from_micros(240))],
        meters: Meters::default(),
    };
    Arc::new(Pool::new(vec![Box::new(Echo)], setup))
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn batch(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("batch");
    let lone = pool(Config::default());
    group.throughput(Throughput::Elements(1));
    group.bench_function("a lone call", |bencher| {
        let batch = rows(1, 128);
        bencher.iter(|| runtime.block_on(lone.run(batch.clone(), later())).unwrap());
    });
    for (calls, columns) in [(8, 4), (64, 4), (64, 128)] {
        // A delay makes all of them wait for the last one, which fills the batch and lets them go.
        let together = pool(Config {
            max_rows: calls,
            max_delay: Duration::from_secs(1),
            ..Config::default()
        });
        group.throughput(Throughput::Elements(calls as u64));
        group.bench_function(
            format!("{calls} calls of {columns} columns together"),
            |bencher| {
                let batch = rows(1, columns);
                bencher.iter(|| {
                    runtime.block_on(async {
                        let calls: Vec<_> = (0..calls)
                            .map(|_| {
                                let (pool, batch) = (Arc::clone(&together), batch.clone());
                                tokio::spawn(async move { pool.run(batch, later()).await })
                            })
                            .collect();
                        for call in calls {
                            call.await.unwrap().unwrap();
                        }
                    });
                });
            },
        );
    }
    let parts = pool(Config {
        max_rows: 100,
        ..Config::default()
    });
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1000 rows of 30 columns in 10 parts", |bencher| {
        let batch = rows(1000, 30);
        bencher.iter(|| runtime.block_on(parts.run(batch.clone(), later())).unwrap());
    });
    group.finish();
}

criterion_group!(benches, batch);
criterion_main!(benches);
