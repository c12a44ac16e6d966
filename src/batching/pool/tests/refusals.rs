//! Calls that are refused because too much waits, and how long a wait is expected to be.

use super::batches::{MICRO, behind, call, held_doubler, joining, rows};
use super::*;

#[test]
fn a_full_line_and_a_late_answer_are_refused_at_once() {
    let (predictor, starts, go) = held();
    let config = Config {
        max_queue_rows: 2,
        ..Config::default()
    };
    let second = Duration::from_secs(1);
    let pool = joining(vec![predictor], config, &[(1, 2 * second)]);
    let runtime = runtime();
    let first = call(&runtime, &pool, batch(0));
    assert_eq!(starts.recv().unwrap(), 0);
    // Two seconds are what one call should take, and one is before it, however long it has been at work.
    let deadline = Instant::now() + second * 5 / 2;
    match runtime.block_on(pool.run(batch(1), deadline)) {
        Err(RunError::Overloaded { after, .. }) => assert!(after >= 2 * second),
        other => panic!("{other:?}"),
    }
    let waiting = [call(&runtime, &pool, batch(2)), call(&runtime, &pool, batch(3))];
    while pool.shared.lock().line.len() < 2 {
        std::thread::sleep(MICRO);
    }
    let refused = runtime.block_on(pool.run(batch(4), later()));
    assert!(matches!(refused, Err(RunError::Overloaded { .. })), "{refused:?}");
    (0..3).for_each(|_| go.send(()).unwrap());
    runtime.block_on(first).unwrap().unwrap();
    for call in waiting {
        runtime.block_on(call).unwrap().unwrap();
    }
}

#[test]
fn what_would_be_refused_is_known_before_it_is_decoded() {
    let (predictor, _calls, go) = held_doubler();
    let pool = joining(vec![predictor], Config::default(), &[(1, 100_000 * MICRO)]);
    let runtime = runtime();
    let first = call(&runtime, &pool, rows(&[0.0]));
    let in_line = |calls| {
        while pool.shared.lock().idle.len() == pool.size() || pool.shared.lock().line.len() < calls {
            std::thread::sleep(MICRO);
        }
    };
    in_line(0);
    let refused = |rows, within| pool.refuses(rows, Instant::now() + within).is_some();
    let wait = |rows: usize| 100_000 * MICRO * rows as u32;
    // Nothing was late or in time yet.
    let with_margin = |wait: Duration| wait + wait / 2;
    let mut waiting = Vec::new();
    for number in 1..=3 {
        let before = with_margin(wait(2 * (number - 1)));
        assert_eq!(refused(0, before / 2), number > 1, "with {} in line", number - 1);
        assert!(!refused(0, before + wait(20)));
        waiting.push(call(&runtime, &pool, rows(&[1.0, 2.0])));
        in_line(number);
    }
    // One row is being run, and six wait, of a tenth of a second each. How much of the first is done by now depends on the
    // machine; and between a deadline and the look at it, it may stand still.
    for rows in [0, 2, 50] {
        assert!(refused(rows, with_margin(wait(6 + rows)) - MICRO));
        // Its batch may take half of the time, however few are in it yet.
        assert!(!refused(rows, 2 * with_margin(wait(7 + rows)) + wait(20)));
    }
    go.send(()).unwrap();
    for call in std::iter::once(first).chain(waiting) {
        runtime.block_on(call).unwrap().unwrap();
    }
    assert!(!refused(50, MICRO), "nobody waits");
}

#[test]
fn a_call_waits_for_those_that_will_share_its_batch() {
    let (predictor, _calls, go) = held_doubler();
    let pool = joining(vec![predictor], Config::default(), &[(1, 10_000 * MICRO)]);
    let runtime = runtime();
    let first = call(&runtime, &pool, rows(&[0.0]));
    while !pool.shared.lock().idle.is_empty() {
        std::thread::sleep(MICRO);
    }
    // A hundredth of a second a row: batches are of half of three seconds, and before it there may be the first call.
    let now = Instant::now();
    let wait = pool
        .admit(&mut pool.shared.lock(), 1, now + 3_000_000 * MICRO, now)
        .unwrap();
    let batch = 1_500_000 * MICRO;
    assert!(
        (batch - 11_000 * MICRO..=batch + 11_000 * MICRO).contains(&wait.unwrap()),
        "{wait:?}"
    );
    go.send(()).unwrap();
    runtime.block_on(first).unwrap().unwrap();
}

#[test]
fn how_long_calls_wait_beyond_what_was_expected_is_learnt_from_those_in_line() {
    let second = Duration::from_secs(1);
    // Half of a wait is given before the first, and an eighth when there is hardly more to add.
    let learnt = |pool: &Pool| pool.shared.spare.beyond(second, 100 * second) < second / 2;
    let config = || Config {
        max_rows: 2,
        ..Config::default()
    };
    let held = || {
        let (predictor, calls, go) = held_doubler();
        (joining(vec![predictor], config(), &[(1, MICRO)]), calls, go)
    };
    let runtime = runtime();
    for (waits, wanted) in [(&[1.0][..], true), (&[1.0, 2.0, 3.0], true), (&[13.0], false)] {
        let (pool, _calls, go) = held();
        let answers = behind(&runtime, &pool, &go, vec![rows(waits)]);
        assert_eq!((answers[0].is_ok(), learnt(&pool)), (wanted, wanted), "{waits:?}");
    }
    // One that comes too late.
    let (pool, _calls, go) = held();
    let first = call(&runtime, &pool, rows(&[0.0]));
    while !pool.shared.lock().idle.is_empty() {
        std::thread::sleep(MICRO);
    }
    assert!(!learnt(&pool));
    let late = runtime.block_on(pool.run(rows(&[1.0]), Instant::now() + 10_000 * MICRO));
    assert!(matches!(late, Err(RunError::Deadline)), "{late:?}");
    assert!(learnt(&pool));
    go.send(()).unwrap();
    runtime.block_on(first).unwrap().unwrap();
}

#[test]
fn who_would_be_first_in_line_is_refused_early_only_after_others_were() {
    let (predictor, _calls, go) = held_doubler();
    let pool = joining(vec![predictor], Config::default(), &[(1, 100_000 * MICRO)]);
    let runtime = runtime();
    let refused = |pool: &Pool| pool.refuses(1, Instant::now() + MICRO).is_some();
    let first = call(&runtime, &pool, rows(&[0.0]));
    while !pool.shared.lock().idle.is_empty() {
        std::thread::sleep(MICRO);
    }
    // It may be its turn by the time that its body is decoded.
    assert!(!refused(&pool));
    let late = runtime.block_on(pool.run(rows(&[1.0]), Instant::now() + 50_000 * MICRO));
    assert!(
        matches!(late, Err(RunError::Overloaded { .. } | RunError::Deadline)),
        "{late:?}"
    );
    assert!(refused(&pool));
    // Those that were refused while the batch before ran count as well, and no others.
    let next_batch = |pool: &Pool| {
        let taken = pool.shared.lock().next(|_| 1, Instant::now(), &Meters::default());
        assert!(taken.is_empty());
    };
    next_batch(&pool);
    assert!(refused(&pool));
    pool.shared.lock().refused = 0;
    next_batch(&pool);
    assert!(!refused(&pool));
    go.send(()).unwrap();
    runtime.block_on(first).unwrap().unwrap();
}
