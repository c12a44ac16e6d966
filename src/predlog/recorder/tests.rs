//! What is offered is written once or counted as dropped, and no sink holds up another.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::super::record::{Assignment, Feedback, Timing};
use super::*;
use crate::model::batch::{Batch, Body};
use crate::model::origin::Origin;
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;
use crate::predlog::{SinkError, Standing};

/// Keeps what it is given, unless told to fail.
#[derive(Clone, Default)]
struct Kept {
    entries: Arc<Mutex<Vec<Entry>>>,
    closed: Arc<AtomicBool>,
    fails: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    standing: Standing,
    holds: Arc<Mutex<()>>,
    takes_bundles: bool,
}

impl Sink for Kept {
    fn name(&self) -> &str {
        "kept"
    }

    fn standing(&self) -> Standing {
        self.standing
    }

    fn takes_bundles(&self) -> bool {
        self.takes_bundles
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), SinkError> {
        assert!(!self.panics.load(Ordering::Relaxed), "told so");
        let _held = self.holds.lock().unwrap();
        if self.fails.load(Ordering::Relaxed) {
            return Err(SinkError::new("keep", "told so").losing(entries.len() as u64));
        }
        self.entries.lock().unwrap().extend_from_slice(entries);
        Ok(())
    }

    fn tick(&mut self, _: SystemTime) -> Result<(), SinkError> {
        Ok(())
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.standing.waiting = 0;
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// What weighs what is on its way.
fn bytes_held(recorder: &Recorder) -> usize {
    let shared = &recorder.0.shared;
    shared.bytes.load(Ordering::Relaxed) + shared.shelves.as_ref().map_or(0, Shelves::bytes)
}

fn entry(number: u128, text: &str) -> Entry {
    Entry::Feedback(Box::new(Feedback {
        prediction_id: uuid::Uuid::from_u128(number),
        time: UNIX_EPOCH.into(),
        kind: "label".into(),
        value: Value::Str(text.into()),
        route: "r".into(),
        variant: "".into(),
        model: "m".into(),
        version: "1".into(),
    }))
}

fn boxed(sinks: &[Kept]) -> Vec<Box<dyn Sink>> {
    sinks
        .iter()
        .map(|sink| Box::new(sink.clone()) as Box<dyn Sink>)
        .collect()
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn what_is_offered_before_the_end_is_written_in_order() {
    let sinks = [Kept::default(), Kept::default()];
    let recorder = Recorder::start(boxed(&sinks), Config::default()).unwrap();
    let expected: Vec<Entry> = (0..5_000).map(|number| entry(number, "x")).collect();
    for one in &expected {
        recorder.offer(one.clone());
    }
    assert!(recorder.close(LONG).in_time);
    for sink in &sinks {
        assert!(*sink.entries.lock().unwrap() == expected);
        assert!(sink.closed.load(Ordering::Relaxed));
    }
    assert_eq!(recorder.dropped(), 0);
    recorder.offer(entry(1, "late"));
    assert_eq!(recorder.dropped(), 1);
}

#[test]
fn a_full_queue_drops_and_counts() {
    let sink = Kept::default();
    let held = sink.holds.lock().unwrap();
    let config = Config {
        capacity: 10,
        ..Config::default()
    };
    let recorder = Recorder::start(boxed(std::slice::from_ref(&sink)), config).unwrap();
    // At most one bulk is at the sink, which is held, and one in the queue.
    for number in 0..BULK as u128 + 1000 {
        recorder.offer(entry(number, "x"));
    }
    let dropped = recorder.dropped();
    assert!(dropped >= 990, "{dropped}");
    drop(held);
    assert!(recorder.close(LONG).in_time);
    let written = sink.entries.lock().unwrap().len() as u64;
    assert_eq!(written + recorder.dropped(), BULK as u64 + 1000);
}

#[test]
fn memory_has_a_bound_too() {
    let sink = Kept::default();
    let held = sink.holds.lock().unwrap();
    let config = Config {
        max_bytes: 100_000,
        ..Config::default()
    };
    let recorder = Recorder::start(boxed(std::slice::from_ref(&sink)), config).unwrap();
    let text = "x".repeat(30_000);
    for number in 0..10 {
        recorder.offer(entry(number, &text));
    }
    assert_eq!(recorder.dropped(), 7);
    drop(held);
    assert!(recorder.close(LONG).in_time);
    assert_eq!(sink.entries.lock().unwrap().len(), 3);
    assert_eq!(bytes_held(&recorder), 0);
}

#[test]
fn a_sink_that_fails_does_not_hold_up_the_other() {
    let sinks = [Kept::default(), Kept::default()];
    sinks[0].fails.store(true, Ordering::Relaxed);
    let recorder = Recorder::start(boxed(&sinks), Config::default()).unwrap();
    for number in 0..100 {
        recorder.offer(entry(number, "x"));
    }
    assert!(recorder.close(LONG).in_time);
    assert_eq!(recorder.dropped(), 100);
    assert_eq!(sinks[1].entries.lock().unwrap().len(), 100);
}

#[test]
fn a_sink_is_asked_again_after_a_while() {
    let sink = Kept::default();
    sink.fails.store(true, Ordering::Relaxed);
    let recorder = Recorder::start(boxed(std::slice::from_ref(&sink)), Config::default()).unwrap();
    let mut offered = 0;
    while recorder.dropped() == 0 {
        recorder.offer(entry(0, "lost"));
        offered += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    sink.fails.store(false, Ordering::Relaxed);
    while sink.entries.lock().unwrap().is_empty() {
        recorder.offer(entry(1, "kept"));
        offered += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(recorder.close(LONG).in_time);
    let written = sink.entries.lock().unwrap().len() as u64;
    assert_eq!(written + recorder.dropped(), offered);
}

#[test]
fn the_writer_ends_with_the_last_recorder() {
    let sink = Kept::default();
    let recorder = Recorder::start(boxed(std::slice::from_ref(&sink)), Config::default()).unwrap();
    let copy = recorder.clone();
    drop(recorder);
    copy.offer(entry(1, "x"));
    let shared = Arc::clone(&copy.0.shared);
    drop(copy);
    let ended = shared.ended.lock().unwrap();
    let (ended, _) = shared
        .end
        .wait_timeout_while(ended, LONG, |ended| !*ended)
        .unwrap();
    assert!(*ended && sink.closed.load(Ordering::Relaxed));
    assert_eq!(sink.entries.lock().unwrap().len(), 1);
}

#[test]
fn a_writer_that_hangs_is_not_waited_for_and_what_it_has_is_lost() {
    let sink = Kept::default();
    let held = sink.holds.lock().unwrap();
    let recorder = Recorder::start(boxed(std::slice::from_ref(&sink)), Config::default()).unwrap();
    for number in 0..3 {
        recorder.offer(entry(number, "x"));
    }
    let lost = Ending {
        in_time: false,
        dropped: 3,
        at_the_end: 3,
    };
    assert_eq!(recorder.close(Duration::from_millis(50)), lost);
    drop(held);
    let ending = recorder.close(LONG);
    assert!(ending.in_time && ending.dropped == 0, "{ending:?}");
    assert_eq!(sink.entries.lock().unwrap().len(), 3);
}

#[test]
fn the_end_tells_what_sinks_counted_themselves() {
    let sink = Kept {
        standing: Standing { waiting: 5, lost: 7 },
        ..Kept::default()
    };
    let recorder = Recorder::start(boxed(&[sink]), Config::default()).unwrap();
    recorder.offer(entry(1, "x"));
    let ending = recorder.close(LONG);
    // What it had in memory it has written.
    assert_eq!((ending.in_time, ending.dropped), (true, 7));
    assert_eq!(recorder.dropped(), 0);
}

#[test]
fn a_writer_that_panics_leaves_nothing_uncounted() {
    let sinks = [
        Kept {
            standing: Standing { waiting: 5, lost: 0 },
            ..Kept::default()
        },
        Kept::default(),
    ];
    let recorder = Recorder::start(boxed(&sinks), Config::default()).unwrap();
    recorder.offer(entry(0, "written"));
    while sinks[1].entries.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    // The bulk of the first is over, so that the next is one of its own.
    while bytes_held(&recorder) > 0 {
        std::thread::yield_now();
    }
    sinks[1].panics.store(true, Ordering::Relaxed);
    for number in 0..BULK as u128 * 2 {
        recorder.offer(entry(number, "lost"));
    }
    let ending = recorder.close(LONG);
    assert_eq!(
        (ending.in_time, ending.dropped),
        (true, BULK as u64 * 2 + 5),
        "{ending:?}"
    );
    recorder.offer(entry(1, "late"));
    assert_eq!(recorder.dropped(), ending.dropped + 1);
}

#[test]
fn what_comes_into_the_queue_after_the_end_is_counted() {
    let recorder = Recorder::start(Vec::new(), Config::default()).unwrap();
    assert_eq!(recorder.close(LONG).dropped, 0);
    // As a request saw it that began before.
    recorder.0.shared.closing.store(false, Ordering::Relaxed);
    recorder.offer(entry(1, "x"));
    assert_eq!((recorder.dropped(), recorder.0.shared.queue.len()), (1, 0));
    assert_eq!(bytes_held(&recorder), 0);
}

#[test]
fn what_is_offered_while_the_writer_ends_is_written_or_counted() {
    for _ in 0..20 {
        let sink = Kept::default();
        let recorder = Recorder::start(boxed(std::slice::from_ref(&sink)), Config::default()).unwrap();
        let offered = AtomicU64::new(0);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        recorder.offer(entry(1, "x"));
                        offered.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while offered.load(Ordering::Relaxed) < 100 {
                std::thread::yield_now();
            }
            assert!(recorder.close(LONG).in_time);
            stop.store(true, Ordering::Relaxed);
        });
        let written = sink.entries.lock().unwrap().len() as u64;
        assert_eq!(written + recorder.dropped(), offered.into_inner());
    }
}

proptest! {
    #[test]
    fn weights_cover_text(text in "[a-z]{0,2000}") {
        let weight = entry(1, &text).weight();
        prop_assert!(weight >= text.len() && weight < text.len() + 2_000);
    }
}

fn of_bundles() -> Kept {
    Kept {
        takes_bundles: true,
        ..Kept::default()
    }
}

fn prediction(number: u64, origin: &Arc<Origin>) -> Entry {
    let body = Body::Array(Tensor::vector(Elements::F64(vec![number as f64])));
    Entry::Prediction(Box::new(Record {
        id: uuid::Uuid::from_u128(number.into()),
        time: UNIX_EPOCH.into(),
        origin: Arc::clone(origin),
        rows: 1,
        inputs: Some(Batch::new(body)),
        outputs: None,
        error: None,
        timing: Timing::default(),
        request_id: None,
        trace: None,
        assignment: Assignment::None,
        routing_key: None,
        sampled: true,
        traced: None,
    }))
}

#[test]
fn what_threads_lay_down_is_written_once_and_before_what_is_told_of_it() {
    const EACH: u64 = 3_000;
    let sink = of_bundles();
    let recorder = Recorder::start(boxed(std::slice::from_ref(&sink)), Config::default()).unwrap();
    let origin = Arc::new(Origin::default());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (recorder, origin) = (&recorder, &origin);
            scope.spawn(move || {
                for number in thread * EACH..(thread + 1) * EACH {
                    recorder.offer(prediction(number, origin));
                    recorder.offer(entry(number.into(), "x"));
                }
            });
        }
    });
    assert!(recorder.close(LONG).in_time);
    let written = sink.entries.lock().unwrap();
    let mut told = std::collections::HashMap::new();
    for one in written.iter() {
        match one {
            Entry::Prediction(record) => {
                assert!(told.insert(record.id, false).is_none(), "{}", record.id);
            }
            Entry::Feedback(feedback) => {
                assert_eq!(told.insert(feedback.prediction_id, true), Some(false));
            }
        }
    }
    assert_eq!(told.len() as u64, 4 * EACH);
    assert!(told.values().all(|told| *told));
    assert_eq!(recorder.dropped(), 0);
    recorder.offer(prediction(0, &origin));
    assert_eq!(recorder.dropped(), 1);
}

#[test]
fn what_is_laid_down_has_the_bounds_of_the_queue() {
    let check = |capacity, max_bytes, at_least| {
        let sink = of_bundles();
        let held = sink.holds.lock().unwrap();
        let config = Config {
            capacity,
            max_bytes,
            ..Config::default()
        };
        let recorder = Recorder::start(boxed(std::slice::from_ref(&sink)), config).unwrap();
        let origin = Arc::new(Origin::default());
        recorder.offer(prediction(0, &origin));
        let began = Instant::now();
        while recorder.0.shared.at_hand.load(Ordering::Relaxed) == 0 {
            assert!(began.elapsed() < LONG);
            std::thread::yield_now();
        }
        // The sink is held with one, and others wait meanwhile.
        for number in 1..2_000 {
            recorder.offer(prediction(number, &origin));
        }
        assert!(recorder.dropped() >= at_least, "{}", recorder.dropped());
        let ending = recorder.close(Duration::ZERO);
        assert_eq!((ending.in_time, ending.dropped), (false, 2_000));
        drop(held);
        assert!(recorder.close(LONG).in_time);
        let written = sink.entries.lock().unwrap().len() as u64;
        assert_eq!(written + recorder.dropped(), 2_000);
    };
    check(10, 256 << 20, 1_980);
    check(65_536, 10_000, 1_800);
}
