//! Counts the loading threads that outlive those who waited for them: a thread cannot be stopped, so their number must
//! be bounded.

use super::sync::{Arc, AtomicBool, AtomicUsize, Ordering};

/// How many threads are stuck. Clones share the count.
#[derive(Clone)]
pub(super) struct Stuck(Arc<AtomicUsize>);

/// Held by whoever waits for a thread. When it is dropped before the thread has ended, the thread is stuck until then.
pub(super) struct Waiting(Pair);

/// Held by the thread to its end, or by nobody when there is no thread after all.
pub(super) struct Running(Pair);

struct Pair {
    /// Set by whichever of the two ends first.
    ended: Arc<AtomicBool>,
    stuck: Arc<AtomicUsize>,
}

impl Stuck {
    /// None yet.
    pub(super) fn new() -> Stuck {
        Stuck(Arc::new(AtomicUsize::new(0)))
    }

    /// Threads that are stuck now.
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// For one thread that will be waited for.
    pub(super) fn watch(&self) -> (Waiting, Running) {
        let ended = Arc::new(AtomicBool::new(false));
        let pair = |ended| Pair {
            ended,
            stuck: Arc::clone(&self.0),
        };
        (Waiting(pair(Arc::clone(&ended))), Running(pair(ended)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Pair { ended, stuck } = &self.0;
        // Counted before the flag shows it, so that the thread never takes back what was not counted yet.
        stuck.fetch_add(1, Ordering::Relaxed);
        if ended.swap(true, Ordering::AcqRel) {
            stuck.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Pair { ended, stuck } = &self.0;
        if ended.swap(true, Ordering::AcqRel) {
            stuck.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
