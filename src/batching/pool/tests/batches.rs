//! Calls that share a call of the model.

use std::sync::mpsc::Receiver;

use futures_util::future::maybe_done;
use proptest::prelude::*;

use super::*;
use crate::model::tensor::{Elements, Tensor};

pub(super) const MICRO: Duration = Duration::from_micros(1);

pub(super) fn rows(values: &[f32]) -> Batch {
    Batch::new(Body::Array(Tensor::vector(Elements::F32(values.to_vec()))))
}

fn values(batch: &Batch) -> Vec<f32> {
    match &batch.body {
        Body::Array(tensor) => match tensor.elements() {
            Elements::F32(values) => values.clone(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Doubles; refuses 13 and panics at 1313. Tells the rows of each call.
fn doubler() -> (Box<dyn Predictor>, Receiver<usize>) {
    let (called, calls) = mpsc::sync_channel(10_000);
    let predictor = fake(move |input| {
        let values = values(input);
        let _ = called.try_send(values.len());
        assert!(!values.contains(&1313.0), "unlucky");
        if values.contains(&13.0) {
            return Err(PredictError::Engine("13".into()));
        }
        Ok(rows(&values.iter().map(|x| x * 2.0).collect::<Vec<_>>()))
    });
    (predictor, calls)
}

/// The same, once it is let go.
pub(super) fn held_doubler() -> (Box<dyn Predictor>, Receiver<usize>, mpsc::SyncSender<()>) {
    let (mut predictor, calls) = doubler();
    let (go, going) = mpsc::sync_channel(1);
    let mut held = true;
    let predictor = fake(move |input| {
        if std::mem::take(&mut held) {
            going.recv().unwrap();
        }
        predictor.predict(input)
    });
    (predictor, calls, go)
}

pub(super) fn joining(
    predictors: Vec<Box<dyn Predictor>>,
    config: Config,
    times: &[(usize, Duration)],
) -> Arc<Pool> {
    // A call that was held for long counts as slow, and batches would be cut short for that.
    let config = Config {
        max_time: Duration::from_secs(600),
        ..config
    };
    Arc::new(Pool::new(
        predictors,
        Setup {
            name: "test",
            config,
            join_from: Some(NonZeroUsize::MIN),
            times,
            meters: Meters::default(),
        },
    ))
}

type Answer = tokio::task::JoinHandle<Result<Run, RunError>>;

pub(super) fn call(runtime: &Runtime, pool: &Arc<Pool>, batch: Batch) -> Answer {
    let pool = Arc::clone(pool);
    runtime.spawn(async move { pool.run(batch, later()).await })
}

/// Puts calls in line behind one that is held, in that order, and lets it go.
pub(super) fn behind(
    runtime: &Runtime,
    pool: &Arc<Pool>,
    go: &mpsc::SyncSender<()>,
    batches: Vec<Batch>,
) -> Vec<Result<Run, RunError>> {
    let last = batches.len();
    behind_some(runtime, pool, go, batches, last)
}

/// The same; so many are in line once the last has come.
fn behind_some(
    runtime: &Runtime,
    pool: &Arc<Pool>,
    go: &mpsc::SyncSender<()>,
    batches: Vec<Batch>,
    last: usize,
) -> Vec<Result<Run, RunError>> {
    let count = batches.len();
    let first = call(runtime, pool, rows(&[0.0]));
    let waits = |calls: usize| {
        while pool.shared.lock().idle.len() == pool.size() || pool.shared.lock().line.len() < calls {
            std::thread::sleep(MICRO);
        }
    };
    waits(0);
    let mut calls = Vec::new();
    for batch in batches {
        calls.push(call(runtime, pool, batch));
        waits(if calls.len() == count { last } else { calls.len() });
    }
    go.send(()).unwrap();
    runtime.block_on(first).unwrap().unwrap();
    calls
        .into_iter()
        .map(|call| runtime.block_on(call).unwrap())
        .collect()
}

#[test]
fn calls_that_wait_run_as_one_and_each_gets_its_own_rows() {
    let (predictor, calls, go) = held_doubler();
    let pool = joining(vec![predictor], Config::default(), &[]);
    let answers = behind(
        &runtime(),
        &pool,
        &go,
        vec![rows(&[1.0]), rows(&[2.0, 3.0]), rows(&[4.0])],
    );
    let answers: Vec<Vec<f32>> = answers
        .iter()
        .map(|answer| values(&answer.as_ref().unwrap().output))
        .collect();
    assert_eq!(answers, [vec![2.0], vec![4.0, 6.0], vec![8.0]]);
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [1, 4]);
}

#[test]
fn calls_of_fewer_rows_than_may_join_run_alone() {
    let (predictor, calls, go) = held_doubler();
    let setup = Setup {
        name: "test",
        join_from: NonZeroUsize::new(2),
        config: Config {
            max_rows: 3,
            max_time: Duration::from_secs(600),
            ..Config::default()
        },
        ..Setup::default()
    };
    let pool = Arc::new(Pool::new(vec![predictor], setup));
    let batches = vec![rows(&[1.0]), rows(&[2.0]), rows(&[3.0]), rows(&[5.0; 7])];
    // The long one comes in three parts.
    let answers = behind_some(&runtime(), &pool, &go, batches, 6);
    assert!(answers.iter().all(Result::is_ok));
    // Neither a row alone with others, nor a part of one row.
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [1, 1, 1, 1, 2, 2, 3]);
}

#[test]
fn the_limit_counts_rows() {
    let (predictor, calls, go) = held_doubler();
    let config = Config {
        max_rows: 3,
        ..Config::default()
    };
    let pool = joining(vec![predictor], config, &[]);
    let batches = [1.0, 2.0, 3.0, 4.0].map(|x| rows(&[x, x])).to_vec();
    behind(&runtime(), &pool, &go, batches);
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [1, 2, 2, 2, 2]);
}

#[test]
fn one_row_turns_batching_off() {
    let (predictor, calls, go) = held_doubler();
    let config = Config {
        max_rows: 1,
        ..Config::default()
    };
    let pool = joining(vec![predictor], config, &[]);
    behind(&runtime(), &pool, &go, vec![rows(&[1.0]), rows(&[2.0, 3.0])]);
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [1, 1, 2]);
}

#[test]
fn a_bad_row_costs_its_own_call_alone() {
    let (predictor, calls, go) = held_doubler();
    let pool = joining(vec![predictor], Config::default(), &[]);
    let numbers = [1.0, 13.0, 3.0, 4.0, 1313.0, 6.0, 7.0, 8.0];
    let answers = behind(&runtime(), &pool, &go, numbers.map(|x| rows(&[x])).to_vec());
    for (number, answer) in numbers.iter().zip(answers) {
        match answer {
            Ok(run) => assert_eq!(values(&run.output), [number * 2.0]),
            Err(RunError::Predict(_)) => assert_eq!(*number, 13.0),
            Err(RunError::Panicked(_)) => assert_eq!(*number, 1313.0),
            Err(other) => panic!("{other:?}"),
        }
    }
    // By halves: at most twice the calls that one by one would have taken.
    assert!(calls.try_iter().count() <= 16);
}

#[test]
fn calls_of_different_kinds_do_not_share() {
    let (predictor, calls, go) = held_doubler();
    let pool = joining(vec![predictor], Config::default(), &[]);
    let mut other = rows(&[2.0]);
    other.params.push(("p".into(), Value::Int(1)));
    let answers = behind(&runtime(), &pool, &go, vec![rows(&[1.0]), other, rows(&[3.0])]);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [1, 2, 1]);
}

#[test]
fn answers_that_are_not_of_rows_end_batching() {
    let (go, going) = mpsc::sync_channel(1);
    let mut held = true;
    let sum = fake(move |input| {
        if std::mem::take(&mut held) {
            going.recv().unwrap();
        }
        Ok(rows(&[values(input).iter().sum()]))
    });
    let pool = joining(vec![sum], Config::default(), &[]);
    let answers = behind(&runtime(), &pool, &go, vec![rows(&[1.0, 2.0]), rows(&[3.0, 4.0])]);
    let answers: Vec<Vec<f32>> = answers
        .iter()
        .map(|answer| values(&answer.as_ref().unwrap().output))
        .collect();
    assert_eq!(answers, [vec![3.0], vec![7.0]]);
    assert!(!pool.shared.runner.joins_any());
}

#[test]
fn a_long_call_runs_in_parts() {
    let (predictor, calls) = doubler();
    let config = Config {
        max_rows: 4,
        ..Config::default()
    };
    let pool = joining(vec![predictor], config, &[]);
    let long: Vec<f32> = (100..110).map(|x| x as f32).collect();
    let run = runtime().block_on(pool.run(rows(&long), later())).unwrap();
    assert_eq!(
        values(&run.output),
        long.iter().map(|x| x * 2.0).collect::<Vec<_>>()
    );
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [3, 3, 4]);
    // A part that fails is the failure of the call.
    let bad: Vec<f32> = (10..20).map(|x| x as f32).collect();
    let result = runtime().block_on(pool.run(rows(&bad), later()));
    assert!(matches!(result, Err(RunError::Predict(_))), "{result:?}");
    // Nothing of it is left behind.
    while pool.shared.lock().idle.is_empty() {
        std::thread::sleep(MICRO);
    }
    assert!(pool.shared.lock().line.is_empty());
}

#[test]
fn a_dear_call_takes_all_idle_predictors() {
    let both = Arc::new(std::sync::Barrier::new(2));
    let predictors = (0..2).map(|_| {
        let both = Arc::clone(&both);
        fake(move |input| {
            // Passed only when both predictors are here.
            both.wait();
            Ok(input.clone())
        })
    });
    let pool = joining(
        predictors.collect(),
        Config::default(),
        &[(1, 1000 * MICRO), (10, 10_000 * MICRO)],
    );
    let input = rows(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    let run = runtime().block_on(pool.run(input.clone(), later())).unwrap();
    assert_eq!(run.output, input);
}

#[test]
fn a_full_batch_waits_for_nobody() {
    let (predictor, calls) = doubler();
    let config = Config {
        max_delay: Duration::from_secs(600),
        ..Config::default()
    };
    let pool = joining(vec![predictor], config, &[(1, Duration::from_secs(10))]);
    let runtime = runtime();
    // Half of the fifty seconds that they wait is enough for two rows; the first lets others join it.
    let deadline = Instant::now() + Duration::from_secs(50);
    let both = [1.0, 2.0].map(|value| {
        let pool = Arc::clone(&pool);
        runtime.spawn(async move { pool.run(rows(&[value]), deadline).await })
    });
    for (call, wanted) in both.into_iter().zip([2.0, 4.0]) {
        let run = runtime.block_on(call).unwrap().unwrap();
        assert_eq!(values(&run.output), [wanted]);
    }
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [2]);
}

/// What a call costs where sharing is worth it: 40 µs, and 10 more for each row.
const DEAR_TO_START: [(usize, Duration); 4] = [
    (1, Duration::from_micros(50)),
    (20, Duration::from_micros(240)),
    (1, Duration::from_micros(50)),
    (20, Duration::from_micros(240)),
];

#[test]
fn a_batch_takes_no_more_than_half_of_what_its_first_call_waits() {
    let (predictor, _calls) = doubler();
    let pool = joining(vec![predictor], Config::default(), &DEAR_TO_START);
    let rows = |patience| pool.shared.batch_rows(patience);
    // 200 µs: 40, and 16 rows of 10.
    assert!((15..=16).contains(&rows(400 * MICRO)), "{}", rows(400 * MICRO));
    assert_eq!(rows(Duration::ZERO), 1);
    assert_eq!(rows(later() - Instant::now()), pool.shared.config.max_rows);
    let (reply, _answer) = oneshot::channel();
    let queued = Instant::now() - 400 * MICRO;
    let job = Job {
        batch: batch(1),
        rows: 1,
        joins: true,
        deadline: queued + 400 * MICRO,
        queued,
        reply,
    };
    assert!(
        rows(400 * MICRO) == pool.shared.rows_of(&job),
        "whatever is left of it"
    );
}

#[test]
fn requests_that_are_there_at_the_same_time_share_a_call() {
    let (predictor, calls) = doubler();
    let pool = joining(vec![predictor], Config::default(), &DEAR_TO_START);
    pool.shared.lock().gather.note(10);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answers: Vec<_> = (100..110)
            .map(|at| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { pool.run(rows(&[at as f32]), later()).await })
            })
            .collect();
        for (answer, at) in answers.into_iter().zip(100..) {
            assert_eq!(values(&answer.await.unwrap().unwrap().output), [at as f32 * 2.0]);
        }
    });
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [10]);
}

/// A pool whose batches are of two rows, for which a call waits longer than a test.
fn delayed_pairs() -> (Arc<Pool>, Receiver<usize>) {
    let (predictor, calls) = doubler();
    let config = Config {
        max_rows: 2,
        max_delay: Duration::from_secs(20),
        ..Config::default()
    };
    (joining(vec![predictor], config, &[]), calls)
}

#[test]
fn a_delay_is_waited_unless_the_batch_is_full() {
    let (pool, calls) = delayed_pairs();
    let runtime = runtime();
    let one = call(&runtime, &pool, rows(&[1.0]));
    let two = call(&runtime, &pool, rows(&[2.0]));
    // Within the test's patience, which is shorter than the delay.
    let both = async { (one.await.unwrap(), two.await.unwrap()) };
    let answers = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(15), both).await });
    let (one, two) = answers.unwrap();
    assert_eq!(
        (values(&one.unwrap().output), values(&two.unwrap().output)),
        (vec![2.0], vec![4.0])
    );
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [2]);
}

#[test]
fn whose_batch_was_full_does_not_wait_for_the_next() {
    let (pool, calls) = delayed_pairs();
    // Nobody but the test polls the calls, so that the first is polled again only when another leads.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let asked = |value| {
        let pool = Arc::clone(&pool);
        Box::pin(async move { pool.run(rows(&[value]), later()).await })
    };
    let mut first = asked(1.0);
    let mut second = Box::pin(maybe_done(asked(2.0)));
    let mut third = asked(3.0);
    let answer = runtime.block_on(async {
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        let _ = futures_util::poll!(second.as_mut());
        while pool.shared.lock().idle.is_empty() {
            tokio::time::sleep(MICRO).await;
        }
        assert!(futures_util::poll!(third.as_mut()).is_pending());
        assert!(pool.shared.lock().led.is_some());
        // Within the test's patience, which is shorter than the delay.
        tokio::time::timeout(Duration::from_secs(15), first).await
    });
    assert_eq!(values(&answer.unwrap().unwrap().output), [2.0]);
    runtime.block_on(second.as_mut());
    let answer = second.as_mut().take_output().unwrap();
    assert_eq!(values(&answer.unwrap().output), [4.0]);
    // The third still leads.
    assert_eq!(
        (calls.try_iter().collect::<Vec<_>>(), pool.shared.lock().rows),
        (vec![2], 1)
    );
}

#[test]
fn who_leads_and_leaves_takes_nobody_along() {
    let (predictor, _calls) = doubler();
    let config = Config {
        max_delay: Duration::from_secs(20),
        ..Config::default()
    };
    let pool = joining(vec![predictor], config, &[]);
    let runtime = runtime();
    let leader = call(&runtime, &pool, rows(&[1.0]));
    while pool.shared.lock().led.is_none() {
        std::thread::sleep(MICRO);
    }
    let other = call(&runtime, &pool, rows(&[2.0]));
    while pool.shared.lock().line.len() < 2 {
        std::thread::sleep(MICRO);
    }
    leader.abort();
    let answer = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(15), other).await });
    assert_eq!(values(&answer.unwrap().unwrap().unwrap().output), [4.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever comes at once, of whatever length, and whatever it costs: everybody gets the answer to his own rows.
    #[test]
    fn batched_answers_are_those_of_each_call_alone(
        batches in proptest::collection::vec(proptest::collection::vec(0u16..40, 1..9), 1..60),
        max_rows in 1usize..20,
        predictors in 1usize..4,
        micros in 1u32..3000,
    ) {
        let predictors = (0..predictors).map(|_| doubler().0).collect();
        let config = Config { max_rows, ..Config::default() };
        let pool = joining(predictors, config, &[(1, MICRO * micros), (10, MICRO * (2 * micros))]);
        let runtime = runtime();
        let batches: Vec<Vec<f32>> = batches.iter().map(|batch| batch.iter().map(|&x| x.into()).collect()).collect();
        let calls: Vec<Answer> = batches.iter().map(|batch| call(&runtime, &pool, rows(batch))).collect();
        for (call, batch) in calls.into_iter().zip(&batches) {
            let result = runtime.block_on(call).unwrap();
            match result {
                Ok(run) => {
                    prop_assert!(!batch.contains(&13.0));
                    prop_assert_eq!(values(&run.output), batch.iter().map(|x| x * 2.0).collect::<Vec<_>>());
                }
                Err(RunError::Predict(_)) => prop_assert!(batch.contains(&13.0)),
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }
        let pool = pool.shared.lock();
        prop_assert!(pool.line.is_empty() && pool.rows == 0 && pool.led.is_none());
    }
}
