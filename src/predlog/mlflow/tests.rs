//! What waits at the end is sent or counted.

use super::*;

/// A sink of which so many predictions wait, and whose thread has ended.
fn left_with(entries: u64) -> Mlflow {
    let (queue, _) = channel(1);
    let (_, ended) = sync_channel(0);
    let load = Load::default();
    load.entries.store(entries, Ordering::Relaxed);
    Mlflow {
        mode: Mode::Runs,
        sample: 1.0,
        queue: Some(queue),
        until: None,
        closed: false,
        load: Arc::new(load),
        queue_full: Counter::noop(),
        ended,
    }
}

#[test]
fn a_thread_that_ended_before_has_lost_what_waited() {
    let mut sink = left_with(3);
    assert_eq!(sink.standing(), Standing { waiting: 3, lost: 0 });
    let error = sink.close().unwrap_err();
    assert_eq!(error.lost, 3, "{error}");
    assert_eq!(sink.standing(), Standing::default());
    left_with(0).close().unwrap();
}
