//! Under overload, what is in line runs in turns with requests.

use std::thread::available_parallelism;

use super::*;

const MILLI: Duration = Duration::from_millis(1);

/// Enough workers to compete with one predictor for the cores of any machine.
fn workers() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(available_parallelism().unwrap().get())
        .thread_name("worker")
        .enable_all()
        .build()
        .unwrap()
}

/// Where each of three calls ran of a model that takes so long, when so many others were refused while the first did.
fn threads(cost: Duration, refused: usize) -> Vec<String> {
    let names = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&names);
    let (go, going) = mpsc::sync_channel(3);
    let predictor = fake(move |input| {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        log.lock().unwrap().push(name);
        going.recv().unwrap();
        Ok(input.clone())
    });
    let pool = Arc::new(pool_named("thread", vec![predictor]));
    // How long the calls are held must not change what is expected.
    (0..1_000).for_each(|_| pool.shared.runner.cost.learn(1, cost));
    let runtime = workers();
    let calls: Vec<_> = (0..3)
        .map(|at| {
            let before = Arc::clone(&pool);
            let call = runtime.spawn(async move { before.run(batch(at), later()).await });
            let here = |pool: &Pool| {
                let state = pool.shared.lock();
                state.idle.is_empty() && state.line.len() == at as usize
            };
            while !here(&pool) {
                std::thread::sleep(MILLI / 100);
            }
            call
        })
        .collect();
    runtime.block_on(async {
        for _ in 0..refused {
            let error = pool.refuses(1, Instant::now() + cost / 10);
            assert!(matches!(error, Some(RunError::Overloaded { .. })), "{error:?}");
        }
    });
    (0..3).for_each(|_| go.send(()).unwrap());
    for call in calls {
        runtime.block_on(call).unwrap().unwrap();
    }
    while pool.shared.lock().idle.is_empty() {
        std::thread::sleep(MILLI / 100);
    }
    drop(pool);
    Arc::into_inner(names).unwrap().into_inner().unwrap()
}

#[test]
fn while_many_calls_are_refused_a_worker_runs_those_in_line() {
    let thread = "thread-0";
    assert_eq!(threads(MILLI, 16), [thread, "worker", thread]);
    // A few are refused while it runs; and one that takes long must not hold up a worker.
    assert_eq!(threads(MILLI, 15), [thread; 3]);
    assert_eq!(threads(20 * MILLI, 16), [thread; 3]);
}

#[test]
fn only_the_runtime_of_requests_takes_over() {
    let (predictor, starts, go) = held();
    let pool = Arc::new(pool_named("thread", vec![predictor]));
    pool.shared.runner.cost.learn(1, Duration::from_secs(1));
    // Copies of requests run in a runtime of low priority.
    let (requests, copies) = (workers(), workers());
    let [first, second] = [0, 1].map(|at| {
        let pool = Arc::clone(&pool);
        copies.spawn(async move { pool.run(batch(at), later()).await })
    });
    starts.recv().unwrap();
    while pool.shared.lock().line.is_empty() {
        std::thread::sleep(MILLI / 100);
    }
    let refused = copies.block_on(pool.run(batch(2), Instant::now() + 500 * MILLI));
    assert!(matches!(refused, Err(RunError::Overloaded { .. })), "{refused:?}");
    assert!(pool.shared.host.get().is_none());
    assert!(
        requests
            .block_on(async { pool.refuses(1, Instant::now()) })
            .is_some()
    );
    assert_eq!(
        pool.shared.host.get().unwrap().as_ref().unwrap().id(),
        requests.handle().id()
    );
    (0..2).for_each(|_| go.send(()).unwrap());
    for call in [first, second] {
        copies.block_on(call).unwrap().unwrap();
    }
}

#[test]
fn every_call_of_an_overload_is_answered_or_refused() {
    let predictor = || {
        fake(|input: &Batch| {
            std::thread::sleep(MILLI);
            Ok(input.clone())
        })
    };
    let pool = Arc::new(pool_named("thread", vec![predictor(), predictor()]));
    let runtime = Builder::new_multi_thread()
        .worker_threads(available_parallelism().unwrap().get().max(2))
        .enable_all()
        .build()
        .unwrap();
    let calls: Vec<_> = (0..4_000)
        .map(|at| {
            let pool = Arc::clone(&pool);
            let patience = MILLI * fastrand::u32(1..60);
            runtime.spawn(async move {
                tokio::time::sleep(MILLI * (at % 200)).await;
                let deadline = Instant::now() + patience;
                if pool.refuses(1, deadline).is_some() {
                    return;
                }
                match pool.run(batch(at.into()), deadline).await {
                    Ok(run) => assert_eq!(number(&run.output), i64::from(at)),
                    Err(RunError::Deadline | RunError::Overloaded { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            })
        })
        .collect();
    for call in calls {
        runtime.block_on(call).unwrap();
    }
    let rests = || {
        let state = pool.shared.lock();
        state.idle.len() == 2 && state.line.is_empty() && state.rows == 0
    };
    while !rests() {
        std::thread::sleep(MILLI / 100);
    }
}
