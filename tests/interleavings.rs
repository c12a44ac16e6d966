//! The concurrent code of `src/deploy` under every order in which its threads can run, by loom; each claim with a
//! control, a variant that is wrong in one place, which loom must find.
//!
//! The files are those of the library; only what `super::sync` names is loom's here.

use std::panic::catch_unwind;

use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::thread;

use drain::Drain;
use stuck::Stuck;
use sync::{Arc, AtomicBool, AtomicUsize, Ordering};

#[path = "../src/deploy/drain.rs"]
mod drain;
#[path = "../src/deploy/stuck.rs"]
mod stuck;
mod sync {
    pub(super) use loom::sync::Arc;
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
}

/// Checks that loom finds an order of threads in which the model fails, and that it fails as expected.
fn finds(wanted: &str, model: impl Fn() + Sync + Send + std::panic::UnwindSafe + 'static) {
    let failure = catch_unwind(|| loom::model(model)).expect_err("loom finds no order in which this fails");
    let text = failure
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| failure.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let text = text.unwrap_or_default();
    assert!(text.contains(wanted), "{text}");
}

// === stuck: a thread that is left alone is counted until it ends ===

/// A waiter leaves while its thread ends, and a third one counts. Then nothing is stuck.
fn leave_and_end(
    count: impl Fn() -> usize + Clone + Send + 'static,
    leave: impl FnOnce(),
    end: impl FnOnce() + Send + 'static,
) {
    let thread = thread::spawn(end);
    let counted = count.clone();
    let observer = thread::spawn(move || {
        let count = counted();
        assert!(count <= 1, "{count} of one thread are stuck");
    });
    leave();
    observer.join().expect("the observer");
    thread.join().expect("the thread");
    assert_eq!(count(), 0, "all have ended");
}

#[test]
fn a_thread_is_stuck_at_most_once_and_not_for_ever() {
    loom::model(|| {
        let stuck = Stuck::new();
        let (waiting, running) = stuck.watch();
        leave_and_end(
            move || stuck.count(),
            move || drop(waiting),
            move || drop(running),
        );
    });
}

#[test]
fn a_thread_that_is_left_alone_is_counted_while_it_runs() {
    loom::model(|| {
        let stuck = Stuck::new();
        let (waiting, running) = stuck.watch();
        let thread = thread::spawn(move || drop(waiting));
        thread.join().expect("the waiter");
        assert_eq!(stuck.count(), 1);
        drop(running);
        assert_eq!(stuck.count(), 0);
    });
}

#[test]
fn a_thread_that_never_began_is_not_stuck() {
    loom::model(|| {
        let stuck = Stuck::new();
        let (waiting, running) = stuck.watch();
        drop(running);
        drop(waiting);
        assert_eq!(stuck.count(), 0);
    });
}

/// The flag and the count of a `Stuck`, for variants that are wrong.
fn flag_and_count() -> [(Arc<AtomicBool>, Arc<AtomicUsize>); 3] {
    let pair = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    [pair.clone(), pair.clone(), pair]
}

#[test]
fn loom_finds_a_flag_that_is_shown_before_the_count() {
    finds("of one thread are stuck", || {
        let [(_, count), (left, added), (ended, taken)] = flag_and_count();
        leave_and_end(
            move || count.load(Ordering::Relaxed),
            move || {
                if !left.swap(true, Ordering::AcqRel) {
                    added.fetch_add(1, Ordering::Relaxed);
                }
            },
            move || {
                if ended.swap(true, Ordering::AcqRel) {
                    taken.fetch_sub(1, Ordering::Relaxed);
                }
            },
        );
    });
}

#[test]
fn loom_finds_a_flag_that_is_read_and_written_in_two_steps() {
    finds("all have ended", || {
        let [(_, count), (left, added), (ended, taken)] = flag_and_count();
        leave_and_end(
            move || count.load(Ordering::Relaxed),
            move || {
                added.fetch_add(1, Ordering::Relaxed);
                if left.load(Ordering::Acquire) {
                    added.fetch_sub(1, Ordering::Relaxed);
                }
                left.store(true, Ordering::Release);
            },
            move || {
                if ended.swap(true, Ordering::AcqRel) {
                    taken.fetch_sub(1, Ordering::Relaxed);
                }
            },
        );
    });
}

// === drain: publish, take a snapshot, retire ===

/// Stands for a deployment: loom reports a use of its memory that is not ordered before its end.
struct Deployment {
    memory: UnsafeCell<u8>,
    ended_on: std::sync::Arc<std::sync::Mutex<Vec<thread::ThreadId>>>,
}

impl Deployment {
    fn answer(&self) {
        self.memory.with(|memory| assert!(!memory.is_null()));
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        self.memory.with_mut(|memory| assert!(!memory.is_null()));
        self.ended_on
            .lock()
            .expect("no poison")
            .push(thread::current().id());
    }
}

/// A slot whose deployment is replaced while two requests take a snapshot of it; `retire` gets the old one, on a thread
/// of its own, and gives back what must be kept to the end.
fn swap_and_retire(retire: impl FnOnce(Arc<Deployment>) + Send + 'static) {
    let ends = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let deployment = || {
        Arc::new(Deployment {
            memory: UnsafeCell::new(0),
            ended_on: std::sync::Arc::clone(&ends),
        })
    };
    let slot = Arc::new(Mutex::new(deployment()));
    let requests: Vec<_> = (0..2)
        .map(|_| {
            let slot = Arc::clone(&slot);
            thread::spawn(move || {
                let snapshot = Arc::clone(&slot.lock().expect("no poison"));
                snapshot.answer();
            })
        })
        .collect();
    let new = deployment();
    let old = std::mem::replace(&mut *slot.lock().expect("no poison"), new);
    let retiring = thread::spawn(move || retire(old));
    let thread = retiring.thread().id();
    for request in requests {
        request.join().expect("a request");
    }
    retiring.join().expect("the thread that retires");
    let ended_on = ends.lock().expect("no poison").clone();
    assert_eq!(ended_on, [thread], "the old one ends once, where it retires");
}

#[test]
fn the_last_reference_is_dropped_where_deployments_retire() {
    loom::model(|| {
        swap_and_retire(|old| {
            let mut drain = Drain::new();
            drain.push(old);
            while !drain.is_empty() {
                drain.sweep(Deployment::answer);
                thread::yield_now();
            }
        });
    });
}

#[test]
fn loom_finds_a_retirement_that_does_not_wait() {
    finds("the old one ends once, where it retires", || {
        swap_and_retire(drop)
    });
}
