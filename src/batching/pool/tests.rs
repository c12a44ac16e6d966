//! The pool with predictors that do as they are told.

mod batches;
mod refusals;
mod turns;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::ThreadId;

use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::model::batch::Body;
use crate::model::value::Value;

type Action = Box<dyn FnMut(&Batch) -> Result<Batch, PredictError> + Send>;

/// Does what the closure does.
struct Fake(Action);

impl Predictor for Fake {
    fn predict(&mut self, input: &Batch) -> Result<Batch, PredictError> {
        (self.0)(input)
    }
}

fn fake(action: impl FnMut(&Batch) -> Result<Batch, PredictError> + Send + 'static) -> Box<dyn Predictor> {
    Box::new(Fake(Box::new(action)))
}

fn pool_named(name: &str, predictors: Vec<Box<dyn Predictor>>) -> Pool {
    Pool::new(
        predictors,
        Setup {
            name,
            ..Setup::default()
        },
    )
}

fn batch(number: i64) -> Batch {
    Batch::new(Body::Value(Value::Int(number)))
}

fn number(batch: &Batch) -> i64 {
    match batch.body {
        Body::Value(Value::Int(number)) => number,
        _ => -1,
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(300)
}

/// A predictor that says when it starts and waits until it is let go.
fn held() -> (Box<dyn Predictor>, mpsc::Receiver<i64>, mpsc::SyncSender<()>) {
    let (started, starts) = mpsc::sync_channel(16);
    let (go, going) = mpsc::sync_channel(16);
    let predictor = fake(move |input| {
        started.send(number(input)).unwrap();
        going.recv().unwrap();
        Ok(input.clone())
    });
    (predictor, starts, go)
}

#[test]
fn the_first_call_runs_on_a_thread_and_cheap_ones_inline() {
    let seen = Arc::new(Mutex::new(Vec::<ThreadId>::new()));
    let log = Arc::clone(&seen);
    let pool = pool_named(
        "test",
        vec![fake(move |input| {
            log.lock().unwrap().push(std::thread::current().id());
            Ok(input.clone())
        })],
    );
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for at in 0..50 {
            assert_eq!(number(&pool.run(batch(at), later()).await.unwrap().output), at);
        }
    });
    let here = std::thread::current().id();
    let seen = seen.lock().unwrap();
    assert_ne!(seen[0], here);
    assert_eq!(*seen.last().unwrap(), here);
}

#[test]
fn a_dear_model_runs_on_its_thread() {
    let name = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&name);
    let pool = pool_named(
        "dear",
        vec![fake(move |input| {
            *log.lock().unwrap() = std::thread::current().name().unwrap_or_default().to_owned();
            Ok(input.clone())
        })],
    );
    pool.shared.runner.cost.learn(1, Duration::from_secs(1));
    runtime().block_on(pool.run(batch(1), later())).unwrap();
    assert_eq!(*name.lock().unwrap(), "dear-0");
}

#[test]
fn calls_are_served_in_the_order_they_came() {
    let (predictor, starts, go) = held();
    let pool = Arc::new(pool_named("test", vec![predictor]));
    let runtime = runtime();
    let mut calls = Vec::new();
    for at in 0..5 {
        let mut call = Box::pin({
            let pool = Arc::clone(&pool);
            async move { pool.run(batch(at), later()).await }
        });
        // One poll puts the call in line before the next is made.
        let pending = runtime.block_on(async {
            std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context).is_pending()))
                .await
        });
        assert!(pending);
        calls.push(call);
    }
    let calls: Vec<_> = calls.into_iter().map(|call| runtime.spawn(call)).collect();
    for at in 0..5 {
        assert_eq!(starts.recv().unwrap(), at);
        go.send(()).unwrap();
    }
    for (at, call) in calls.into_iter().enumerate() {
        let run = runtime.block_on(call).unwrap().unwrap();
        assert_eq!(number(&run.output), at as i64);
    }
}

#[test]
fn a_deadline_in_line_is_kept() {
    let (predictor, starts, go) = held();
    let pool = Arc::new(pool_named("test", vec![predictor]));
    let runtime = runtime();
    let holder = runtime.spawn({
        let pool = Arc::clone(&pool);
        async move { pool.run(batch(0), later()).await }
    });
    assert_eq!(starts.recv().unwrap(), 0);
    assert!(matches!(
        runtime.block_on(pool.run(batch(1), soon())),
        Err(RunError::Deadline)
    ));
    assert!(matches!(
        runtime.block_on(pool.run(batch(2), Instant::now())),
        Err(RunError::Deadline)
    ));
    go.send(()).unwrap();
    runtime.block_on(holder).unwrap().unwrap();
    // Neither of the two ever ran.
    assert!(starts.try_recv().is_err());
}

#[test]
fn a_predictor_outlives_the_deadline_of_its_call() {
    let (predictor, starts, go) = held();
    let pool = pool_named("test", vec![predictor]);
    let runtime = runtime();
    assert!(matches!(
        runtime.block_on(pool.run(batch(0), soon())),
        Err(RunError::Deadline)
    ));
    assert_eq!(starts.recv().unwrap(), 0);
    go.send(()).unwrap();
    go.send(()).unwrap();
    let run = runtime.block_on(pool.run(batch(1), later())).unwrap();
    assert_eq!(number(&run.output), 1);
}

#[test]
fn a_panic_costs_one_call() {
    let pool = pool_named(
        "test",
        vec![fake(|input| match number(input) {
            13 => panic!("unlucky {}", 13),
            _ => Ok(input.clone()),
        })],
    );
    let runtime = runtime();
    // On the thread first, then inline.
    for _ in 0..2 {
        match runtime.block_on(pool.run(batch(13), later())) {
            Err(RunError::Panicked(message)) => assert_eq!(message, "unlucky 13"),
            other => panic!("{other:?}"),
        }
        runtime.block_on(pool.run(batch(1), later())).unwrap();
    }
}

#[test]
fn a_refusal_is_passed_on() {
    let pool = pool_named("test", vec![fake(|_| Err(PredictError::Input("no".into())))]);
    let result = runtime().block_on(pool.run(batch(0), later()));
    assert!(matches!(result, Err(RunError::Predict(PredictError::Input(_)))));
}

#[test]
fn a_call_whose_caller_left_does_not_run() {
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let predictor = fake(move |input| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(input.clone())
    });
    let pool = pool_named("test", vec![predictor]);
    let runtime = runtime();
    let mut asked = Some(batch(0));
    let Ok(Entry::Now(lease)) = pool.enter(&mut asked, 1, later(), Instant::now(), None) else {
        panic!("nobody is in line");
    };
    let (reply, answer) = oneshot::channel();
    drop(answer);
    let job = Job {
        batch: asked.unwrap(),
        rows: 1,
        joins: false,
        deadline: later(),
        queued: Instant::now(),
        reply,
    };
    lease.hand_on(vec![job]);
    // The next call waits until the thread has given the predictor back.
    runtime.block_on(pool.run(batch(1), later())).unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
fn many_tasks_share_few_predictors() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let predictors = (0..3)
        .map(|_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            fake(move |input| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(input.clone())
            })
        })
        .collect();
    let pool = Arc::new(pool_named("test", predictors));
    let runtime = runtime();
    let calls: Vec<_> = (0..500)
        .map(|at| {
            let pool = Arc::clone(&pool);
            runtime.spawn(async move { pool.run(batch(at), later()).await })
        })
        .collect();
    for (at, call) in calls.into_iter().enumerate() {
        assert_eq!(
            number(&runtime.block_on(call).unwrap().unwrap().output),
            at as i64
        );
    }
    assert!(most.load(Ordering::SeqCst) <= 3);
    // A thread gives its predictor back after the answer.
    while pool.shared.lock().idle.len() < 3 {
        std::thread::sleep(Duration::from_micros(10));
    }
}

#[test]
fn dropping_the_pool_ends_its_threads() {
    struct Signal(mpsc::SyncSender<()>);
    impl Drop for Signal {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (sender, dropped) = mpsc::sync_channel(1);
    let signal = Signal(sender);
    let (predictor, starts, go) = held();
    let predictor = {
        let mut predictor = predictor;
        fake(move |input| {
            let _kept = &signal;
            predictor.predict(input)
        })
    };
    let pool = pool_named("test", vec![predictor]);
    let runtime = runtime();
    assert!(matches!(
        runtime.block_on(pool.run(batch(0), soon())),
        Err(RunError::Deadline)
    ));
    assert_eq!(starts.recv().unwrap(), 0);
    drop(pool);
    // The thread still runs the call; only then does the last owner of the predictor go.
    assert!(dropped.try_recv().is_err());
    go.send(()).unwrap();
    dropped.recv_timeout(Duration::from_secs(30)).unwrap();
}
