//! What waits at the end is sent or counted.

use super::*;

/// The queue of a server before which so many items of four spans wait, and whose thread has ended.
fn left_with(items: u64) -> Remote<()> {
    let (queue, _) = channel(1);
    let (_, ended) = sync_channel(0);
    let load = Load::default();
    load.items.store(items, Ordering::Relaxed);
    load.count.store(items as usize * 4, Ordering::Relaxed);
    Remote {
        label: Label {
            sink: "test",
            thread: "test",
            place: "nowhere".into(),
            fails: "fails",
            works: "works",
        },
        limits: Limits {
            count: 100,
            bytes: 100,
            together: 1,
            linger: Duration::ZERO,
        },
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
    let mut remote = left_with(3);
    assert_eq!(remote.standing(), Standing { waiting: 3, lost: 0 });
    let error = remote.close().unwrap_err();
    assert_eq!(error.lost, 3, "{error}");
    assert!(error.source.to_string().contains("ended before"), "{error}");
    assert_eq!(remote.standing(), Standing::default());
    left_with(0).close().unwrap();
}

#[test]
fn what_does_not_fit_is_lost_once_whatever_it_counts_as() {
    let mut remote = left_with(0);
    // The thread has gone; too many spans; too many bytes.
    for (count, bytes) in [(4, 10), (101, 10), (4, 101)] {
        remote.offer(count, bytes, || ());
    }
    assert_eq!(remote.standing(), Standing { waiting: 0, lost: 3 });
    remote.close().unwrap();
    assert_eq!(remote.standing(), Standing { waiting: 0, lost: 3 });
}
